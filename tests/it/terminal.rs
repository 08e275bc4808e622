//! What a person sees of `host-harness run` on a terminal.

use std::{env, fs, path::Path, process::Command};

use engines::{
    embedded::Embedded,
    replay::{Replay, chain},
};
use harness_tests::{host, library, pty, serving};
use serde_json::{Value, json};
use tempfile::TempDir;

/// A folder with the DynamoDB plugin alone, and an engine with tables that are hard to show.
struct WorkDirectory {
    folder: TempDir,
    engine: Embedded,
}

impl WorkDirectory {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::copy(
            library("dynamo_plugin"),
            folder.path().join("libdynamo_plugin.so"),
        )
        .unwrap();
        let engine = Embedded::start().unwrap();
        engine.load(&tables()).unwrap();
        Self { folder, engine }
    }

    fn command(&self, url: &str, args: &[&str]) -> Command {
        let mut command = Command::new(host());
        command
            .args(["run", "--region", "us-east-1", "--endpoint-url", url])
            .arg("--plugin-dir")
            .arg(self.folder.path())
            .args(args)
            .current_dir(self.folder.path())
            .stdin(std::process::Stdio::null())
            .env("AWS_ACCESS_KEY_ID", "test")
            .env("AWS_SECRET_ACCESS_KEY", "test")
            .env("TERM", "xterm-256color")
            .env_remove("NO_COLOR");
        command
    }

    fn submitting(&self, url: &str, args: &[&str]) -> Command {
        let mut command = Command::new(host());
        command
            .arg("submit")
            .args(args)
            .current_dir(self.folder.path())
            .stdin(std::process::Stdio::null())
            .env("HEIMDALL_URL", url)
            .env("USER", "alice")
            .env("TERM", "xterm-256color")
            .env_remove("HEIMDALL_TOKEN")
            .env_remove("HEIMDALL_TOKEN_FILE")
            .env_remove("NO_COLOR");
        command
    }

    /// What is on a terminal of so many columns in the end, and the exit status.
    fn shows(&self, columns: u16, args: &[&str]) -> (String, Option<i32>) {
        let rows = if columns < 100 { 24 } else { 50 };
        let mut command = self.command(&self.engine.url(), args);
        let (shown, status) = pty::run(&mut command, columns, rows);
        (settled(&shown, columns), status.code())
    }
}

/// The tables: narrow, wide, nested, with pictures and other scripts, and empty.
fn tables() -> Value {
    let mut wide = json!({"id": {"S": "w1"}});
    for n in 0..20 {
        wide[format!("attribute_{n:02}")] = json!({"S": format!("value {n} of a wide item")});
    }
    let long =
        "The quick brown fox jumps over the lazy dog, again and again, until the terminal ends. "
            .repeat(3);
    json!({
        "books": [
            {"id": {"S": "123"}, "title": {"S": "Dune"}, "price": {"N": "12.99"}, "stock": {"N": "7"}},
            {"id": {"S": "124"}, "title": {"S": ""}, "price": {"N": "1250"}, "stock": {"N": "-3"}},
            {"id": {"S": "125"}, "title": {"S": "two\nlines\u{1b}[31m"}, "price": {"N": "0.5"}},
        ],
        "films": [
            {"id": {"S": "1"}, "title": {"S": long}, "cast": {"L": [{"M": {"name": {"S": "A. Actor, born in 1970"}}}]},
             "rating": {"N": "12345678901234567890.12345678901234567"}},
        ],
        "scripts": [
            {"id": {"S": "cjk"}, "text": {"S": "日本語のテキスト、とても長いので端末の幅には収まりません。それでも揃います。"}, "n": {"N": "1"}},
            {"id": {"S": "emoji"}, "text": {"S": "👨‍👩‍👧‍👦 👍🏽 🏳️‍🌈 ok"}, "n": {"N": "22"}},
            {"id": {"S": "rtl"}, "text": {"S": "שלום עולם \u{202e}evil"}, "n": {"N": "333"}},
            {"id": {"S": "accents"}, "text": {"S": "e\u{301}a\u{308}"}, "n": {"N": "4444"}},
        ],
        "wide": [wide],
        "empty": [],
    })
}

/// What a terminal shows in the end, but with one figure for all times: the footer is wrapped again, since a slow run's figure is longer.
fn settled(shown: &str, columns: u16) -> String {
    let shown = pty::without_escapes(shown);
    let lines: Vec<&str> = shown.lines().collect();
    let is_footer = |line: &&str| {
        let mut words = line.split(' ');
        let counts = |word: &str| {
            word.bytes()
                .all(|byte| byte.is_ascii_digit() || byte == b',')
        };
        words.next().is_some_and(counts) && words.next().is_some_and(|word| word.starts_with("row"))
    };
    let Some(at) = lines.iter().rposition(is_footer) else {
        return timeless(&shown);
    };
    let (rows, footer) = lines.split_at(at);
    let width = textwrap::Options::new(columns.into()).break_words(false);
    let footer = textwrap::fill(&timeless(&footer.join(" ")), width);
    format!("{}\n{footer}", timeless(&rows.join("\n")))
}

