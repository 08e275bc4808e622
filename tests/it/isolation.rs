//! Versions in worker processes: whatever the library does to its process, the host lives, and every job ends truthfully.

#![expect(
    clippy::unwrap_used,
    reason = "a helper that fails fails the test that called it"
)]

use std::{
    collections::BTreeSet,
    fs,
    ops::ControlFlow,
    os::unix::fs::PermissionsExt,
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use engines::{client::Reply, embedded::Embedded, sample};
use harness_tests::{
    host, library,
    serving::{Serving, TestHost},
    submission,
};
use plugin_host::{
    CallOptions, IsolationMode, Names,
    registry::{PluginState, ProbeCache, Registry, RegistryOptions},
    worker::WorkerOptions,
};
use serde_json::{Value, json};

use crate::chameleon::{PATIENCE, Stage, chameleon, slim, version};

pub(crate) fn in_workers(memory_bytes: Option<u64>) -> impl FnOnce(&mut RegistryOptions) {
    move |options| {
        options.isolation = IsolationMode::Worker(WorkerOptions {
            program: host(),
            memory_bytes,
            overtime: Duration::from_millis(100),
            ..WorkerOptions::new()
        });
    }
}

/// The echo fixture in a worker.
fn echo(memory_bytes: Option<u64>) -> Stage {
    Stage::over(slim(&library("echo_plugin")), in_workers(memory_bytes))
}

pub(crate) fn job(context: Value) -> Vec<u8> {
    json!({"id": "job", "context": context})
        .to_string()
        .into_bytes()
}

fn code(stage: &Stage, context: Value) -> Result<Value, String> {
    let lease = stage.registry.lease("echo", None).unwrap();
    lease
        .run_job(&job(context), &CallOptions::default())
        .map(|document| serde_json::from_slice(&document).unwrap())
        .map_err(|error| format!("{}: {}", error.code, error.message))
}

pub(crate) fn maps(pid: u32) -> String {
    fs::read_to_string(format!("/proc/{pid}/maps")).unwrap_or_default()
}

#[test]
fn a_job_runs_in_the_worker_with_progress_and_log_and_the_library_is_never_in_the_host() {
    let stage = echo(None);
    let pages = Arc::new(AtomicU64::new(0));
    let told = Arc::clone(&pages);
    let call = CallOptions {
        progress: Some(Arc::new(move |_, pages, _| {
            told.store(pages, Ordering::Relaxed);
        })),
        ..CallOptions::default()
    };
    let lease = stage.registry.lease("echo", None).unwrap();
    let answer = lease.run_job(&job(json!({"n": 1})), &call).unwrap();
    let answer: Value = serde_json::from_slice(&answer).unwrap();
    assert_eq!(answer["data"][0][1], json!({"n": 1}));
    assert_eq!(pages.load(Ordering::Relaxed), 1);
    stage.wait_for("the plugin's log line", |stage| {
        stage.logged("answered") > 0
    });

    let row = &stage.registry.list()[0];
    let worker = row.worker.unwrap();
    assert_eq!((row.state, worker.restarts), (PluginState::Active, 0));
    // The private copy keeps its digest's name wherever it is mapped.
    let digest = row.sha256.clone().unwrap();
    assert!(maps(worker.pid).contains(&digest));
    assert!(!maps(std::process::id()).contains(&digest));
}

#[test]
fn a_worker_that_dies_fails_its_jobs_truthfully_and_is_started_again() {
    let stage = echo(None);
    for (how, end) in [
        ("segfault", "SIGSEGV"),
        ("abort", "SIGABRT"),
        ("exit", "exit status 3"),
    ] {
        // A neighbour of the job that ends the process.
        let neighbour = thread::scope(|scope| {
            let neighbour = scope.spawn(|| code(&stage, json!({"sleep_ms": 600_000})));
            stage.wait_for("the neighbour", |stage| {
                stage.registry.list()[0].jobs_running == 1
            });
            let error = code(&stage, json!({"crash": how})).unwrap_err();
            assert!(error.starts_with("PLUGIN_CRASHED: "), "{error}");
            assert!(
                error.contains(end) && error.contains("echo 1.0.0"),
                "{error}"
            );
            neighbour.join().unwrap()
        });
        assert!(
            neighbour.unwrap_err().starts_with("PLUGIN_CRASHED: "),
            "{how}"
        );
        // After the second death in a row it pauses, and says for how long.
        stage.wait_for("the next start", |stage| match code(stage, json!({})) {
            Ok(_) => true,
            Err(error) => {
                assert!(error.starts_with("PLUGIN_UNAVAILABLE: "), "{error}");
                assert!(
                    error.contains("in a row") && error.contains(" s"),
                    "{error}"
                );
                false
            }
        });
    }
    assert_eq!(stage.registry.list()[0].worker.unwrap().restarts, 3);
}

#[test]
fn a_job_that_may_crash_again_runs_alone_and_leaves_the_others_in_peace() {
    let stage = echo(None);
    let before = stage.registry.list()[0].worker.unwrap().pid;
    let lease = stage.registry.lease("echo", None).unwrap();
    let error = lease
        .run_job_alone(&job(json!({"crash": "abort"})), &CallOptions::default())
        .unwrap_err();
    assert_eq!(error.code, "PLUGIN_CRASHED");
    assert!(error.retryable);
    let answer = lease.run_job_alone(&job(json!({"n": 2})), &CallOptions::default());
    assert!(answer.is_ok(), "{answer:?}");
    assert_eq!(stage.registry.list()[0].worker.unwrap().pid, before);
}

#[test]
fn a_job_that_heeds_nothing_is_killed_with_its_worker_after_its_deadline() {
    let stage = echo(None);
    let call = CallOptions {
        timeout: Some(Duration::from_millis(50)),
        ..CallOptions::default()
    };
    let lease = stage.registry.lease("echo", None).unwrap();
    let error = lease
        .run_job(&job(json!({"crash": "hang"})), &call)
        .unwrap_err();
    assert_eq!(error.code, "TIMEOUT");
    assert!(error.message.contains("killed"), "{error}");
}

#[test]
fn a_worker_that_takes_too_much_memory_dies_alone_and_the_message_names_the_limit() {
    let limit = 256 << 20;
    let stage = echo(Some(limit));
    let error = code(&stage, json!({"crash": "allocate"})).unwrap_err();
    assert!(error.starts_with("PLUGIN_CRASHED: "), "{error}");
    assert!(
        error.contains(&format!("{limit} bytes (limits.worker_memory_bytes)")),
        "{error}"
    );
    assert!(code(&stage, json!({})).is_ok());
}

#[test]
fn a_job_is_cancelled_by_its_id() {
    let stage = echo(None);
    thread::scope(|scope| {
        let waiting = scope.spawn(|| code(&stage, json!({"sleep_ms": 600_000})));
        let lease = stage.registry.lease("echo", None).unwrap();
        stage.wait_for("the job", |_| lease.cancel_job("job"));
        assert!(
            waiting
                .join()
                .unwrap()
                .unwrap_err()
                .starts_with("CANCELLED: ")
        );
        assert!(!lease.cancel_job("job"), "it is over");
    });
}

#[test]
fn a_worker_ends_with_the_registry() {
    let stage = echo(None);
    let pid = stage.registry.list()[0].worker.unwrap().pid;
    stage.registry.close(Duration::ZERO);
    assert!(!Path::new(&format!("/proc/{pid}")).exists());
}

#[test]
fn a_plugin_that_is_not_chosen_is_left_alone_until_it_is() {
    let only = |name: &str| Names::Only(BTreeSet::from([name.to_owned()]));
    let stage = Stage::with(|options| options.names = only("another"));
    assert!(stage.registry.list().is_empty());
    assert!(stage.registry.lease("chameleon", None).is_err());
    stage.registry.serve(only("chameleon")).unwrap();
    assert_eq!(stage.ask(), version(100));
    stage.registry.serve(only("another")).unwrap();
    assert!(stage.registry.lease("chameleon", None).is_err());
    stage.wait_for("its end", |stage| stage.state(100) == PluginState::Retired);
}

const CONFIG: &str = "
server: {addr: '127.0.0.1:0'}
plugin_directory: ./plugins
commands:
- {name: sync, plugin: echo, is_sync: true, isolation: process, tags: ['type:sync']}
- {name: async, plugin: echo, isolation: process, tags: ['type:async']}
- {name: dynamo, plugin: dynamo, is_sync: true, tags: ['type:dynamo']}
clusters: [{name: any, tags: ['type:any']}]
";

fn submitted(host: &Serving, kind: &str, context: &Value) -> Reply {
    let body = submission(&format!("type:{kind}"), "type:any", context);
    host.call("POST", "/api/v1/job", Some("alice"), &body.to_string())
}

fn echo_row(host: &Serving) -> Value {
    let list = host.call("GET", "/api/v1/plugins", None, "").json();
    let rows = list["data"].as_array().unwrap().clone();
    rows.into_iter().find(|row| row["name"] == "echo").unwrap()
}

#[test]
fn a_command_with_isolation_has_its_jobs_run_in_a_worker_and_the_host_outlives_every_crash() {
    let directory = TestHost::new(CONFIG, "http://127.0.0.1:9");
    let library = directory.path().join("plugins/libecho_plugin.so");
    fs::write(&library, slim(&harness_tests::library("echo_plugin"))).unwrap();
    fs::set_permissions(&library, fs::Permissions::from_mode(0o755)).unwrap();
    let host = directory.serve();

    let answer = submitted(&host, "sync", &json!({"n": 1}));
    assert_eq!(answer.status, 200);
    assert_eq!(answer.json()["result"]["data"][0][1], json!({"n": 1}));
    let row = echo_row(&host);
    let digest = row["sha256"].as_str().unwrap();
    let worker = u32::try_from(row["worker"]["pid"].as_u64().unwrap()).unwrap();
    assert!(maps(worker).contains(digest) && !maps(host.id()).contains(digest));

    let crashed = submitted(&host, "sync", &json!({"crash": "segfault"}));
    assert_eq!(crashed.status, 503);
    assert_eq!(crashed.json()["code"], "PLUGIN_CRASHED");
    assert_eq!(crashed.json()["details"]["retryable"], true);

    // An async job runs again, once, in a worker for itself; the one that the others use stays.
    let id = submitted(&host, "async", &json!({"crash": "abort"})).json()["id"].clone();
    let record = host.ended(id.as_str().unwrap());
    assert_eq!(record["status"], "FAILED");
    assert!(
        record["error"].as_str().unwrap().contains("SIGABRT"),
        "{record}"
    );

    let id = submitted(&host, "async", &json!({"n": 2})).json()["id"].clone();
    assert_eq!(host.ended(id.as_str().unwrap())["status"], "SUCCEEDED");
    assert!(echo_row(&host)["worker"]["restarts"].as_u64().unwrap() >= 1);

    let worker = echo_row(&host)["worker"]["pid"].clone();
    host.signal("KILL");
    let gone = || !Path::new(&format!("/proc/{worker}")).exists();
    let until = Instant::now() + PATIENCE;
    while !gone() {
        assert!(Instant::now() < until, "the worker outlives its host");
        thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn rows_cross_from_the_worker_as_they_come_and_stop_where_the_host_says_so() {
    let engine = Embedded::start().unwrap();
    engine.load(&sample::tables()).unwrap();
    let stage = Stage::over(slim(&library("dynamo_plugin")), in_workers(None));
    let lease = stage.registry.lease("dynamo", None).unwrap();
    let document = harness_tests::job(&engine.url(), &json!({"query": "SELECT id FROM my_table"}));
    let lines = Arc::new(Mutex::new(Vec::new()));
    let taken = Arc::clone(&lines);
    let mut call = CallOptions {
        rows: Some(Arc::new(move |more: &[u8]| {
            taken.lock().unwrap().extend_from_slice(more);
            ControlFlow::Continue(())
        })),
        ..CallOptions::default()
    };
    let answer = lease
        .run_job(document.to_string().as_bytes(), &call)
        .unwrap();
    let answer: Value = serde_json::from_slice(&answer).unwrap();
    assert_eq!(
        (&answer["order"], &answer["stats"]["rows"]),
        (&json!([0]), &json!(3))
    );
    let lines = String::from_utf8(lines.lock().unwrap().clone()).unwrap();
    assert!(lines.starts_with("{\"columns\":[\"id\"]}\n["), "{lines}");
    assert_eq!(lines.lines().count(), 4);

    call.rows = Some(Arc::new(|_: &[u8]| ControlFlow::Break(())));
    let error = lease
        .run_job(document.to_string().as_bytes(), &call)
        .unwrap_err();
    assert_eq!(error.code, "CANCELLED");
}

/// What `/api/v1/plugins` says of each version of the fixture: its state, and whether it is pinned.
fn versions(host: &Serving) -> Vec<(String, String, bool)> {
    let list = host.call("GET", "/api/v1/plugins", None, "").json();
    let rows = list["data"].as_array().unwrap().clone();
    rows.iter()
        .filter(|row| row["name"] == "chameleon")
        .map(|row| {
            let text = |key: &str| row[key].as_str().unwrap_or_default().to_owned();
            (text("version"), text("state"), row["pinned"] == true)
        })
        .collect()
}

#[test]
fn a_pin_stays_in_force_when_a_command_changes_the_place_where_its_plugin_runs() {
    let config = |isolation: &str| {
        format!(
            "server: {{addr: '127.0.0.1:0'}}\nplugin_directory: ./plugins\nclusters: [{{name: any, tags: ['type:any']}}]\n\
             commands: [{{name: sync, plugin: chameleon, is_sync: true, isolation: {isolation}, tags: ['type:sync']}}]\n"
        )
    };
    let directory = TestHost::new(&config("in_process"), "http://127.0.0.1:9");
    for number in [100, 101] {
        let library = directory
            .path()
            .join(format!("plugins/chameleon-{number}.so"));
        fs::write(&library, chameleon(number, "good")).unwrap();
        fs::set_permissions(&library, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let host = directory.serve();
    let ran = || submitted(&host, "sync", &json!({})).json()["result"]["version"].clone();
    assert_eq!(ran(), version(101));
    let pin = |version: Value| {
        let body = json!({"version": version}).to_string();
        let path = "/api/v1/plugins/chameleon/use";
        assert_eq!(host.call("POST", path, Some("o"), &body).status, 200);
    };
    pin(json!(version(100)));
    assert_eq!(ran(), version(100));
    // Into a worker process, back, and there again, each time by a SIGHUP.
    for isolation in ["process", "in_process", "process"] {
        fs::write(directory.path().join("config.yaml"), config(isolation)).unwrap();
        host.signal("HUP");
        let until = Instant::now() + PATIENCE;
        loop {
            let list = host.call("GET", "/api/v1/plugins", None, "").json();
            let active = list["data"].as_array().unwrap().iter().find(|row| {
                row["version"] == version(100) && row["state"] == "ACTIVE" && row["pinned"] == true
            });
            if active.is_some_and(|row| row["worker"].is_object() == (isolation == "process")) {
                break;
            }
            assert!(Instant::now() < until, "{list}");
            thread::sleep(Duration::from_millis(5));
        }
        assert_eq!(ran(), version(100), "{isolation}");
    }
    pin(Value::Null);
    assert_eq!(ran(), version(101), "{:?}", versions(&host));
}

#[test]
fn a_file_that_two_registries_serve_is_tried_once() {
    let mut seen = None;
    let stage = Stage::with(|options| seen = Some(options.clone()));
    assert_eq!(stage.ask(), version(100));
    let mut options = seen.unwrap();
    in_workers(None)(&mut options);
    // A program that refuses whatever it is to try.
    options.probe = "/bin/false".into();
    let workers = Registry::open(options.clone()).unwrap();
    let row = &workers.list()[0];
    assert_eq!(
        (row.state, row.worker.is_some()),
        (PluginState::Active, true)
    );
    options.probed = ProbeCache::default();
    let refused = Registry::open(options).unwrap();
    assert_eq!(refused.list()[0].state, PluginState::Refused);
}
