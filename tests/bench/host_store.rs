//! A host over a store of millions of jobs: how long a page of its list takes, with no filter and with each one, and whether tiny sync
//! jobs go on beside such questions.
//!
//! `host-store [JOBS]`, by default ten million, which take about 15 GB of the folder for temporary files. The host runs on core 0 and
//! everything else on the others. Printed as a Markdown table.
#![forbid(unsafe_code)]

use std::{
    path::Path,
    process::exit,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use engines::replay::{self, Replay};
use harness_tests::{
    load::{at, leave_core_0, run},
    process::status,
    serving::{Serving, TestHost},
};
use heimdall_server::{
    job::{JobRecord, JobStatus, Route, new_id, raw},
    store::{Put, Store},
};
use serde_json::Value;

const CONFIG: &str = "
server: {addr: '127.0.0.1:0'}
plugin_directory: ./plugins
jobs_directory: ./jobs
result_directory: ./jobs/results
janitor: {finished_job_retention_days: 36500, max_finished_jobs: 100000000}
commands: [{name: sync, plugin: dynamo, is_sync: true, tags: ['type:sync']}]
clusters: [{name: main, tags: ['type:dynamodb']}]
";
/// When the first job was accepted, in seconds since 1970; ten are accepted each second.
const FIRST: i64 = 1_700_000_000;
/// How many records are given to the store before they are waited for.
const AT_ONCE: i64 = 20_000;

fn main() {
    let jobs = std::env::args()
        .nth(1)
        .map_or(Ok(10_000_000), |text| text.parse());
    let Ok(jobs) = jobs else {
        eprintln!("host-store takes a number of jobs");
        exit(2);
    };
    leave_core_0();
    let page = replay::page(&[r#"{"id":{"S":"123"}}"#], None);
    let engine = Replay::start(&[page], Duration::ZERO).expect("the replay server starts");
    let directory = TestHost::new(CONFIG, &engine.url());
    fill(directory.path(), jobs);
    let began = Instant::now();
    let host = directory.serve_on_core(0);
    let started = began.elapsed();
    run(&host, "sync", 16, Duration::from_secs(2));
    let before = resident(&host);
    println!("| {jobs} jobs in the store, host on one core | figure | target |");
    println!("|---|---:|---|");
    println!("| start of the host, s | {:.1} | |", started.as_secs_f64());
    for (name, filters) in questions(jobs) {
        let (slowest, path) = filters
            .iter()
            .flat_map(|filter| pages(&host, filter))
            .max()
            .expect("every filter has a page");
        let slowest = slowest.as_secs_f64() * 1e3;
        eprintln!("{name}: {slowest:.1} ms for {path}");
        println!("| slowest page, {name}, ms | {slowest:.1} | below 50 |");
    }
    beside(&host, "nobody asks for lists", &[]);
    beside(
        &host,
        "two callers ask for one page after the other",
        &["", "username=user-7%25"],
    );
    println!("| memory before, MB | {before:.1} | |");
    println!("| memory after, MB | {:.1} | flat |", resident(&host));
}

/// Puts the jobs into a store where the host will look for it.
fn fill(directory: &Path, jobs: i64) {
    let jobs_directory = directory.join("jobs");
    let store = Store::open(&jobs_directory, &jobs_directory.join("results"), &[])
        .expect("an empty store opens");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime");
    let began = Instant::now();
    let mut n = 0;
    while n < jobs {
        let puts: Vec<_> = (n..jobs.min(n + AT_ONCE))
            .map(|n| store.put(Put::record(Arc::new(record(store.next_seq(), n)))))
            .collect();
        for put in puts {
            runtime.block_on(put).expect("the record is stored");
        }
        n += AT_ONCE;
        if n % 1_000_000 == 0 {
            eprintln!("{n} jobs after {} s", began.elapsed().as_secs());
        }
    }
    store.close();
    // What the disk still had to write of it would be the first jobs' to wait for.
    rustix::fs::sync();
}

/// An ended job, as a host that serves some teams has them: filters fit few, many or all.
fn record(seq: i64, n: i64) -> JobRecord {
    let id = new_id().to_string();
    let created_at = FIRST + n / 10;
    let status = match n % 100 {
        0 => JobStatus::Cancelled,
        1..=5 => JobStatus::Failed,
        _ => JobStatus::Succeeded,
    };
    let own = [
        format!("team:{}", n % 50),
        format!("_id:{id}"),
        "_user".to_owned(),
    ];
    JobRecord {
        seq,
        name: format!("report-{}", n % 1_000),
        version: format!("1.{}", n % 7),
        description: None,
        user: format!("user-{}", n % 5_000),
        tags: raw(&own),
        context: Some(raw(
            &serde_json::json!({"query": "SELECT id FROM my_table WHERE id = ?", "parameters": [n]}),
        )),
        command_criteria: raw(&["type:sync"]),
        cluster_criteria: raw(&["type:dynamodb"]),
        is_sync: true,
        route: Route {
            command_id: "sync".to_owned(),
            command_name: "sync".to_owned(),
            cluster_id: "main".to_owned(),
            cluster_name: "main".to_owned(),
            plugin: "dynamo".to_owned(),
        },
        status,
        error: None,
        error_document: None,
        plugin_version: Some("1.0.0".to_owned()),
        cancelled_by: None,
        created_at,
        updated_at: created_at + n % 300,
        attempts: 1,
        traceparent: None,
        rows: Some(1),
        id,
    }
}

/// Each filter with values that fit many jobs, few and none.
fn questions(jobs: i64) -> Vec<(&'static str, Vec<String>)> {
    let texts = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect();
    let middle = FIRST + jobs / 20;
    vec![
        ("no filter", texts(&[""])),
        ("id", texts(&["id=nothing", "id=00%25"])),
        (
            "name",
            texts(&[
                "name=report-7",
                "name=report-7%25",
                "name=%2599",
                "name=nothing",
            ]),
        ),
        ("version", texts(&["version=1.3", "version=2%25"])),
        (
            "username",
            texts(&[
                "username=user-77",
                "username=user-7%25",
                "username=%2577",
                "username=nobody",
            ]),
        ),
        ("command", texts(&["command=sync", "command=other"])),
        ("cluster", texts(&["cluster=main", "cluster=m%25"])),
        (
            "status",
            texts(&[
                "status=SUCCEEDED",
                "status=FAILED",
                "status=CANCELED,FAILED",
                "status=RUNNING",
            ]),
        ),
        (
            "tags",
            texts(&["tags=team:7", "tags=_user", "tags=team:nothing"]),
        ),
        (
            "created_after, created_before",
            vec![
                format!("created_after={middle}"),
                format!("created_before={middle}"),
                format!("created_after={middle}&created_before={}", middle + 60),
                "created_before=1".to_owned(),
            ],
        ),
    ]
}

/// How long each of the first pages took that this filter gives, in each order and direction.
fn pages(host: &Serving, filter: &str) -> Vec<(Duration, String)> {
    let mut times = Vec::new();
    for order in ["id", "created_at", "updated_at"] {
        for direction in ["asc", "desc"] {
            let mut cursor = String::new();
            for _ in 0..4 {
                let path =
                    format!("/api/v1/jobs?order_by={order}&direction={direction}&{filter}{cursor}");
                let began = Instant::now();
                let answer = host.call("GET", &path, None, "");
                let took = began.elapsed();
                assert_eq!(answer.status, 200, "{path}");
                times.push((took, path));
                match &answer.json()["next_cursor"] {
                    Value::String(next) => cursor = format!("&cursor={next}"),
                    _ => break,
                }
            }
        }
    }
    times
}

/// Tiny sync jobs of 16 callers, while a caller a filter asks for page after page.
fn beside(host: &Serving, what: &str, filters: &[&str]) {
    let is_over = AtomicBool::new(false);
    let seconds = 10;
    let mut latencies = thread::scope(|scope| {
        for filter in filters {
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    pages(host, filter);
                }
            });
        }
        let _over = Over(&is_over);
        run(host, "sync", 16, Duration::from_secs(seconds))
    });
    latencies.sort_unstable();
    let a_second = latencies.len() as f64 / seconds as f64;
    println!("| sync jobs a second, {what} | {a_second:.0} | |");
    println!("| their p99, ms | {:.1} | |", at(&latencies, 0.99));
}

/// Says that it is over when it is dropped, also by a caller that fails.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Resident memory in MB.
fn resident(host: &Serving) -> f64 {
    status(host.id(), "VmRSS").expect("the host runs") as f64 / 1024.0
}
