//! What outlasts a host: its pins a restart, and all that it keeps a copy that SQLite makes of the running host's store.

use std::{fs, os::unix::fs::PermissionsExt, path::Path, process::Command};

use engines::embedded::Embedded;
use harness_tests::{
    serving::{Serving, TestHost},
    submission,
};
use serde_json::{Value, json};

use crate::hosts::have;

const CONFIG: &str = "
server: {addr: '127.0.0.1:0'}
plugin_directory: ./plugins
jobs_directory: ./jobs
result_directory: ./results
commands:
- {name: sync, plugin: dynamo, is_sync: true, tags: ['type:sync'], cluster_tags: ['type:dynamodb']}
- {name: async, plugin: dynamo, tags: ['type:async'], cluster_tags: ['type:dynamodb']}
clusters:
- {name: main, tags: ['type:dynamodb']}
";

/// `sqlite3 FROM \".backup TO\"`, which is the same call of SQLite's.
const BACKUP: &str = "
import sqlite3, sys
to = sqlite3.connect(sys.argv[2])
sqlite3.connect('file:' + sys.argv[1] + '?mode=ro', uri=True).backup(to)
to.close()
";

fn engine() -> Embedded {
    let engine = Embedded::start().unwrap();
    let text = "x".repeat(2_000);
    let large: Vec<Value> = (0..200)
        .map(|n| json!({"id": {"S": n.to_string()}, "text": {"S": text}}))
        .collect();
    engine
        .load(&json!({"small": [{"id": {"S": "1"}}], "large": large}))
        .unwrap();
    engine
}

fn submit(host: &Serving, command: &str, table: &str) -> String {
    let context = json!({"query": format!("SELECT * FROM {table}")});
    let body = submission(&format!("type:{command}"), "type:dynamodb", &context);
    let answer = host.call("POST", "/api/v1/job", Some("a"), &body.to_string());
    answer.json()["id"].as_str().unwrap().to_owned()
}

fn result(host: &Serving, id: &str) -> (u16, Vec<u8>) {
    let path = format!("/api/v1/job/{id}/result");
    let answer = host.call("GET", &path, Some("a"), "");
    (answer.status, answer.body.to_vec())
}

/// The plugin's row: its version, and whether it is pinned.
fn plugin(host: &Serving) -> (String, bool) {
    let rows = host.call("GET", "/api/v1/plugins", None, "").json();
    let row = &rows["data"][0];
    (
        row["version"].as_str().unwrap().to_owned(),
        row["pinned"].as_bool().unwrap(),
    )
}

fn pin(host: &Serving, version: &Value) {
    let body = json!({ "version": version }).to_string();
    let answer = host.call("POST", "/api/v1/plugins/dynamo/use", Some("a"), &body);
    assert_eq!(answer.status, 200, "{}", answer.json());
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}

#[test]
fn a_pin_outlasts_a_restart_and_its_end_does_too() {
    let engine = engine();
    let directory = TestHost::new(CONFIG, &engine.url());
    let mut host = directory.serve();
    let (version, pinned) = plugin(&host);
    assert!(!pinned);
    pin(&host, &json!(version));
    assert_eq!(plugin(&host), (version.clone(), true));
    host.signal("TERM");
    assert!(host.wait().success());

    let host = directory.serve();
    assert_eq!(plugin(&host), (version.clone(), true));
    // A host that dies forgets none either.
    host.kill();
    let host = directory.serve();
    assert_eq!(plugin(&host), (version.clone(), true));
    pin(&host, &Value::Null);
    host.kill();
    assert_eq!(plugin(&directory.serve()), (version, false));
}

#[test]
fn a_copy_of_a_running_hosts_store_serves_the_same_jobs_elsewhere() {
    if !have("python3") {
        return;
    }
    let engine = engine();
    let directory = TestHost::new(CONFIG, &engine.url());
    let host = directory.serve();
    let (version, _) = plugin(&host);
    pin(&host, &json!(version));
    let ids = [
        submit(&host, "sync", "small"),
        submit(&host, "sync", "large"),
        submit(&host, "async", "small"),
        submit(&host, "async", "nowhere"),
    ];
    let records: Vec<Value> = ids.iter().map(|id| host.ended(id)).collect();
    let results: Vec<_> = ids.iter().map(|id| result(&host, id)).collect();
    assert!(
        fs::read_dir(directory.path().join("results"))
            .unwrap()
            .count()
            > 0,
        "the large result is a file"
    );

    // The database first, the files after it, as docs/OPERATING.md says.
    let elsewhere = TestHost::new(CONFIG, &engine.url());
    let jobs = elsewhere.path().join("jobs");
    fs::create_dir(&jobs).unwrap();
    fs::set_permissions(&jobs, fs::Permissions::from_mode(0o700)).unwrap();
    let made = Command::new("python3")
        .args(["-B", "-c", BACKUP])
        .arg(directory.path().join("jobs/jobs.sqlite"))
        .arg(jobs.join("jobs.sqlite"))
        .output()
        .unwrap();
    assert!(
        made.status.success(),
        "{}",
        String::from_utf8_lossy(&made.stderr)
    );
    let database = fs::Permissions::from_mode(0o600);
    fs::set_permissions(jobs.join("jobs.sqlite"), database).unwrap();
    copy(
        &directory.path().join("results"),
        &elsewhere.path().join("results"),
    );
    let later = submit(&host, "sync", "small");

    let restored = elsewhere.serve();
    for ((id, record), expected) in ids.iter().zip(&records).zip(&results) {
        assert_eq!(&restored.ended(id), record);
        assert_eq!(&result(&restored, id), expected, "{id}");
    }
    assert_eq!(plugin(&restored), (version, true));
    assert_eq!(result(&restored, &later).0, 404, "it came after the copy");
    // Both go on, each with jobs of its own.
    let [here, there] = [&host, &restored].map(|host| submit(host, "sync", "large"));
    assert_eq!(result(&host, &here).0, 200);
    assert_eq!(result(&restored, &there).0, 200);
}
