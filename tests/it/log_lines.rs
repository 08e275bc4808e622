//! What an operator finds in a host's log: who was refused what, who changed what, why a job failed, and what will not work.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    thread,
    time::{Duration, Instant},
};

use engines::embedded::Embedded;
use harness_tests::serving::{Serving, TestHost};
use serde_json::{Value, json};

const CONFIG: &str = "
server: {addr: '127.0.0.1:0'}
plugin_directory: ./plugins
jobs_directory: ./jobs
commands:
- {name: sync, plugin: dynamo, is_sync: true, tags: ['type:sync'], cluster_tags: ['type:dynamodb']}
clusters:
- {name: main, tags: ['type:dynamodb']}
";

/// Waits for a line that holds all of these.
fn told(host: &Serving, words: &[&str]) -> String {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let lines = host.lines();
        let found = lines
            .iter()
            .find(|line| words.iter().all(|word| line.contains(word)));
        if let Some(line) = found {
            return line.clone();
        }
        assert!(
            Instant::now() < deadline,
            "no line with {words:?}:\n{}",
            lines.join("\n")
        );
        thread::sleep(Duration::from_millis(10));
    }
}

fn submit(host: &Serving, user: Option<&str>, command: &str, table: &str) -> (u16, Value) {
    let body = json!({"command_criteria": [format!("type:{command}")], "cluster_criteria": ["type:dynamodb"],
                      "context": {"query": format!("SELECT * FROM {table}")}});
    let answer = host.call("POST", "/api/v1/job", user, &body.to_string());
    (answer.status, answer.json())
}

#[test]
fn refusals_failures_and_changes_have_lines_that_name_the_caller() {
    let engine = Embedded::start().unwrap();
    engine
        .load(&json!({"small": [{"id": {"S": "1"}}]}))
        .unwrap();
    let place = TestHost::new(CONFIG, &engine.url());
    let host = place.serve();

    assert_eq!(submit(&host, None, "sync", "small").0, 401);
    told(
        &host,
        &[
            "request refused",
            "status=401",
            "code=UNAUTHENTICATED",
            "path=/api/v1/job",
        ],
    );
    assert_eq!(submit(&host, Some("bob"), "nothing", "small").0, 400);
    told(
        &host,
        &[
            "request refused",
            "code=NO_ROUTE",
            "user=bob",
            "type:nothing",
        ],
    );

    let (status, failed) = submit(&host, Some("carol"), "sync", "nowhere");
    assert_eq!(status, 404, "{failed}");
    let id = failed["id"].as_str().unwrap();
    told(
        &host,
        &[
            "job ended",
            id,
            "user=carol",
            "outcome=NOT_FOUND",
            "'nowhere'",
        ],
    );

    let path = format!(
        "/api/v1/command/{}/status",
        host.call("GET", "/api/v1/commands", Some("dora"), "")
            .json()["data"][0]["id"]
            .as_str()
            .unwrap()
    );
    let answer = host.call("PUT", &path, Some("dora"), r#"{"status":"INACTIVE"}"#);
    assert_eq!(answer.status, 200, "{}", answer.json());
    told(&host, &["status set", "user=dora"]);

    let version =
        host.call("GET", "/api/v1/plugins", None, "").json()["data"][0]["version"].clone();
    let body = json!({ "version": version }).to_string();
    let answer = host.call("POST", "/api/v1/plugins/dynamo/use", Some("erin"), &body);
    assert_eq!(answer.status, 200, "{}", answer.json());
    told(
        &host,
        &["user=erin", "plugin=dynamo", version.as_str().unwrap()],
    );
}

#[test]
fn what_will_not_work_is_told_at_the_start_and_after_a_hangup() {
    let config = CONFIG.replace("is_sync: true,", "is_sync: true, plugin_version: '>=99',");
    let config = format!(
        "{config}\nlimits: {{min_free_bytes: 4611686018427387904}}\nauth: {{token_file: ./tokens}}\n"
    );
    let place = TestHost::new(&config, "http://127.0.0.1:9");
    let tokens = place.path().join("tokens");
    fs::write(&tokens, "hush\n").unwrap();
    fs::set_permissions(&tokens, fs::Permissions::from_mode(0o644)).unwrap();
    let host = place.serve();
    told(
        &host,
        &[
            "WARN",
            "no loaded version of its plugin fits a command",
            ">=99",
        ],
    );
    told(&host, &["WARN", "the disk of jobs or results is full"]);
    let line = told(&host, &["WARN", "tokens", "others"]);
    assert!(!line.contains("hush"), "{line}");

    let changed = format!("{config}pool: {{size: 3}}\n");
    fs::write(place.path().join("config.yaml"), changed).unwrap();
    host.signal("HUP");
    told(
        &host,
        &["WARN", "only a restart puts in force", "pool.size"],
    );
}
