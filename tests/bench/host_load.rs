//! What a host does under load: tiny sync jobs against a replayed DynamoDB, 16 and 256 callers on kept connections, the host on one core
//! and on two.
//!
//! `host-load [SECONDS]`, by default 20, for each column. The host runs on core 0 and everything else on the others, where `taskset` is at
//! hand. Printed as a Markdown table: jobs a second, latency, CPU time a job, memory, beside the goals and what a running Heimdall did; on
//! standard error the memory once a minute.
#![forbid(unsafe_code)]

use std::{
    thread,
    time::{Duration, Instant},
};

use engines::replay::{self, Replay};
use harness_tests::{
    load::{CONFIG, at, leave_core_0, run},
    process::{cpu_seconds, status},
    serving::{Serving, TestHost},
};

/// What one load gives.
struct Figures {
    jobs: f64,
    a_second: f64,
    /// In milliseconds: the median, the latency of the slowest in a hundred, the longest.
    latencies: [f64; 3],
    /// Milliseconds of the host's processor time a job.
    cpu: f64,
    /// MB before, half way and after.
    memory: [f64; 3],
}

fn main() {
    let seconds = std::env::args()
        .nth(1)
        .and_then(|text| text.parse().ok())
        .unwrap_or(20);
    let during = Duration::from_secs(seconds);
    leave_core_0();
    let page = replay::page(&[r#"{"id":{"S":"123"}}"#], None);
    let engine = Replay::start(&[page], Duration::ZERO).expect("the replay server starts");
    let directory = TestHost::new(CONFIG, &engine.url());
    let few = measure(&directory.serve_on_core(0), 16, during);
    let many = measure(&directory.serve_on_core(0), 256, during);
    let two_cores = measure(&directory.serve(), 16, during);
    print(&[few, many, two_cores]);
}

fn measure(host: &Serving, callers: usize, during: Duration) -> Figures {
    run(host, "sync", callers, Duration::from_secs(2));
    let (cpu_before, began) = (cpu_seconds(host.id()), Instant::now());
    let (mut latencies, memory) = thread::scope(|scope| {
        let memory = scope.spawn(|| watch_memory(host, during));
        let latencies = run(host, "sync", callers, during);
        (latencies, memory.join().expect("the host runs on"))
    });
    let (wall, cpu) = (began.elapsed(), cpu_seconds(host.id()) - cpu_before);
    latencies.sort_unstable();
    let jobs = latencies.len() as f64;
    Figures {
        jobs,
        a_second: jobs / wall.as_secs_f64(),
        latencies: [0.5, 0.99, 1.0].map(|share| at(&latencies, share)),
        cpu: cpu * 1e3 / jobs,
        memory,
    }
}

/// The loads side by side: 16 callers, 256 callers, 16 callers of a host on all cores.
fn print(loads: &[Figures; 3]) {
    println!(
        "| tiny sync jobs | 16 callers | target | 256 callers | target | 16 callers, host on all cores | Heimdall with PostgreSQL |"
    );
    println!("|---|---:|---|---:|---|---:|---:|");
    let row = |what: &str,
               figure: &dyn Fn(&Figures) -> f64,
               few: &str,
               many: &str,
               heimdall: &str| {
        let [of_few, of_many, of_all_cores] = [&loads[0], &loads[1], &loads[2]].map(figure);
        println!(
            "| {what} | {of_few:.2} | {few} | {of_many:.2} | {many} | {of_all_cores:.2} | {heimdall} |"
        );
    };
    row("jobs a second", &|load| load.a_second, "≥ 4500", "", "117");
    row("p50, ms", &|load| load.latencies[0], "", "", "131");
    row("p99, ms", &|load| load.latencies[1], "< 15", "< 60", "");
    row("longest, ms", &|load| load.latencies[2], "", "", "");
    row("CPU of the host a job, ms", &|load| load.cpu, "", "", "6.9");
    row("memory before, MB", &|load| load.memory[0], "", "", "");
    row("memory after, MB", &|load| load.memory[2], "", "", "642");
    let gained = |load: &Figures| load.memory[2] - load.memory[1];
    row(
        "memory gained in the second half, MB",
        &gained,
        "flat",
        "flat",
        "",
    );
    let jobs: f64 = loads.iter().map(|load| load.jobs).sum();
    println!(
        "\n{jobs} jobs, each on disk before its answer. The host is alone on core 0 in the first two loads; in the third it shares \
         both with its callers and the replay server, so that what it costs a job counts there, not how many there are."
    );
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
