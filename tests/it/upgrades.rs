//! The release before this one: its store, configuration, plugin and host together with today's, in every combination.
//!
//! Its sources are those of a commit, built here, which takes minutes; so this runs as `cargo xtask torture --only upgrades`. The short
//! forms are `zoo::builds` (plugins and hosts of ABI 1.0) and the store's own tests (a database of format 1).

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use engines::{embedded::Embedded, sample};
use harness_tests::{
    serving::{Serving, TestHost},
    torture,
};
use serde_json::{Value, json};

use crate::zoo::builds::{ABI_1_0, build, sources};

const CONFIG: &str = "
server: {addr: '127.0.0.1:0'}
plugin_directory: ./plugins
jobs_directory: ./jobs
result_directory: ./results
auth: {context: {header: X-Heimdall-User}}
commands:
- {name: sync, status: active, plugin: dynamo, version: 0.0.1, is_sync: true, tags: ['type:sync'], cluster_tags: ['type:dynamodb']}
- {name: async, status: active, plugin: dynamo, version: 0.0.1, tags: ['type:async'], cluster_tags: ['type:dynamodb']}
clusters:
- {name: main, status: active, version: 0.0.1, tags: ['type:dynamodb', 'data:prod']}
";

/// A host and a plugin of one release.
struct Release {
    name: &'static str,
    host: PathBuf,
    plugin: PathBuf,
}

/// The release before this one and this one; `None` outside of torture, or where the commit is not at hand.
fn releases() -> Option<[Release; 2]> {
    if !torture::is_torture() {
        println!(
            "only in cargo xtask torture --only upgrades: the release before this one takes minutes to build"
        );
        return None;
    }
    let (checkout, target) = sources(ABI_1_0, "abi-1.0")?;
    build(&checkout, &["host-harness", "dynamo-plugin"], &target);
    let built = target.join("debug");
    Some([
        Release {
            name: "before",
            host: built.join("host-harness"),
            plugin: built.join("libdynamo_plugin.so"),
        },
        Release {
            name: "today",
            host: harness_tests::host(),
            plugin: harness_tests::library("dynamo_plugin"),
        },
    ])
}

fn engine() -> Embedded {
    let engine = Embedded::start().unwrap();
    engine.load(&sample::tables()).unwrap();
    engine
}

/// Puts a plugin in the place of the one that lies there, in one step.
fn put(directory: &TestHost, plugin: &Path) {
    let folder = directory.path().join("plugins");
    fs::copy(plugin, folder.join(".next")).unwrap();
    fs::rename(folder.join(".next"), folder.join("libdynamo_plugin.so")).unwrap();
}

fn submission(command: &str) -> Value {
    let context = json!({"query": "SELECT id, price FROM my_table WHERE category = ? ", "parameters": ["books"]});
    harness_tests::submission(&format!("type:{command}"), "data:prod", &context)
}

/// Columns and rows of a result, the rows in one order.
fn table(result: &Value) -> Value {
    let mut rows = result["data"].as_array().unwrap().clone();
    rows.sort_by_key(Value::to_string);
    json!([result["columns"], rows])
}

fn submit(host: &Serving, command: &str) -> Value {
    let body = submission(command).to_string();
    let answer = host.call("POST", "/api/v1/job", Some("alice"), &body);
    assert_eq!(answer.status, 200, "{}", answer.json());
    answer.json()
}

/// The result of a job that has ended.
fn result(host: &Serving, id: &str) -> Value {
    assert_eq!(host.ended(id)["status"], "SUCCEEDED");
    let answer = host.call(
        "GET",
        &format!("/api/v1/job/{id}/result"),
        Some("alice"),
        "",
    );
    assert_eq!(answer.status, 200);
    answer.json()
}

