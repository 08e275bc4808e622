//! The examples in other languages, built and run as their readers would: on the embedded engine, and many jobs at once.

use std::{path::Path, process::Command, time::Duration};

use harness_tests::library;
use serde_json::{Value, json};

use crate::hosts::{Bench, Subject, books, have, limited, root, subjects, succeeds, with_id};

/// Longer than any program needs to cancel a job that has begun.
const SLOW: Duration = Duration::from_millis(400);

/// The DynamoDB plugin with a job that takes [`SLOW`].
fn dynamo() -> Subject {
    let [_, dynamo] = subjects(SLOW);
    dynamo
}

fn check(said: &str, parts: &[&str]) {
    for part in parts {
        assert!(said.contains(part), "no {part:?} in: {said}");
    }
}

fn go(folder: &str, args: &[&str]) -> Command {
    let mut go = limited("go");
    go.args(args).current_dir(root().join(folder));
    go
}

#[test]
fn the_c_example_runs_the_demo_job_and_cancels_a_slow_one() {
    if !["gcc", "make", "pkg-config"].iter().all(|tool| have(tool)) {
        return;
    }
    let bench = Bench::new();
    let out = format!("OUT={}", bench.dir.path().display());
    succeeds(limited("make").args(["-s", "-C", "examples/c", &out]));
    let run = |job: &Path| {
        succeeds(
            limited(bench.path("host"))
                .arg(library("dynamo_plugin"))
                .arg(job)
                .arg("hello"),
        )
    };
    let (_engine, job) = books("hello");
    let said = run(&bench.job("books.json", &job));
    check(
        &said,
        &[
            "dynamo ",
            "ABI 1.1",
            "cancel progress health",
            "status 0: {\"columns\"",
            "12.99",
        ],
    );
    check(&said, &["status 1: {\"error\":{\"code\":\"INVALID_JOB\""]);
    let mut slow = dynamo();
    slow.slow["id"] = "hello".into();
    let said = run(&bench.job("slow.json", &slow.slow));
    check(
        &said,
        &[
            "status 0: {",
            "status 1: {\"error\":{\"code\":\"CANCELLED\"",
        ],
    );
}

#[test]
fn the_python_example_runs_the_demo_job_and_cancels_a_slow_one() {
    if !have("python3") {
        return;
    }
    let bench = Bench::new();
    let run = |job: &Path| {
        let mut python = limited("python3");
        succeeds(
            python
                .env("PYTHONPATH", "examples/python/src")
                .args(["-B", "examples/python/host.py"])
                .arg(library("dynamo_plugin"))
                .arg(job),
        )
    };
    let (_engine, job) = books("hello");
    let said = run(&bench.job("books.json", &job));
    check(
        &said,
        &[
            "dynamo ",
            r#""category": "books""#,
            r#""price": 12.99"#,
            "bad job: INVALID_JOB",
        ],
    );
    let said = run(&bench.job("slow.json", &dynamo().slow));
    check(&said, &["rows: [{", "cancelled: CANCELLED", "| hint: "]);
}

#[test]
fn the_go_example_runs_the_demo_job_and_cancels_a_slow_one() {
    if !have("go") || !have("gcc") {
        return;
    }
    let bench = Bench::new();
    let host = bench.path("host");
    succeeds(go("examples/go", &["build", "-o"]).arg(&host).arg("."));
    let run = |job: &Path| succeeds(limited(&host).arg(library("dynamo_plugin")).arg(job));
    let (_engine, job) = books("hello");
    let said = run(&bench.job("books.json", &job));
    check(
        &said,
        &[
            "dynamo ",
            "[cancel progress health rows start]",
            "result: {\"columns\"",
            "12.99",
        ],
    );
    let slow = dynamo();
    let said = run(&bench.job("slow.json", &slow.slow));
    check(
        &said,
        &["cancelled: CANCELLED", "bad job: INVALID_JOB: ", "hint: "],
    );
}

#[test]
fn sixty_four_goroutines_run_a_hundred_jobs_each_and_cancel_some() {
    if !have("go") || !have("gcc") {
        return;
    }
    let bench = Bench::new();
    for subject in subjects(Duration::from_millis(5)) {
        let job = bench.job("job.json", &subject.slow);
        succeeds(
            go("examples/go", &["test", "-count=1", "./..."])
                .env("HEIMDALL_TEST_LIBRARY", &subject.library)
                .env("HEIMDALL_TEST_JOB", job),
        );
    }
}

