//! Heimdall's own web UI works with this host: every request that it makes gets the answer that it reads.
//!
//! Its pages come through `server.web_ui`, its scripts then ask the host under `/api/v1`. What they send is written down here: lists with
//! their filters, order and pages, one job with its log and attributes, a cancel without a body, commands and clusters.

use std::{
    io::{Read, Write},
    net::TcpListener,
    thread,
    time::Duration,
};

use engines::{embedded::Embedded, sample};
use harness_tests::{
    serving::{Serving, TestHost},
    submission,
};
use serde_json::{Value, json};

const CONFIG: &str = "
server: {addr: '127.0.0.1:0', web_ui: 'UI'}
plugin_directory: ./plugins
commands:
- {id: sync-1, name: sync, version: '1.0', plugin: dynamo, is_sync: true, tags: ['type:sync'], cluster_tags: ['type:dynamodb']}
- {id: async-1, name: async, version: '2.0', plugin: dynamo, user: bob, tags: ['type:async'], cluster_tags: ['type:dynamodb']}
clusters:
- {id: main-1, name: main, version: '3.0', tags: ['type:dynamodb']}
- {id: mute-1, name: mute, tags: ['type:mute'], context: {endpoint_url: 'MUTE'}}
";

/// A UI that answers every request with its head, on any number of connections.
fn ui() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut head = Vec::new();
            let mut byte = [0];
            while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap_or(0) == 1 {
                head.push(byte[0]);
            }
            let answer = format!(
                "HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                head.len()
            );
            let _ = stream.write_all(answer.as_bytes());
            let _ = stream.write_all(&head);
        }
    });
    url
}

/// The host behind which the UI stands, and a service that takes connections and never answers.
fn stage(engine: &Embedded) -> (TestHost, TcpListener) {
    let mute = TcpListener::bind("127.0.0.1:0").unwrap();
    let config = CONFIG
        .replace("UI", &ui())
        .replace("MUTE", &format!("http://{}", mute.local_addr().unwrap()));
    // The async command may run on either cluster.
    let config = config.replace(
        "tags: ['type:async'], cluster_tags: ['type:dynamodb']",
        "tags: ['type:async']",
    );
    (TestHost::new(&config, &engine.url()), mute)
}

fn submit(host: &Serving, name: &str, command: &str, cluster: &str, query: &str) -> Value {
    let mut body = submission(
        &format!("type:{command}"),
        &format!("type:{cluster}"),
        &json!({"query": query}),
    );
    body["name"] = json!(name);
    body["version"] = json!("0.1");
    body["tags"] = json!(["team:a", "kind:report"]);
    host.call("POST", "/api/v1/job", Some("alice"), &body.to_string())
        .json()
}

fn get(host: &Serving, path: &str) -> Value {
    let reply = host.call("GET", path, None, "");
    assert_eq!(reply.status, 200, "{path}: {}", reply.json());
    assert_eq!(reply.header("content-type"), "application/json", "{path}");
    reply.json()
}

fn names(list: &Value) -> Vec<String> {
    let rows = list["data"].as_array().unwrap();
    rows.iter()
        .map(|row| row["name"].as_str().unwrap().to_owned())
        .collect()
}

/// The order and size that its list of jobs begins with.
const FIRST: &str = "limit=20&order_by=created_at&direction=desc";

#[test]
fn its_list_of_jobs_is_filtered_ordered_and_paged() {
    let engine = Embedded::start().unwrap();
    engine.load(&sample::tables()).unwrap();
    let (directory, _mute) = stage(&engine);
    let host = directory.serve();
    let mut ids = Vec::new();
    for number in 0..45 {
        let job = submit(
            &host,
            &format!("job-{number}"),
            "sync",
            "dynamodb",
            "SELECT id FROM my_table",
        );
        ids.push(job["id"].as_str().unwrap().to_owned());
    }
    submit(&host, "broken", "sync", "dynamodb", "SELECT FROM");

    // Pages: the cursor of one is in the request for the next, and the last has none.
    let (mut seen, mut cursor, mut pages) = (Vec::new(), String::new(), 0);
    loop {
        let page = get(&host, &format!("/api/v1/jobs?{FIRST}{cursor}"));
        seen.extend(names(&page));
        pages += 1;
        match page["next_cursor"].as_str() {
            Some(next) => {
                assert_eq!(page["has_more"], true);
                cursor = format!("&cursor={next}");
            }
            None => break,
        }
    }
    assert_eq!((pages, seen.len()), (3, 46));
    assert_eq!((seen[0].as_str(), seen[45].as_str()), ("broken", "job-0"));

    // The status list fills the filter's choice.
    let statuses = get(&host, "/api/v1/job/statuses");
    assert!(
        statuses.as_array().unwrap().contains(&json!("SUCCEEDED")),
        "{statuses}"
    );
    for (filter, found) in [
        (format!("id={}", ids[7]), 1),
        ("name=job-7".to_owned(), 1),
        ("name=job-1%25".to_owned(), 11),
        ("username=alice".to_owned(), 46),
        ("username=nobody".to_owned(), 0),
        ("version=0.1".to_owned(), 46),
        ("cluster=main".to_owned(), 46),
        ("command=sync".to_owned(), 46),
        ("command=async".to_owned(), 0),
        ("status=FAILED%2CKILLED".to_owned(), 1),
        ("tags=team%3Aa%2Ckind%3Areport".to_owned(), 46),
        ("tags=team%3Ab".to_owned(), 0),
    ] {
        let path = format!("/api/v1/jobs?{filter}&limit=101&order_by=updated_at&direction=asc");
        assert_eq!(names(&get(&host, &path)).len(), found, "{filter}");
    }
    for order in ["id", "created_at", "updated_at"] {
        let path = format!("/api/v1/jobs?limit=20&order_by={order}&direction=asc");
        assert_eq!(names(&get(&host, &path))[0], "job-0", "{order}");
    }
}

