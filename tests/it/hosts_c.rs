//! The C surface from C: misuse, every outcome under valgrind and the sanitizers, SIGPIPE, two versions in one process.

use std::{
    collections::BTreeMap,
    fs,
    io::Read,
    net::{Shutdown, TcpListener},
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::Duration,
};

use engines::{
    endpoints::Refused,
    faults::{Fault, Faults},
    paging::{Paging, Table},
    replay,
};
use harness_tests::{job, library};
use serde_json::{Value, json};

use crate::{
    chameleon::chameleon,
    hosts::{Bench, have, limited, subjects, succeeds, texts, with_id},
};

/// What may be left at exit, in bytes; docs/ABI.md lists what it is.
const RESIDUE_ECHO: u64 = 16 << 10;
const RESIDUE_DYNAMO: u64 = 192 << 10;

#[test]
fn a_c_host_that_misuses_a_library_gets_a_status_and_lives() {
    if !have("gcc") {
        return;
    }
    let bench = Bench::new();
    let misuse = bench.compile("misuse", &[]);
    for subject in subjects(Duration::from_millis(300)) {
        let slow = bench.job("slow.json", &subject.slow);
        let said = succeeds(limited(&misuse).arg(&subject.library).arg(slow));
        assert!(said.ends_with("misuse: ok\n"), "{said}");
    }
}

#[test]
fn started_jobs_and_rows_as_they_come_keep_to_the_contract() {
    if !have("gcc") {
        return;
    }
    let bench = Bench::new();
    let start = bench.compile("start", &[]);
    for subject in subjects(Duration::from_millis(300)) {
        let slow = bench.job("slow.json", &subject.slow);
        let said = succeeds(limited(&start).arg(&subject.library).arg(slow));
        assert!(said.ends_with("start: ok\n"), "{said}");
    }
}

#[test]
fn a_caller_needs_no_larger_stack_than_the_documentation_asks_for() {
    if !have("gcc") {
        return;
    }
    let bench = Bench::new();
    let program = bench.compile("small_stack", &[]);
    for subject in subjects(Duration::ZERO) {
        let mut quick = subject.slow;
        quick["id"] = json!("quick");
        let quick = bench.job("quick.json", &quick);
        let said = succeeds(limited(&program).arg(&subject.library).arg(quick));
        let used = said.lines().find_map(|line| line.strip_prefix("used "));
        let used: usize = used.expect("a line with the figure").parse().unwrap();
        // docs/ABI.md says 18 KB of a release library, and that 64 KB are enough for any.
        assert!(
            used < 56 << 10,
            "{used} bytes of {}",
            subject.library.display()
        );
    }
}

#[test]
fn two_versions_in_one_process_each_answer_as_themselves() {
    if !have("gcc") {
        return;
    }
    let bench = Bench::new();
    let program = bench.compile("two_versions", &["-rdynamic"]);
    let files = [101, 102].map(|number| {
        let file = bench.path(&format!("v{number}.so"));
        fs::write(&file, chameleon(number, "good")).unwrap();
        file
    });
    let empty = bench.job("empty.json", &json!({"context": {}}));
    let said = succeeds(limited(program).args(&files).arg(empty));
    let lines: Vec<&str> = said.lines().collect();
    for (line, version) in lines.iter().zip(["777.0.101", "777.0.102"]) {
        let words: Vec<&str> = line.splitn(4, ' ').collect();
        assert!(
            words[1] == version && words[2] == "0" && words[3].contains(words[1]),
            "{line}"
        );
    }
    assert_eq!(lines.len(), 2);
}

/// Runs `outcomes` so many times over these jobs; how often each ended how, and what was on stderr.
fn outcomes(
    mut command: Command,
    library: &Path,
    (count, threads): (u32, u32),
    jobs: &[(&str, PathBuf)],
) -> (BTreeMap<String, u32>, String) {
    command
        .arg(library)
        .args([count, threads].map(|n| n.to_string()));
    command.args(
        jobs.iter()
            .map(|(name, file)| format!("{name}={}", file.display())),
    );
    let output = command.output().unwrap();
    let (said, errors) = texts(&output);
    assert!(
        output.status.success(),
        "{}\n{said}\n{errors}",
        output.status
    );
    let tally = said
        .lines()
        .map(|line| {
            let (end, count) = line.rsplit_once(' ').expect("a name, an end, a count");
            (end.to_owned(), count.parse().expect("a count"))
        })
        .collect();
    (tally, errors)
}

