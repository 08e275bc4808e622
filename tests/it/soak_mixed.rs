//! Everything at once for a long time: jobs of all kinds in the host and in worker processes, faults on the way, cancels, readers that
//! hang up, large results, swaps of the plugin. What the host uses is sampled, and is to be flat.
//!
//! Short here; `cargo xtask torture --only soak --minutes 30` runs long, prints a table and writes `docs/soak.svg`.

mod samples;

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::Path,
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use engines::{
    faults::{Fault, Faults},
    replay::chain,
};
use fastrand::Rng;
use harness_tests::{
    library,
    serving::{Serving, TestHost, call},
    submission,
    torture::{is_torture, minutes, number},
};
use serde_json::{Value, json};

use self::samples::{FIGURES, median, sample, svg, table};
use crate::chameleon::slim;

const CONFIG: &str = "
server: {addr: '127.0.0.1:0'}
plugin_directory: ./soak
jobs_directory: ./jobs
result_directory: ./results
pool: {size: 4}
janitor: {max_finished_jobs: 2000, max_stored_bytes: 200000000}
commands:
- {name: sync, plugin: dynamo, is_sync: true, tags: ['type:sync'], cluster_tags: ['type:dynamodb']}
- {name: async, plugin: dynamo, tags: ['type:async'], cluster_tags: ['type:dynamodb']}
- {name: sync-apart, plugin: dynamo, isolation: process, is_sync: true, tags: ['type:sync-apart'], cluster_tags: ['type:dynamodb']}
- {name: async-apart, plugin: dynamo, isolation: process, tags: ['type:async-apart'], cluster_tags: ['type:dynamodb']}
clusters:
- {name: main, tags: ['type:dynamodb'], context: {read_timeout_seconds: 2}}
";

const COMMANDS: [&str; 4] = ["sync", "async", "sync-apart", "async-apart"];
const CALLERS: u64 = 6;
/// The faults that a request meets now and then.
const FAULTS: [Fault; 8] = [
    Fault::Throttling,
    Fault::InternalServerError,
    Fault::ResetBeforeAnswer,
    Fault::ResetMidBody,
    Fault::CorruptJson,
    Fault::WrongChecksum,
    Fault::StallMidBody,
    Fault::Slow(Duration::from_millis(5)),
];
/// How often the plugin is swapped for a new digest. A retired version keeps its mapping for good, which is told apart (docs/ABI.md).
const SWAP_EVERY: Duration = Duration::from_secs(60);

/// What callers did.
#[derive(Default)]
struct Done {
    jobs: AtomicU64,
    whole: AtomicU64,
    failed: AtomicU64,
    cancelled: AtomicU64,
    hung_up: AtomicU64,
    large: AtomicU64,
    swaps: AtomicU64,
    /// Swaps that were refused, because a busy machine did not try the library in time, and asked for again.
    late_swaps: AtomicU64,
}

/// Ends the callers when it goes.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

