//! A disk that fails for a while under a host with load: full, read-only, deaf to `fsync`, refusing writes or taking half of them.
//!
//! A shim between the host and the C library does it (`tests/c/failing_disk.c`), for SQLite and result files alike. In every second
//! round the host is killed in the middle. Afterwards every job that was accepted has come to an end that is true, without a restart
//! where the host lived; results are whole or absent. `cargo xtask torture --only disk` runs 200 rounds.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::{Mutex, atomic::Ordering},
    thread,
    time::Duration,
};

use engines::embedded::Embedded;
use fastrand::Rng;
use harness_tests::{
    serving::{Serving, TestHost, call},
    torture::{again, seeds},
};
use serde_json::Value;

use crate::{
    hosts::{have, root, succeeds},
    kill::{
        CONFIG, QUERIES, check_answered, check_unacknowledged, golden, result, result_files,
        submission, tables, under_load,
    },
};

/// What fails, and how many calls of a thousand.
const FAILURES: [(&str, u32); 8] = [
    ("full", 1000),
    ("full", 200),
    ("readonly", 1000),
    ("sync", 1000),
    ("sync", 200),
    ("write", 1000),
    ("write", 100),
    ("short", 500),
];

/// What a job may end with because of the disk or the host's end.
const REASONS: [&str; 4] = [
    "the job store failed",
    "cannot use",
    "the host was stopped",
    "the disk of the job store",
];

/// What callers were told; each job with its query.
#[derive(Default)]
struct Told {
    accepted: BTreeMap<String, usize>,
    answered: BTreeMap<String, usize>,
    /// Codes of refusals and failures.
    refused: BTreeMap<String, usize>,
    wrong: Vec<String>,
}

/// A host on a disk that fails when it is told to.
struct Stage {
    directory: TestHost,
    shim: PathBuf,
    control: PathBuf,
}

impl Stage {
    fn new(endpoint: &str) -> Self {
        let directory = TestHost::new(CONFIG, endpoint);
        let shim = directory.path().join("plugins/../failing_disk.so");
        let source = root().join("tests/c/failing_disk.c");
        let mut gcc = Command::new("gcc");
        gcc.args([
            "-std=gnu11",
            "-O1",
            "-Wall",
            "-Wextra",
            "-Werror",
            "-shared",
            "-fPIC",
            "-o",
        ]);
        succeeds(gcc.arg(&shim).arg(source).arg("-ldl"));
        let control = directory.path().join("control");
        let stage = Self {
            directory,
            shim,
            control,
        };
        stage.fail("none", 0);
        stage
    }

    fn serve(&self) -> Serving {
        let text = |path: &Path| path.to_str().unwrap().to_owned();
        let results = text(self.directory.path());
        self.directory.serve_with(&[
            ("LD_PRELOAD", &text(&self.shim)),
            ("FAILING_DISK", &results),
            ("FAILING_DISK_CONTROL", &text(&self.control)),
        ])
    }

    /// Renamed into place, so that no call reads half of it.
    fn fail(&self, kind: &str, of_a_thousand: u32) {
        let fresh = self.control.with_extension("new");
        fs::write(&fresh, format!("{kind} {of_a_thousand}")).unwrap();
        fs::rename(&fresh, &self.control).unwrap();
    }
}

#[test]
fn a_disk_that_fails_for_a_while_costs_no_accepted_job_and_tears_no_result() {
    if !have("gcc") {
        return;
    }
    let engine = Embedded::start().unwrap();
    engine.load(&tables()).unwrap();
    let stage = Stage::new(&engine.url());
    let mut host = stage.serve();
    let golden: Vec<_> = (0..QUERIES.len())
        .map(|query| golden(&host, query))
        .collect();
    let (mut rounds, mut kills, mut total) = (0, 0, Told::default());
    let mut ends: BTreeMap<String, usize> = BTreeMap::new();
    for seed in seeds("DISK_ROUNDS", 8) {
        let mut random = Rng::with_seed(seed);
        // The short form meets every kind once.
        let at = usize::try_from(seed).unwrap() % FAILURES.len();
        let is_killed = random.bool();
        let told = fail_under_load(&stage, &mut host, FAILURES[at], is_killed, &mut random);
        let about = format!(
            "{:?}, killed {is_killed}; {}",
            FAILURES[at],
            again("disk", seed)
        );
        check_answered(&host, &told.answered, &golden, &about);
        for (id, query) in &told.accepted {
            let record = host.ended(id);
            let end = truthful(&record).unwrap_or_else(|| panic!("{record}; {about}"));
            let kept = result(&host, id);
            let expected = (end == "SUCCEEDED").then_some(&golden[*query]);
            assert_eq!(kept.as_ref(), expected, "{record}; {about}");
            *ends.entry(end).or_default() += 1;
        }
        check_unacknowledged(&host, seed);
        assert!(told.wrong.is_empty(), "{:?}; {about}", told.wrong);
        let half: Vec<_> = result_files(&stage.directory)
            .into_iter()
            .filter(|name| name.ends_with(".tmp"))
            .collect();
        assert!(half.is_empty(), "{half:?}; {about}");
        rounds += 1;
        kills += u32::from(is_killed);
        total.accepted.extend(told.accepted);
        total.answered.extend(told.answered);
        for (code, count) in told.refused {
            *total.refused.entry(code).or_default() += count;
        }
    }
    println!(
        "{rounds} times a failing disk, {kills} of them with SIGKILL: {} answered sync jobs whole; {} accepted async jobs ended {ends:?}; refused meanwhile {:?}",
        total.answered.len(),
        total.accepted.len(),
        total.refused
    );
}

