//! What a host does under load: tiny sync jobs against a replayed DynamoDB, 16 callers on kept connections.
//!
//! `host-load [SECONDS]`, by default 20. The host runs on core 0 and everything else on the others, where `taskset` is at hand. Printed as a
//! Markdown table: jobs a second, latency, CPU time a job, memory, beside the goals and what a running Heimdall did; on standard error the
//! memory once a minute.
#![forbid(unsafe_code)]

mod load;

use std::{
    thread,
    time::{Duration, Instant},
};

use engines::replay::{self, Replay};
use harness_tests::{
    process::{cpu_seconds, status},
    serving::{Serving, TestHost},
};

use self::load::{at, leave_core_0, run};

const CONFIG: &str = "
server: {addr: '127.0.0.1:0'}
plugin_directory: ./plugins
commands: [{name: sync, plugin: dynamo, is_sync: true, tags: ['type:sync']}]
clusters: [{name: main, tags: ['type:dynamodb']}]
";
const CALLERS: usize = 16;

fn main() {
    let seconds = std::env::args()
        .nth(1)
        .and_then(|text| text.parse().ok())
        .unwrap_or(20);
    leave_core_0();
    let page = replay::page(&[r#"{"id":{"S":"123"}}"#], None);
    let engine = Replay::start(&[page], Duration::ZERO).expect("the replay server starts");
    let directory = TestHost::new(CONFIG, &engine.url());
    let host = directory.serve_on_core(0);
    run(&host, "sync", CALLERS, Duration::from_secs(2));
    let began_with = cpu_seconds(host.id());
    let began = Instant::now();
    let loaded = Duration::from_secs(seconds);
    let (mut latencies, memory) = thread::scope(|scope| {
        let memory = scope.spawn(|| watch_memory(&host, loaded));
        let latencies = run(&host, "sync", CALLERS, loaded);
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
            (cpu_seconds(host.id()) - began_with) * 1e3 / jobs,
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

fn print(rows: &[(&str, f64, &str, &str)]) {
    println!(
        "| tiny sync jobs, {CALLERS} callers, host on one core | ours | goal | Heimdall with PostgreSQL |"
    );
    println!("|---|---:|---:|---:|");
    for (what, ours, goal, heimdall) in rows {
        println!("| {what} | {ours:.3} | {goal} | {heimdall} |");
    }
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

/// Resident memory in MB.
fn memory(host: &Serving) -> f64 {
    status(host.id(), "VmRSS").expect("the host runs") as f64 / 1024.0
}
