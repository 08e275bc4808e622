//! What an operator finds in the log: who was refused and why, who changed what, how jobs ended, what a start or a SIGHUP warns about.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    thread,
    time::{Duration, Instant},
};

use engines::client::{self, Reply};
use harness_tests::serving::{Serving, TestHost};
use hyper::Method;
use serde_json::{Value, json};

const CONFIG: &str = "
server: {addr: '127.0.0.1:0'}
auth: {token_file: ./tokens}
plugin_directory: ./plugins
jobs_directory: ./jobs
result_directory: ./results
commands: [{name: query, plugin: dynamo, is_sync: true, tags: ['type:query'], cluster_tags: ['type:dynamodb']}]
clusters: [{name: main, tags: ['type:dynamodb']}]
";

const TOKENS: &str = "secret-of-ann ann admin\nsecret-of-bob bob user\nsecret-of-eve eve reader\n";

/// Nothing listens there, so that a job fails at once.
const NOWHERE: &str = "http://127.0.0.1:9";

fn host_with(config: &str) -> (TestHost, Serving) {
    let directory = TestHost::new(config, NOWHERE);
    let tokens = directory.path().join("tokens");
    fs::write(&tokens, TOKENS).unwrap();
    fs::set_permissions(&tokens, fs::Permissions::from_mode(0o600)).unwrap();
    let host = directory.serve();
    (directory, host)
}

fn send(host: &Serving, token: &str, method: Method, path: &str, body: &Value) -> Reply {
    let bearer = format!("Bearer {token}");
    let url = format!("{}{path}", host.url());
    client::send(
        method,
        &url,
        &[("Authorization", &bearer)],
        body.to_string(),
    )
    .unwrap()
}

fn submission(command: &str) -> Value {
    let context = json!({"query": "SELECT * FROM t"});
    harness_tests::submission(command, "type:dynamodb", &context)
}

