//! What a worker process costs a small job: the same plugin in the host's own process and in a worker, in turn, in the same host.
//!
//! `host-isolation [SECONDS] [ROUNDS]`, by default 3 seconds a measurement and 5 rounds. One caller gives the latency that crossing adds, 16
//! give jobs a second. Printed as a Markdown table with the ratio of the two in each row: medians of the rounds.
#![forbid(unsafe_code)]

use std::time::Duration;

use engines::replay::{self, Replay};
use harness_tests::{
    load::{at, leave_core_0, run},
    serving::{Serving, TestHost},
};

const CONFIG: &str = "
server: {addr: '127.0.0.1:0'}
plugin_directory: ./plugins
commands:
- {name: in-process, plugin: dynamo, is_sync: true, tags: ['type:in-process']}
- {name: worker, plugin: dynamo, is_sync: true, isolation: process, tags: ['type:worker']}
clusters: [{name: main, tags: ['type:dynamodb']}]
";
const PLACES: [&str; 2] = ["in-process", "worker"];
const CALLERS: usize = 16;

/// The figures of one measurement.
#[derive(Clone, Copy)]
struct Figures {
    p50_ms: f64,
    p99_ms: f64,
    jobs_a_second: f64,
}

fn main() {
    let mut numbers = std::env::args().skip(1).map(|text| text.parse().ok());
    let mut number = |default| numbers.next().flatten().unwrap_or(default);
    let (seconds, rounds) = (number(3), number(5));
    leave_core_0();
    let page = replay::page(&[r#"{"id":{"S":"123"}}"#], None);
    let engine = Replay::start(&[page], Duration::ZERO).expect("the replay server starts");
    let directory = TestHost::new(CONFIG, &engine.url());
    let host = directory.serve_on_core(0);
    for command in PLACES {
        run(&host, command, CALLERS, Duration::from_secs(1));
    }
    let during = Duration::from_secs(seconds);
    let [mut one, mut many] = [[const { Vec::new() }; 2], [const { Vec::new() }; 2]];
    for _ in 0..rounds {
        for (index, command) in PLACES.into_iter().enumerate() {
            one[index].push(measure(&host, command, 1, during));
            many[index].push(measure(&host, command, CALLERS, during));
        }
    }
    println!("| tiny sync jobs, host on one core | in process | worker process | ratio |");
    println!("|---|---:|---:|---:|");
    let figures = [
        (
            "one caller: p50, ms",
            &one,
            (|f| f.p50_ms) as fn(&Figures) -> f64,
        ),
        ("one caller: p99, ms", &one, |f| f.p99_ms),
        ("16 callers: jobs a second", &many, |f| f.jobs_a_second),
        ("16 callers: p50, ms", &many, |f| f.p50_ms),
        ("16 callers: p99, ms", &many, |f| f.p99_ms),
    ];
    for (what, modes, figure) in figures {
        let [in_process, worker] = modes
            .each_ref()
            .map(|rounds| median(rounds.iter().map(figure)));
        println!(
            "| {what} | {in_process:.3} | {worker:.3} | {:.2} |",
            worker / in_process
        );
    }
    let added = |figure: fn(&Figures) -> f64| {
        median(one[1].iter().map(figure)) - median(one[0].iter().map(figure))
    };
    println!(
        "\nCrossing into the worker and back adds {:.3} ms to a job of one caller (medians of {rounds} rounds of {seconds} s each).",
        added(|f| f.p50_ms)
    );
}

fn measure(host: &Serving, command: &str, callers: usize, during: Duration) -> Figures {
    let mut latencies = run(host, command, callers, during);
    latencies.sort_unstable();
    Figures {
        p50_ms: at(&latencies, 0.5),
        p99_ms: at(&latencies, 0.99),
        jobs_a_second: latencies.len() as f64 / during.as_secs_f64(),
    }
}

fn median(figures: impl Iterator<Item = f64>) -> f64 {
    let mut figures: Vec<f64> = figures.collect();
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}
