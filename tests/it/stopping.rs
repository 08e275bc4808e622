//! How a host stops: what `/readyz` says, what becomes of the jobs under way, what systemd is told, what the store's file holds.

use std::{
    fs,
    net::TcpListener,
    os::unix::net::UnixDatagram,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use harness_tests::serving::{Serving, TestHost, call};
use serde_json::{Value, json};

const CONFIG: &str = "
server: {addr: '127.0.0.1:0'}
plugin_directory: ./plugins
jobs_directory: ./jobs
limits: {shutdown_delay_seconds: DELAY, shutdown_grace_seconds: GRACE}
pool: {size: 2}
commands:
- {name: sync, plugin: dynamo, is_sync: true, tags: ['type:sync'], cluster_tags: ['type:dynamodb']}
- {name: async, plugin: dynamo, tags: ['type:async'], cluster_tags: ['type:dynamodb']}
clusters:
- {name: main, tags: ['type:dynamodb']}
";

fn config(delay: u64, grace: u64) -> String {
    let config = CONFIG.replace("DELAY", &delay.to_string());
    config.replace("GRACE", &grace.to_string())
}

/// A service that takes connections and never answers.
fn mute() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    (listener, url)
}

fn submission(command: &str) -> String {
    let context = json!({"query": "SELECT * FROM t"});
    harness_tests::submission(&format!("type:{command}"), "type:dynamodb", &context).to_string()
}

fn submit_async(host: &Serving) -> String {
    let answer = host.call("POST", "/api/v1/job", Some("a"), &submission("async"));
    answer.json()["id"].as_str().unwrap().to_owned()
}

fn record(host: &Serving, id: &str) -> Value {
    host.call("GET", &format!("/api/v1/job/{id}"), None, "")
        .json()
}

fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !holds() {
        assert!(Instant::now() < deadline, "{what}");
        thread::sleep(Duration::from_millis(5));
    }
}

fn running(host: &Serving, id: &str) {
    until("the job runs", || record(host, id)["status"] == "RUNNING");
}

#[test]
fn an_async_job_that_outlives_the_grace_runs_again_at_the_next_start_and_a_sync_one_ran_out_of_time()
 {
    let (_mute, url) = mute();
    let directory = TestHost::new(&config(0, 0), &url);
    let mut host = directory.serve();
    let id = submit_async(&host);
    running(&host, &id);
    let base = host.url().to_owned();
    let caller =
        thread::spawn(move || call(&base, "POST", "/api/v1/job", Some("b"), &submission("sync")));
    until("the sync job runs", || {
        let jobs = host.call("GET", "/api/v1/jobs?status=RUNNING", None, "");
        jobs.json()["data"].as_array().unwrap().len() == 2
    });
    host.signal("TERM");
    let answer = caller.join().unwrap().expect("the caller is answered");
    assert_eq!(
        (answer.status, answer.json()["code"].as_str()),
        (504, Some("TIMEOUT"))
    );
    assert!(host.wait().success());

    let host = directory.serve();
    running(&host, &id);
    let again = host.lines();
    assert!(
        again
            .iter()
            .any(|line| line.contains("jobs of the last run are settled")),
        "{again:?}"
    );
    let lists = host.call("GET", "/api/v1/jobs?status=FAILED", None, "");
    let failed = &lists.json()["data"][0];
    assert!(
        failed["error"].as_str().unwrap().contains("stopping"),
        "{failed}"
    );
}

#[test]
fn readiness_turns_first_jobs_are_taken_during_the_delay_and_a_second_signal_ends_it() {
    let (_mute, url) = mute();
    let directory = TestHost::new(&config(3600, 3600), &url);
    let mut host = directory.serve();
    let ready = |host: &Serving| host.call("GET", "/readyz", None, "");
    assert_eq!(ready(&host).status, 200);
    host.signal("TERM");
    until("readiness turns", || ready(&host).status == 503);
    assert_eq!(ready(&host).json()["code"], "SHUTTING_DOWN");
    assert_eq!(host.call("GET", "/livez", None, "").status, 200);
    let id = submit_async(&host);
    running(&host, &id);
    host.signal("INT");
    assert!(host.wait().success());
    let host = directory.serve();
    running(&host, &id);
}

#[test]
fn after_the_delay_new_jobs_are_refused_while_answers_are_still_given() {
    let (_mute, url) = mute();
    let directory = TestHost::new(&config(0, 3600), &url);
    let mut host = directory.serve();
    let id = submit_async(&host);
    running(&host, &id);
    host.signal("TERM");
    until("new jobs are refused", || {
        let answer = host.call("POST", "/api/v1/job", Some("a"), &submission("async"));
        answer.status == 503 && answer.json()["code"] == "SHUTTING_DOWN"
    });
    assert_eq!(record(&host, &id)["status"], "RUNNING");
    host.signal("TERM");
    assert!(host.wait().success());
}

#[test]
fn the_service_manager_hears_of_readiness_stopping_and_signs_of_life() {
    let directory = TestHost::new(&config(0, 0), "http://127.0.0.1:9");
    let path = directory.path().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket
        .set_read_timeout(Some(Duration::from_secs(60)))
        .unwrap();
    let mut host = directory.serve_with(&[
        ("NOTIFY_SOCKET", path.to_str().unwrap()),
        ("WATCHDOG_USEC", "20000"),
    ]);
    let expect_notice = |notice: &str| {
        let mut bytes = [0; 512];
        loop {
            let length = socket.recv(&mut bytes).expect("a message in time");
            if std::str::from_utf8(&bytes[..length])
                .unwrap()
                .contains(notice)
            {
                return;
            }
        }
    };
    expect_notice("READY=1");
    expect_notice("WATCHDOG=1");
    expect_notice("WATCHDOG=1");
    host.signal("HUP");
    expect_notice("RELOADING=1\nMONOTONIC_USEC=");
    expect_notice("READY=1");
    host.signal("TERM");
    expect_notice("STOPPING=1");
    assert!(host.wait().success());
}

#[test]
fn the_stores_file_is_the_whole_store_after_a_stop() {
    let directory = TestHost::new(&config(0, 20), "http://127.0.0.1:9");
    let mut host = directory.serve();
    let id = submit_async(&host);
    host.ended(&id);
    host.signal("TERM");
    assert!(host.wait().success());
    let log = directory.path().join("jobs/jobs.sqlite-wal");
    assert_eq!(fs::metadata(log).map_or(0, |log| log.len()), 0);
    // A copy of the one file is a backup.
    let copy = TestHost::new(&config(0, 20), "http://127.0.0.1:9");
    fs::create_dir(copy.path().join("jobs")).unwrap();
    assert!(
        Command::new("chmod")
            .arg("700")
            .arg(copy.path().join("jobs"))
            .status()
            .unwrap()
            .success()
    );
    fs::copy(
        directory.path().join("jobs/jobs.sqlite"),
        copy.path().join("jobs/jobs.sqlite"),
    )
    .unwrap();
    let restored = copy.serve();
    assert_eq!(record(&restored, &id)["status"], "FAILED");
}
