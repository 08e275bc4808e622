//! `host-harness run` as a user has it: files in, rows on stdout, everything else on stderr, exit status.

use std::{
    fs::{self, File},
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
use harness_tests::{built, host, library, submission};
use serde_json::{Value, json};
use tempfile::TempDir;

const BOOKS: &str = include_str!("../golden/books.json");

/// A folder with the DynamoDB plugin alone, and an engine with the sample tables.
struct WorkDirectory {
    folder: TempDir,
    engine: Embedded,
}

impl WorkDirectory {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("plugins")).unwrap();
        fs::copy(
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
        fs::write(&path, text).unwrap();
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
    let directory = WorkDirectory::new();
    let job = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/jobs/books.json");
    for _ in 0..5 {
        let output = directory.ask(&[job.to_str().unwrap(), "--format", "json"]);
        assert!(output.status.success(), "{}", text(&output.stderr));
        assert_eq!(
            without_stats(&text(&output.stdout)),
            without_stats(BOOKS.trim_end())
        );
    }
}

#[test]
fn what_a_run_has_tried_is_remembered_in_the_users_cache_and_used_by_the_next() {
    let directory = WorkDirectory::new();
    let cache = directory.folder.path().join("cache");
    let ask = || {
        let url = directory.engine.url();
        let query = "SELECT id FROM my_table WHERE id = 'b1'";
        let mut run = directory.command(&["--endpoint-url", &url, "--region", "us-east-1", query]);
        run.env("XDG_CACHE_HOME", &cache).output().unwrap()
    };
    assert!(ask().status.success());
    let remembered: Vec<PathBuf> = fs::read_dir(cache.join("heimdall-host/probes"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    let [file] = &remembered[..] else {
        panic!("one library was tried: {remembered:?}")
    };
    // Under another name the plugin is not found, which shows that the next run believes the file.
    let report = fs::read_to_string(file).unwrap();
    fs::write(file, report.replace("\"dynamo\"", "\"other\"")).unwrap();
    assert!(!ask().status.success());
    fs::remove_file(file).unwrap();
    assert!(ask().status.success());
}

#[test]
fn rows_come_as_table_json_ndjson_or_csv_and_nothing_else_is_on_stdout() {
    let directory = WorkDirectory::new();
    let query = "SELECT id, price, category FROM my_table WHERE id = '123'";
    let stdout = |format: &str| {
        text(
            &directory
                .ask(&["--query", query, "--format", format])
                .stdout,
        )
    };
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
    assert!(text(&directory.ask(&["--query", query]).stdout).starts_with(r#"{"columns":"#));
}

#[test]
fn a_query_may_come_by_options_with_limit_and_parameters() {
    let directory = WorkDirectory::new();
    let output = directory.ask(&[
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
    let directory = WorkDirectory::new();
    let rows = directory.folder.path().join("rows.csv");
    let url = directory.engine.url();
    let mut child = directory
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
    assert_eq!(fs::read_to_string(&rows).unwrap(), "id\n125\n");
    let folder = fs::read_dir(directory.folder.path()).unwrap().count();
    assert_eq!(folder, 2, "plugins and rows.csv, nothing left over");
}

/// Runs against the engine with a text on standard input.
fn ask_with(directory: &WorkDirectory, args: &[&str], input: &str) -> Output {
    let url = directory.engine.url();
    let mut all = vec!["--endpoint-url", &url, "--region", "us-east-1"];
    all.extend(args);
    let mut child = directory
        .command(&all)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(input.as_bytes()).unwrap();
    drop(stdin);
    child.wait_with_output().unwrap()
}

#[test]
fn a_statement_may_be_the_argument_a_file_or_standard_input() {
    let directory = WorkDirectory::new();
    let statement = "-- the third\nSELECT id FROM my_table WHERE id = '125'";
    let sql = directory.file("third.sql", statement);
    let sql = sql.to_str().unwrap();
    for args in [
        &[statement][..],
        &[statement, "-q"],
        &["--", statement],
        &["--query", statement],
        &["-f", sql],
        &[sql],
    ] {
        let mut all = args.to_vec();
        all.splice(0..0, ["-F", "csv"]);
        let output = directory.ask(&all);
        assert_eq!(
            text(&output.stdout),
            "id\n125\n",
            "{args:?}: {}",
            text(&output.stderr)
        );
        assert!(output.stderr.is_empty(), "{}", text(&output.stderr));
    }
    for args in [&["-", "-F", "csv"][..], &["-f-", "-Fcsv"]] {
        let output = ask_with(&directory, args, statement);
        assert_eq!(
            text(&output.stdout),
            "id\n125\n",
            "{args:?}: {}",
            text(&output.stderr)
        );
    }
}

#[test]
fn options_win_over_a_job_files_fields_and_errors_speak_of_them() {
    let directory = WorkDirectory::new();
    let job = directory.file(
        "job.json",
        r#"{"context":{"query":"SELECT id FROM my_table WHERE price > ?","parameters":[1000],"limit":0}}"#,
    );
    let job = job.to_str().unwrap();
    let output = directory.ask(&[job, "-p", "-0.5", "-n", "1", "-F", "csv", "--no-header"]);
    assert_eq!(text(&output.stdout), "123\n", "{}", text(&output.stderr));
    let output = directory.ask(&[job, "--total-segments", "0", "--error-format", "text"]);
    assert_eq!(output.status.code(), Some(1));
    let said = text(&output.stderr);
    assert!(
        said.starts_with("error[INVALID_JOB]: --total-segments is 0"),
        "{said}"
    );
}

#[test]
fn errors_of_a_bare_statement_speak_of_options_and_say_where() {
    let directory = WorkDirectory::new();
    for (args, told) in [
        (
            &["SELECT id FROM my_table LIMIT 5"][..],
            "hint: set --limit: it is the most rows in the result\n",
        ),
        (
            &["SELECT id FROM my_table WHERE id = ?"],
            "error[INVALID_JOB]: the statement has 1 ?, but --param has 0 values (line 1, column 36)\n",
        ),
        (
            &["SELECT id FROM my_table WHERE id = ?", "-p", "1", "-p", "2"],
            "hint: no ? follows the position given for the last value; give one value per ?, in order\n",
        ),
    ] {
        let mut all = args.to_vec();
        all.extend(["--error-format", "text"]);
        let output = directory.ask(&all);
        assert_eq!(output.status.code(), Some(1));
        let said = text(&output.stderr);
        assert!(said.contains(told), "{said}");
    }
    // A job file's fields are called as the file has them.
    let job = directory.file(
        "job.json",
        r#"{"context":{"query":"SELECT id FROM my_table LIMIT 5"}}"#,
    );
    let output = directory.ask(&[job.to_str().unwrap(), "--error-format", "text"]);
    let said = text(&output.stderr);
    assert!(said.contains("the job's `limit` field"), "{said}");
}

#[test]
fn a_file_may_begin_with_a_byte_order_mark() {
    let directory = WorkDirectory::new();
    let statement = "\u{feff}SELECT id FROM my_table WHERE id = '123'\r\n";
    let sql = directory.file("bom.sql", statement);
    let job = r#"{"context":{"query":"SELECT id FROM my_table WHERE id = '123'"}}"#;
    let job = directory.file("bom.json", &format!("\u{feff}{job}"));
    for args in [
        &["-f", sql.to_str().unwrap()][..],
        &[sql.to_str().unwrap()],
        &[job.to_str().unwrap()],
    ] {
        let mut all = args.to_vec();
        all.extend(["-F", "csv"]);
        let output = directory.ask(&all);
        let said = text(&output.stderr);
        assert_eq!(text(&output.stdout), "id\n123\n", "{args:?}: {said}");
    }
    let output = ask_with(&directory, &["-", "-F", "csv"], statement);
    assert_eq!(text(&output.stdout), "id\n123\n");
}

#[test]
fn a_file_behind_standard_outputs_name_is_written_on_not_replaced() {
    let directory = WorkDirectory::new();
    let path = directory.file("all.csv", "before\n");
    let statement = "SELECT id FROM my_table WHERE id = '123'";
    for name in ["/dev/stdout", "/dev/fd/1", "-"] {
        let file = File::options().append(true).open(&path).unwrap();
        let url = directory.engine.url();
        let mut command = directory.command(&["--endpoint-url", &url, "--region", "us-east-1"]);
        command.args([statement, "-o", name, "-F", "csv"]);
        assert!(command.stdout(file).status().unwrap().success());
    }
    let written = fs::read_to_string(&path).unwrap();
    assert_eq!(written, format!("before\n{}", "id\n123\n".repeat(3)));
}

#[test]
fn an_error_is_told_once() {
    let directory = WorkDirectory::new();
    let failing = "SELECT id FORM my_table";
    let as_json = text(&directory.ask(&[failing]).stderr);
    assert_eq!(as_json.lines().count(), 1, "{as_json}");
    assert!(as_json.starts_with("{\"error\":"), "{as_json}");
    let as_text = text(&directory.ask(&[failing, "--error-format", "text"]).stderr);
    assert!(as_text.starts_with("error[INVALID_QUERY]: "), "{as_text}");
    assert!(!as_text.contains("{\"error\""), "{as_text}");
    let caret = as_text.lines().nth(2).unwrap();
    assert_eq!(caret.trim(), "^", "nothing stands behind the caret");
}

#[test]
fn an_output_that_cannot_be_written_is_found_before_the_query() {
    let directory = WorkDirectory::new();
    let server = Faults::always(chain(&[vec!["{}"]]), Fault::StallBeforeAnswer).unwrap();
    let url = server.url();
    let folder = directory.folder.path().to_str().unwrap();
    for path in ["no/such/folder/rows.csv", folder, "/proc/rows.csv"] {
        let output = directory.run(&[
            "SELECT id FROM t",
            "--endpoint-url",
            &url,
            "--region",
            "us-east-1",
            "-o",
            path,
        ]);
        assert_eq!(output.status.code(), Some(2), "{path}");
        assert!(
            text(&output.stderr).contains(path),
            "{}",
            text(&output.stderr)
        );
    }
    assert_eq!(server.requests(), 0);
}

#[test]
fn an_output_file_takes_its_format_from_its_ending_and_its_mode_from_the_umask() {
    use std::os::unix::fs::PermissionsExt;
    let directory = WorkDirectory::new();
    let query = "SELECT id FROM my_table WHERE id = '125'";
    let written = |name: &str| {
        let output = directory.ask(&[query, "-o", name]);
        assert!(output.status.success(), "{}", text(&output.stderr));
        assert!(output.stdout.is_empty() && output.stderr.is_empty());
        fs::read(directory.folder.path().join(name)).unwrap()
    };
    assert_eq!(&written("rows.parquet")[..4], b"PAR1");
    assert_eq!(&written("rows.arrow")[..6], b"ARROW1");
    assert_eq!(&written("rows.arrows")[..4], [0xff; 4]);
    assert_eq!(written("rows.tsv"), b"id\n125\n");
    assert_eq!(written("rows.jsonl"), b"{\"id\":\"125\"}\n");
    assert_eq!(written("rows.md"), b"| id |\n| --- |\n| 125 |\n");
    assert!(written("rows.dat").starts_with(b"{\"columns\":"));
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode();
    let usual = directory.file("usual", "");
    assert_eq!(
        mode(&directory.folder.path().join("rows.tsv")),
        mode(&usual)
    );
    let output = directory.ask(&[query, "-F", "csv", "-o", "-"]);
    assert_eq!(text(&output.stdout), "id\n125\n");
}

#[test]
fn a_link_is_followed_and_the_old_file_stays_until_the_new_one_is_whole() {
    let directory = WorkDirectory::new();
    let old = directory.file("old.csv", "old\n");
    let link = directory.folder.path().join("link.csv");
    std::os::unix::fs::symlink("old.csv", &link).unwrap();
    let ask = |query: &str| directory.ask(&[query, "-o", "link.csv"]).status.code();
    assert_eq!(ask("SELECT * FROM nowhere"), Some(1));
    assert_eq!(fs::read_to_string(&old).unwrap(), "old\n");
    assert_eq!(ask("SELECT id FROM my_table WHERE id = '125'"), Some(0));
    assert_eq!(fs::read_to_string(&old).unwrap(), "id\n125\n");
    assert!(link.is_symlink());
    let files = fs::read_dir(directory.folder.path()).unwrap().count();
    assert_eq!(
        files, 3,
        "plugins, the file and the link; nothing left over"
    );
}

#[test]
fn what_cannot_be_written_or_read_is_said_and_ends_no_command_with_a_panic() {
    let library = library("dynamo_plugin");
    let library = library.to_str().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("host.yaml");
    fs::write(&config, "clusters: [{name: c}]").unwrap();
    let config = config.to_str().unwrap();
    let folder = folder.path().to_str().unwrap();
    let commands: [&[&str]; 6] = [
        &["check", "--config", config, "--plugin-dir", folder],
        &["explain", "--plugin-dir", folder],
        &["explain", "INVALID_JOB", "--plugin-dir", folder],
        &["completions", "bash"],
        &["plugins", "--plugin-dir", folder],
        &["probe", library],
    ];
    for args in commands {
        let (reader, gone) = std::io::pipe().unwrap();
        drop(reader);
        let run = |stdout: Stdio| Command::new(host()).args(args).stdout(stdout).output();
        let enough = run(gone.into()).unwrap();
        assert_eq!(enough.status.code(), Some(0), "{}", text(&enough.stderr));
        let full = File::options().write(true).open("/dev/full").unwrap();
        let full = run(full.into()).unwrap();
        assert_eq!(full.status.code(), Some(2), "{args:?}");
        assert!(text(&full.stderr).contains("No space left"), "{args:?}");
    }
    for (args, said) in [
        (["probe", "/nonexistent"], "UNREADABLE"),
        (["check", "--config=/nonexistent"], "No such file"),
    ] {
        let output = Command::new(host()).args(args).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        let all = [output.stdout, output.stderr].concat();
        assert!(text(&all).contains(said), "{}", text(&all));
    }
}

#[test]
fn every_help_has_examples_and_exit_statuses_and_completions_and_man_pages_know_every_command() {
    let commands = [
        "run",
        "submit",
        "jobs",
        "job",
        "cancel",
        "serve",
        "check",
        "plugins",
        "probe",
        "explain",
        "completions",
    ];
    let host_says = |args: &[&str]| {
        let output = Command::new(host()).args(args).output().unwrap();
        assert!(
            output.status.success(),
            "{args:?}: {}",
            text(&output.stderr)
        );
        text(&output.stdout)
    };
    let folder = tempfile::tempdir().unwrap();
    let pages = folder.path().join("man1");
    host_says(&["man", "--directory", pages.to_str().unwrap()]);
    let bash = host_says(&["completions", "bash"]);
    for command in commands {
        let help = host_says(&[command, "--help"]);
        assert!(
            help.contains("Example") && help.contains("Exit status: 0"),
            "{help}"
        );
        assert!(bash.contains(command));
        let page = pages.join(format!("host-harness-{command}.1"));
        assert!(page.is_file(), "{}", page.display());
    }
    let help = host_says(&["--help"]);
    assert!(
        help.contains("Example") && help.contains("Exit status: 0"),
        "{help}"
    );
    for shell in ["zsh", "fish"] {
        assert!(host_says(&["completions", shell]).contains("total-segments"));
    }
    assert!(host_says(&["run", "--help"]).contains("--total-segments"));
    assert!(!bash.contains("worker"));
}

#[test]
fn explain_takes_a_statement_as_well_as_a_code() {
    let directory = WorkDirectory::new();
    let output = Command::new(host())
        .args([
            "explain",
            "SELECT * FROM my_table",
            "--region",
            "us-east-1",
            "-F",
            "csv",
        ])
        .args(["--endpoint-url", &directory.engine.url(), "--plugin-dir"])
        .arg(directory.folder.path().join("plugins"))
        .env("AWS_ACCESS_KEY_ID", "test")
        .env("AWS_SECRET_ACCESS_KEY", "test")
        .output()
        .unwrap();
    let shown = text(&output.stdout);
    assert!(
        shown.starts_with("property,value\noperation,Scan\ntable,my_table\n"),
        "{shown}{}",
        text(&output.stderr)
    );
    let code = Command::new(host())
        .args(["explain", "timeout"])
        .output()
        .unwrap();
    assert!(text(&code.stdout).starts_with("TIMEOUT: "));
}

#[test]
fn a_failed_job_is_exit_status_1_with_the_error_document_as_the_last_line() {
    let directory = WorkDirectory::new();
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
        let file = directory.file("job.json", job);
        let output = directory.ask(&[file.to_str().unwrap()]);
        assert_eq!(output.status.code(), Some(1), "{job}");
        assert_eq!(error(&output)["error"]["code"], code, "{job}");
        assert!(output.stdout.is_empty(), "{job}");
    }
}

#[test]
fn a_time_below_zero_is_the_jobs_error_with_the_value() {
    let directory = WorkDirectory::new();
    let output = directory.ask(&["--query", "SELECT * FROM my_table", "-t", "-1"]);
    assert_eq!(output.status.code(), Some(1));
    let error = error(&output);
    assert_eq!(error["error"]["code"], "INVALID_JOB", "{error}");
    assert!(error["error"]["message"].as_str().unwrap().contains("-1"));
}

#[test]
fn wrong_usage_and_unreadable_files_are_exit_status_2() {
    let directory = WorkDirectory::new();
    for args in [
        &["no-such-file.json"][..],
        &[],
        &["--query", "SELECT 1", "--param", "not json"],
        &["--query", "SELECT 1", "--limit", "many"],
        &["--query", "SELECT 1", "--limit", "-1"],
        &["--query", "SELECT 1", "-t", "1s"],
        &["--query", "SELECT 1", "--format", "xml"],
        &["--query", "SELECT 1", "--config", "no-such-config.yaml"],
        &["--query", "SELECT 1", "--user"],
        &["--query", "SELECT 1", "--colour"],
    ] {
        let output = directory.run(args);
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
fn a_statement_is_routed_by_tags_and_without_them_the_message_says_what_to_write() {
    let directory = WorkDirectory::new();
    let config = routing(&directory, "");
    let ask = |args: &[&str]| {
        let statement = "SELECT id FROM my_table WHERE id = '125'";
        directory.run(&[&[statement, "--config", &config, "-F", "csv"], args].concat())
    };
    let tags = [
        "--command-tag",
        "type:dynamodb",
        "--cluster-tag",
        "type:dynamodb",
        "--cluster-tag",
        "data:prod",
    ];
    assert_eq!(text(&ask(&tags).stdout), "id\n125\n");
    for missing in [&[][..], &tags[..2], &tags[2..]] {
        let output = ask(missing);
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{said}");
        for part in ["--command-tag", "--cluster-tag", "leave --config out"] {
            assert!(said.contains(part), "{said}");
        }
    }
    let output = ask(&["--command-tag", "type:dynamo", "--cluster-tag", "data:prod"]);
    let error = &error(&output)["error"];
    assert_eq!(
        (&error["code"], &error["message"]),
        (
            &json!("NO_ROUTE"),
            &json!("no command carries the tag 'type:dynamo' of --command-tag")
        )
    );
}

#[test]
fn tags_win_over_a_job_files_criteria_and_are_nothing_without_a_config() {
    let directory = WorkDirectory::new();
    let config = routing(&directory, "");
    let query = json!({"query": "SELECT id FROM my_table WHERE id = '125'"});
    let job = submission("nobody's", "data:prod", &query);
    let job = directory.file("job.json", &job.to_string());
    let job = job.to_str().unwrap();
    let args = [job, "-F", "csv", "--command-tag", "type:dynamodb"];
    let output = directory.run(&[&args[..], &["--config", &config]].concat());
    assert_eq!(text(&output.stdout), "id\n125\n");
    let output = directory.ask(&args);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("name it with --config"));
}

#[test]
fn a_configs_trusted_directories_hold_for_run_as_well() {
    use std::os::unix::fs::PermissionsExt;
    let directory = WorkDirectory::new();
    let plugins = directory.folder.path().join("plugins");
    fs::set_permissions(&plugins, fs::Permissions::from_mode(0o777)).unwrap();
    let ask = |config: &str| {
        let tags = [
            "--command-tag",
            "type:dynamodb",
            "--cluster-tag",
            "data:prod",
        ];
        let statement = [
            "run",
            "SELECT id FROM my_table WHERE id = '125'",
            "-F",
            "csv",
        ];
        Command::new(host())
            .args(statement)
            .args(["--config", config])
            .args(tags)
            .current_dir(directory.folder.path())
            .env("AWS_ACCESS_KEY_ID", "test")
            .env("AWS_SECRET_ACCESS_KEY", "test")
            .env("AWS_REGION", "us-east-1")
            .output()
            .unwrap()
    };
    let refused = ask(&routing(&directory, ""));
    assert!(!refused.status.success() && refused.stdout.is_empty());
    let trusted = format!("trusted_directories: [{}]\n", plugins.display());
    let output = ask(&routing(&directory, &trusted));
    assert_eq!(
        text(&output.stdout),
        "id\n125\n",
        "{}",
        text(&output.stderr)
    );
}

#[test]
fn a_plugin_that_is_not_there_is_exit_status_1_with_its_error_document() {
    let directory = WorkDirectory::new();
    let output = directory.run(&["--query", "SELECT 1", "--plugin", "no-such-plugin"]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(error(&output)["error"]["code"], "PLUGIN_UNAVAILABLE");
}

/// A config with one command and one cluster, whose DynamoDB is the directory's engine; its path.
fn routing(directory: &WorkDirectory, more: &str) -> String {
    let config = format!(
        "{more}plugin_directory: ./plugins\ncommands:\n  - name: dynamo-0.0.1\n    status: active\n    plugin: dynamo\n    version: 0.0.1\n    tags: [\"type:dynamodb\"]\n    cluster_tags: [\"type:dynamodb\"]\nclusters:\n  - name: dynamo-0.0.1\n    status: active\n    version: 0.0.1\n    context:\n      endpoint_url: {}\n      region: us-east-1\n    tags: [\"type:dynamodb\", \"data:prod\"]\n",
        directory.engine.url()
    );
    let path = directory.file("host.yaml", &config);
    path.to_str().unwrap().to_owned()
}

#[test]
fn with_a_config_the_job_is_routed_and_may_not_bring_its_own_cluster() {
    let directory = WorkDirectory::new();
    let config = routing(&directory, "");
    let routed = |job: &Value| {
        let job = directory.file("job.json", &job.to_string());
        directory.run(&[
            job.to_str().unwrap(),
            "--config",
            &config,
            "--format",
            "csv",
        ])
    };
    let query = json!({"query": "SELECT id FROM my_table WHERE id = '125'"});
    let mut job = submission("type:dynamodb", "data:prod", &query);
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
    let directory = WorkDirectory::new();
    let server = Faults::always(chain(&[vec!["{}"]]), Fault::StallBeforeAnswer).unwrap();
    let url = server.url();
    let child = directory
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
    let directory = WorkDirectory::new();
    let output = Command::new(built().join("engines-demo"))
        .arg(host())
        .arg(directory.folder.path().join("plugins"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    let shown = text(&output.stdout);
    assert!(shown.contains("category  id   price\n--------  ---  -----\nbooks     123  12.99\nbooks     124   15.5\n"), "{shown}");
}

#[test]
fn a_kept_demo_prints_a_command_that_its_database_answers() {
    use std::io::{BufRead, BufReader};
    let directory = WorkDirectory::new();
    let mut demo = Command::new(built().join("engines-demo"))
        .arg(host())
        .arg(directory.folder.path().join("plugins"))
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
