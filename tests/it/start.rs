//! Jobs that are started, through the built library: a job that waits costs no thread.

use std::{
    fs,
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use engines::paging::{Paging, Table};
use harness_tests::{dynamo, job, library};
use plugin_api::ErrorCode;
use plugin_host::{CallOptions, Library};
use serde_json::{Value, json};

use crate::hosts::with_id;

const JOBS: usize = 10_000;

/// Threads of this process whose name begins so.
fn threads(name: &str) -> usize {
    fs::read_dir("/proc/self/task")
        .unwrap()
        .filter_map(|task| fs::read_to_string(task.ok()?.path().join("comm")).ok())
        .filter(|comm| comm.starts_with(name))
        .count()
}

fn select(server: &Paging, id: &str, cluster: &Value) -> Vec<u8> {
    let mut job = with_id(
        id,
        job(&server.url(), &json!({"query": "SELECT id FROM t"})),
    );
    for (field, value) in cluster.as_object().unwrap() {
        job["cluster"]["context"][field] = value.clone();
    }
    job.to_string().into_bytes()
}

fn server() -> Paging {
    let items = (0..3).map(|n| json!({"id": {"S": n.to_string()}}));
    Paging::start(Table::new(items, |_| true)).unwrap()
}

#[test]
fn a_started_job_ends_on_a_thread_of_the_plugin_with_the_result_of_run_job() {
    let server = server();
    let job = select(&server, "started", &json!({}));
    let (end, told) = mpsc::channel();
    dynamo()
        .start_job(&job, CallOptions::default(), move |outcome| {
            let thread = thread::current().name().map(str::to_owned);
            end.send((thread, outcome)).unwrap();
        })
        .unwrap();
    let (_, outcome) = told.recv().unwrap();
    let started: Value = serde_json::from_slice(&outcome.unwrap()).unwrap();
    let run = dynamo().run_job(&job, &CallOptions::default()).unwrap();
    let run: Value = serde_json::from_slice(&run).unwrap();
    assert_eq!(started["data"], run["data"]);
    assert!(told.recv().is_err(), "its end is told once");

    // A bad document's error comes the same way.
    let (end, told) = mpsc::channel();
    let tell = move |outcome: Result<_, plugin_api::Error>| {
        end.send(outcome.map(drop).unwrap_err().code).unwrap();
    };
    dynamo()
        .start_job(b"{", CallOptions::default(), tell)
        .unwrap();
    assert_eq!(told.recv().unwrap(), ErrorCode::INVALID_JOB);
}

/// They wait for the capacity that their cluster may consume.
#[test]
fn ten_thousand_jobs_that_wait_cost_no_thread_and_end_at_one_cancel() {
    let server = server();
    let job = select(
        &server,
        "waits",
        &json!({"max_capacity_units_per_second": 0.000_001}),
    );
    let (end, told) = mpsc::channel();
    for _ in 0..JOBS {
        let end = end.clone();
        let tell = move |outcome: Result<_, plugin_api::Error>| {
            end.send(outcome.map(drop).map_err(|error| error.code))
                .unwrap();
        };
        dynamo()
            .start_job(&job, CallOptions::default(), tell)
            .unwrap();
    }
    drop(end);
    assert!(
        threads("dynamo-plugin") <= num_cpus() + 16,
        "{} threads",
        threads("dynamo-plugin")
    );
    assert_eq!(
        threads("plugin-job"),
        0,
        "no thread of the host waits for them"
    );
    // The first page of all may have been answered: the bucket is not empty at the start.
    let give_up = Instant::now() + Duration::from_secs(60);
    let mut ends = Vec::new();
    while ends.len() < JOBS {
        let _ = dynamo().cancel_job("waits");
        ends.extend(told.recv_timeout(Duration::from_millis(100)));
        ends.extend(told.try_iter());
        assert!(Instant::now() < give_up, "{} of {JOBS} ended", ends.len());
    }
    let cancelled = ends
        .iter()
        .filter(|end| **end == Err(ErrorCode::CANCELLED))
        .count();
    assert!(
        cancelled >= JOBS - 1,
        "{cancelled} of {JOBS} were cancelled"
    );
}

fn num_cpus() -> usize {
    thread::available_parallelism().map_or(1, Into::into)
}

/// The chameleon has no `start_job` of its own, as no library of ABI 1.0 has.
#[test]
fn a_library_that_cannot_start_jobs_runs_them_on_a_thread() {
    let chameleon = Library::load(&library("chameleon_plugin"), None).unwrap();
    assert!(!chameleon.info().has("start"));
    let (end, told) = mpsc::channel();
    let tell = move |outcome: Result<_, plugin_api::Error>| {
        end.send(outcome.map(drop).map_err(|error| error.code))
            .unwrap();
    };
    let job = br#"{"id":"slow","context":{"sleep_ms":600000}}"#;
    chameleon
        .start_job(job, CallOptions::default(), tell)
        .unwrap();
    while !chameleon.cancel_job("slow") {
        thread::yield_now();
    }
    assert_eq!(told.recv().unwrap(), Err(ErrorCode::CANCELLED));
    chameleon.close(Duration::ZERO).unwrap();
}