/// Figures of time are the one thing that differs between runs.
fn timeless(shown: &str) -> String {
    let is_figure = |c: char| c.is_ascii_digit() || c == ',';
    let parts: Vec<&str> = shown.split(" ms").collect();
    let last = parts.len() - 1;
    let parts = parts
        .iter()
        .enumerate()
        .map(|(at, part)| match part.rsplit_once(", ") {
            Some((before, time)) if at < last && time.chars().all(is_figure) => {
                format!("{before}, 12")
            }
            _ => (*part).to_owned(),
        });
    let shown = parts.collect::<Vec<_>>().join(" ms");
    match shown.split_once("\"elapsed_ms\":") {
        Some((before, after)) => {
            let after = after.trim_start_matches(is_figure);
            format!("{before}\"elapsed_ms\":12,{after}")
        }
        None => shown,
    }
}

/// What docs/TERMINAL.md shows.
const PAGE: &[(&str, u16, &[&str])] = &[
    (
        "A few rows",
        80,
        &["SELECT id, title, price, stock FROM books", "-n", "10"],
    ),
    ("One row", 80, &["SELECT * FROM books WHERE id = '123'"]),
    ("No rows", 80, &["SELECT id, title FROM empty", "-n", "10"]),
    (
        "Long and nested values",
        80,
        &["SELECT id, title, cast, rating FROM films", "-n", "10"],
    ),
    (
        "The same on a wide terminal",
        200,
        &["SELECT id, title, cast, rating FROM films", "-n", "10"],
    ),
    (
        "Other scripts and pictures",
        80,
        &["SELECT id, text, n FROM scripts", "-n", "10"],
    ),
    (
        "More columns than fit",
        80,
        &["SELECT * FROM wide", "-n", "10"],
    ),
    (
        "The same on a wide terminal",
        200,
        &["SELECT * FROM wide", "-n", "10"],
    ),
    (
        "One line a cell",
        80,
        &[
            "SELECT * FROM books WHERE id = '124'",
            "--format",
            "vertical",
        ],
    ),
    (
        "JSON",
        80,
        &["SELECT id, price FROM books WHERE id = '123'", "-F", "json"],
    ),
    ("A mistake", 80, &["SELECT id FORM books"]),
    (
        "SQL that DynamoDB lacks",
        80,
        &["SELECT id FROM books WHERE title = 'Dune' LIMIT 5"],
    ),
    (
        "A refusal",
        80,
        &["SELECT id FROM books", "-n", "10", "--total-segments", "0"],
    ),
    (
        "A format that is not for a terminal",
        80,
        &["SELECT id FROM books", "-F", "parquet"],
    ),
    ("A whole table", 80, &["SELECT id, title FROM books"]),
];

/// The host that the page's `submit` asks.
const CONFIG: &str = "
server: {addr: '127.0.0.1:0'}
plugin_directory: ./plugins
jobs_directory: ./jobs
result_directory: ./results
commands:
  - {name: dynamo, plugin: dynamo, status: active, tags: ['type:dynamodb'], cluster_tags: ['data:prod']}
clusters:
  - {name: prod, status: active, tags: ['data:prod'], context: {region: us-east-1}}
";

const SUBMITTED: &[(&str, u16, &[&str])] = &[
    (
        "A job of a running host",
        80,
        &[
            "SELECT id, title FROM books",
            "--command-tag",
            "type:dynamodb",
            "--cluster-tag",
            "data:prod",
        ],
    ),
    (
        "A tag that no command has",
        80,
        &[
            "SELECT id, title FROM books",
            "--command-tag",
            "type:dynamo",
            "--cluster-tag",
            "data:prod",
        ],
    ),
    (
        "A host that is not there",
        80,
        &[
            "SELECT id FROM books",
            "--command-tag",
            "type:dynamodb",
            "--cluster-tag",
            "data:prod",
            "--url",
            "http://127.0.0.1:9",
        ],
    ),
];

#[test]
fn the_page_of_terminal_output_is_what_a_terminal_shows() {
    let directory = WorkDirectory::new();
    let mut page = "# What a terminal shows\n\nReal output of `host-harness run` and `submit`, kept true by `tests/it/terminal.rs`; `BLESS=1 cargo xtask test -- terminal` \
        renews it. Where the data is and who asks are left out of the commands (`--region`, `--endpoint-url`, `--plugin-dir`).\n"
        .to_owned();
    for (title, columns, args) in PAGE {
        page += &section(
            title,
            *columns,
            "run",
            args,
            directory.shows(*columns, args),
        );
    }
    let hosts = serving::TestHost::new(CONFIG, &directory.engine.url());
    let host = hosts.serve();
    for (title, columns, args) in SUBMITTED {
        let mut command = directory.submitting(host.url(), args);
        let (shown, status) = pty::run(&mut command, *columns, 24);
        let shown = settled(&shown, *columns);
        page += &section(title, *columns, "submit", args, (shown, status.code()));
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/TERMINAL.md");
    if env::var_os("BLESS").is_some() {
        fs::write(&path, &page).unwrap();
    }
    let written = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        written == page,
        "docs/TERMINAL.md is not what a terminal shows; BLESS=1 renews it. Now:\n{page}"
    );
}