#[test]
fn everything_at_once_for_a_long_time_leaves_nothing_behind() {
    let seconds = number("SOAK_SECONDS").unwrap_or(15);
    let time = minutes().unwrap_or(Duration::from_secs(seconds));
    let random = Mutex::new(Rng::with_seed(7));
    let server = Faults::by_number(pages(), move |_| {
        let mut random = random.lock().unwrap();
        match random.u32(..25) {
            0 => random.choice(FAULTS).unwrap(),
            _ => Fault::None,
        }
    });
    let server = server.unwrap();
    let directory = TestHost::new(CONFIG, &server.url());
    fs::create_dir(directory.path().join("soak")).unwrap();
    let plugin = slim(&library("dynamo_plugin"));
    put(&plugin, directory.path());
    let host = directory.serve();
    let done = Done::default();
    let over = AtomicBool::new(false);
    let (samples, residue) = thread::scope(|scope| {
        for caller in 0..CALLERS {
            let (host, done, over) = (&host, &done, &over);
            scope.spawn(move || {
                let mut random = Rng::with_seed(caller);
                while !over.load(Ordering::SeqCst) {
                    one_job(host, done, &mut random);
                }
            });
        }
        // Also where the watching fails: else the callers would go on for ever.
        let _over = Over(&over);
        watch(&host, &directory, plugin, time, &done)
    });
    let left = unfinished(&host);
    println!(
        "{:.0} s: {} jobs: {} whole, {} failed with a reason, {} cancelled, {} whose caller hung up; {} large results; {} swaps, {} times not tried in time and asked for again; {left} unfinished; {} MB are kept of retired versions",
        time.as_secs_f64(),
        load(&done.jobs),
        load(&done.whole),
        load(&done.failed),
        load(&done.cancelled),
        load(&done.hung_up),
        load(&done.large),
        load(&done.swaps),
        load(&done.late_swaps),
        residue >> 20
    );
    println!("{}", table(&samples));
    assert!(load(&done.whole) > 0);
    if is_torture() {
        fs::write(crate::hosts::root().join("docs/soak.svg"), svg(&samples)).unwrap();
        flat(&samples, residue);
    }
}

fn load(count: &AtomicU64) -> u64 {
    count.load(Ordering::SeqCst)
}

/// Twelve pages, together more than the 8 MB beyond which rows are stored as they come.
fn pages() -> Vec<bytes::Bytes> {
    let pages: Vec<Vec<String>> = (0..12)
        .map(|page| {
            let item = |n: u32| {
                let number = page * 100 + n;
                format!(
                    r#"{{"id":{{"N":"{number}"}},"text":{{"S":"{}"}}}}"#,
                    "x".repeat(8_000)
                )
            };
            (0..100).map(item).collect()
        })
        .collect();
    chain(&pages)
}

fn put(bytes: &[u8], directory: &Path) {
    let (fresh, name) = (
        directory.join("soak/.fresh"),
        directory.join("soak/dynamo.so"),
    );
    fs::write(&fresh, bytes).unwrap();
    fs::set_permissions(&fresh, fs::Permissions::from_mode(0o755)).unwrap();
    fs::rename(fresh, name).unwrap();
}

/// One job of one caller: small or large, waited for, cancelled or left alone.
fn one_job(host: &Serving, done: &Done, random: &mut Rng) {
    let command = COMMANDS[random.usize(..4)];
    let is_large = random.u32(..12) == 0;
    let mut context = json!({"query": "SELECT * FROM t"});
    if !is_large {
        context["limit"] = json!(random.u32(1..250));
    }
    if random.u32(..10) == 0 {
        context["timeout_seconds"] = json!(f64::from(random.u32(1..400)) / 1000.0);
    }
    let body = submission(&format!("type:{command}"), "type:dynamodb", &context).to_string();
    done.jobs.fetch_add(1, Ordering::SeqCst);
    if random.u32(..15) == 0 {
        // The answer, or the waiting for it, is left alone.
        let address = host.url().trim_start_matches("http://");
        let mut stream = std::net::TcpStream::connect(address).unwrap();
        let request = crate::attacks::post("/api/v1/job", "caller", &body);
        std::io::Write::write_all(&mut stream, request.as_bytes()).unwrap();
        thread::sleep(Duration::from_millis(random.u64(..50)));
        done.hung_up.fetch_add(1, Ordering::SeqCst);
        return;
    }
    let Some(reply) = call(host.url(), "POST", "/api/v1/job", Some("caller"), &body) else {
        panic!("no answer:\n{}", host.lines().join("\n"));
    };
    if reply.status == 429 {
        thread::sleep(Duration::from_millis(50));
        return;
    }
    let answer: Value = reply.json();
    let id = answer["id"]
        .as_str()
        .unwrap_or_else(|| panic!("{answer}"))
        .to_owned();
    if !command.starts_with("sync") {
        if random.u32(..5) == 0 {
            call(
                host.url(),
                "POST",
                &format!("/api/v1/job/{id}/cancel"),
                Some("caller"),
                "",
            );
        }
        let record = host.ended(&id);
        count(done, &record, is_large);
        if record["status"] == "SUCCEEDED" && random.bool() {
            let format = ["json", "csv", "parquet", "arrow", "ndjson"][random.usize(..5)];
            let path = format!("/api/v1/job/{id}/result?format={format}");
            let status = host.call("GET", &path, Some("caller"), "").status;
            // The oldest results make room for others.
            assert!([200, 404, 429].contains(&status), "{status}");
        }
    } else if reply.status == 200 {
        done.whole.fetch_add(1, Ordering::SeqCst);
        done.large.fetch_add(u64::from(is_large), Ordering::SeqCst);
    } else {
        assert!([429, 502, 503, 504].contains(&reply.status), "{answer}");
        done.failed.fetch_add(1, Ordering::SeqCst);
    }
}

