//! What hostile clients do to a host: each attack says how much memory the host had before and at most, and the host still answers.
//!
//! `cargo xtask torture --only attacks` shows the figures of these and of `attacks_wire.rs` and `attacks_files.rs`.

use std::{
    fs,
    io::{ErrorKind, Read, Write},
    net::TcpStream,
    thread,
    time::{Duration, Instant},
};

use harness_tests::{
    library, process,
    serving::{Serving, TestHost},
    submission,
    torture::number,
};
use plugin_host::CallOptions;
use serde_json::{Value, json};

use crate::chameleon::slim;

const CONFIG: &str = "
server: {addr: '127.0.0.1:0', SERVER}
plugin_directory: ./echo
limits: {LIMITS}
commands:
- {name: echo, plugin: echo, is_sync: true, tags: ['type:echo']}
- {name: later, plugin: echo, tags: ['type:later']}
clusters: [{name: main, tags: ['type:main']}]
";

const LONGEST: Duration = Duration::from_secs(120);

/// A host with the echo fixture, under attack.
pub(crate) struct Target {
    pub(crate) directory: TestHost,
    pub(crate) host: Serving,
    name: &'static str,
    before: u64,
    began: Instant,
}

impl Target {
    pub(crate) fn new(name: &'static str, server: &str, limits: &str) -> Self {
        let config = CONFIG.replace("SERVER", server).replace("LIMITS", limits);
        let directory = TestHost::new(&config, "http://127.0.0.1:9");
        let plugins = directory.path().join("echo");
        fs::create_dir(&plugins).unwrap();
        fs::write(plugins.join("echo.so"), slim(&library("echo_plugin"))).unwrap();
        let host = directory.serve();
        // The first job makes what all jobs need.
        let answer = host.call("POST", "/api/v1/job", Some("first"), &job(&json!({})));
        assert_eq!(answer.status, 200, "{:?}", answer.json());
        let before = memory(host.id(), "VmRSS");
        Self {
            directory,
            host,
            name,
            before,
            began: Instant::now(),
        }
    }

    /// A connection on which this was sent.
    pub(crate) fn send(&self, text: impl AsRef<[u8]>) -> TcpStream {
        let address = self.host.url().trim_start_matches("http://");
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(LONGEST)).unwrap();
        stream.write_all(text.as_ref()).unwrap();
        stream
    }

    /// Runs an attack in so many threads, and a job at a time beside it until all of them are through: each job is answered.
    fn answers_jobs_beside(&self, n_threads: usize, attack: impl Fn() + Sync) {
        thread::scope(|scope| {
            let attackers: Vec<_> = (0..n_threads).map(|_| scope.spawn(&attack)).collect();
            let mut slowest = Duration::ZERO;
            while attackers.iter().any(|attacker| !attacker.is_finished()) {
                let began = Instant::now();
                let body = job(&json!({}));
                let answer = self.host.call("POST", "/api/v1/job", Some("good"), &body);
                assert_eq!(answer.status, 200);
                slowest = slowest.max(began.elapsed());
            }
            eprintln!(
                "ATTACK {}: the slowest job beside them took {slowest:?}",
                self.name
            );
        });
    }

    /// Says what the attack cost; the host is to answer as ever, and not to have grown by more than this.
    pub(crate) fn survived(&self, most_growth_mb: u64) {
        let took = self.began.elapsed();
        assert_eq!(self.host.call("GET", "/livez", None, "").status, 200);
        let answer = self
            .host
            .call("POST", "/api/v1/job", Some("last"), &job(&json!({})));
        assert_eq!(answer.status, 200, "{:?}", answer.json());
        let (now, most) = (
            memory(self.host.id(), "VmRSS"),
            memory(self.host.id(), "VmHWM"),
        );
        row(self.name, took, self.before, most, now);
        assert!(
            most < self.before + most_growth_mb,
            "{}: {} MB before, {most} MB at most",
            self.name,
            self.before
        );
    }
}

/// A row of the table that `cargo xtask torture --only attacks` prints.
pub(crate) fn row(name: &str, took: Duration, before: u64, most: u64, after: u64) {
    eprintln!(
        "ATTACK | {name} | {:.1} s | {before} MB | {most} MB | {after} MB |",
        took.as_secs_f64()
    );
}

/// A figure of a process's memory, in MB.
pub(crate) fn memory(process: u32, figure: &str) -> u64 {
    process::status(process, figure).expect("the process runs") / 1024
}

pub(crate) fn job(context: &Value) -> String {
    submission("type:echo", "type:main", context).to_string()
}

