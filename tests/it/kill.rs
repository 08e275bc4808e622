//! SIGKILL at random moments under load: what a client saw accepted is there afterwards, truthful and whole.
//!
//! `KILL_ROUNDS=200` for the full count; fewer by default. Each round starts the host over the same store, loads it from several
//! callers, kills it at a random moment, starts it again and asks for every job that any caller was told of.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use engines::embedded::Embedded;
use harness_tests::{
    serving::{Serving, TestHost, call},
    torture::seeds,
};
use serde_json::{Value, json};

pub(crate) const CONFIG: &str = "
server: {addr: '127.0.0.1:0'}
plugin_directory: ./plugins
jobs_directory: ./jobs
result_directory: ./results
pool: {size: 2}
commands:
- {name: sync, plugin: dynamo, is_sync: true, tags: ['type:sync'], cluster_tags: ['type:dynamodb']}
- {name: async, plugin: dynamo, tags: ['type:async'], cluster_tags: ['type:dynamodb']}
- {name: sync-apart, plugin: dynamo, isolation: process, is_sync: true, tags: ['type:sync-apart'], cluster_tags: ['type:dynamodb']}
- {name: async-apart, plugin: dynamo, isolation: process, tags: ['type:async-apart'], cluster_tags: ['type:dynamodb']}
clusters:
- {name: main, tags: ['type:dynamodb']}
";

/// Jobs of both kinds, in the host and in a worker process.
const COMMANDS: [&str; 4] = ["sync", "async", "sync-apart", "async-apart"];

/// A result that lies in the store, one that is a file, and one whose rows are stored as they come.
pub(crate) const QUERIES: [&str; 3] = [
    "SELECT id FROM small WHERE id = '1'",
    "SELECT id, text FROM large",
    "SELECT id, text FROM huge",
];
/// What a caller asks for, again and again.
const QUERY_OF_JOB: [usize; 11] = [0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 2];
const CALLERS: usize = 4;

/// What callers were told.
#[derive(Default)]
struct Told {
    /// Async jobs that were accepted: id and query.
    accepted: BTreeMap<String, usize>,
    /// Sync jobs that were answered with a result: id and query.
    answered: BTreeMap<String, usize>,
}

#[test]
fn nothing_that_was_acknowledged_is_lost_or_torn_by_sigkill() {
    let engine = Embedded::start().unwrap();
    engine.load(&tables()).unwrap();
    let directory = TestHost::new(CONFIG, &engine.url());
    let host = directory.serve();
    let golden: Vec<Vec<u8>> = (0..QUERIES.len())
        .map(|query| golden(&host, query))
        .collect();
    assert!(golden[1].len() > 100_000, "the large result must be a file");
    let lines = result_files(&directory)
        .iter()
        .any(|name| name.ends_with(".lines"));
    assert!(lines, "the huge result must come as rows");
    host.kill();

    let mut random = 0x9E37_79B9_7F4A_7C15_u64;
    let (mut accepted, mut answered, mut failed) = (0, 0, 0);
    let mut rounds = 0;
    for round in seeds("KILL_ROUNDS", 20) {
        rounds += 1;
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let told = load_and_kill(&directory, Duration::from_millis(20 + (random >> 33) % 800));
        let host = directory.serve();
        check_answered(&host, &told.answered, &golden, &format!("round {round}"));
        for (id, query) in &told.accepted {
            let record = host.ended(id);
            match record["status"].as_str() {
                Some("SUCCEEDED") => assert_eq!(
                    result(&host, id).as_ref(),
                    Some(&golden[*query]),
                    "round {round}: {id}"
                ),
                Some("FAILED") => {
                    failed += 1;
                    assert!(
                        record["error"]
                            .as_str()
                            .is_some_and(|error| error.contains("the host was stopped")),
                        "round {round}: {record}"
                    );
                }
                _ => panic!("round {round}: {record}"),
            }
        }
        check_unacknowledged(&host, round);
        for name in result_files(&directory) {
            assert!(
                !name.ends_with(".tmp"),
                "round {round}: half a result: {name}"
            );
        }
        accepted += told.accepted.len();
        answered += told.answered.len();
        host.kill();
    }
    println!(
        "{rounds} kills: {answered} answered sync jobs and {accepted} accepted async jobs, none lost, {failed} failed with a reason"
    );
    assert!(answered > 0 && accepted > 0);
}

