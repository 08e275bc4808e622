//! A plugin that is newer than its host answers with a code that the host does not know: its user reads the plugin's own words.

use std::{
    fs,
    process::{Command, Output, Stdio},
};

use harness_tests::{
    host, library,
    serving::{Serving, TestHost},
    submission,
};
use serde_json::{Value, json};

use crate::hosts::{Bench, have, limited, succeeds, texts};

const CONFIG: &str = "
plugin_directory: plugins
jobs_directory: jobs
result_directory: results
server: {addr: '127.0.0.1:0'}
commands: [{name: echo, plugin: echo, is_sync: true, tags: [echo]}]
clusters: [{name: here, tags: [here]}]
";

fn failing() -> Value {
    json!({"fail": {"code": "QUOTA_OF_2031", "message": "the quota of the year 2031 is used up", "hint": "wait for 2032",
                    "retryable": true}})
}

/// The code, the message, the hint and whether the job may be sent again, as a host's user reads them.
fn check(error: &Value) {
    assert_eq!(
        (
            &error["code"],
            &error["message"],
            &error["hint"],
            &error["retryable"]
        ),
        (
            &json!("QUOTA_OF_2031"),
            &json!("the quota of the year 2031 is used up"),
            &json!("wait for 2032"),
            &json!(true)
        ),
        "{error}"
    );
}

#[test]
fn run_passes_a_code_that_it_does_not_know_on() {
    let bench = Bench::new();
    let plugins = bench.path("plugins");
    fs::create_dir(&plugins).unwrap();
    fs::copy(library("echo_plugin"), plugins.join("echo.so")).unwrap();
    let job = bench.job("job.json", &json!({"context": failing()}));
    let Output { status, stderr, .. } = Command::new(host())
        .args(["run", "--plugin", "echo", "--plugin-dir"])
        .arg(&plugins)
        .arg(&job)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let lines = String::from_utf8(stderr).unwrap();
    assert_eq!(status.code(), Some(1), "{lines}");
    let last = lines.lines().last().unwrap();
    check(&serde_json::from_str::<Value>(last).unwrap()["error"]);
}

#[test]
fn the_server_answers_a_code_that_it_does_not_know_with_502() {
    let directory = TestHost::new(CONFIG, "http://127.0.0.1:1");
    fs::copy(
        library("echo_plugin"),
        directory.path().join("plugins/libecho_plugin.so"),
    )
    .unwrap();
    let serving: Serving = directory.serve();
    let job = submission("echo", "here", &failing());
    let reply = serving.call("POST", "/api/v1/job", Some("alice"), &job.to_string());
    assert_eq!(reply.status, 502, "{}", reply.json());
    let mut body = reply.json();
    body["message"] = body["error"].take();
    body["retryable"] = body["details"]["retryable"].take();
    check(&body);
    let record = serving
        .call(
            "GET",
            &format!("/api/v1/job/{}", body["id"].as_str().unwrap()),
            None,
            "",
        )
        .json();
    assert_eq!(record["status"], "FAILED");
    assert_eq!(record["error"], "the quota of the year 2031 is used up");
}

#[test]
fn a_host_in_c_reads_a_code_that_it_does_not_know() {
    if !["gcc", "make", "pkg-config"].iter().all(|tool| have(tool)) {
        return;
    }
    let bench = Bench::new();
    let out = format!("OUT={}", bench.dir.path().display());
    succeeds(limited("make").args(["-s", "-C", "examples/c", &out]));
    let job = bench.job("job.json", &json!({"id": "a", "context": failing()}));
    let ran = limited(bench.path("host"))
        .arg(library("echo_plugin"))
        .arg(job)
        .arg("a")
        .output()
        .unwrap();
    let (said, _) = texts(&ran);
    let document = said
        .lines()
        .find_map(|line| line.strip_prefix("status 1: "))
        .unwrap_or_else(|| panic!("no error document in {said}"));
    check(&serde_json::from_str::<Value>(document).unwrap()["error"]);
}