#[test]
fn its_page_of_a_job_shows_the_result_the_rows_and_the_plugin_that_ran_it() {
    let engine = Embedded::start().unwrap();
    engine.load(&sample::tables()).unwrap();
    let (directory, _mute) = stage(&engine);
    let host = directory.serve();
    for command in ["sync", "async"] {
        let job = submit(&host, "j", command, "dynamodb", "SELECT id FROM my_table");
        let id = job["id"].as_str().unwrap();
        host.ended(id);
        let record = get(&host, &format!("/api/v1/job/{id}"));
        let version = record["plugin_version"].as_str().unwrap();
        let link = format!("/api/v1/job/{id}/result");
        assert_eq!(
            record["job_attributes"],
            json!({"Result": {"kind": "link", "value": link}, "Rows": {"kind": "text", "value": "3"},
                   "Plugin": {"kind": "text", "value": format!("dynamo {version}")}})
        );
        // A browser follows the link with the `Accept` of a page, and has no header of the host's.
        let accept = "text/html,application/xhtml+xml,*/*;q=0.8";
        let url = format!("{}{link}", host.url());
        let result = engines::client::send(hyper::Method::GET, &url, &[("Accept", accept)], "");
        assert_eq!(result.unwrap().json()["data"].as_array().unwrap().len(), 3);
        for kind in ["stdout", "stderr"] {
            let lines = host.call("GET", &format!("/api/v1/job/{id}/{kind}"), None, "");
            assert_eq!(
                (lines.status, lines.header("content-type")),
                (200, "text/plain")
            );
        }
        // The same in the list, also after a restart.
        let list = get(&host, &format!("/api/v1/jobs?id={id}&{FIRST}"));
        assert_eq!(list["data"][0]["job_attributes"], record["job_attributes"]);
    }
    let failed = submit(&host, "broken", "sync", "dynamodb", "SELECT FROM");
    let record = get(
        &host,
        &format!("/api/v1/job/{}", failed["id"].as_str().unwrap()),
    );
    let attributes = &record["job_attributes"];
    assert!(
        attributes["Plugin"].is_object() && attributes["Result"].is_null(),
        "{record}"
    );
}

#[test]
fn its_cancel_has_no_body_and_its_job_then_says_who_cancelled_it() {
    let engine = Embedded::start().unwrap();
    let (directory, _mute) = stage(&engine);
    let host = directory.serve();
    let job = submit(&host, "long", "async", "mute", "SELECT id FROM my_table");
    let id = job["id"].as_str().unwrap();
    let path = format!("/api/v1/job/{id}");
    while get(&host, &path)["status"] != "RUNNING" {
        thread::sleep(Duration::from_millis(5));
    }
    let answer = host.call("POST", &format!("{path}/cancel"), Some("carol"), "");
    assert_eq!(
        (answer.status, answer.json()),
        (200, json!({"status": "CANCELING"}))
    );
    let record = host.ended(id);
    assert_eq!(
        (&record["status"], &record["canceled_by"]),
        (&json!("CANCELED"), &json!("carol"))
    );
    // Once more: the UI shows `error`.
    let again = host.call("POST", &format!("{path}/cancel"), Some("carol"), "");
    assert_eq!(again.status, 409);
    assert!(again.json()["error"].is_string());
}

#[test]
fn its_lists_of_commands_and_clusters_are_filtered() {
    let engine = Embedded::start().unwrap();
    let (directory, _mute) = stage(&engine);
    let host = directory.serve();
    for (path, found) in [
        ("commands?", &["async", "sync"][..]),
        ("commands?id=sync-1", &["sync"]),
        ("commands?name=async", &["async"]),
        ("commands?username=bob", &["async"]),
        ("commands?plugin=dynamo&version=2.0", &["async"]),
        ("commands?plugin=other", &[]),
        ("commands?status=ACTIVE%2CINACTIVE", &["async", "sync"]),
        ("commands?status=DELETED", &[]),
        ("clusters?", &["main", "mute"]),
        ("clusters?id=main-1", &["main"]),
        ("clusters?name=mu%25", &["mute"]),
        ("clusters?version=3.0&status=ACTIVE", &["main"]),
    ] {
        let mut names = names(&get(&host, &format!("/api/v1/{path}")));
        names.sort();
        assert_eq!(names, found, "{path}");
    }
    for kind in ["command", "cluster"] {
        let statuses = get(&host, &format!("/api/v1/{kind}/statuses"));
        assert!(statuses.as_array().unwrap().contains(&json!("ACTIVE")));
    }
}

#[test]
fn its_pages_come_through_the_host_with_the_users_name_and_the_hosts_version() {
    let engine = Embedded::start().unwrap();
    let (directory, _mute) = stage(&engine);
    let host = directory.serve();
    for path in [
        "/",
        "/jobs?status=FAILED",
        "/jobs/some-id",
        "/_next/static/app.js",
    ] {
        let reply = host.call("GET", path, Some("alice"), "");
        let seen = String::from_utf8_lossy(&reply.body).into_owned();
        assert!(seen.starts_with(&format!("GET {path} HTTP/1.1")), "{seen}");
        assert!(seen.contains("x-heimdall-user: alice"), "{seen}");
        assert!(seen.contains("x-heimdall-version: "), "{seen}");
    }
    // What is the host's stays the host's, and its own page has another place.
    assert!(get(&host, "/api/v1/plugins")["data"].is_array());
    let page = host.call("GET", "/console", None, "");
    assert!(String::from_utf8_lossy(&page.body).contains("<!doctype html>"));
}
