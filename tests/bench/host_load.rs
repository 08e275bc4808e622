//! What a host does under load: tiny sync jobs against a replayed DynamoDB, 16 callers on kept connections.
//!
//! `host-load [SECONDS]`, by default 20. The host runs on core 0 and everything else on the others, where `taskset` is at hand. Printed: jobs a
//! second, latency, CPU time a job, memory at the start and at the end, beside what a running Heimdall did and the goals.
#![forbid(unsafe_code)]

use std::{
    fs, thread,
    time::{Duration, Instant},
};

use engines::replay::{self, Replay};
use harness_tests::serving::{Place, Serving};
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
    let page = replay::page(&[r#"{"id":{"S":"123"}}"#], None);
    let engine = Replay::start(&[page], Duration::ZERO).expect("the replay server starts");
    let place = Place::new(CONFIG, &engine.url());
    let host = place.serve_on_core(0);
    run(&host, Duration::from_secs(2));
    let (memory, cpu) = (memory(&host), cpu(&host));
    let began = Instant::now();
    let mut latencies = run(&host, Duration::from_secs(seconds));
    let wall = began.elapsed().as_secs_f64();
    latencies.sort_unstable();
    let jobs = latencies.len();
    let at = |share: f64| {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "an index below the length"
        )]
        let index = (jobs as f64 * share) as usize;
        latencies[index.min(jobs - 1)].as_secs_f64() * 1e3
    };
    let cpu_ms = (self::cpu(&host) - cpu) * 1e3 / jobs as f64;
    println!(
        "{:<34}{:>12}{:>12}{:>14}",
        "tiny sync jobs, 16 callers", "ours", "goal", "Heimdall"
    );
    for (what, ours, goal, heimdall) in [
        ("jobs a second", jobs as f64 / wall, "≥ 2340", "117"),
        ("p50, ms", at(0.5), "", "131"),
        ("p99, ms", at(0.99), "< 25", ""),
        ("longest, ms", at(1.0), "", ""),
        ("CPU of the host a job, ms", cpu_ms, "≤ 0.345", "6.9"),
        ("memory before, MB", memory, "", ""),
        ("memory after, MB", self::memory(&host), "flat", "642"),
    ] {
        println!("{what:<34}{ours:>12.3}{goal:>12}{heimdall:>14}");
    }
    println!("{jobs} jobs in {wall:.1} s, each on disk before its answer");
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
