//! Swaps by the hundred, with callers that never pause. Each runs in a process of its own, so that threads, files, memory and
//! pauses are those of nothing else.

#![expect(
    clippy::unwrap_used,
    reason = "a helper that fails fails the test that called it"
)]

use std::{
    env, fs,
    path::Path,
    process::Command,
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use engines::{
    faults::Faults,
    replay,
    sts::{Script, Sts},
    tls::Authority,
};
use harness_tests::{job_on, library};
use plugin_host::{
    CallOptions, free_thread_keys,
    registry::{PluginState, Registry},
    residue,
};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::chameleon::{Stage, chameleon, slim, version};

const CALLERS: usize = 16;
const SWAPS: usize = 100;

/// How many swaps to new digests; `SOAK_SWAPS` overrides it.
const SOAK_SWAPS: usize = 400;

/// How many swaps of the real library; each copies and probes many megabytes of debug build. `SOAK_SWAPS` overrides it.
const REAL_SWAPS: &str = "12";

/// What a swap of the release library may keep, in kB, after a job over TLS.
const RELEASE_GROWTH_KB: usize = 600;

/// The same for any build: a debug library has more relocations.
const ANY_GROWTH_KB: usize = 2048;

/// The first swaps, which are not measured.
const WARM_UP: usize = 5;

/// More thread keys than a process has.
const ALL_KEYS: usize = 4096;

/// Runs one of the ignored tests below in a process of its own and shows what it printed.
fn in_its_own_process(test: &str, variables: &[(&str, &str)]) {
    let run = Command::new(env::current_exe().unwrap())
        .envs(variables.iter().copied())
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
    in_its_own_process("soak::swaps_under_load", &[]);
}

#[test]
fn hundreds_of_new_versions_leave_only_their_mappings_behind() {
    in_its_own_process("soak::swaps_to_new_digests", &[]);
}

/// AWS is in this process, the host in another. `SOAK_LIBRARY` names a release build of the library, to be measured.
#[test]
fn new_versions_of_the_real_library_leave_little_behind_after_jobs_over_tls() {
    let page = replay::chain(&[vec![r#"{"id":{"N":"1"}}"#.to_owned()]]);
    let dynamodb = Faults::start(page, Vec::new()).unwrap();
    let sts = Sts::start(Script::default()).unwrap();
    let authority = Authority::new().unwrap();
    let dynamodb_tls = authority.front(dynamodb.server().address(), &[]).unwrap();
    let sts_tls = authority.front(sts.server().address(), &[]).unwrap();
    let dir = TempDir::new().unwrap();
    // As large as in earnest: the system's authorities, where they lie, beside our own.
    let bundle = dir.path().join("authorities.pem");
    let mut authorities = fs::read(authority.bundle()).unwrap();
    authorities.extend(fs::read("/etc/ssl/certs/ca-certificates.crt").unwrap_or_default());
    fs::write(&bundle, authorities).unwrap();
    let cluster = json!({
        "endpoint_url": dynamodb_tls.url(),
        "sts_endpoint_url": sts_tls.url(),
        "role_arn": "arn:aws:iam::123456789012:role/R",
        "region": "us-east-1",
        "ca_bundle": bundle.to_str().unwrap(),
    });
    let job = job_on(&cluster, &json!({"query": "SELECT * FROM t"})).to_string();
    let (built, growth) = match env::var("SOAK_LIBRARY") {
        // A test runs in its package's folder.
        Ok(named) => {
            let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
            (workspace.join(named), RELEASE_GROWTH_KB)
        }
        Err(_) => {
            let slimmed = dir.path().join("slim.so");
            fs::write(&slimmed, slim(&library("dynamo_plugin"))).unwrap();
            (slimmed, ANY_GROWTH_KB)
        }
    };
    let swaps = env::var("SOAK_SWAPS").unwrap_or_else(|_| REAL_SWAPS.to_owned());
    in_its_own_process(
        "soak::swaps_to_new_digests",
        &[
            ("SOAK_LIBRARY", built.to_str().unwrap()),
            ("SOAK_JOB", &job),
            ("SOAK_SWAPS", &swaps),
            ("SOAK_GROWTH_KB", &growth.to_string()),
            ("AWS_ACCESS_KEY_ID", "test"),
            ("AWS_SECRET_ACCESS_KEY", "test"),
        ],
    );
    assert!(
        sts.granted().len() > 5,
        "each version assumes the role anew"
    );
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
            // The first half of the swaps comes from files that appear and vanish, the second from an operator who chooses versions.
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

/// What a host uses, and what its retired versions keep.
#[derive(Clone, Copy)]
struct Usage {
    anonymous: u64,
    mappings: usize,
    keys: usize,
    files: usize,
    threads: usize,
}

impl Usage {
    fn now() -> Self {
        let maps = fs::read_to_string("/proc/self/maps").unwrap();
        Self {
            anonymous: residue::of_process().unwrap(),
            mappings: maps.lines().count(),
            keys: ALL_KEYS - free_thread_keys(ALL_KEYS),
            files: residue::open_files().unwrap(),
            threads: residue::threads().unwrap(),
        }
    }

    fn told(self, swaps: usize, before: Self) -> String {
        let each = |now: usize, then: usize| (now as f64 - then as f64) / swaps as f64;
        format!(
            "a swap keeps {} kB anonymous, {:.1} mappings, {:.2} thread keys, {:.2} file handles, {:.2} threads",
            self.anonymous.saturating_sub(before.anonymous) / 1024 / u64::try_from(swaps).unwrap(),
            each(self.mappings, before.mappings),
            each(self.keys, before.keys),
            each(self.files, before.files),
            each(self.threads, before.threads),
        )
    }
}

/// A number that the environment may set.
fn number(name: &str, otherwise: usize) -> usize {
    env::var(name).map_or(otherwise, |text| text.parse().unwrap())
}

/// Until the retired versions are closed, threads and all.
fn settle(stage: &Stage) {
    stage.wait_for("the old versions' end", |stage| {
        let closing = fs::read_dir("/proc/self/task").unwrap().any(|thread| {
            let name = fs::read_to_string(thread.unwrap().path().join("comm"));
            name.is_ok_and(|name| {
                name.starts_with("plugin-close") || name.starts_with("plugin-probe")
            })
        });
        let alive = stage
            .registry
            .list()
            .iter()
            .filter(|row| row.state != PluginState::Retired)
            .count();
        !closing && alive == 1
    });
}

#[test]
#[ignore = "the tests above run it in processes of their own"]
fn swaps_to_new_digests() {
    let swaps = number("SOAK_SWAPS", SOAK_SWAPS);
    // Another library than the fixture, and a job for it.
    let real = env::var("SOAK_LIBRARY").ok();
    let mut bytes = real
        .as_ref()
        .map_or_else(|| chameleon(100, "good"), |path| fs::read(path).unwrap());
    let job = env::var("SOAK_JOB").unwrap_or_else(|_| r#"{"context":{"sleep_ms":1}}"#.to_owned());
    // So high that it is reached by the end: every copy of Rust's runtime keeps a key once its plugin has started a thread.
    let floor = free_thread_keys(ALL_KEYS) - swaps - 2;
    let stage = Stage::over(bytes.clone(), |options| options.key_floor = floor);
    let name = stage.registry.list()[0].name.clone().unwrap();
    let run = || {
        let lease = stage.registry.lease(&name, None).unwrap();
        lease
            .run_job(job.as_bytes(), &CallOptions::default())
            .expect("every version runs its job");
    };
    let mut swap = || {
        bytes.push(0);
        stage.put("first.so", &bytes);
        let report = stage.registry.reload().unwrap();
        run();
        report.refused.is_empty()
    };
    // The first few swaps pay for what every later one finds there.
    (0..WARM_UP).for_each(|_| assert!(swap()));
    settle(&stage);
    let before = Usage::now();
    let started = Instant::now();
    let mut counted = 0;
    while WARM_UP + counted < swaps && swap() {
        counted += 1;
    }
    settle(&stage);
    let elapsed = started.elapsed();
    // tokio keeps a pair of sockets for each copy of itself (docs/ABI.md); a fixture has no tokio.
    let kept_files = if real.is_some() { 2 * counted } else { 0 };
    stage.wait_for("threads and files back to the start", |_| {
        let now = Usage::now();
        now.threads <= before.threads && now.files <= before.files + kept_files
    });
    let after = Usage::now();
    println!(
        "{counted} swaps after the first {WARM_UP}, each to a new digest, {:?} each: {}",
        elapsed / u32::try_from(counted).unwrap(),
        after.told(counted, before)
    );
    let told: u64 = stage
        .registry
        .residues()
        .iter()
        .map(|kept| kept.residue.anonymous_bytes)
        .sum();
    println!(
        "the host tells {} kB a version as residue; {} threads and {} files at the start, {} and {} at the end",
        told / u64::try_from(WARM_UP + counted).unwrap() / 1024,
        before.threads,
        before.files,
        after.threads,
        after.files
    );
    let growth = after.anonymous.saturating_sub(before.anonymous) / u64::try_from(counted).unwrap();
    let bound = u64::try_from(number("SOAK_GROWTH_KB", ANY_GROWTH_KB)).unwrap();
    assert!(
        growth < bound << 10,
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
    println!(
        "after {} swaps: {refused}; {}",
        WARM_UP + counted + more,
        refused.hint
    );
    assert!(refused.hint.contains("restart the host"));
    // The version that was active before the refusal answers.
    run();
}
