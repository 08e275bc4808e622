//! `host-harness run` as a user has it: files in, rows on stdout, everything else on stderr, exit status.

use std::{
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    time::{Duration, Instant},
};

use engines::{
    embedded::Embedded,
    faults::{Fault, Faults},
    replay::chain,
    sample,
};
use harness_tests::{built, host, library};
use serde_json::{Value, json};
use tempfile::TempDir;

const BOOKS: &str = include_str!("../golden/books.json");

/// A folder with the DynamoDB plugin alone, and an engine with the sample tables.
struct Place {
    folder: TempDir,
    engine: Embedded,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("plugins")).unwrap();
        std::fs::copy(
            library("dynamo_plugin"),
            folder.path().join("plugins/libdynamo_plugin.so"),
        )
        .unwrap();
        let engine = Embedded::start().unwrap();
        engine.load(&sample::tables()).unwrap();
        Self { folder, engine }
    }

    fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut run = Command::new(host());
        run.current_dir(self.folder.path())
            .args(["run", "--plugin-dir", "plugins"])
            .args(args)
            .env("AWS_ACCESS_KEY_ID", "test")
            .env("AWS_SECRET_ACCESS_KEY", "test")
            .stdin(Stdio::null());
        run
    }

    fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    /// Runs against the engine.
    fn ask(&self, args: &[&str]) -> Output {
        let url = self.engine.url();
        let mut all = vec!["--endpoint-url", &url, "--region", "us-east-1"];
        all.extend(args);
        self.run(&all)
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// The last line of stderr, which is the error document where stderr is no terminal.
fn error(output: &Output) -> Value {
    let stderr = text(&output.stderr);
    let last = stderr.lines().last().unwrap_or_default();
    serde_json::from_str(last).unwrap_or_else(|_| panic!("no document at the end of: {stderr}"))
}

fn without_stats(document: &str) -> &str {
    document.split(",\"stats\":").next().unwrap()
}

#[test]
fn the_source_documents_job_gives_the_golden_document_on_every_run() {
    let place = Place::new();
    let job = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/jobs/books.json");
    for _ in 0..5 {
        let output = place.ask(&[job.to_str().unwrap(), "--format", "json"]);
        assert!(output.status.success(), "{}", text(&output.stderr));
        assert_eq!(
            without_stats(&text(&output.stdout)),
            without_stats(BOOKS.trim_end())
        );
    }
}

#[test]
fn rows_come_as_table_json_ndjson_or_csv_and_nothing_else_is_on_stdout() {
    let place = Place::new();
    let query = "SELECT id, price, category FROM my_table WHERE id = '123'";
    let stdout = |format: &str| text(&place.ask(&["--query", query, "--format", format]).stdout);
    assert_eq!(
        stdout("table"),
        "id   price  category\n---  -----  --------\n123  12.99  books\n"
    );
    assert_eq!(
        stdout("ndjson"),
        "{\"id\":\"123\",\"price\":12.99,\"category\":\"books\"}\n"
    );
    assert_eq!(stdout("csv"), "id,price,category\n123,12.99,books\n");
    assert!(stdout("json").starts_with(r#"{"columns":[{"name":"id","type":"string"},"#));
    // Without --format and without a terminal: the document.
    assert!(text(&place.ask(&["--query", query]).stdout).starts_with(r#"{"columns":"#));
}

#[test]
fn a_query_may_come_by_options_with_limit_and_parameters() {
    let place = Place::new();
    let output = place.ask(&[
        "--query",
        "SELECT id FROM my_table WHERE category = ? AND price < ?",
        "--param",
        "\"books\"",
        "--param",
        "13",
        "--limit",
        "5",
        "--format",
        "csv",
    ]);
    assert_eq!(text(&output.stdout), "id\n123\n");
}

#[test]
fn a_job_may_come_on_standard_input_and_its_rows_go_to_a_file_whole() {
    let place = Place::new();
    let rows = place.folder.path().join("rows.csv");
    let url = place.engine.url();
    let mut child = place
        .command(&[
            "-",
            "--endpoint-url",
            &url,
            "--format",
            "csv",
            "--output",
            rows.to_str().unwrap(),
        ])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(br#"{"context":{"query":"SELECT id FROM my_table WHERE id = '125'"}}"#)
        .unwrap();
    assert!(child.wait().unwrap().success());
    assert_eq!(std::fs::read_to_string(&rows).unwrap(), "id\n125\n");
    let folder = std::fs::read_dir(place.folder.path()).unwrap().count();
    assert_eq!(folder, 2, "plugins and rows.csv, nothing left over");
}

#[test]
fn a_failed_job_is_exit_status_1_with_the_error_document_as_the_last_line() {
    let place = Place::new();
    for (job, code) in [
        (
            r#"{"context":{"query":"DELETE FROM my_table"}}"#,
            "NOT_READ_ONLY",
        ),
        (
            r#"{"context":{"query":"SELECT * FROM nowhere"}}"#,
            "NOT_FOUND",
        ),
        (
            r#"{"context":{"query":"SELECT * FROM my_table","limt":1}}"#,
            "INVALID_JOB",
        ),
        (
            r#"{"context":{"query":"SELECT * FROM my_table","limit":1,"limit":2}}"#,
            "INVALID_JOB",
        ),
        ("not a job", "INVALID_JOB"),
        ("[]", "INVALID_JOB"),
    ] {
        let file = place.file("job.json", job);
        let output = place.ask(&[file.to_str().unwrap()]);
        assert_eq!(output.status.code(), Some(1), "{job}");
        assert_eq!(error(&output)["error"]["code"], code, "{job}");
        assert!(output.stdout.is_empty(), "{job}");
    }
}

#[test]
fn wrong_usage_and_unreadable_files_are_exit_status_2() {
    let place = Place::new();
    for args in [
        &["no-such-file.json"][..],
        &[],
        &["--query", "SELECT 1", "--param", "not json"],
        &["--query", "SELECT 1", "--limit", "many"],
        &["--query", "SELECT 1", "--format", "xml"],
        &["--query", "SELECT 1", "--config", "no-such-config.yaml"],
        &["--query", "SELECT 1", "--user"],
        &["--query", "SELECT 1", "--colour"],
    ] {
        let output = place.run(args);
        assert_eq!(
            output.status.code(),
            Some(2),
            "{args:?}: {}",
            text(&output.stderr)
        );
        assert!(
            output.stdout.is_empty() && !output.stderr.is_empty(),
            "{args:?}"
        );
    }
}

#[test]
fn a_query_of_options_cannot_be_routed_by_a_config_and_the_message_says_what_to_write() {
    let place = Place::new();
    let config = place.file("host.yaml", "commands: []\n");
    let output = place.run(&["--query", "SELECT 1", "--config", config.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(2));
    for part in ["command_criteria", "cluster_criteria", "leave --config out"] {
        assert!(
            text(&output.stderr).contains(part),
            "{}",
            text(&output.stderr)
        );
    }
}

#[test]
fn a_plugin_that_is_not_there_is_exit_status_1_with_its_error_document() {
    let place = Place::new();
    let output = place.run(&["--query", "SELECT 1", "--plugin", "no-such-plugin"]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(error(&output)["error"]["code"], "PLUGIN_UNAVAILABLE");
}

#[test]
fn with_a_config_the_job_is_routed_and_may_not_bring_its_own_cluster() {
    let place = Place::new();
    let config = format!(
        "plugin_directory: ./plugins\ncommands:\n  - name: dynamo-0.0.1\n    status: active\n    plugin: dynamo\n    version: 0.0.1\n    tags: [\"type:dynamodb\"]\n    cluster_tags: [\"type:dynamodb\"]\nclusters:\n  - name: dynamo-0.0.1\n    status: active\n    version: 0.0.1\n    context:\n      endpoint_url: {}\n    tags: [\"type:dynamodb\", \"data:prod\"]\n",
        place.engine.url()
    );
    let config = place.file("host.yaml", &config);
    let routed = |job: &Value| {
        let job = place.file("job.json", &job.to_string());
        place.run(&[
            job.to_str().unwrap(),
            "--config",
            config.to_str().unwrap(),
            "--format",
            "csv",
        ])
    };
    let mut job = json!({"command_criteria": ["type:dynamodb"], "cluster_criteria": ["data:prod"],
        "context": {"query": "SELECT id FROM my_table WHERE id = '125'"}});
    assert_eq!(text(&routed(&job).stdout), "id\n125\n");

    // The source document's own sample asks for type:dynamo where the command carries type:dynamodb.
    job["command_criteria"] = json!(["type:dynamo"]);
    let output = routed(&job);
    assert_eq!(
        (output.status.code(), &error(&output)["error"]["code"]),
        (Some(1), &json!("NO_ROUTE"))
    );
    assert!(
        text(&output.stderr).contains("type:dynamodb"),
        "the nearest tag is named"
    );

    job["command_criteria"] = json!(["type:dynamodb"]);
    job["cluster"] = json!({"name": "mine"});
    let output = routed(&job);
    assert_eq!(
        (output.status.code(), &error(&output)["error"]["code"]),
        (Some(1), &json!("INVALID_JOB"))
    );
}

#[test]
fn an_interrupt_cancels_the_job_first_and_is_exit_status_130() {
    let place = Place::new();
    let server = Faults::always(chain(&[vec!["{}"]]), Fault::StallBeforeAnswer).unwrap();
    let url = server.url();
    let child = place
        .command(&[
            "--query",
            "SELECT * FROM t",
            "--endpoint-url",
            &url,
            "--region",
            "us-east-1",
        ])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let deadline = Instant::now() + Duration::from_secs(20);
    while server.requests() == 0 {
        assert!(Instant::now() < deadline, "the job sends its request");
        std::thread::yield_now();
    }
    let killed = Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status()
        .unwrap();
    assert!(killed.success());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130), "{}", text(&output.stderr));
    assert_eq!(error(&output)["error"]["code"], "CANCELLED");
}

#[test]
fn the_demo_prints_the_source_documents_two_books() {
    let place = Place::new();
    let output = Command::new(built().join("engines-demo"))
        .arg(host())
        .arg(place.folder.path().join("plugins"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    let shown = text(&output.stdout);
    assert!(shown.contains("category  id   price\n--------  ---  -----\nbooks     123  12.99\nbooks     124  15.5\n"), "{shown}");
}

#[test]
fn a_kept_demo_prints_a_command_that_its_database_answers() {
    use std::io::{BufRead, BufReader};
    let place = Place::new();
    let mut demo = Command::new(built().join("engines-demo"))
        .arg(host())
        .arg(place.folder.path().join("plugins"))
        .arg("--keep")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    // Kept until the end: the demo goes on writing.
    let mut lines = BufReader::new(demo.stdout.take().unwrap())
        .lines()
        .map(Result::unwrap);
    let command = lines
        .find(|line| line.trim_start().starts_with("AWS_ACCESS_KEY_ID="))
        .expect("it prints a command");
    let output = Command::new("sh").args(["-c", &command]).output().unwrap();
    demo.kill().unwrap();
    demo.wait().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(
        text(&output.stdout).contains("12.99"),
        "{}",
        text(&output.stdout)
    );
}