fn echo_jobs(bench: &Bench) -> Vec<(&'static str, PathBuf)> {
    let jobs = [
        ("good", json!({"id": "@ID@", "context": {"x": "y"}})),
        ("panic", json!({"id": "@ID@", "context": {"panic": true}})),
        (
            "cancel",
            json!({"id": "@ID@", "context": {"sleep_ms": 600_000}}),
        ),
        (
            "deadline",
            json!({"id": "@ID@", "context": {"sleep_ms": 600_000}}),
        ),
    ];
    let mut files = files(bench, jobs);
    files.push((
        "invalid",
        bench.text("invalid", r#"{"id":"@ID@","context":"#),
    ));
    files
}

const ECHO_ENDS: [&str; 5] = [
    "good DONE",
    "panic INTERNAL",
    "cancel CANCELLED",
    "deadline TIMEOUT",
    "invalid INVALID_JOB",
];

fn files<const N: usize>(
    bench: &Bench,
    jobs: [(&'static str, Value); N],
) -> Vec<(&'static str, PathBuf)> {
    jobs.map(|(name, job)| (name, bench.job(name, &job)))
        .to_vec()
}

/// What answers the DynamoDB plugin's jobs of every outcome.
struct Services {
    good: Paging,
    slow: Paging,
    throttled: Faults,
    broken: Faults,
    missing: Faults,
    denied: Faults,
    refused: Refused,
}

impl Services {
    fn start() -> Self {
        let table = || {
            Table::new((0..50).map(|n| json!({"id": {"S": n.to_string()}})), |_| {
                true
            })
        };
        let page = || vec![replay::page(&[r#"{"id":{"S":"1"}}"#], None)];
        Self {
            good: Paging::start(table()).unwrap(),
            slow: Paging::start(table().with_latency(Duration::from_secs(600))).unwrap(),
            throttled: Faults::always(page(), Fault::Throttling).unwrap(),
            broken: Faults::always(page(), Fault::CorruptJson).unwrap(),
            missing: Faults::always(page(), Fault::NotFound).unwrap(),
            denied: Faults::always(page(), Fault::AccessDenied).unwrap(),
            refused: Refused::start().unwrap(),
        }
    }

    fn jobs(&self, bench: &Bench) -> Vec<(&'static str, PathBuf)> {
        let select = json!({"query": "SELECT id FROM t"});
        let on = |url: String, context: &Value| {
            let mut job = with_id("@ID@", job(&url, context));
            job["cluster"]["context"]["max_attempts"] = json!(1);
            job
        };
        let good = |context: Value| on(self.good.url(), &context);
        files(
            bench,
            [
                ("good", good(select.clone())),
                ("invalid", good(json!({"qury": "SELECT id FROM t"}))),
                ("query", good(json!({"query": "SELECT id FRM t"}))),
                (
                    "write",
                    good(json!({"query": "DELETE FROM t WHERE id = 'x'"})),
                ),
                (
                    "large",
                    good(json!({"query": "SELECT id FROM t", "max_result_bytes": 20})),
                ),
                ("cancel", on(self.slow.url(), &select)),
                ("deadline", on(self.slow.url(), &select)),
                ("throttled", on(self.throttled.url(), &select)),
                ("broken", on(self.broken.url(), &select)),
                ("missing", on(self.missing.url(), &select)),
                ("denied", on(self.denied.url(), &select)),
                ("refused", on(self.refused.url(), &select)),
            ],
        )
    }
}

const DYNAMO_ENDS: [&str; 12] = [
    "good DONE",
    "invalid INVALID_JOB",
    "query INVALID_QUERY",
    "write NOT_READ_ONLY",
    "large RESULT_TOO_LARGE",
    "cancel CANCELLED",
    "deadline TIMEOUT",
    "throttled THROTTLED",
    "broken BAD_RESPONSE",
    "missing NOT_FOUND",
    "denied ACCESS_DENIED",
    "refused UNAVAILABLE",
];

/// Every job ended as its name says; how many there were.
fn ended_as(tally: &BTreeMap<String, u32>, ends: &[&str]) -> u32 {
    let mut expected: Vec<&str> = ends.to_vec();
    expected.sort_unstable();
    assert_eq!(tally.keys().collect::<Vec<_>>(), expected, "{tally:?}");
    tally.values().sum()
}

fn valgrind(program: &Path) -> Command {
    let mut command = limited("valgrind");
    command
        .args([
            "--error-exitcode=99",
            "--leak-check=full",
            "--fair-sched=try",
        ])
        .args([
            "--show-leak-kinds=definite,indirect",
            "--errors-for-leak-kinds=definite,indirect",
        ])
        .arg(program);
    command
}

/// The bytes that were not given back, but that something still leads to: to their start, or ("possibly lost") to their middle, as
/// hash tables and the stacks that glibc keeps for new threads have it.
fn residue(report: &str) -> u64 {
    if report.contains("no leaks are possible") {
        return 0;
    }
    ["possibly lost: ", "still reachable: "]
        .map(|kind| {
            let (_, rest) = report.split_once(kind).expect("valgrind prints a summary");
            let figure = rest.split(' ').next().expect("split gives one");
            figure
                .replace(',', "")
                .parse::<u64>()
                .expect("valgrind prints bytes")
        })
        .iter()
        .sum()
}

#[test]
fn valgrind_finds_no_error_and_no_leak_in_jobs_of_every_outcome() {
    if !have("gcc") || !have("valgrind") {
        return;
    }
    let (bench, for_echo, for_dynamo) = (Bench::new(), Bench::new(), Bench::new());
    let program = bench.compile("outcomes", &[]);
    let echo = (
        library("echo_plugin"),
        echo_jobs(&for_echo),
        &ECHO_ENDS[..],
        RESIDUE_ECHO,
    );
    let services = Services::start();
    let dynamo = (
        library("dynamo_plugin"),
        services.jobs(&for_dynamo),
        &DYNAMO_ENDS[..],
        RESIDUE_DYNAMO,
    );
    for (library, jobs, ends, most) in [echo, dynamo] {
        let (tally, report) = outcomes(valgrind(&program), &library, (1000, 4), &jobs);
        assert_eq!(ended_as(&tally, ends), 1000);
        let kept = residue(&report);
        assert!(
            kept <= most,
            "{kept} bytes are left, more than {most}:\n{report}"
        );
        println!("{}: {kept} bytes left at exit", library.display());
    }
}

#[test]
fn the_address_and_leak_sanitizers_find_nothing_in_jobs_of_every_outcome() {
    if !have("gcc") {
        return;
    }
    let (bench, for_echo, for_dynamo) = (Bench::new(), Bench::new(), Bench::new());
    let flags = ["-fsanitize=address", "-fno-omit-frame-pointer"];
    let program = bench.compile("outcomes", &flags);
    let services = Services::start();
    for (library, jobs, ends) in [
        (library("echo_plugin"), echo_jobs(&for_echo), &ECHO_ENDS[..]),
        (
            library("dynamo_plugin"),
            services.jobs(&for_dynamo),
            &DYNAMO_ENDS[..],
        ),
    ] {
        let (tally, _) = outcomes(limited(&program), &library, (1000, 8), &jobs);
        assert_eq!(ended_as(&tally, ends), 1000);
    }
    for name in ["misuse", "start"] {
        let program = bench.compile(name, &flags);
        for subject in subjects(Duration::from_millis(300)) {
            let slow = bench.job("slow.json", &subject.slow);
            succeeds(limited(&program).arg(&subject.library).arg(slow));
        }
    }
}

#[test]
fn a_server_that_closes_mid_request_does_not_kill_a_host_with_the_default_sigpipe() {
    if !have("gcc") {
        return;
    }
    let bench = Bench::new();
    let program = bench.compile("outcomes", &[]);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    // Ends with the test process: it waits in accept.
    thread::spawn(move || {
        for connection in listener.incoming() {
            let mut connection = connection.unwrap();
            let _ = connection.read(&mut [0; 64]);
            let _ = connection.shutdown(Shutdown::Both);
        }
    });
    // Large enough that the client is still writing when the connection goes.
    let context =
        json!({"query": "SELECT id FROM t WHERE id = ?", "parameters": ["x".repeat(350_000)]});
    let cut = bench.job("cut", &with_id("@ID@", job(&url, &context)));
    let (tally, _) = outcomes(
        limited(program),
        &library("dynamo_plugin"),
        (60, 8),
        &[("cut", cut)],
    );
    assert_eq!(ended_as(&tally, &["cut UNAVAILABLE"]), 60);
}
