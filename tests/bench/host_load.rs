//! What a host does under load: tiny sync jobs against a replayed DynamoDB, 16 callers on kept connections.
//!
//! `host-load [SECONDS]`, by default 20. The host runs on core 0 and everything else on the others, where `taskset` is at hand. Printed as a
//! Markdown table: jobs a second, latency, CPU time a job, memory, beside the goals and what a running Heimdall did; on standard error the
//! memory once a minute.
#![forbid(unsafe_code)]

use std::{
    fs,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use engines::replay::{self, Replay};
use harness_tests::serving::{Serving, TestHost};
use http_body_util::{BodyExt, Full};
use hyper::{Request, body::Bytes, client::conn::http1};
use hyper_util::rt::TokioIo;
use serde_json::json;

const CONFIG: &str = "
server: {addr: '127.0.0.1:0'}
plugin_directory: ./plugins
commands: [{name: sync, plugin: dynamo, is_sync: true, tags: ['type:sync']}]
clusters: [{name: main, tags: ['type:dynamodb']}]
";
const CALLERS: usize = 16;
/// Linux counts a process's CPU time in hundredths of a second.
const TICKS: f64 = 100.0;

fn main() {
    let seconds = std::env::args()
        .nth(1)
        .and_then(|text| text.parse().ok())
        .unwrap_or(20);
    leave_core_0();
    let page = replay::page(&[r#"{"id":{"S":"123"}}"#], None);
    let engine = Replay::start(&[page], Duration::ZERO).expect("the replay server starts");
    let place = TestHost::new(CONFIG, &engine.url());
    let host = place.serve_on_core(0);
    run(&host, Duration::from_secs(2));
    let began_with = cpu(&host);
    let began = Instant::now();
    let loaded = Duration::from_secs(seconds);
    let (mut latencies, memory) = thread::scope(|scope| {
        let memory = scope.spawn(|| watch_memory(&host, loaded));
        let latencies = run(&host, loaded);
        (latencies, memory.join().expect("the host runs on"))
    });
    let wall = began.elapsed().as_secs_f64();
    latencies.sort_unstable();
    let jobs = latencies.len() as f64;
    print(&[
        ("jobs a second", jobs / wall, "≥ 2340", "117"),
        ("p50, ms", at(&latencies, 0.5), "", "131"),
        ("p99, ms", at(&latencies, 0.99), "< 25", ""),
        ("longest, ms", at(&latencies, 1.0), "", ""),
        (
            "CPU of the host a job, ms",
            (cpu(&host) - began_with) * 1e3 / jobs,
            "≤ 0.345",
            "6.9",
        ),
        ("memory before, MB", memory[0], "", ""),
        ("memory after, MB", memory[2], "", "642"),
        (
            "memory gained in the second half, MB",
            memory[2] - memory[1],
            "flat",
            "",
        ),
    ]);
    println!("\n{jobs} jobs in {wall:.1} s, each on disk before its answer.");
}

/// Keeps callers and replay server off the host's core; threads that start later inherit it.
fn leave_core_0() {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    if cores > 1 {
        let others = format!("1-{}", cores - 1);
        // Without taskset the host is not pinned either, and says so.
        let _ = Command::new("taskset")
            .args(["-cp", &others, &std::process::id().to_string()])
            .stdout(Stdio::null())
            .status();
    }
}

fn print(rows: &[(&str, f64, &str, &str)]) {
    println!(
        "| tiny sync jobs, {CALLERS} callers, host on one core | ours | goal | Heimdall with PostgreSQL |"
    );
    println!("|---|---:|---:|---:|");
    for (what, ours, goal, heimdall) in rows {
        println!("| {what} | {ours:.3} | {goal} | {heimdall} |");
    }
}

/// The latency, in milliseconds, that this share of the jobs kept below.
fn at(sorted: &[Duration], share: f64) -> f64 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "an index below the length"
    )]
    let index = (sorted.len() as f64 * share) as usize;
    sorted[index.min(sorted.len() - 1)].as_secs_f64() * 1e3
}

/// Memory in MB at the start, half way and at the end.
fn watch_memory(host: &Serving, during: Duration) -> [f64; 3] {
    let began = Instant::now();
    let before = memory(host);
    let (mut half, mut minutes) = (before, 0);
    while began.elapsed() < during {
        thread::sleep(Duration::from_millis(250));
        let (now, passed) = (memory(host), began.elapsed());
        if passed < during / 2 {
            half = now;
        }
        if passed.as_secs() / 60 > minutes {
            minutes = passed.as_secs() / 60;
            eprintln!("after {minutes} min: {now:.1} MB");
        }
    }
    [before, half, memory(host)]
}

/// Loads the host for a while; every job's latency.
fn run(host: &Serving, during: Duration) -> Vec<Duration> {
    let authority = host.url().trim_start_matches("http://").to_owned();
    let until = Instant::now() + during;
    let callers: Vec<_> = (0..CALLERS)
        .map(|caller| {
            let authority = authority.clone();
            thread::spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build()
                    .expect("a runtime");
                runtime.block_on(call(&authority, &format!("caller-{caller}"), until))
            })
        })
        .collect();
    callers
        .into_iter()
        .flat_map(|caller| caller.join().expect("a caller ends"))
        .collect()
}

async fn call(authority: &str, user: &str, until: Instant) -> Vec<Duration> {
    let stream = tokio::net::TcpStream::connect(authority)
        .await
        .expect("the host listens");
    stream.set_nodelay(true).expect("a socket");
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
        .await
        .expect("the host speaks HTTP");
    tokio::spawn(connection);
    let body = json!({"name": "load", "version": "1", "command_criteria": ["type:sync"], "cluster_criteria": ["type:dynamodb"],
                      "context": {"query": "SELECT id FROM my_table WHERE id = '123'"}});
    let body = Bytes::from(body.to_string());
    let mut latencies = Vec::new();
    while Instant::now() < until {
        let request = Request::post("/api/v1/job")
            .header("Host", authority)
            .header("X-Heimdall-User", user)
            .body(Full::new(body.clone()))
            .expect("a request");
        let began = Instant::now();
        let answer = sender.send_request(request).await.expect("an answer");
        let status = answer.status();
        let body = answer
            .into_body()
            .collect()
            .await
            .expect("a whole answer")
            .to_bytes();
        latencies.push(began.elapsed());
        assert_eq!(status, 200, "{}", String::from_utf8_lossy(&body));
    }
    latencies
}

/// Seconds of CPU that the process has used.
fn cpu(host: &Serving) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{}/stat", host.id())).expect("the host runs");
    // The name in brackets may hold spaces; user and system time are the 12th and 13th fields after it.
    let fields: Vec<_> = stat
        .rsplit(')')
        .next()
        .unwrap_or_default()
        .split_whitespace()
        .collect();
    fields[11..13]
        .iter()
        .filter_map(|ticks| ticks.parse::<f64>().ok())
        .sum::<f64>()
        / TICKS
}

/// Resident memory in MB.
fn memory(host: &Serving) -> f64 {
    let status = fs::read_to_string(format!("/proc/{}/status", host.id())).expect("the host runs");
    let line = status
        .lines()
        .find(|line| line.starts_with("VmRSS:"))
        .unwrap_or_default();
    line.split_whitespace()
        .nth(1)
        .and_then(|kb| kb.parse::<f64>().ok())
        .unwrap_or_default()
        / 1024.0
}
