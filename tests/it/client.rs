//! `host-harness submit`, `jobs`, `job` and `cancel` against a host in a process of its own.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    net::TcpListener,
    path::Path,
    process::{Child, Command, Output, Stdio},
    thread,
    time::{Duration, Instant},
};

use engines::{
    embedded::Embedded,
    faults::{Fault, Faults},
    proxy::{Proxy, Rules},
    replay::{Replay, chain},
    sample,
    tls::Authority,
};
use harness_tests::{
    host, pty,
    serving::{Serving, TestHost},
    submission,
};
use serde_json::{Value, json};

/// A command whose jobs are waited for by the host, and one whose jobs are not.
const CONFIG: &str = "
server: {addr: '127.0.0.1:0'}
plugin_directory: ./plugins
jobs_directory: ./jobs
result_directory: ./results
commands:
  - {name: sync, plugin: dynamo, version: 0.0.1, is_sync: true, status: active, tags: ['type:sync'], cluster_tags: ['data:test']}
  - {name: async, plugin: dynamo, version: 0.0.1, status: active, tags: ['type:async'], cluster_tags: ['data:test']}
  - {name: limited, plugin: dynamo, version: 0.0.1, is_sync: true, status: active, tags: ['type:limited'], cluster_tags: ['data:test'], context: {limit: 5}}
clusters:
  - {name: test, version: 0.0.1, status: active, tags: ['data:test'], context: {region: us-east-1}}
";

const SYNC: [&str; 4] = ["--command-tag", "type:sync", "--cluster-tag", "data:test"];
const ASYNC: [&str; 4] = ["--command-tag", "type:async", "--cluster-tag", "data:test"];
const BOOKS: &str = "SELECT id, price FROM my_table WHERE category = 'books'";

/// A host, and the folder in which its client works.
struct Asked {
    directory: TestHost,
    host: Serving,
}

impl Asked {
    fn of(endpoint: &str) -> Self {
        Self::with(CONFIG, endpoint, &[])
    }

    /// A host with tokens, in front of nothing.
    fn with(config: &str, endpoint: &str, files: &[(&str, &str)]) -> Self {
        let directory = TestHost::new(config, endpoint);
        for (name, text) in files {
            fs::write(directory.path().join(name), text).unwrap();
        }
        Self {
            host: directory.serve(),
            directory,
        }
    }

    fn command(&self, args: &[&str]) -> Command {
        client(self.host.url(), self.directory.path(), args)
    }

