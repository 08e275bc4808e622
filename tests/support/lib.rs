//! What the tests share: where the built host and libraries are, and the DynamoDB plugin loaded into the test process.
//!
//! The files are built by the first test that asks, with the one command that demo and tests share, so that nothing is built twice.
#![forbid(unsafe_code)]

pub mod child;
pub mod load;
pub mod process;
pub mod pty;
pub mod serving;
pub mod torture;

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
    sync::{Arc, Mutex, OnceLock, PoisonError},
    time::Duration,
};

use plugin_api::Error;
use plugin_host::{CallOptions, JobDocument, Library};
use serde_json::{Value, json};

/// The folder with the built host and libraries of this profile.
///
/// # Panics
/// Where the workspace does not build.
pub fn built() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let test_binary = env::current_exe().expect("a running test has a path");
        // target/debug/deps/it-… → target/debug, and so is target/debug/host-load
        let folder = test_binary
            .ancestors()
            .skip(1)
            .find(|folder| !folder.ends_with("deps"))
            .expect("tests lie in the target folder")
            .to_owned();
        // `cargo xtask test` has built everything and says so; plain `cargo test` has not.
        if env::var_os("HARNESS_BUILT").is_none() {
            build();
        }
        folder
    })
}

fn build() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the tests lie in the workspace");
    // The same packages in every build: another selection would unify features otherwise and build the SDK again.
    let status = Command::new(env!("CARGO"))
        .args(["build", "--workspace", "--quiet"])
        .current_dir(root)
        .status()
        .expect("cargo runs, it has just built this test");
    assert!(status.success(), "the workspace does not build");
}

/// The built library of a workspace crate: `library("dynamo_plugin")`.
pub fn library(crate_name: &str) -> PathBuf {
    built().join(format!("lib{crate_name}.so"))
}

/// The built host.
pub fn host() -> PathBuf {
    built().join("host-harness")
}

/// The DynamoDB plugin, loaded into this process once; tests share it and never close it.
///
/// # Panics
/// Where the library does not load, or the process has no credentials: a library reads its environment when it is opened, and a test
/// process must not change it, so `cargo xtask test` sets AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (any value will do).
pub fn dynamo() -> &'static Library {
    static DYNAMO: OnceLock<Library> = OnceLock::new();
    DYNAMO.get_or_init(|| {
        assert!(
            env::var_os("AWS_ACCESS_KEY_ID").is_some(),
            "run the tests with `cargo xtask test`, or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY to anything"
        );
        let sink = |level, target: &str, message: &str| {
            let mut lines = LINES.lock().unwrap_or_else(PoisonError::into_inner);
            lines.push(format!("{level:?} {target} {message}"));
        };
        let dynamo = Library::load(&library("dynamo_plugin"), Some(Arc::new(sink)))
            .expect("the built plugin loads");
        dynamo.open("{}").expect("nobody else opens it");
        dynamo
    })
}

static LINES: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// What [`dynamo`] has logged so far of a job, every level, as `LEVEL TARGET MESSAGE`; of all jobs where `id` is empty.
pub fn logged(id: &str) -> Vec<String> {
    let lines = LINES.lock().unwrap_or_else(PoisonError::into_inner);
    let mark = format!("job={id} ");
    lines
        .iter()
        .filter(|line| id.is_empty() || line.contains(&mark))
        .cloned()
        .collect()
}

/// A job document: this context against the endpoint at `url`.
pub fn job(url: &str, context: &Value) -> Value {
    job_on(
        &json!({"endpoint_url": url, "region": "us-east-1"}),
        context,
    )
}

/// A job document: this context on a cluster with that one.
pub fn job_on(cluster: &Value, context: &Value) -> Value {
    let document = JobDocument {
        context: Some(context),
        cluster: Some(&json!({"name": "test", "context": cluster})),
        ..JobDocument::default()
    };
    serde_json::from_slice(&document.to_json()).expect("a job document is JSON")
}

/// What a user submits to a host: this context, for the command and the cluster that carry these tags.
pub fn submission(command_tag: &str, cluster_tag: &str, context: &Value) -> Value {
    json!({"command_criteria": [command_tag], "cluster_criteria": [cluster_tag], "context": context})
}

/// A text without the ports of loopback addresses, which differ from run to run.
pub fn without_ports(text: &str) -> String {
    let mut parts = text.split("127.0.0.1:");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| {
        let behind = part.trim_start_matches(|c: char| c.is_ascii_digit());
        format!("{text}HOST:PORT{behind}")
    })
}

/// Runs a job document; the result, its `stats` included.
///
/// # Errors
/// The job's own.
pub fn run(job: &Value) -> Result<Value, Error> {
    let result = dynamo().run_job(job.to_string().as_bytes(), &CallOptions::default())?;
    Ok(serde_json::from_slice(&result).expect("a result is JSON"))
}

/// What `attempt` gives under the first deadline that is long enough for what a test wants to see before it passes: 0.2 seconds where the
/// machine is free, longer ones where it is busy and an attempt under a shorter one came to nothing.
///
/// # Panics
/// Where 30 seconds are too short.
pub fn with_deadline<T>(attempt: impl FnMut(Duration) -> Option<T>) -> T {
    [200, 1_000, 5_000, 30_000]
        .map(Duration::from_millis)
        .into_iter()
        .find_map(attempt)
        .expect("30 seconds are long enough for it")
}

/// Runs a statement against the endpoint at `url`.
///
/// # Errors
/// The job's own.
pub fn query(url: &str, query: &str) -> Result<Value, Error> {
    run(&job(url, &json!({"query": query})))
}
