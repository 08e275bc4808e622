//! Worker processes under everything that a library can do to its process, a great many times.
//!
//! `cargo xtask torture --only isolation` runs the long forms: 1,000 jobs and 500 swaps.

use std::{
    collections::{BTreeMap, BTreeSet},
    env,
    path::Path,
    process::Command,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use harness_tests::{
    host, library,
    torture::{again, number, seeds},
};
use plugin_api::Error;
use plugin_host::{
    CallOptions, Document, IsolationMode,
    registry::{Lease, PluginState},
    residue,
    worker::WorkerOptions,
};
use serde_json::{Value, json};

use crate::{
    chameleon::{Stage, chameleon, slim, version},
    isolation::{in_workers, job, maps},
};

/// Set in the process of a test that needs one of its own.
const ALONE: &str = "HARNESS_ALONE";

/// The jobs of one seed.
const JOBS: usize = 50;

/// Numbers that look like chance and are the same for the same seed (SplitMix64).
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

/// What a job does to its process.
const KINDS: [&str; 8] = [
    "good", "good", "good", "segfault", "abort", "exit", "hang", "leak",
];

/// How a job that runs alone must end: nobody else can have ended its process.
fn check_alone(kind: &str, n: usize, outcome: &Result<Document, Error>) {
    match (kind, outcome) {
        ("good" | "leak", Ok(document)) => {
            let answer: Value = serde_json::from_slice(document).unwrap();
            assert_eq!(answer["data"][0][1]["n"], json!(n));
        }
        ("segfault" | "abort" | "exit", Err(error)) => {
            let end = match kind {
                "segfault" => "SIGSEGV",
                "abort" => "SIGABRT",
                _ => "exit status 3",
            };
            assert_eq!(error.code, "PLUGIN_CRASHED");
            assert!(error.retryable && error.message.contains(end), "{error}");
        }
        ("hang", Err(error)) => assert_eq!(error.code, "TIMEOUT", "{error}"),
        (kind, outcome) => panic!("{kind}: {outcome:?}"),
    }
}

/// Runs a job beside others, as the host runs an async one: it waits while the worker pauses, and where its process died it runs
/// again, alone. Gives the words for how it went.
fn run(lease: &Lease, kind: &str, n: usize, call: &CallOptions) -> String {
    let document = match kind {
        "good" => job(json!({"n": n})),
        kind => job(json!({"n": n, "crash": kind})),
    };
    loop {
        let outcome = lease.run_job(&document, call);
        match &outcome {
            Err(error) if error.code == "PLUGIN_UNAVAILABLE" => {
                thread::sleep(Duration::from_millis(2));
            }
            Err(error) if error.code == "PLUGIN_CRASHED" => {
                let alone = lease.run_job_alone(&document, call);
                check_alone(kind, n, &alone);
                return format!("{kind}: its process died, then alone: {}", told(&alone));
            }
            // Beside others as alone.
            outcome => {
                check_alone(kind, n, outcome);
                return format!("{kind}: {}", told(outcome));
            }
        }
    }
}

fn told(outcome: &Result<Document, Error>) -> String {
    match outcome {
        Ok(_) => "answered".to_owned(),
        Err(error) => error.code.as_str().to_owned(),
    }
}

#[test]
fn every_job_of_a_library_that_crashes_hangs_leaks_and_exits_at_random_ends_truthfully() {
    let mut all = BTreeMap::new();
    let mut jobs = 0;
    for seed in seeds("ISOLATION_SEEDS", 1) {
        println!("{}", again("isolation", seed));
        for (outcome, times) in one(seed) {
            *all.entry(outcome).or_insert(0) += times;
            jobs += times;
        }
    }
    println!("{jobs} jobs, and every one ended truthfully:");
    for (outcome, times) in all {
        println!("{times:5} {outcome}");
    }
}

/// The jobs of one seed, eight at a time; how often each outcome came.
fn one(seed: u64) -> BTreeMap<String, usize> {
    let mut chance = Chance(seed);
    let kinds: Vec<&str> = (0..JOBS)
        .map(|_| KINDS[usize::try_from(chance.next() % 8).unwrap()])
        .collect();
    let stage = Stage::over(slim(&library("echo_plugin")), |options| {
        options.isolation = IsolationMode::Worker(WorkerOptions {
            program: host(),
            memory_bytes: Some(512 << 20),
            overtime: Duration::from_millis(50),
            pause: Duration::from_millis(1),
        });
    });
    let (next, outcomes) = (AtomicUsize::new(0), Mutex::new(BTreeMap::new()));
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                loop {
                    let n = next.fetch_add(1, Ordering::Relaxed);
                    let Some(kind) = kinds.get(n) else { return };
                    let call = CallOptions {
                        timeout: (*kind == "hang").then_some(Duration::from_millis(100)),
                        ..CallOptions::default()
                    };
                    let lease = stage.registry.lease("echo", None).unwrap();
                    let outcome = run(&lease, kind, n, &call);
                    *outcomes.lock().unwrap().entry(outcome).or_insert(0) += 1;
                }
            });
        }
    });
    // And it goes on.
    let lease = stage.registry.lease("echo", None).unwrap();
    run(&lease, "good", JOBS, &CallOptions::default());
    let outcomes = outcomes.into_inner().unwrap();
    assert_eq!(outcomes.values().sum::<usize>(), JOBS);
    outcomes
}

