//! Jobs of a plugin in a process of its own, with an environment of its own.
//!
//! In: calls and variables. Out: each call's answer, every log line, and how long closing took. A library reads its environment when
//! it is opened, and a test process must not change its own; so the test binary runs itself again, with one test that does as told.

use std::{
    collections::BTreeMap,
    env, fs,
    os::unix::{fs::PermissionsExt, process::CommandExt},
    process::Command,
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

use plugin_host::{CallOptions, Library};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::library;

/// The user and group that own nothing.
const NOBODY: u32 = 65_534;

/// Names, for the child, the file with its calls.
const CALLS: &str = "HARNESS_CHILD";

/// One thing to ask of the plugin.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Call {
    /// Run this job.
    Job(Value),
    /// Check this cluster.
    Health(Value),
    /// Run this job, that many times at once; answered once per job.
    AtOnce(usize, Value),
}

/// What came of it.
#[derive(Debug, Serialize, Deserialize)]
pub struct Outcome {
    /// Per call, the result document or the error document.
    pub answers: Vec<Value>,
    /// Every log line, `LEVEL TARGET MESSAGE`.
    pub log: Vec<String>,
    /// How long `plugin_close` took.
    pub close_ms: u128,
}

/// Runs calls in order in a new process that has these variables, `PATH` and a `HOME` without any files, and nothing else.
///
/// # Panics
/// Where the process fails.
pub fn run(variables: &[(&str, &str)], calls: &[Call]) -> Outcome {
    run_as(None, variables, calls)
}

/// As [`run`], for a user whom file modes bind: where the tests run as root, the process is nobody's. `None`: nobody may not read the
/// built files.
///
/// # Panics
/// Where the process fails.
pub fn run_unprivileged(variables: &[(&str, &str)], calls: &[Call]) -> Option<Outcome> {
    if !rustix::process::getuid().is_root() {
        return Some(run(variables, calls));
    }
    let program = env::current_exe().expect("a running test has a path");
    let may_run = [&program, &library("dynamo_plugin")]
        .into_iter()
        .all(|file| {
            let mut test = Command::new("test");
            test.arg("-r").arg(file).uid(NOBODY).gid(NOBODY);
            test.status().is_ok_and(|status| status.success())
        });
    may_run.then(|| run_as(Some(NOBODY), variables, calls))
}

fn run_as(user: Option<u32>, variables: &[(&str, &str)], calls: &[Call]) -> Outcome {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let file = folder.path().join("calls.json");
    fs::write(&file, serde_json::to_vec(calls).expect("calls are JSON"))
        .expect("the folder is new");
    let path = env::var_os("PATH").unwrap_or_default();
    let mut variables: BTreeMap<&str, &str> = variables.iter().copied().collect();
    variables
        .entry("AWS_EC2_METADATA_DISABLED")
        .or_insert("true");
    let mut process = Command::new(env::current_exe().expect("a running test has a path"));
    if let Some(user) = user {
        // It writes its outcome there.
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777))
            .expect("the folder is ours");
        process.uid(user).gid(user).current_dir(folder.path());
    }
    let output = process
        .args(["--exact", "child::does_as_told", "--nocapture"])
        .env_clear()
        .env("PATH", path)
        .env("HOME", folder.path())
        .env("HARNESS_BUILT", "1")
        .env(CALLS, &file)
        .envs(variables)
        .output()
        .expect("the test binary runs again");
    let outcome = fs::read(folder.path().join("outcome.json"));
    let outcome = outcome.unwrap_or_else(|_| {
        panic!(
            "the child gave no outcome: {}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        )
    });
    serde_json::from_slice(&outcome).expect("the child writes JSON")
}

/// What the child does; nothing in any other process.
///
/// # Panics
/// Where the plugin does not load, open or close.
pub fn serve() {
    let Some(file) = env::var_os(CALLS) else {
        return;
    };
    let calls = fs::read(&file).expect("the parent wrote the calls");
    let calls: Vec<Call> = serde_json::from_slice(&calls).expect("calls are JSON");
    let lines = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&lines);
    let plugin = Library::load(
        &library("dynamo_plugin"),
        Some(Arc::new(move |level, target, message| {
            let line = format!("{level:?} {target} {message}");
            sink.lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(line);
        })),
    )
    .expect("the built plugin loads");
    plugin.open("{}").expect("the plugin opens");
    let answers = calls
        .iter()
        .flat_map(|call| answers(&plugin, call))
        .collect();
    let closing = Instant::now();
    plugin
        .close(Duration::from_secs(5))
        .expect("the plugin closes");
    let outcome = Outcome {
        answers,
        close_ms: closing.elapsed().as_millis(),
        log: lines.lock().unwrap_or_else(PoisonError::into_inner).clone(),
    };
    let outcome = serde_json::to_vec(&outcome).expect("an outcome is JSON");
    fs::write(
        std::path::Path::new(&file).with_file_name("outcome.json"),
        outcome,
    )
    .expect("the folder is the parent's");
}

fn answers(plugin: &Library, call: &Call) -> Vec<Value> {
    let options = CallOptions::default();
    let run = |job: &Value| match plugin.run_job(job.to_string().as_bytes(), &options) {
        Ok(document) => serde_json::from_slice(&document).expect("a result is JSON"),
        Err(error) => serde_json::from_slice(&error.to_json()).expect("an error is JSON"),
    };
    match call {
        Call::Job(job) => vec![run(job)],
        Call::Health(cluster) => {
            let health = plugin.check_health(cluster.to_string().as_bytes(), &options);
            let document =
                health.map_or_else(|error| error.to_json(), |document| document.to_vec());
            vec![serde_json::from_slice(&document).expect("an answer is JSON")]
        }
        Call::AtOnce(times, job) => thread::scope(|scope| {
            let running: Vec<_> = (0..*times).map(|_| scope.spawn(|| run(job))).collect();
            running
                .into_iter()
                .map(|job| job.join().expect("a job does not panic"))
                .collect()
        }),
    }
}
