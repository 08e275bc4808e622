//! Jobs that wait in a host: they cost it no thread each, and are cancelled, time out and go on as any other.
//!
//! `WAITING_JOBS=10000` for the full count; fewer by default.

use std::{
    fs, thread,
    time::{Duration, Instant},
};

use engines::paging::{Paging, Table};
use harness_tests::{
    serving::{Serving, TestHost},
    torture::number,
};
use serde_json::json;

/// They wait for the capacity that their cluster may consume.
const CONFIG: &str = "
server: {addr: '127.0.0.1:0'}
plugin_directory: ./plugins
jobs_directory: ./jobs
pool: {size: JOBS}
limits: {max_running_jobs_per_user: 100000, max_queued_jobs: 100000, shutdown_grace_seconds: 0}
commands:
- {name: sync, plugin: dynamo, is_sync: true, tags: ['type:sync'], cluster_tags: ['type:dynamodb']}
- {name: async, plugin: dynamo, tags: ['type:async'], cluster_tags: ['type:dynamodb']}
clusters:
- {name: slow, tags: ['type:dynamodb', 'speed:slow'], context: {max_capacity_units_per_second: 0.000001}}
- {name: fast, tags: ['type:dynamodb', 'speed:fast']}
";

fn submission(command: &str, speed: &str, timeout_seconds: f64) -> String {
    let context = json!({"query": "SELECT id FROM t", "timeout_seconds": timeout_seconds});
    harness_tests::submission(
        &format!("type:{command}"),
        &format!("speed:{speed}"),
        &context,
    )
    .to_string()
}

fn threads(host: &Serving) -> usize {
    fs::read_dir(format!("/proc/{}/task", host.id()))
        .unwrap()
        .count()
}

/// A figure of the host's metrics.
fn figure(host: &Serving, name: &str) -> usize {
    let text = host.call("GET", "/metrics", None, "");
    let text = String::from_utf8(text.body.to_vec()).unwrap();
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(&format!("{name} ")));
    line.unwrap().parse().unwrap()
}

#[test]
fn jobs_that_wait_cost_a_host_no_thread() {
    let jobs: usize = number("WAITING_JOBS").unwrap_or(400);
    let items = (0..3).map(|n| json!({"id": {"S": n.to_string()}}));
    let server = Paging::start(Table::new(items, |_| true)).unwrap();
    let directory = TestHost::new(
        &CONFIG.replace("JOBS", &(jobs + 8).to_string()),
        &server.url(),
    );
    let mut host = directory.serve();
    let submit = |command: &str, speed: &str, timeout: f64| {
        let body = submission(command, speed, timeout);
        host.call("POST", "/api/v1/job", Some("a"), &body)
    };
    // What every job needs is there after some.
    for _ in 0..20 {
        assert_eq!(submit("sync", "fast", 60.0).status, 200);
    }
    let before = threads(&host);
    let ids: Vec<String> = (0..jobs)
        .map(|_| {
            let answer = submit("async", "slow", 86_400.0).json();
            answer["id"].as_str().unwrap().to_owned()
        })
        .collect();
    // The bucket is not empty at the start, so that the first job may end.
    let deadline = Instant::now() + Duration::from_secs(120);
    while figure(&host, "heimdall_host_jobs_running") < jobs - 1 {
        assert!(Instant::now() < deadline, "they never run all at once");
        thread::sleep(Duration::from_millis(20));
    }
    let during = threads(&host);
    eprintln!("WAITING {jobs} jobs: {before} threads before, {during} while they wait");
    // Questions to the store have threads, a bounded number of them.
    assert!(during <= before + 40, "{before} threads before, {during}");

    // Beside them others go on, run out of time and are cancelled.
    assert_eq!(submit("sync", "fast", 60.0).status, 200);
    assert_eq!(submit("sync", "slow", 0.5).json()["code"], "TIMEOUT");
    let path = format!("/api/v1/job/{}/cancel", ids[jobs - 1]);
    assert_eq!(host.call("POST", &path, Some("a"), "").status, 200);
    assert_eq!(host.ended(&ids[jobs - 1])["status"], "CANCELED");

    // A host that stops puts them back.
    host.signal("TERM");
    assert!(host.wait().success());
    let host = directory.serve();
    let path = format!("/api/v1/job/{}/status", ids[jobs - 2]);
    let status = host.call("GET", &path, None, "").json()["status"].clone();
    assert!(status == "NEW" || status == "RUNNING", "{status}");
}