/// The files that this process has mapped.
fn mapped_files() -> BTreeSet<String> {
    let maps = maps(std::process::id());
    let path = |line: &str| Some(line.get(line.find('/')?..)?.to_owned());
    maps.lines().filter_map(path).collect()
}

/// Keys, handles and threads are the process's, so this test wants a process of its own.
#[test]
fn a_swap_starts_a_worker_of_the_new_version_and_ends_the_old_one_without_a_trace() {
    if env::var_os(ALONE).is_none() {
        let name = "isolation_torture::a_swap_starts_a_worker_of_the_new_version_and_ends_the_old_one_without_a_trace";
        let status = Command::new(env::current_exe().unwrap())
            .args(["--exact", name, "--nocapture"])
            .env(ALONE, "1")
            .status();
        assert!(status.unwrap().success());
        return;
    }
    let stage = Stage::with(in_workers(None));
    assert_eq!(stage.ask(), version(100));
    let files = residue::open_files().unwrap();
    let threads = residue::threads().unwrap();
    let keys = plugin_host::free_thread_keys(900);
    let mappings = || maps(std::process::id()).lines().count();
    let before = mappings();
    let files_mapped = mapped_files();
    let first = stage.registry.list()[0].worker.unwrap().pid;
    let last = 100 + number::<u32>("ISOLATION_SWAPS").unwrap_or(20);
    for number in 101..=last {
        stage.put("first.so", &chameleon(number, "good"));
        stage.registry.reload().unwrap();
        assert_eq!(stage.ask(), version(number));
    }
    stage.wait_for("the end of the retired workers", |stage| {
        (100..last).all(|number| {
            let row = stage.row(number);
            row.state == PluginState::Retired && row.worker.is_none()
        })
    });
    assert!(!Path::new(&format!("/proc/{first}")).exists());
    stage.wait_for("handles and threads as before", |_| {
        residue::open_files().unwrap() <= files && residue::threads().unwrap() <= threads
    });
    assert_eq!(plugin_host::free_thread_keys(900), keys);
    assert!(
        !maps(std::process::id()).contains("chameleon") && stage.row(110).residue_bytes == Some(0)
    );
    assert_eq!(mapped_files(), files_mapped);
    let after = mappings();
    // Heaps of threads, of no file, come and go with the load; what a swap leaves behind would be there once for each of them.
    assert!(after < before + 40, "{before} mappings became {after}");
    println!(
        "{} swaps: {files} handles, {threads} threads and {keys} free keys before and after; {before} mappings before, {} after",
        last - 100,
        after
    );
}
