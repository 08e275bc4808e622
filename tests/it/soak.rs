//! Swaps by the hundred, with callers that never pause. Each runs in a process of its own, so that threads, files, memory and
//! pauses are those of nothing else.

#![expect(
    clippy::unwrap_used,
    reason = "a helper that fails fails the test that called it"
)]

use std::{
    env, fs,
    process::Command,
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use host_harness::{
    registry::{PluginState, Registry},
    residue,
};
use plugin_api::host::{CallOptions, free_thread_keys};
use serde_json::{Value, json};

use crate::chameleon::{Stage, chameleon, version};

const CALLERS: usize = 16;
const SWAPS: usize = 100;

/// How many swaps to new digests; `SOAK_SWAPS` overrides it.
const SOAK_SWAPS: usize = 400;

/// More thread keys than a process has.
const ALL_KEYS: usize = 4096;

/// Runs one of the ignored tests below in a process of its own and shows what it printed.
fn in_its_own_process(test: &str) {
    let run = Command::new(env::current_exe().unwrap())
        .args([
            "--exact",
            test,
            "--ignored",
            "--nocapture",
            "--test-threads=1",
        ])
        .output()
        .unwrap();
    println!("{}", String::from_utf8_lossy(&run.stdout));
    assert!(
        run.status.success(),
        "{}\n{}",
        run.status,
        String::from_utf8_lossy(&run.stderr)
    );
}

#[test]
fn a_hundred_swaps_under_load_lose_no_job() {
    in_its_own_process("soak::swaps_under_load");
}

#[test]
fn hundreds_of_new_versions_leave_only_their_mappings_behind() {
    in_its_own_process("soak::swaps_to_new_digests");
}

/// Where the swapping stands: a job accepted between two looks at it may run on any version that was active in between.
#[derive(Default)]
struct Clock {
    begun: AtomicUsize,
    done: AtomicUsize,
    jobs: AtomicUsize,
    over: AtomicBool,
}

/// After an odd number of swaps 777.0.101 is active, else 777.0.100.
fn active_after(swaps: usize) -> String {
    version(100 + u32::try_from(swaps % 2).unwrap())
}

/// What one caller saw.
#[derive(Default)]
struct Seen {
    jobs: usize,
    /// Jobs for which only one version could have been active.
    certain: usize,
    longest_lease: Duration,
    longest_job: Duration,
}

/// Submits jobs of a millisecond, each under an id of its own, until the clock is over.
fn call(registry: &Registry, clock: &Clock, caller: usize) -> Seen {
    let mut seen = Seen::default();
    while !clock.over.load(Ordering::SeqCst) {
        let id = format!("{caller}-{}", seen.jobs);
        let job = json!({"id": id, "context": {"sleep_ms": 1}}).to_string();
        let earliest = clock.done.load(Ordering::SeqCst);
        let started = Instant::now();
        let lease = registry
            .lease("chameleon", None)
            .expect("there is always a version");
        let leased = started.elapsed();
        let latest = clock.begun.load(Ordering::SeqCst);
        let answer = lease
            .run_job(job.as_bytes(), &CallOptions::default())
            .expect("no job fails");
        let elapsed = started.elapsed();
        let answer: Value = serde_json::from_slice(&answer).unwrap();
        assert_eq!(
            answer,
            json!({"id": id, "version": lease.version().to_string()})
        );
        assert!(
            (earliest..=latest).any(|swaps| active_after(swaps) == lease.version().to_string()),
            "{} was not active between swaps {earliest} and {latest}",
            lease.version()
        );
        seen.jobs += 1;
        clock.jobs.fetch_add(1, Ordering::SeqCst);
        seen.certain += usize::from(earliest == latest);
        seen.longest_lease = seen.longest_lease.max(leased);
        seen.longest_job = seen.longest_job.max(elapsed - Duration::from_millis(1));
    }
    seen
}

/// Runs the callers while `change` runs; what they saw together.
fn under_load(stage: &Stage, clock: &Clock, change: impl FnOnce()) -> Seen {
    let total = Mutex::new(Seen::default());
    thread::scope(|scope| {
        for caller in 0..CALLERS {
            let total = &total;
            scope.spawn(move || {
                let seen = call(&stage.registry, clock, caller);
                let mut total = total.lock().unwrap();
                total.jobs += seen.jobs;
                total.certain += seen.certain;
                total.longest_lease = total.longest_lease.max(seen.longest_lease);
                total.longest_job = total.longest_job.max(seen.longest_job);
            });
        }
        change();
        clock.over.store(true, Ordering::SeqCst);
    });
    total.into_inner().unwrap()
}

#[test]
#[ignore = "a_hundred_swaps_under_load_lose_no_job runs it in a process of its own"]
fn swaps_under_load() {
    // Not at once: jobs that a slow machine keeps waiting must not be cancelled.
    let stage = Stage::with(|options| options.drain = Duration::from_secs(10));
    let next = chameleon(101, "good");
    let calm = under_load(&stage, &Clock::default(), || {
        thread::sleep(Duration::from_secs(2))
    });
    let clock = Clock::default();
    let started = Instant::now();
    let busy = under_load(&stage, &clock, || {
        for swap in 1..=SWAPS {
            clock.begun.store(swap, Ordering::SeqCst);
            // The first half by files that come and go, the second by hand.
            let by_hand = swap > SWAPS / 2 + 1;
            let to = active_after(swap).parse().unwrap();
            match (by_hand, swap % 2) {
                (true, _) => drop(stage.registry.use_version("chameleon", Some(&to)).unwrap()),
                (false, 1) => {
                    stage.put("next.so", &next);
                    stage.registry.reload().unwrap();
                }
                (false, _) => {
                    stage.remove("next.so");
                    stage.registry.reload().unwrap();
                }
            }
            clock.done.store(swap, Ordering::SeqCst);
            assert_eq!(stage.ask(), active_after(swap));
            // Every caller has jobs for which only this version will do.
            let enough = clock.jobs.load(Ordering::SeqCst) + 2 * CALLERS;
            stage.wait_for("jobs", |_| clock.jobs.load(Ordering::SeqCst) >= enough);
        }
    });
    let seconds = started.elapsed().as_secs_f64();
    println!(
        "{SWAPS} swaps in {seconds:.2} s, {CALLERS} callers, {} jobs, each answered once by the version that was active ({} of them between swaps)",
        busy.jobs, busy.certain
    );
    println!(
        "longest wait for a version: {:?} (without swaps {:?}); longest job beyond its millisecond: {:?} (without swaps {:?})",
        busy.longest_lease, calm.longest_lease, busy.longest_job, calm.longest_job
    );
    assert!(busy.certain > SWAPS);
    assert!(busy.longest_lease < Duration::from_secs(2));
}

#[test]
#[ignore = "hundreds_of_new_versions_leave_only_their_mappings_behind runs it in a process of its own"]
fn swaps_to_new_digests() {
    let swaps = env::var("SOAK_SWAPS").map_or(SOAK_SWAPS, |text| text.parse().unwrap());
    // Another library than the fixture, such as a release build of the plugin with a job that uses TLS.
    let library = env::var("SOAK_LIBRARY")
        .map_or_else(|_| chameleon(100, "good"), |path| fs::read(path).unwrap());
    let job = env::var("SOAK_JOB").unwrap_or_else(|_| r#"{"context":{"sleep_ms":1}}"#.to_owned());
    // So high that it is reached by the end: every copy of Rust's runtime keeps a key once its plugin has started a thread.
    let floor = free_thread_keys(ALL_KEYS) - swaps - 2;
    let stage = Stage::over(library.clone(), |options| options.key_floor = floor);
    let name = stage.registry.list()[0].name.clone().unwrap();
    let run = || {
        let lease = stage.registry.lease(&name, None).unwrap();
        let outcome = lease.run_job(job.as_bytes(), &CallOptions::default());
        if let Err(error) = outcome {
            println!("the job failed: {error}");
        }
    };
    // The first few swaps pay for what every later one finds there.
    let mut bytes = library;
    let mut swap = || {
        bytes.push(0);
        stage.put("first.so", &bytes);
        let report = stage.registry.reload().unwrap();
        run();
        report.refused.is_empty()
    };
    let settled = || {
        stage.wait_for("the old versions' end", |stage| {
            let rows = stage.registry.list();
            let closing = fs::read_dir("/proc/self/task").unwrap().any(|thread| {
                let name = fs::read_to_string(thread.unwrap().path().join("comm"));
                name.is_ok_and(|name| {
                    name.starts_with("plugin-close") || name.starts_with("plugin-probe")
                })
            });
            !closing
                && rows
                    .iter()
                    .filter(|row| row.state != PluginState::Retired)
                    .count()
                    == 1
        });
    };
    (0..5).for_each(|_| assert!(swap()));
    settled();
    let before = (residue::threads().unwrap(), residue::open_files().unwrap());
    let (memory, keys) = (residue::of_process().unwrap(), free_thread_keys(ALL_KEYS));
    let started = Instant::now();
    let mut done = 5;
    while done < swaps && swap() {
        done += 1;
    }
    settled();
    let counted = u64::try_from(done - 5).unwrap();
    let elapsed = started.elapsed();
    stage.wait_for("threads back to the start", |_| {
        residue::threads().unwrap() <= before.0
    });
    if env::var_os("SOAK_LIBRARY").is_none() {
        stage.wait_for("files back to the start", |_| {
            residue::open_files().unwrap() <= before.1
        });
    }
    let files = residue::open_files().unwrap();
    let growth = residue::of_process().unwrap().saturating_sub(memory) / counted;
    let told: u64 = stage
        .registry
        .residues()
        .iter()
        .map(|kept| kept.residue.anonymous_bytes)
        .sum();
    println!(
        "{done} swaps, each to a new digest: {:?} a swap; {} threads as at the start, {files} open files (at the start {})",
        elapsed / u32::try_from(counted).unwrap(),
        before.0,
        before.1
    );
    println!(
        "anonymous memory grew by {} kB a swap, of which {} kB are told as residue; {} thread keys a swap",
        growth / 1024,
        told / counted / 1024,
        (keys - free_thread_keys(ALL_KEYS)) as f64 / counted as f64,
    );
    assert!(
        growth < 2 << 20,
        "a retired version keeps its mappings and no more"
    );

    // Near the limit: a refusal, and the host is alive after it.
    let mut more = 0;
    while more < 20 && swap() {
        more += 1;
    }
    assert!(
        more < 20,
        "the floor of {floor} free keys was never reached"
    );
    let report = stage.registry.reload().unwrap();
    let refused = report
        .data
        .iter()
        .find_map(|row| row.error.clone())
        .unwrap();
    println!("after {} swaps: {refused}; {}", done + more, refused.hint);
    assert!(refused.hint.contains("restart the host"));
    run();
}