/// One command of the page, what it shows, and its exit status.
fn section(
    title: &str,
    columns: u16,
    command: &str,
    args: &[&str],
    (shown, status): (String, Option<i32>),
) -> String {
    let shell: Vec<String> = args.iter().map(|arg| shell_word(arg)).collect();
    let mut section = format!(
        "\n## {title} ({columns} columns)\n\n```console\n$ host-harness {command} {}\n{}\n```\n",
        shell.join(" "),
        shown.trim_end_matches('\n')
    );
    if status != Some(0) {
        section += &format!("\nExit status {}.\n", status.unwrap_or(-1));
    }
    section
}

fn shell_word(arg: &str) -> String {
    match arg {
        _ if arg.contains(' ') => format!("\"{arg}\""),
        _ => arg.to_owned(),
    }
}

#[test]
fn no_line_is_wider_than_the_terminal_whatever_is_in_it() {
    use unicode_width::UnicodeWidthStr;
    let directory = WorkDirectory::new();
    for columns in [20, 40, 80, 200] {
        for table in ["books", "films", "scripts", "wide"] {
            let statement = format!("SELECT * FROM {table}");
            let (shown, status) =
                directory.shows(columns, &[&statement, "-n", "10", "-q", "-F", "table"]);
            assert_eq!(status, Some(0), "{shown}");
            let is_vertical = shown.starts_with("-[ row 1 ]");
            // Nothing of a cell is cut where each has its line.
            for line in shown
                .lines()
                .filter(|line| !is_vertical || line.starts_with("-["))
            {
                assert!(line.width() <= usize::from(columns), "{columns}: {line}");
            }
        }
    }
}

#[test]
fn a_hundred_thousand_rows_come_with_one_header_and_one_footer() {
    let directory = WorkDirectory::new();
    let items: Vec<String> = (0..100_000)
        .map(|n| format!(r#"{{"id":{{"N":"{n}"}}}}"#))
        .collect();
    let pages: Vec<Vec<&str>> = items
        .chunks(10_000)
        .map(|page| page.iter().map(String::as_str).collect())
        .collect();
    let server = Replay::recording(&chain(&pages)).unwrap();
    let mut command = directory.command(&server.url(), &["SELECT id FROM t", "-n", "100000"]);
    let (shown, status) = pty::run(&mut command, 80, 24);
    assert!(status.success());
    let shown = pty::without_escapes(&shown);
    let lines: Vec<&str> = shown.lines().collect();
    assert_eq!(lines.len(), 2 + 100_000 + 1, "{:?}", &lines[..4]);
    assert_eq!(lines[..3], ["   id", "-----", "    0"]);
    assert!(
        lines[100_002].starts_with("100,000 rows, 10 pages"),
        "{}",
        lines[100_002]
    );
}

#[test]
fn colours_are_for_terminals_that_want_them() {
    let directory = WorkDirectory::new();
    let args = ["SELECT id FROM books WHERE id = '123'"];
    let shown = |variable: &str, value: &str| {
        let mut command = directory.command(&directory.engine.url(), &args);
        command.env(variable, value);
        pty::run(&mut command, 80, 24).0
    };
    assert!(shown("X", "").contains("\x1b[1mid\x1b[0m"));
    assert!(!shown("NO_COLOR", "1").contains("\x1b[1m"));
    assert!(!shown("TERM", "dumb").contains("\x1b[1m"));
}

#[test]
fn quiet_leaves_the_rows_alone_and_verbose_adds_the_log() {
    let directory = WorkDirectory::new();
    let statement = "SELECT id FROM books WHERE id = '123'";
    assert_eq!(directory.shows(80, &[statement, "-q"]).0, "id\n---\n123\n");
    let (shown, _) = directory.shows(80, &[statement]);
    assert_eq!(shown.lines().count(), 4, "{shown}");
    let (shown, _) = directory.shows(80, &[statement, "-v"]);
    assert!(shown.contains("INFO dynamo::audit:"), "{shown}");
}

#[test]
fn an_ending_that_no_format_has_is_told() {
    let directory = WorkDirectory::new();
    let statement = "SELECT id FROM books WHERE id = '123'";
    let (shown, status) = directory.shows(80, &[statement, "-o", "rows.xlsx"]);
    assert_eq!(status, Some(0), "{shown}");
    let told = "note: no format has the ending .xlsx; what is written is JSON (--format chooses\nanother)\n";
    assert!(shown.starts_with(told), "{shown}");
    for args in [
        ["-o", "rows.xlsx", "-F", "csv"],
        ["-o", "rows.csv", "-F", "csv"],
    ] {
        let (shown, _) = directory.shows(80, &[&[statement], &args[..]].concat());
        assert!(!shown.contains("note:"), "{shown}");
    }
}