#[test]
fn either_host_reads_with_either_plugin_what_the_others_read() {
    let Some(releases) = releases() else { return };
    let engine = engine();
    let mut tables = Vec::new();
    for host in &releases {
        for plugin in &releases {
            let directory = TestHost::new(CONFIG, &engine.url());
            put(&directory, &plugin.plugin);
            let name = format!("host of {}, plugin of {}", host.name, plugin.name);
            let ran = run(&directory, &host.host, &engine);
            assert!(ran.status.success(), "{name}: {ran:?}");
            tables.push((
                name.clone(),
                table(&serde_json::from_slice(&ran.stdout).unwrap()),
            ));
            let serving = directory.serve_by(&host.host);
            let sync = submit(&serving, "sync");
            tables.push((name.clone(), table(&sync["result"])));
            let queued = submit(&serving, "async");
            let queued = result(&serving, queued["id"].as_str().unwrap());
            tables.push((name, table(&queued)));
        }
    }
    for (name, table) in &tables {
        assert_eq!(*table, tables[0].1, "{name} and {}", tables[0].0);
    }
    println!("{} results of four combinations are the same", tables.len());
}

/// `host-harness run` with a job file and the config.
fn run(directory: &TestHost, host: &Path, engine: &Embedded) -> Output {
    fs::write(
        directory.path().join("job.json"),
        submission("sync").to_string(),
    )
    .unwrap();
    Command::new(host)
        .args([
            "run",
            "job.json",
            "--config",
            "config.yaml",
            "--user",
            "alice",
        ])
        .current_dir(directory.path())
        .env("AWS_ENDPOINT_URL_DYNAMODB", engine.url())
        .envs([
            ("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE"),
            ("AWS_SECRET_ACCESS_KEY", "secret"),
            ("AWS_REGION", "us-east-1"),
        ])
        .output()
        .unwrap()
}

#[test]
fn a_store_goes_on_under_the_new_host_and_is_refused_whole_by_the_old_one() {
    let Some([before, today]) = releases() else {
        return;
    };
    let engine = engine();
    let directory = TestHost::new(CONFIG, &engine.url());
    put(&directory, &before.plugin);
    let mut host = directory.serve_by(&before.host);
    let jobs: Vec<Value> = ["sync", "async"]
        .map(|command| submit(&host, command))
        .into();
    let ids: Vec<&str> = jobs.iter().map(|job| job["id"].as_str().unwrap()).collect();
    let results: Vec<Value> = ids.iter().map(|id| result(&host, id)).collect();
    let records: Vec<Value> = ids.iter().map(|id| host.ended(id)).collect();
    stop(&mut host);

    // The new host on the old store, with the old plugin: what was kept reads as before.
    let mut host = directory.serve_by(&today.host);
    for ((id, kept), record) in ids.iter().zip(&results).zip(&records) {
        assert_eq!(result(&host, id), *kept);
        let now = host.ended(id);
        for field in record.as_object().unwrap().keys() {
            assert_eq!(now[field], record[field], "{field} of {id}");
        }
    }
    // Plugin forth and back while it serves.
    let mut ids: Vec<String> = ids.into_iter().map(str::to_owned).collect();
    for plugin in [&today.plugin, &before.plugin, &today.plugin] {
        put(&directory, plugin);
        let reload = host.call("POST", "/api/v1/plugins/reload", Some("alice"), "");
        assert_eq!(reload.status, 200);
        assert_eq!(reload.json()["refused"], json!([]));
        let job = submit(&host, "sync");
        assert_eq!(table(&job["result"]), table(&results[0]));
        ids.push(job["id"].as_str().unwrap().to_owned());
    }
    stop(&mut host);

    // The old host on the new store: it says why not, and changes nothing.
    let refused = Command::new(&before.host)
        .args(["serve", "--config", "config.yaml"])
        .current_dir(directory.path())
        .output()
        .unwrap();
    assert_eq!(refused.status.code(), Some(2), "{refused:?}");
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(
        said.contains("the job store has format 2, this host knows 1"),
        "{said}"
    );
    let host = directory.serve_by(&today.host);
    for id in &ids {
        assert_eq!(table(&result(&host, id)), table(&results[0]), "{id}");
    }
    println!(
        "{} jobs were kept over the upgrade and the refused downgrade",
        ids.len()
    );
}

fn stop(host: &mut Serving) {
    host.signal("TERM");
    assert!(host.wait().success());
}