    fn ask(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    fn submit(&self, tags: &[&str], args: &[&str]) -> Output {
        self.ask(&[&["submit"], args, tags].concat())
    }

    /// A job that was submitted and not waited for; its id.
    fn begun(&self, tags: &[&str], statement: &str) -> String {
        let output = self.submit(tags, &[statement, "--no-wait"]);
        assert!(output.status.success(), "{}", said(&output));
        text(&output.stdout).trim_end().to_owned()
    }

    /// What `run` writes of the same statement.
    fn run(&self, endpoint: &str, args: &[&str]) -> Output {
        let mut command = Command::new(host());
        command
            .args(["run", "--plugin-dir", "plugins", "--region", "us-east-1"])
            .args(["--endpoint-url", endpoint])
            .args(args)
            .current_dir(self.directory.path())
            .env("AWS_ACCESS_KEY_ID", "test")
            .env("AWS_SECRET_ACCESS_KEY", "test")
            .stdin(Stdio::null());
        command.output().unwrap()
    }

    fn jobs(&self) -> Vec<Value> {
        let list = self.host.call("GET", "/api/v1/jobs", None, "").json();
        list["data"].as_array().unwrap().clone()
    }
}

fn client(url: &str, folder: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(host());
    command
        .args(args)
        .current_dir(folder)
        .env("HEIMDALL_URL", url)
        .env("USER", "alice")
        .env_remove("HEIMDALL_TOKEN")
        .env_remove("HEIMDALL_TOKEN_FILE")
        .env("TERM", "xterm-256color")
        .stdin(Stdio::null());
    command
}

fn sample() -> Embedded {
    let engine = Embedded::start().unwrap();
    engine.load(&sample::tables()).unwrap();
    engine
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn said(output: &Output) -> String {
    text(&output.stderr)
}

/// The error document, which is the last line of standard error.
fn error(output: &Output) -> Value {
    let said = said(output);
    let last = said.lines().last().unwrap_or_default();
    let document: Value =
        serde_json::from_str(last).unwrap_or_else(|_| panic!("no document at the end of: {said}"));
    document["error"].clone()
}

fn without_stats(document: &[u8]) -> String {
    let document = text(document);
    document.split(",\"stats\":").next().unwrap().to_owned()
}

/// Waits until something is so.
fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !is_so() {
        assert!(Instant::now() < deadline, "never: {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

fn interrupt(child: &Child) {
    let id = child.id().to_string();
    let sent = Command::new("kill").args(["-INT", &id]).status();
    assert!(sent.unwrap().success());
}

#[test]
fn every_format_of_a_submitted_job_is_byte_for_byte_what_run_writes() {
    let engine = sample();
    let asked = Asked::of(&engine.url());
    for args in [
        &[][..],
        &["-F", "json"],
        &["-F", "ndjson"],
        &["-F", "csv"],
        &["-F", "csv", "--no-header"],
        &["-F", "csv", "--csv-safe"],
        &["-F", "tsv"],
        &["-F", "parquet"],
        &["-F", "arrow"],
        &["-F", "table"],
        &["-F", "vertical"],
        &["-F", "markdown"],
    ] {
        let args = [&["SELECT * FROM every_type"], args].concat();
        let ran = asked.run(&engine.url(), &args);
        assert!(!ran.stdout.is_empty(), "{args:?}: {}", said(&ran));
        for tags in [SYNC, ASYNC] {
            let submitted = asked.submit(&tags, &args);
            assert!(submitted.status.success(), "{args:?}: {}", said(&submitted));
            if args.len() == 1 || args.contains(&"json") {
                assert_eq!(without_stats(&submitted.stdout), without_stats(&ran.stdout));
            } else {
                assert!(submitted.stdout == ran.stdout, "{args:?}");
            }
            assert_eq!(said(&submitted), "");
        }
    }
}

/// Ten pages of a thousand items of a kilobyte; every page brings an attribute that none before it has.
fn large() -> Vec<bytes::Bytes> {
    let text = "x".repeat(1000);
    let page = |page: usize| -> Vec<String> {
        let item = |n: usize| {
            let new = 9 - page;
            format!(r#"{{"text":{{"S":"{text}"}},"z{new}":{{"N":"{n}.50"}},"id":{{"N":"{n}"}}}}"#)
        };
        (page * 1000..(page + 1) * 1000).map(item).collect()
    };
    chain(&(0..10).map(page).collect::<Vec<_>>())
}

#[test]
fn a_result_that_is_larger_than_a_document_is_the_same_in_every_format_too() {
    let statement = "SELECT * FROM t";
    for tags in [SYNC, ASYNC] {
        let server = Replay::recording(&large()).unwrap();
        let asked = Asked::of(&server.url());
        let output = asked.submit(&tags, &[statement, "-o", "first.csv"]);
        assert!(output.status.success(), "{}", said(&output));
        let id = asked.jobs()[0]["id"].as_str().unwrap().to_owned();
        let all = ["rows.csv", "rows.json", "rows.tsv", "rows.parquet"];
        for name in &all[..if tags == ASYNC { 4 } else { 1 }] {
            let output = asked.ask(&["job", &id, "--result", "-o", *name]);
            assert!(output.status.success(), "{name}: {}", said(&output));
            let again = Replay::recording(&large()).unwrap();
            let expected = format!("expected-{name}");
            let ran = asked.run(&again.url(), &[statement, "-o", &expected]);
            assert!(ran.status.success(), "{name}: {}", said(&ran));
            let read = |name: &str| fs::read(asked.directory.path().join(name)).unwrap();
            if name.ends_with("json") {
                let (submitted, ran) = (read(name), read(&expected));
                let at = |bytes: &[u8]| text(bytes).find(",\"stats\":").unwrap();
                assert!(submitted[..at(&submitted)] == ran[..at(&ran)]);
            } else {
                assert!(read(name) == read(&expected), "{name}");
            }
        }
        let read = |name: &str| fs::read(asked.directory.path().join(name)).unwrap();
        assert!(read("first.csv") == read("rows.csv"));
        let left: Vec<_> = fs::read_dir(asked.directory.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name.starts_with('.'))
            .collect();
        assert!(left.is_empty(), "nothing is left over: {left:?}");
    }
}

#[test]
fn an_error_is_the_document_that_run_gives_for_sync_and_async_jobs() {
    let engine = sample();
    let asked = Asked::of(&engine.url());
    for statement in [
        "SELECT id FORM my_table",
        "DELETE FROM my_table",
        "SELECT * FROM nowhere",
    ] {
        let ran = asked.run(&engine.url(), &["--query", statement]);
        for tags in [SYNC, ASYNC] {
            let output = asked.submit(&tags, &["--query", statement, "-o", "rows.csv"]);
            assert_eq!(output.status.code(), Some(1), "{}", said(&output));
            let (mut here, mut there) = (error(&output), error(&ran));
            // Each request has its own.
            for error in [&mut here, &mut there] {
                error["request_id"].take();
            }
            assert_eq!(here, there);
            assert!(!asked.directory.path().join("rows.csv").exists());
        }
    }
    let output = asked.submit(&ASYNC, &[BOOKS, "--max-pages", "0"]);
    assert_eq!(
        error(&output)["message"],
        "--max-pages is 0, but must be at least 1"
    );
}

#[test]
fn what_cannot_be_meant_is_found_before_a_job_is_submitted() {
    let asked = Asked::of("http://127.0.0.1:9");
    let own = json!({"cluster": {"name": "mine"}, "context": {"query": BOOKS}}).to_string();
    fs::write(asked.directory.path().join("own.json"), own).unwrap();
    for (args, status, why) in [
        (&[BOOKS][..], 2, "--command-tag"),
        (&[BOOKS, "--command-tag", "type:sync"], 2, "--cluster-tag"),
        (&["no-such.json"], 2, "cannot read"),
        (&["own.json"], 1, "the job brings its own 'cluster'"),
        (
            &[&[BOOKS, "-o", "no/such/folder"], &SYNC[..]].concat(),
            2,
            "cannot write",
        ),
        (
            &[&[BOOKS, "--no-wait", "-o", "x.csv"], &SYNC[..]].concat(),
            2,
            "--no-wait",
        ),
        (
            &[&[BOOKS, "--url", "localhost:9090"], &SYNC[..]].concat(),
            2,
            "write http://HOST:PORT",
        ),
    ] {
        let output = asked.submit(&[], args);
        assert_eq!(output.status.code(), Some(status), "{}", said(&output));
        assert!(said(&output).contains(why), "{}", said(&output));
    }
    assert!(asked.jobs().is_empty());
}

#[test]
fn an_interrupt_cancels_the_job_on_the_host_first_and_is_exit_status_130() {
    let server = Faults::always(chain(&[vec!["{}"]]), Fault::StallBeforeAnswer).unwrap();
    let asked = Asked::of(&server.url());
    for tags in [SYNC, ASYNC] {
        let before = server.requests();
        let child = asked
            .command(&[&["submit", "SELECT * FROM t", "-o", "rows.csv"], &tags[..]].concat())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        until("the job runs", || server.requests() > before);
        interrupt(&child);
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(130), "{}", said(&output));
        assert_eq!(error(&output)["code"], "CANCELLED");
        let job = &asked.jobs()[0];
        assert_eq!(job["status"], "CANCELED");
        assert_eq!(job["canceled_by"], "alice");
        assert!(!asked.directory.path().join("rows.csv").exists());
    }
}

#[test]
fn a_second_interrupt_leaves_at_once_and_one_that_only_watches_leaves_the_job_alone() {
    let server = Faults::always(chain(&[vec!["{}"]]), Fault::StallBeforeAnswer).unwrap();
    let asked = Asked::of(&server.url());
    let id = asked.begun(&ASYNC, "SELECT * FROM t");
    until("the job runs", || server.requests() > 0);
    let child = asked
        .command(&["job", &id, "--wait", "--result", "-v"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // It has asked the host once the host has seen a second connection; a signal before that ends it as well.
    until("it catches signals", || {
        let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
        let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
        u64::from_str_radix(caught.unwrap().trim(), 16).unwrap() & 2 != 0
    });
    interrupt(&child);
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130), "{}", said(&output));
    assert!(said(&output).contains("may go on"), "{}", said(&output));
    assert_eq!(asked.jobs()[0]["status"], "RUNNING");

    let output = asked.ask(&["cancel", &id]);
    assert_eq!(text(&output.stdout), "CANCELING\n", "{}", said(&output));
    assert_eq!(asked.host.ended(&id)["status"], "CANCELED");
    let output = asked.ask(&["cancel", &id]);
    assert_eq!(
        (output.status.code(), &error(&output)["code"]),
        (Some(1), &json!("NOT_CANCELLABLE"))
    );
    let output = asked.ask(&["job", &id, "--result"]);
    assert_eq!(
        (output.status.code(), &error(&output)["code"]),
        (Some(1), &json!("CANCELLED"))
    );
}

#[test]
fn a_full_scan_that_nothing_bounds_is_told_on_a_terminal_and_goes_on() {
    let engine = sample();
    let asked = Asked::of(&engine.url());
    let on_terminal = |tags: &[&str], args: &[&str]| {
        let mut command = asked.command(&[&["submit"], args, tags].concat());
        let (shown, status) = pty::run(&mut command, 80, 24);
        assert!(status.success(), "{shown}");
        pty::without_escapes(&shown)
    };
    let scan = "SELECT id FROM my_table";
    let of_key = "SELECT id FROM my_table WHERE id = '123'";
    for tags in [SYNC, ASYNC] {
        let shown = on_terminal(&tags, &[scan]);
        let told = shown.find("note: this reads all of the table my_table (");
        assert!(told == Some(0) && shown.contains("\n123\n"), "{shown}");
        assert!(on_terminal(&tags, &[scan, "--no-wait"]).starts_with("note: "));
        for args in [&[scan, "-n", "9"][..], &[scan, "-q"], &[of_key]] {
            let shown = on_terminal(&tags, args);
            assert!(!shown.contains("note: "), "{args:?}: {shown}");
        }
        assert!(asked.submit(&tags, &[scan]).status.success());
    }
    let limited = [
        "--command-tag",
        "type:limited",
        "--cluster-tag",
        "data:test",
    ];
    assert!(!on_terminal(&limited, &[scan]).contains("note: "));
    let jobs = asked.jobs();
    let explained = jobs.iter().filter(|job| {
        let query = job["context"]["query"].as_str().unwrap();
        query.starts_with("EXPLAIN ")
    });
    // Each kind of command: the scan, and the one that is not waited for; the key's; and the limited command's.
    assert_eq!(explained.count(), 2 * 3 + 1);
}

#[test]
fn progress_is_shown_on_a_terminal_and_gone_before_the_rows() {
    let pages: Vec<bytes::Bytes> = vec![r#"{"id":{"S":"a"}}"#.into()];
    let server = Replay::repeat(&pages, 20, Duration::from_millis(100)).unwrap();
    let asked = Asked::of(&server.url());
    for tags in [SYNC, ASYNC] {
        let mut command = asked.command(
            &[
                &["submit", "SELECT id FROM t", "--max-pages", "50"],
                &tags[..],
            ]
            .concat(),
        );
        let (shown, status) = pty::run(&mut command, 80, 24);
        assert!(status.success(), "{shown}");
        assert!(shown.contains("\r\x1b[K"), "a line of progress: {shown:?}");
        let shown = pty::without_escapes(&shown);
        let lines: Vec<&str> = shown.lines().collect();
        assert_eq!(lines[..3], ["id", "--", "a"], "{shown}");
        assert!(lines[22].starts_with("20 rows, 20 pages, "), "{shown}");
    }
}

/// A host that asks for tokens.
fn guarded(tokens: &str, endpoint: &str) -> Asked {
    let config = format!("auth: {{token_file: ./tokens}}\n{CONFIG}");
    Asked::with(&config, endpoint, &[("tokens", tokens)])
}

#[test]
fn a_token_comes_from_a_file_or_a_variable_and_says_who_asks_where_it_has_a_name() {
    let engine = sample();
    let tokens = "nameless-token\nbobs-token bob user\nreaders-token rita reader\n";
    let asked = guarded(tokens, &engine.url());
    let file = |token: &str| {
        fs::write(
            asked.directory.path().join("my-token"),
            format!("{token}\n"),
        )
        .unwrap();
        "my-token"
    };
    let submit = [&["submit", BOOKS, "-F", "csv"], &ASYNC[..]].concat();
    for (token, user) in [("nameless-token", "alice"), ("bobs-token", "bob")] {
        let with_file = [&submit[..], &["--token-file", file(token)]].concat();
        let output = asked.ask(&with_file);
        assert_eq!(text(&output.stdout), "id,price\n123,12.99\n124,15.5\n");
        for (variable, value) in [
            ("HEIMDALL_TOKEN", token),
            ("HEIMDALL_TOKEN_FILE", "my-token"),
        ] {
            let output = asked
                .command(&submit)
                .env(variable, value)
                .output()
                .unwrap();
            assert!(output.status.success(), "{variable}: {}", said(&output));
        }
        let list = ["jobs", "-n", "3", "-F", "ndjson"];
        let output = asked.command(&list).env("HEIMDALL_TOKEN", token).output();
        for job in text(&output.unwrap().stdout).lines() {
            let job: Value = serde_json::from_str(job).unwrap();
            assert_eq!(job["user"], user);
        }
    }
}

#[test]
fn a_refused_token_is_told_with_the_setting_it_came_from_and_never_shown() {
    let asked = guarded("readers-token rita reader\n", "http://127.0.0.1:9");
    fs::write(asked.directory.path().join("wrong"), "hush-hush").unwrap();
    fs::write(asked.directory.path().join("two"), "hush-hush alice").unwrap();
    let submit = [&["submit", BOOKS], &ASYNC[..]].concat();
    let ask = |args: &[&str], variable: (&str, &str)| {
        let args = [&submit[..], args].concat();
        let mut command = asked.command(&args);
        command.env(variable.0, variable.1).output().unwrap()
    };
    for (args, variable, status, parts) in [
        (
            &[][..],
            ("X", ""),
            1,
            &["UNAUTHENTICATED", "no token was sent; --token-file"][..],
        ),
        (
            &["--token-file", "wrong"],
            ("X", ""),
            1,
            &["UNAUTHENTICATED", "--token-file wrong"],
        ),
        (
            &[],
            ("HEIMDALL_TOKEN", "hush-hush"),
            1,
            &["UNAUTHENTICATED", "the HEIMDALL_TOKEN variable"],
        ),
        (
            &[],
            ("HEIMDALL_TOKEN", "readers-token"),
            1,
            &["FORBIDDEN", "role user", "the HEIMDALL_TOKEN variable"],
        ),
        (&["--token-file", "nowhere"], ("X", ""), 2, &["nowhere"]),
        (
            &["--token-file", "two"],
            ("X", ""),
            2,
            &["--token-file two must hold a token and nothing else"],
        ),
        (
            &[],
            ("HEIMDALL_TOKEN", "hush-h\u{e9}\u{7}"),
            2,
            &["HEIMDALL_TOKEN"],
        ),
    ] {
        let output = ask(args, variable);
        let said = said(&output);
        assert_eq!(output.status.code(), Some(status), "{said}");
        for part in parts {
            assert!(said.contains(part), "{part}: {said}");
        }
        assert!(!said.contains("hush-h") && !said.contains("readers-token"));
    }
    let reading = asked
        .command(&["jobs"])
        .env("HEIMDALL_TOKEN", "readers-token")
        .output();
    assert!(reading.unwrap().status.success());
}

#[test]
fn a_host_that_is_not_there_or_goes_in_the_middle_is_told_with_its_url_and_the_job() {
    let server = Faults::always(chain(&[vec!["{}"]]), Fault::StallBeforeAnswer).unwrap();
    for tags in [SYNC, ASYNC] {
        let asked = Asked::of(&server.url());
        let before = server.requests();
        let args = [
            "submit",
            "SELECT * FROM t",
            "--retry-for",
            "1",
            "-o",
            "rows.csv",
        ];
        let child = asked
            .command(&[&args, &tags[..]].concat())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        until("the job runs", || server.requests() > before);
        // A sync job's record is written a moment after the job has begun.
        until("the job is listed", || !asked.jobs().is_empty());
        let id = asked.jobs()[0]["id"].as_str().unwrap().to_owned();
        let Asked { directory, host } = asked;
        let url = host.url().to_owned();
        host.kill();
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{}", said(&output));
        let error = error(&output);
        assert_eq!(
            (&error["code"], &error["retryable"]),
            (&json!("UNAVAILABLE"), &json!(true))
        );
        assert!(error["message"].as_str().unwrap().contains(&url), "{error}");
        if tags == ASYNC {
            assert!(error["hint"].as_str().unwrap().contains(&id), "{error}");
        }
        assert!(!directory.path().join("rows.csv").exists());

        // Nothing was sent, so that nothing is waited for.
        let submit = [&["submit", BOOKS, "--retry-for", "3600"], &tags[..]].concat();
        for args in [
            &["jobs"][..],
            &submit[..],
            &["job", id.as_str(), "--wait"],
            &["cancel", id.as_str()],
        ] {
            let output = client(&url, directory.path(), args).output().unwrap();
            assert_eq!(output.status.code(), Some(1));
            let said = said(&output);
            assert!(said.contains("host-harness serve"), "{said}");
        }
    }
}

#[test]
fn a_job_is_taken_up_again_later_with_its_rows_and_its_log() {
    let engine = sample();
    let asked = Asked::of(&engine.url());
    for tags in [SYNC, ASYNC] {
        let id = asked.begun(&tags, BOOKS);
        let rows = asked.ask(&["job", &id, "--wait", "--result", "-F", "csv"]);
        assert_eq!(text(&rows.stdout), "id,price\n123,12.99\n124,15.5\n");
        let log = asked.ask(&["job", &id, "--log"]);
        assert!(text(&log.stdout).contains("INFO "), "{}", text(&log.stdout));
        let record: Value = serde_json::from_slice(&asked.ask(&["job", &id]).stdout).unwrap();
        assert_eq!(
            (&record["id"], &record["status"]),
            (&json!(id), &json!("SUCCEEDED"))
        );
        let (shown, _) = pty::run(&mut asked.command(&["job", &id]), 80, 24);
        for part in [
            &format!("id            {id}\n")[..],
            "status        SUCCEEDED\n",
            BOOKS,
        ] {
            assert!(shown.contains(part), "{shown}");
        }
    }
    for args in [
        &["job", "nope"][..],
        &["job", "no/pe?", "--log"],
        &["cancel", "nope"],
    ] {
        let output = asked.ask(args);
        assert_eq!(
            (output.status.code(), &error(&output)["code"]),
            (Some(1), &json!("NOT_FOUND"))
        );
    }
    let failed = asked.begun(&ASYNC, "SELECT * FROM nowhere");
    let output = asked.ask(&["job", &failed, "--wait"]);
    assert_eq!(
        (output.status.code(), &error(&output)["code"]),
        (Some(1), &json!("NOT_FOUND"))
    );
    assert!(text(&output.stdout).contains("\"status\":\"FAILED\""));
}

#[test]
fn jobs_are_listed_page_after_page_in_every_format() {
    let engine = sample();
    let asked = Asked::of(&engine.url());
    for n in 0..105 {
        let mut job = submission("type:async", "data:test", &json!({"query": BOOKS}));
        job["name"] = json!(format!("job-{n:03}"));
        job["tags"] = json!([format!("half:{}", n % 2)]);
        let reply = asked
            .host
            .call("POST", "/api/v1/job", Some("bob"), &job.to_string());
        assert_eq!(reply.status, 200);
    }
    let names = |args: &[&str]| -> Vec<String> {
        let output = asked.ask(&[&["jobs", "-F", "ndjson"], args].concat());
        assert!(output.status.success(), "{}", said(&output));
        let name = |line: &str| {
            serde_json::from_str::<Value>(line).unwrap()["name"]
                .as_str()
                .unwrap()
                .to_owned()
        };
        text(&output.stdout).lines().map(name).collect()
    };
    assert_eq!(names(&[]).len(), 20);
    assert_eq!(names(&["-n", "0"]).len(), 105);
    assert_eq!(names(&["-n", "103"]).len(), 103);
    assert_eq!(names(&["-n", "2", "--ascending"]), ["job-000", "job-001"]);
    assert_eq!(
        names(&["--name", "job-00_", "--tag", "half:1"]),
        ["job-009", "job-007", "job-005", "job-003", "job-001"]
    );
    assert!(names(&["--username", "nobody"]).is_empty());
    assert!(names(&["--command", "sync"]).is_empty());

    let page = asked.ask(&["jobs", "-n", "2", "-F", "json"]);
    let page: Value = serde_json::from_slice(&page.stdout).unwrap();
    assert_eq!(
        (page["data"].as_array().unwrap().len(), &page["has_more"]),
        (2, &json!(true))
    );
    let cursor = page["next_cursor"].as_str().unwrap();
    assert_eq!(names(&["-n", "1", "--cursor", cursor]), ["job-102"]);

    for id in asked.jobs() {
        asked.host.ended(id["id"].as_str().unwrap());
    }
    let csv = text(
        &asked
            .ask(&[
                "jobs",
                "-n",
                "1",
                "-F",
                "csv",
                "--status",
                "succeeded,failed",
            ])
            .stdout,
    );
    assert!(
        csv.starts_with("id,status,created_at,user,command,cluster,name,version,"),
        "{csv}"
    );
    assert!(
        csv.contains(",SUCCEEDED,") && csv.contains(",bob,async,test,job-104,"),
        "{csv}"
    );
    let none = asked.ask(&["jobs", "--status", "FAILED", "-F", "json"]);
    assert_eq!(text(&none.stdout), "{\"data\":[]}\n");
    let wrong = asked.ask(&["jobs", "--status", "DONE"]);
    assert_eq!(wrong.status.code(), Some(2));
    let wrong = asked.ask(&["jobs", "--cursor", "x"]);
    assert_eq!((wrong.status.code(), wrong.stdout.len()), (Some(1), 0));
}

/// A server that gives one answer after the other, each on a connection of its own; how many requests it had.
fn scripted(answers: &'static [&'static str]) -> (String, thread::JoinHandle<usize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let served = thread::spawn(move || {
        for answer in answers {
            let (mut stream, _) = listener.accept().unwrap();
            let mut head = BufReader::new(stream.try_clone().unwrap()).lines();
            while head.next().is_some_and(|line| !line.unwrap().is_empty()) {}
            stream.write_all(answer.as_bytes()).unwrap();
        }
        answers.len()
    });
    (url, served)
}

const BUSY: &str = "HTTP/1.1 429 Too Many Requests\r\ncontent-length: 36\r\nretry-after: 1\r\nconnection: close\r\n\r\n{\"error\":\"too many\",\"code\":\"BUSY\"}  ";
const EMPTY: &str =
    "HTTP/1.1 200 OK\r\ncontent-length: 11\r\nconnection: close\r\n\r\n{\"data\":[]}";
const CUT: &str = "HTTP/1.1 200 OK\r\ncontent-length: 99\r\nconnection: close\r\n\r\n{\"data\":[]}";
const PAGE: &str =
    "HTTP/1.1 502 Bad Gateway\r\ncontent-length: 13\r\nconnection: close\r\n\r\n<html></html>";

#[test]
fn a_busy_host_is_asked_again_after_the_time_it_names_and_only_so_long() {
    let folder = tempfile::tempdir().unwrap();
    for (answers, args, outcome) in [
        (&[BUSY, EMPTY][..], &["jobs", "-F", "json"][..], None),
        (&[BUSY], &["jobs", "--retry-for", "0"], Some("BUSY")),
        (&[CUT], &["jobs"], Some("UNAVAILABLE")),
        (&[PAGE], &["jobs"], Some("BAD_RESPONSE")),
    ] {
        let (url, served) = scripted(answers);
        let output = client(&url, folder.path(), args).output().unwrap();
        assert_eq!(served.join().unwrap(), answers.len());
        match outcome {
            None => assert_eq!(text(&output.stdout), "{\"data\":[]}\n", "{}", said(&output)),
            Some(code) => assert_eq!(
                (output.status.code(), &error(&output)["code"]),
                (Some(1), &json!(code))
            ),
        }
    }
}

#[test]
fn https_is_checked_with_the_systems_certificates_and_goes_through_the_proxy_that_is_named() {
    let engine = sample();
    let asked = guarded("bobs-token bob user\n", &engine.url());
    let authority = Authority::new().unwrap();
    let address = asked.host.url().strip_prefix("http://").unwrap().parse();
    let front = authority.front(address.unwrap(), &[]).unwrap();
    let proxy = Proxy::start(Rules::default()).unwrap();
    let submit = [&["submit", BOOKS, "-F", "csv"], &SYNC[..]].concat();
    let command = |bundle: &Path, proxy: &str| {
        let mut command = client(&front.url(), asked.directory.path(), &submit);
        command
            .env("HEIMDALL_TOKEN", "bobs-token")
            .env("SSL_CERT_FILE", bundle)
            .env("HTTPS_PROXY", proxy)
            .env_remove("NO_PROXY")
            .env_remove("no_proxy");
        command.output().unwrap()
    };
    let rows = "id,price\n123,12.99\n124,15.5\n";
    let direct = command(authority.bundle(), "");
    assert_eq!(text(&direct.stdout), rows, "{}", said(&direct));
    assert!(proxy.passed().is_empty());
    let tunnelled = command(authority.bundle(), &proxy.url());
    assert_eq!(text(&tunnelled.stdout), rows, "{}", said(&tunnelled));
    assert!(!proxy.passed().is_empty());
    let other = Authority::new().unwrap();
    let refused = command(other.bundle(), "");
    assert_eq!(error(&refused)["code"], "UNAVAILABLE");
    assert!(said(&refused).contains("certificate"), "{}", said(&refused));
    let socks = command(authority.bundle(), "socks5://127.0.0.1:1");
    assert_eq!(socks.status.code(), Some(2), "{}", said(&socks));
}

#[test]
fn an_interrupt_ends_a_command_whose_rows_nobody_reads() {
    let text = "x".repeat(1000);
    let items = vec![format!(r#"{{"id":{{"S":"{text}"}}}}"#); 500].join(",");
    let server = Replay::repeat(&[items.into()], 1, Duration::ZERO).unwrap();
    let asked = Asked::of(&server.url());
    let statement = "SELECT id FROM t";
    let submit = asked.command(&[&["submit", statement, "-F", "table"], &SYNC[..]].concat());
    let mut run = client(
        asked.host.url(),
        asked.directory.path(),
        &["run", statement],
    );
    run.args([
        "-F",
        "table",
        "--plugin-dir",
        "plugins",
        "--region",
        "us-east-1",
    ])
    .args(["--endpoint-url", &server.url()])
    .env("AWS_ACCESS_KEY_ID", "test")
    .env("AWS_SECRET_ACCESS_KEY", "test");
    for mut command in [submit, run] {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let unread = child.stdout.take().unwrap();
        // A pipe takes 64 KiB, less what the pages of its buffer leave unused; the rows have half a megabyte.
        until("the pipe fills", || {
            rustix::io::ioctl_fionread(&unread).unwrap() > 32_768
        });
        interrupt(&child);
        assert_eq!(child.wait().unwrap().code(), Some(130));
    }
}