pub(crate) fn post(path: &str, user: &str, body: &str) -> String {
    format!(
        "POST {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nX-Heimdall-User: {user}\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

pub(crate) fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nX-Heimdall-User: a\r\n\r\n")
}

/// The status of an answer of which no more than the status is read.
pub(crate) fn status(stream: &mut TcpStream) -> u16 {
    let mut head = [0; 12];
    stream.read_exact(&mut head).unwrap();
    std::str::from_utf8(&head[9..]).unwrap().parse().unwrap()
}

#[test]
fn lists_of_large_records_that_nobody_reads_fill_no_more_than_their_share() {
    let target = Target::new("60 unread lists of 101 large records", "", "");
    let large = job(&json!({"n": "x".repeat(500_000)}));
    for _ in 0..101 {
        let answer = target.host.call("POST", "/api/v1/job", Some("a"), &large);
        assert_eq!(answer.status, 200);
    }
    let mut unread: Vec<_> = (0..60).map(|_| target.send(get("/api/v1/jobs"))).collect();
    let statuses: Vec<_> = unread.iter_mut().map(status).collect();
    // The sockets hold some of it, which is the system's memory and bounded by it.
    let fitting = |status: &u16| [200, 429].contains(status);
    assert!(statuses.iter().all(fitting), "{statuses:?}");
    // limits.max_buffered_bytes is 256 MiB where nobody says, of which a client has half; the rest is what a host needs beside it.
    target.survived(200);
    drop(unread);
    let deadline = Instant::now() + LONGEST;
    while target
        .host
        .call("GET", "/api/v1/jobs", Some("a"), "")
        .status
        != 200
    {
        assert!(Instant::now() < deadline, "the room is never given back");
        thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn answers_of_20_mb_that_nobody_reads_come_from_their_files() {
    let target = Target::new("40 unread sync answers of 20 MB", "", "");
    let bytes: usize = 20_000_000;
    let mut unread = Vec::new();
    for _ in 0..40 {
        let body = job(&json!({"answer_bytes": bytes}));
        let mut stream = target.send(post("/api/v1/job", "a", &body));
        assert_eq!(status(&mut stream), 200);
        unread.push(stream);
    }
    target.survived(330);
    // The first is sent from memory, the last from its file; both are whole.
    for mut stream in [unread.remove(0), unread.pop().unwrap()] {
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        // The lengths of chunks are between them in one that is sent as it is read.
        let found = answer.iter().filter(|byte| **byte == b'x').count();
        assert!((bytes..bytes + 20).contains(&found), "{found}");
        let end = String::from_utf8_lossy(&answer[answer.len() - 60..]).into_owned();
        assert!(end.contains("\"stats\":{\"rows\":1}}"), "{end}");
    }
}

#[test]
fn a_reader_that_takes_a_byte_now_and_then_is_not_served_for_ever() {
    let target = Target::new("a byte now and then", "write_timeout: 2", "");
    let body = job(&json!({"answer_bytes": 20_000_000}));
    let answer = target
        .host
        .call("POST", "/api/v1/job", Some("a"), &body)
        .json();
    let path = format!("/api/v1/job/{}/result", answer["id"].as_str().unwrap());
    let mut slow = target.send(get(&path));
    let began = Instant::now();
    let mut byte = [0];
    // What the sockets hold is still there once the host has ended the connection, so the reading gets faster in the end.
    for n_bytes in 0_u64.. {
        match slow.read(&mut byte) {
            Ok(0) => break,
            Err(error) if error.kind() == ErrorKind::ConnectionReset => break,
            outcome => assert_eq!(outcome.unwrap(), 1),
        }
        assert!(n_bytes < 19_000_000, "it was served to the end");
        if began.elapsed() < Duration::from_secs(8) {
            thread::sleep(Duration::from_millis(100));
        }
    }
    target.survived(100);
}

#[test]
fn bodies_of_a_million_numbers_hold_up_nobody() {
    let target = Target::new("six senders of 1 MiB of numbers", "", "");
    let body = format!(
        r#"{{"command_criteria":["type:echo"],"cluster_criteria":["type:main"],"context":{{"n":[{}1]}}}}"#,
        "1,".repeat(510_000)
    );
    target.answers_jobs_beside(6, || {
        for _ in 0..5 {
            let answer = target.host.call("POST", "/api/v1/job", Some("evil"), &body);
            assert_eq!(answer.status, 400, "{:?}", answer.json());
        }
    });
    target.survived(100);
}

#[test]
fn hundreds_of_lists_at_once_hold_up_no_job() {
    let target = Target::new("400 lists with a filter that fits nothing", "", "");
    let path = "/api/v1/jobs?tags=nobody&name=%25nothing%25";
    target.answers_jobs_beside(40, || {
        for _ in 0..10 {
            let status = target.host.call("GET", path, Some("evil"), "").status;
            assert!([200, 429].contains(&status), "{status}");
        }
    });
    target.survived(100);
}

/// `IDLE_CONNECTIONS=4225` for the limits that a host has where nobody says; it takes as many open files.
#[test]
fn a_client_that_holds_every_connection_shuts_nobody_out() {
    let (n_idle, limits) = match number("IDLE_CONNECTIONS") {
        Some(n_idle) => (n_idle, ""),
        None => (300, "max_connections: 200, max_connections_per_client: 60"),
    };
    let target = Target::new("idle connections of one client", "", limits);
    eprintln!("ATTACK {}: there are {n_idle}", target.name);
    let mut idle = Vec::new();
    for n in 0..n_idle {
        // Some say nothing, some, the last among them, begin a request and do not end it.
        idle.push(target.send(if n % 2 == n_idle % 2 {
            ""
        } else {
            "GET /api/v1/jobs HTT"
        }));
    }
    target.survived(100);
    // The ones that were idle for the longest time made room.
    let mut byte = [0];
    assert!(matches!(idle[0].read(&mut byte), Ok(0) | Err(_)));
    let last = idle.last_mut().unwrap();
    last.write_all(b"P/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    assert_eq!(status(last), 200);
}

#[test]
fn two_hosts_with_one_result_directory_keep_to_their_own() {
    let target = Target::new("two hosts with one result directory", "", "");
    let config = fs::read_to_string(target.directory.path().join("config.yaml")).unwrap();
    let shared = target.directory.path().join("jobs/results");
    let second = TestHost::new(
        &format!("{config}\nresult_directory: {}", shared.display()),
        "http://127.0.0.1:9",
    );
    fs::create_dir(second.path().join("echo")).unwrap();
    let library = target.directory.path().join("echo/echo.so");
    fs::copy(library, second.path().join("echo/echo.so")).unwrap();

    let submit = |host: &Serving, fill: &str| {
        let body = job(&json!({"fill": fill.repeat(200_000)}));
        let answer = host.call("POST", "/api/v1/job", Some("a"), &body).json();
        answer["id"].as_str().unwrap().to_owned()
    };
    let result = |host: &Serving, id: &str| {
        let path = format!("/api/v1/job/{id}/result");
        let answer = host.call("GET", &path, Some("a"), "");
        let text = answer.json()["data"][0][1]["fill"].to_string();
        (answer.status, text.chars().nth(1))
    };
    let first_id = submit(&target.host, "1");
    let host = second.serve();
    // The numbers of its jobs are those of the first host's.
    for _ in 0..3 {
        submit(&host, "2");
    }
    drop(host);
    let host = second.serve();
    let second_id = submit(&host, "2");
    assert_eq!(result(&target.host, &first_id), (200, Some('1')));
    assert_eq!(result(&host, &second_id), (200, Some('2')));
    assert_eq!(result(&host, &first_id).0, 404);
    target.survived(100);
}

/// A document of more than 200 MB; its id is the first member, or there is none.
fn huge(head: &str) -> String {
    let values = "1,".repeat(100 << 20);
    format!(
        r#"{{{head}"context":{{"query":"SELECT * FROM t WHERE a = ?","timeout_seconds":1,"parameters":[{values}1]}}}}"#
    )
}

#[test]
fn a_document_of_many_megabytes_ends_in_time() {
    let call = CallOptions {
        timeout: Some(Duration::from_secs(1)),
        ..CallOptions::default()
    };
    // With an id nothing of the document is read but that, and then it is too long. Without one it is looked for until the deadline.
    for (head, codes) in [
        (r#""id":"huge","#, &["INVALID_JOB"][..]),
        ("", &["INVALID_JOB", "TIMEOUT"]),
    ] {
        let document = huge(head);
        let before = memory(std::process::id(), "VmRSS");
        let began = Instant::now();
        let outcome = harness_tests::dynamo().run_job(document.as_bytes(), &call);
        let error = outcome.map(drop).unwrap_err();
        let id = std::process::id();
        let name = if head.is_empty() { "without" } else { "with" };
        row(
            &format!("a document of 200 MB {name} an id, with a deadline of 1 s"),
            began.elapsed(),
            before,
            memory(id, "VmHWM"),
            memory(id, "VmRSS"),
        );
        assert!(codes.contains(&error.code.as_str()), "{error}");
    }
}