fn count(done: &Done, record: &Value, is_large: bool) {
    match record["status"].as_str() {
        Some("SUCCEEDED") => {
            done.whole.fetch_add(1, Ordering::SeqCst);
            done.large.fetch_add(u64::from(is_large), Ordering::SeqCst);
        }
        Some("CANCELED") => drop(done.cancelled.fetch_add(1, Ordering::SeqCst)),
        _ => {
            assert!(
                record["error"]
                    .as_str()
                    .is_some_and(|error| !error.is_empty()),
                "{record}"
            );
            done.failed.fetch_add(1, Ordering::SeqCst);
        }
    }
}

/// Samples until the time is over, and swaps meanwhile; also how many bytes the host says that it keeps of retired versions.
fn watch(
    host: &Serving,
    directory: &TestHost,
    mut plugin: Vec<u8>,
    time: Duration,
    done: &Done,
) -> (Vec<samples::Sample>, u64) {
    let began = Instant::now();
    let every = (time / 400).max(Duration::from_millis(200));
    let mut samples = Vec::new();
    let mut swapped = began;
    while began.elapsed() < time {
        thread::sleep(every);
        samples.push(sample(host.id(), directory.path(), began));
        if swapped.elapsed() > SWAP_EVERY {
            plugin.push(0);
            put(&plugin, directory.path());
            let report = host
                .call("POST", "/api/v1/plugins/reload", Some("admin"), "")
                .json();
            // A machine so busy that the library is not tried in time: the swap stays due.
            let rows = report["data"].as_array().unwrap();
            let late = |row: &Value| row["error"]["code"] == "TIMED_OUT";
            if rows.iter().any(late) {
                done.late_swaps.fetch_add(1, Ordering::SeqCst);
            } else {
                assert_eq!(report["refused"], json!([]), "{report}");
                swapped = Instant::now();
                done.swaps.fetch_add(1, Ordering::SeqCst);
            }
        }
    }
    let plugins = host.call("GET", "/api/v1/plugins", None, "").json();
    let kept = plugins["data"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|row| row["residue_bytes"].as_u64());
    (samples, kept.sum())
}

/// Jobs that have not ended a while after the last was sent.
fn unfinished(host: &Serving) -> usize {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let path = "/api/v1/jobs?status=NEW,ACCEPTED,RUNNING,CANCELING";
        let left = host.call("GET", path, None, "").json()["data"]
            .as_array()
            .unwrap()
            .len();
        if left == 0 {
            return 0;
        }
        assert!(Instant::now() < deadline, "{left} jobs never end");
        thread::sleep(Duration::from_millis(100));
    }
}

/// The last quarter uses what the second did, but for what is kept of retired versions.
fn flat(samples: &[samples::Sample], residue: u64) {
    for (figure, (name, _)) in FIGURES.iter().enumerate() {
        let (second, last) = (median(samples, figure, 1, 2), median(samples, figure, 3, 4));
        let kept = if figure == 0 {
            residue as f64 / 1e6
        } else {
            0.0
        };
        assert!(
            last <= second * 1.25 + 24.0 + kept,
            "{name} grows: {second:.0}, then {last:.0}"
        );
    }
}
