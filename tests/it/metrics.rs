//! What the host tells to Prometheus, and what examples make of it.
//!
//! `promtool` has its say where it is at hand (Debian: package prometheus); where it is not, a line says so and the rest is tested.

use std::{
    collections::BTreeSet,
    fs,
    io::Write,
    path::PathBuf,
    process::{Command, Stdio},
};

use engines::embedded::Embedded;
use harness_tests::{serving::TestHost, submission};
use serde_json::json;

const CONFIG: &str = "
server: {addr: '127.0.0.1:0'}
plugin_directory: ./plugins
jobs_directory: ./jobs
metrics: {old_names: true}
commands:
- {name: sync, plugin: dynamo, is_sync: true, tags: ['type:sync'], cluster_tags: ['type:dynamodb']}
clusters:
- {name: main, tags: ['type:dynamodb']}
";

/// Families without a sample are not written: this one has none until a worker process has died.
const WITHOUT_SAMPLES: [&str; 1] = ["heimdall_host_plugin_crashes_total"];

fn examples() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../examples")
}

/// The text of `/metrics` after a job that ended, one that failed, and a request that was refused.
fn metrics() -> String {
    let engine = Embedded::start().unwrap();
    engine
        .load(&json!({"small": [{"id": {"S": "1"}}]}))
        .unwrap();
    let directory = TestHost::new(CONFIG, &engine.url());
    let host = directory.serve();
    for (table, status) in [("small", 200), ("nowhere", 404)] {
        let context = json!({"query": format!("SELECT * FROM {table}")});
        let body = submission("type:sync", "type:dynamodb", &context);
        let answer = host.call("POST", "/api/v1/job", Some("a"), &body.to_string());
        assert_eq!(answer.status, status, "{}", answer.json());
    }
    assert_eq!(host.call("GET", "/api/v1/job/nope", None, "").status, 404);
    let text = host.call("GET", "/metrics", None, "");
    String::from_utf8(text.body.to_vec()).unwrap()
}

fn names_in(text: &str) -> BTreeSet<String> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let words = text.split(|c| !is_part(c));
    words
        .filter(|word| word.starts_with("heimdall_host_") || word.starts_with("process_"))
        .map(|word| word.trim_end_matches("_bucket").to_owned())
        .collect()
}

/// Runs promtool; false where there is none.
fn promtool(arguments: &[&str], input: &str) -> bool {
    let started = Command::new("promtool")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let Ok(mut process) = started else {
        let _ = writeln!(
            std::io::stderr(),
            "SKIPPED: no promtool here to {}",
            arguments.join(" ")
        );
        return false;
    };
    let mut stdin = process.stdin.take().unwrap();
    stdin.write_all(input.as_bytes()).unwrap();
    drop(stdin);
    let output = process.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    assert!(output.status.success(), "{said}\n{input}");
    true
}

#[test]
fn metrics_follow_the_conventions_and_the_examples_use_those_that_there_are() {
    let text = metrics();
    for line in [
        "heimdall_host_jobs_total{cluster=\"main\",command=\"sync\",outcome=\"SUCCEEDED\"",
        "heimdall_host_jobs_total{cluster=\"main\",command=\"sync\",outcome=\"NOT_FOUND\"",
        "heimdall_host_requests_refused_total{code=\"NOT_FOUND\"} 2",
        "heimdall_host_build_info{",
        "heimdall_host_commands_without_plugin 0",
        "heimdall_host_config_last_reload_successful 1",
        "process_start_time_seconds ",
        "host_jobs_running 0",
    ] {
        assert!(
            text.lines().any(|found| found.starts_with(line)),
            "{line}\n{text}"
        );
    }
    let mut there = names_in(&text);
    there.extend(WITHOUT_SAMPLES.map(str::to_owned));
    for file in ["grafana.json", "alerts.yaml"] {
        let used = names_in(&fs::read_to_string(examples().join(file)).unwrap());
        let unknown: Vec<_> = used.difference(&there).collect();
        assert!(used.len() > 5 && unknown.is_empty(), "{file}: {unknown:?}");
    }
    promtool(&["check", "metrics"], &text);
}

#[test]
fn the_examples_load() {
    let dashboard = fs::read(examples().join("grafana.json")).unwrap();
    let dashboard: serde_json::Value = serde_json::from_slice(&dashboard).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let ids: BTreeSet<_> = panels
        .iter()
        .map(|panel| panel["id"].as_u64().unwrap())
        .collect();
    assert_eq!(ids.len(), panels.len(), "each panel has an id of its own");
    for panel in panels {
        assert!(!panel["targets"].as_array().unwrap().is_empty(), "{panel}");
        let right =
            panel["gridPos"]["x"].as_u64().unwrap() + panel["gridPos"]["w"].as_u64().unwrap();
        assert!(right <= 24, "{panel}");
    }
    let rules = examples().join("alerts.yaml");
    promtool(&["check", "rules", rules.to_str().unwrap()], "");
}