/// Waits for a line that holds all of these, and checks that no line repeats a token.
fn line(host: &Serving, parts: &[&str]) -> String {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let lines = host.lines();
        let text = lines.join("\n");
        assert!(!text.contains("secret-of"), "{text}");
        let fits = |line: &&String| parts.iter().all(|part| line.contains(part));
        if let Some(found) = lines.iter().find(fits) {
            return found.clone();
        }
        assert!(
            Instant::now() < deadline,
            "no line has all of {parts:?}:\n{text}"
        );
        thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_refusal_is_told_with_who_asked_for_what_and_why() {
    let (_directory, host) = host_with(CONFIG);
    let refused = |token: &str, method, path: &str, body: &Value, status: u16| {
        let reply = send(&host, token, method, path, body);
        assert_eq!(reply.status, status, "{}", reply.json());
    };
    let nothing = Value::Null;
    let jobs = "/api/v1/jobs";
    refused("secret-of-nobody", Method::GET, jobs, &nothing, 401);
    line(
        &host,
        &[
            "WARN",
            "request refused",
            "method=GET",
            "path=/api/v1/jobs",
            "status=401",
            "code=UNAUTHENTICATED",
        ],
    );
    let job = "/api/v1/job";
    refused(
        "secret-of-bob",
        Method::POST,
        job,
        &submission("type:pig"),
        400,
    );
    line(
        &host,
        &["request refused", "code=NO_ROUTE", "user=bob", "type:pig"],
    );
    refused(
        "secret-of-eve",
        Method::POST,
        job,
        &submission("type:query"),
        403,
    );
    let who = "that of 'eve' has the role reader";
    line(&host, &["request refused", "code=FORBIDDEN", who]);
    let status = "/api/v1/command/query/status";
    refused(
        "secret-of-bob",
        Method::PUT,
        status,
        &json!({"status": "INACTIVE"}),
        403,
    );
    line(
        &host,
        &[
            "request refused",
            "method=PUT",
            "path=/api/v1/command/query/status",
            "that of 'bob'",
        ],
    );
}

#[test]
fn a_change_is_told_with_who_made_it() {
    let (_directory, host) = host_with(CONFIG);
    let change = |method, path: &str, body: &Value| {
        let reply = send(&host, "secret-of-ann", method, path, body);
        assert_eq!(reply.status, 200, "{}", reply.json());
        reply.json()
    };
    let status = json!({"status": "INACTIVE"});
    change(Method::PUT, "/api/v1/command/query/status", &status);
    line(
        &host,
        &[
            "INFO",
            "status set",
            "kind=command",
            "id=query",
            "status=INACTIVE",
            "user=ann",
        ],
    );
    let version =
        change(Method::GET, "/api/v1/plugins", &Value::Null)["data"][0]["version"].clone();
    let using = "/api/v1/plugins/dynamo/use";
    change(Method::POST, using, &json!({ "version": version }));
    let version = format!("version={}", version.as_str().unwrap());
    line(
        &host,
        &[
            "INFO",
            "plugin pinned",
            "plugin=dynamo",
            &version,
            "user=ann",
        ],
    );
    change(Method::POST, using, &json!({ "version": null }));
    line(
        &host,
        &[
            "INFO",
            "plugin no longer pinned",
            "plugin=dynamo",
            "user=ann",
        ],
    );
}

#[test]
fn a_job_that_failed_ends_with_its_reason() {
    let (_directory, host) = host_with(CONFIG);
    let reply = send(
        &host,
        "secret-of-bob",
        Method::POST,
        "/api/v1/job",
        &submission("type:query"),
    );
    assert_eq!(reply.json()["code"], "UNAVAILABLE", "{}", reply.json());
    let ended = line(
        &host,
        &["job ended", "status=FAILED", "user=bob", "command=query"],
    );
    assert!(
        ended.contains("outcome=UNAVAILABLE") && ended.contains("127.0.0.1:9"),
        "{ended}"
    );
    assert!(!ended.contains("SELECT"), "{ended}");
}

#[test]
fn a_start_warns_of_a_pin_of_readable_tokens_and_of_a_full_disk() {
    let (directory, mut host) = host_with(CONFIG);
    let rows = send(
        &host,
        "secret-of-ann",
        Method::GET,
        "/api/v1/plugins",
        &Value::Null,
    )
    .json();
    let version = rows["data"][0]["version"].as_str().unwrap().to_owned();
    let pin = json!({ "version": version });
    let pinned = send(
        &host,
        "secret-of-ann",
        Method::POST,
        "/api/v1/plugins/dynamo/use",
        &pin,
    );
    assert_eq!(pinned.status, 200);
    host.signal("TERM");
    assert!(host.wait().success());

    let tokens = directory.path().join("tokens");
    fs::set_permissions(&tokens, fs::Permissions::from_mode(0o644)).unwrap();
    let full = format!("{CONFIG}limits: {{min_free_bytes: 1000000000000000}}\n");
    fs::write(directory.path().join("config.yaml"), full).unwrap();
    let host = directory.serve();
    let version = format!("version={version}");
    line(
        &host,
        &[
            "WARN",
            "plugin is pinned",
            "plugin=dynamo",
            &version,
            "user=ann",
            "since=",
        ],
    );
    line(&host, &["WARN", "tokens", "0644"]);
    line(
        &host,
        &[
            "WARN",
            "disk of jobs or results is full",
            "min_free_bytes=1000000000000000",
        ],
    );
    let refused = send(
        &host,
        "secret-of-bob",
        Method::POST,
        "/api/v1/job",
        &submission("type:query"),
    );
    assert_eq!(refused.status, 507, "{}", refused.json());
    // Once, and not for each of the jobs that are refused until there is room.
    line(&host, &["ERROR", "the disk is full", "1000000000000000"]);
}

#[test]
fn a_hangup_says_what_it_put_in_force_and_what_needs_a_restart() {
    let (directory, host) = host_with(CONFIG);
    let changed = CONFIG
        .replace("./results", "./elsewhere")
        .replace("clusters:", "pool: {size: 3}\nclusters:");
    fs::write(directory.path().join("config.yaml"), changed).unwrap();
    host.signal("HUP");
    line(
        &host,
        &[
            "INFO",
            "configuration read again",
            "commands=1",
            "clusters=1",
        ],
    );
    let restart = line(&host, &["WARN", "only a restart puts in force"]);
    assert!(
        restart.contains("result_directory") && restart.contains("pool.size"),
        "{restart}"
    );
    line(&host, &["INFO", "plugins looked at again"]);

    fs::write(
        directory.path().join("config.yaml"),
        CONFIG.replace("dynamo,", "dynamo, limt: 5,"),
    )
    .unwrap();
    host.signal("HUP");
    line(&host, &["ERROR", "configuration rejected", "limt"]);
}