/// Loads the host, lets its disk fail for a while, kills it in the middle or not; it then runs on a disk that works.
fn fail_under_load(
    stage: &Stage,
    host: &mut Serving,
    (kind, share): (&str, u32),
    is_killed: bool,
    random: &mut Rng,
) -> Told {
    let told = Mutex::new(Told::default());
    let url = host.url().to_owned();
    let submit = |command: &str, query| submit(&url, command, query, &told);
    under_load(submit, |stop| {
        let mut pause = |most| thread::sleep(Duration::from_millis(random.u64(20..most)));
        pause(300);
        stage.fail(kind, share);
        pause(1200);
        if is_killed {
            stop.store(true, Ordering::Release);
            host.signal("KILL");
            host.wait();
            stage.fail("none", 0);
        } else {
            stage.fail("none", 0);
            pause(300);
            stop.store(true, Ordering::Release);
        }
    });
    if is_killed {
        *host = stage.serve();
    }
    told.into_inner().unwrap()
}

fn submit(url: &str, command: &str, query: usize, told: &Mutex<Told>) {
    let body = submission(command, query);
    let Some(reply) = call(url, "POST", "/api/v1/job", Some("caller"), &body) else {
        return;
    };
    let Ok(answer) = serde_json::from_slice::<Value>(&reply.body) else {
        // Its connection broke in the middle of the answer.
        return;
    };
    let mut told = told.lock().unwrap();
    let id = answer["id"].as_str().unwrap_or_default().to_owned();
    match (reply.status, command.starts_with("sync")) {
        (200, true) => drop(told.answered.insert(id, query)),
        (200, false) => drop(told.accepted.insert(id, query)),
        (429 | 503 | 507, _) => {
            let code = answer["code"].as_str().unwrap_or_default().to_owned();
            *told.refused.entry(code).or_default() += 1;
        }
        _ => told.wrong.push(answer.to_string()),
    }
}

/// The end of a job that was accepted, where it is one that the disk or the host's end explains.
fn truthful(record: &Value) -> Option<String> {
    let status = record["status"].as_str()?;
    let error = record["error"].as_str().unwrap_or_default();
    let explained = status == "SUCCEEDED"
        || status == "FAILED" && REASONS.iter().any(|reason| error.contains(reason));
    explained.then(|| status.to_owned())
}

#[test]
fn a_result_file_that_was_cut_is_not_served() {
    let engine = Embedded::start().unwrap();
    engine.load(&tables()).unwrap();
    let directory = TestHost::new(CONFIG, &engine.url());
    let host = directory.serve();
    // A document in a file, and rows as they came.
    for query in [1, 2] {
        let answer = host.call(
            "POST",
            "/api/v1/job",
            Some("a"),
            &submission("async", query),
        );
        let id = answer.json()["id"].as_str().unwrap().to_owned();
        assert_eq!(host.ended(&id)["status"], "SUCCEEDED");
        assert!(result(&host, &id).is_some());
        for name in result_files(&directory) {
            let path = directory.path().join("results").join(name);
            let file = fs::File::options().write(true).open(path).unwrap();
            file.set_len(file.metadata().unwrap().len() / 2).unwrap();
        }
        let path = format!("/api/v1/job/{id}/result");
        let reply = host.call("GET", &path, None, "");
        assert_eq!(
            reply.status,
            503,
            "{:.200}",
            String::from_utf8_lossy(&reply.body)
        );
        assert!(
            reply.json()["error"]
                .as_str()
                .unwrap()
                .contains("bytes, the result had")
        );
    }
}