pub(crate) fn tables() -> Value {
    let large: Vec<Value> = (0..400)
        .map(|n| json!({"id": {"S": n.to_string()}, "text": {"S": "x".repeat(300)}}))
        .collect();
    // More than the 8 MB beyond which the host asks for rows as they come.
    let huge: Vec<Value> = (0..30)
        .map(|n| json!({"id": {"S": n.to_string()}, "text": {"S": "y".repeat(300_000)}}))
        .collect();
    json!({"small": [{"id": {"S": "1"}}], "large": large, "huge": huge})
}

pub(crate) fn result_files(directory: &TestHost) -> Vec<String> {
    let entries = std::fs::read_dir(directory.path().join("results")).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.collect()
}

pub(crate) fn submission(command: &str, query: usize) -> String {
    let context = json!({"query": QUERIES[query]});
    harness_tests::submission(&format!("type:{command}"), "type:dynamodb", &context).to_string()
}

/// A result's bytes but for its figures, which tell of the run and not of the rows.
fn rows(result: &[u8]) -> Vec<u8> {
    const STATS: &[u8] = b",\"stats\":";
    let end = result
        .windows(STATS.len())
        .rposition(|window| window == STATS)
        .expect("a result has stats");
    assert_eq!(result.last(), Some(&b'}'), "a result is whole");
    result[..end].to_vec()
}

pub(crate) fn result(host: &Serving, id: &str) -> Option<Vec<u8>> {
    let reply = host.call("GET", &format!("/api/v1/job/{id}/result"), None, "");
    (reply.status == 200).then(|| rows(&reply.body))
}

pub(crate) fn golden(host: &Serving, query: usize) -> Vec<u8> {
    let answer = host
        .call(
            "POST",
            "/api/v1/job",
            Some("golden"),
            &submission("sync", query),
        )
        .json();
    result(
        host,
        answer["id"].as_str().unwrap_or_else(|| panic!("{answer}")),
    )
    .unwrap()
}

fn load_and_kill(directory: &TestHost, after: Duration) -> Told {
    let host = directory.serve();
    let url = host.url().to_owned();
    let told = Mutex::new(Told::default());
    let submit = |command: &str, query| {
        let body = submission(command, query);
        let Some(reply) = call(&url, "POST", "/api/v1/job", Some("caller"), &body) else {
            return;
        };
        let answer = reply.json();
        // Only what arrived whole was told.
        let Some(id) = answer["id"].as_str().filter(|_| reply.status == 200) else {
            return;
        };
        let mut told = told.lock().unwrap();
        let list = if command.starts_with("sync") {
            &mut told.answered
        } else {
            &mut told.accepted
        };
        list.insert(id.to_owned(), query);
    };
    under_load(submit, |stop| {
        thread::sleep(after);
        host.kill();
        stop.store(true, Ordering::Release);
    });
    told.into_inner().unwrap()
}

/// Has several callers submit one job after another, by command and query, while `meanwhile` runs, which tells them to stop.
pub(crate) fn under_load(submit: impl Fn(&str, usize) + Sync, meanwhile: impl FnOnce(&AtomicBool)) {
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        for caller in 0..CALLERS {
            let (submit, stop) = (&submit, &stop);
            scope.spawn(move || {
                for n in caller.. {
                    if stop.load(Ordering::Acquire) {
                        return;
                    }
                    submit(COMMANDS[n % 4], QUERY_OF_JOB[n / 4 % 11]);
                }
            });
        }
        meanwhile(&stop);
    });
}

/// Checks that sync jobs that were answered, by id and query, have succeeded and still have their results.
pub(crate) fn check_answered(
    host: &Serving,
    answered: &BTreeMap<String, usize>,
    golden: &[Vec<u8>],
    about: &str,
) {
    for (id, query) in answered {
        let record = host.ended(id);
        assert_eq!(record["status"], "SUCCEEDED", "{record}; {about}");
        let kept = result(host, id);
        assert_eq!(kept.as_ref(), Some(&golden[*query]), "{id}; {about}");
    }
}

/// Jobs that nobody was told of are in a truthful state as well: ended, or on their way to an end.
pub(crate) fn check_unacknowledged(host: &Serving, round: u64) {
    let page = host.call("GET", "/api/v1/jobs?limit=101", None, "").json();
    for job in page["data"].as_array().unwrap() {
        let job = host.ended(job["id"].as_str().unwrap());
        let has_result = result(host, job["id"].as_str().unwrap()).is_some();
        let truthful = match job["status"].as_str() {
            Some("SUCCEEDED") => has_result,
            // A caller whose connection broke cancelled its job.
            Some("FAILED" | "CANCELED") => !has_result,
            _ => false,
        };
        assert!(truthful, "round {round}: {job}");
    }
}
