//! `host-pages URL`: a host runs one sync job that reads all pages behind URL; what that cost the host's process, as one line of JSON.
//!
//! The host runs on core 0 and this program, which only drops the result's bytes, where it was started.
#![forbid(unsafe_code)]

use std::{fs, time::Instant};

use harness_tests::{
    serving::{Serving, TestHost},
    submission,
};
use memchr::memmem;
use serde_json::{Value, json};

const CONFIG: &str = "
server: {addr: '127.0.0.1:0'}
plugin_directory: ./plugins
commands: [{name: sync, plugin: dynamo, is_sync: true, tags: ['type:sync']}]
clusters: [{name: main, tags: ['type:dynamodb']}]
";
/// Linux counts a process's CPU time in hundredths of a second.
const TICKS: f64 = 100.0;

fn main() {
    let url = std::env::args().nth(1).expect("usage: host-pages URL");
    let directory = TestHost::new(CONFIG, &url);
    let host = directory.serve_on_core(0);
    let (cpu, began) = (cpu_seconds(&host), Instant::now());
    let job = submission(
        "type:sync",
        "type:dynamodb",
        &json!({"query": "SELECT * FROM bench"}),
    );
    let answer = host.call("POST", "/api/v1/job", Some("bench"), &job.to_string());
    let (cpu, wall) = (cpu_seconds(&host) - cpu, began.elapsed());
    assert_eq!(
        answer.status,
        200,
        "{:.500}",
        String::from_utf8_lossy(&answer.body)
    );
    let stats = stats(&answer.body);
    let figures = json!({
        "cpu_s": cpu,
        "wall_s": wall.as_secs_f64(),
        "peak_bytes": peak_bytes(&host),
        "wire_bytes": stats["wire_bytes"],
        "rows": stats["rows"],
        "result_bytes": answer.body.len(),
    });
    println!("{figures}");
}

/// The result's `stats`, without reading its rows.
fn stats(answer: &[u8]) -> Value {
    const KEY: &[u8] = br#""stats":"#;
    let at = memmem::rfind(answer, KEY).expect("a result has stats") + KEY.len();
    let mut values = serde_json::Deserializer::from_slice(&answer[at..]).into_iter();
    values
        .next()
        .expect("stats have a value")
        .expect("stats are JSON")
}

/// Seconds of processor time that the host's process has used.
fn cpu_seconds(host: &Serving) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{}/stat", host.id())).expect("the host runs");
    // The name in brackets may hold spaces; user and system time are the 12th and 13th fields after it.
    let fields: Vec<_> = stat
        .rsplit(')')
        .next()
        .unwrap_or_default()
        .split_whitespace()
        .collect();
    let ticks = fields[11..13]
        .iter()
        .filter_map(|ticks| ticks.parse::<f64>().ok());
    ticks.sum::<f64>() / TICKS
}

/// The host's peak memory (VmHWM).
fn peak_bytes(host: &Serving) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", host.id())).expect("the host runs");
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    let kibibytes = line.and_then(|line| line.split_whitespace().nth(1));
    kibibytes
        .and_then(|kib| kib.parse::<u64>().ok())
        .expect("Linux tells a peak")
        * 1024
}