#[test]
fn thirty_two_python_threads_wait_for_their_jobs_at_the_same_time() {
    if !have("python3") {
        return;
    }
    let bench = Bench::new();
    for subject in subjects(SLOW) {
        let job = bench.job("job.json", &subject.slow);
        let mut python = limited("python3");
        python
            .args(["-B", "tests/python/threads.py"])
            .arg(&subject.library)
            .arg(job);
        let said = succeeds(python.env("PYTHONPATH", "examples/python/src"));
        check(&said, &["32 threads: ok"]);
    }
}

#[test]
fn heimdall_loads_its_plugin_and_runs_the_demo_job_through_the_library() {
    if !have("go") || !have("gcc") {
        return;
    }
    let bench = Bench::new();
    let heimdall = bench.dir.path().join("heimdall");
    let example = root().join("examples/heimdall-go");
    succeeds(
        Command::new("cp")
            .arg("-r")
            .arg(example.join("standin"))
            .arg(&heimdall),
    );
    std::fs::create_dir_all(heimdall.join("plugins/dynamo")).unwrap();
    std::fs::copy(
        example.join("dynamo.go"),
        heimdall.join("plugins/dynamo/dynamo.go"),
    )
    .unwrap();
    let in_heimdall = |args: &[&str]| {
        succeeds(limited("go").args(args).current_dir(&heimdall));
    };
    in_heimdall(&["vet", "./..."]);
    // As Heimdall's build script has it.
    let build = [
        "build",
        "-buildmode=plugin",
        "-o",
        "dynamo.so",
        "plugins/dynamo/dynamo.go",
    ];
    in_heimdall(&build);
    in_heimdall(&["build", "-o", "run", "cmd/run/run.go"]);
    let run = |job: &Path, more: &[&str]| {
        let mut run = limited(heimdall.join("run"));
        run.arg(heimdall.join("dynamo.so")).arg(job).args(more);
        run.env("HEIMDALL_DYNAMO_LIBRARY", library("dynamo_plugin"))
            .output()
            .unwrap()
    };
    let (_engine, job) = books("hello");
    let (said, errors) = crate::hosts::texts(&run(&bench.job("books.json", &job), &[]));
    check(
        &said,
        &[
            r#"{"name":"price","type":"float"}"#,
            r#"["books","123",12.99]"#,
        ],
    );
    check(
        &errors,
        &["progress: 2 rows, 1 pages", "stats: {\"rows\":2"],
    );
    // Two agents at once, a segment each, as Heimdall's queue gives each of them a job of its own.
    let (engine, _) = books("hello");
    let url = engine.url();
    let segment = |number: usize| {
        let context =
            json!({"query": "SELECT id FROM every_type", "total_segments": 2, "segment": number});
        let mut document = harness_tests::job(&url, &context);
        document["command"] = json!({"context": {"max_total_segments": 2}});
        let job = with_id(&format!("segment-{number}"), document);
        let path = bench.job(&format!("segment-{number}.json"), &job);
        let (said, errors) = crate::hosts::texts(&run(&path, &[]));
        serde_json::from_str::<Value>(&said).unwrap_or_else(|_| panic!("{said}{errors}"))
    };
    let results = std::thread::scope(|scope| {
        [0, 1]
            .map(|number| scope.spawn(move || segment(number)))
            .map(|agent| agent.join().unwrap())
    });
    let mut ids: Vec<&Value> = results
        .iter()
        .filter_map(|result| result["data"].as_array())
        .flatten()
        .collect();
    ids.sort_by_cached_key(|row| row.to_string());
    assert_eq!(
        json!(ids),
        json!([["a-1"], ["b-2"], ["c-3"], ["d-4"], ["e-5"]])
    );
    let subject = dynamo();
    let slow = bench.job("slow.json", &subject.slow);
    let output = run(&slow, &["100ms"]);
    assert!(!output.status.success());
    check(
        &crate::hosts::texts(&output).1,
        &["context canceled: CANCELLED: "],
    );
}
