//! The fault table: what a job gives for everything that can go wrong between it and DynamoDB, and how many requests it took.
//!
//! Each fault is injected into the second of three pages: once, and for good. A job that gets through has to be the clean run, byte for byte.
//! `BLESS=1` writes `docs/FAULTS.md` anew; otherwise it has to be what it would be.

use std::{env, fmt::Write as _, fs, path::Path, thread};

use engines::{
    endpoints::{Refused, UNRESOLVABLE},
    faults::{Fault, Faults},
    replay::chain,
    tls::Authority,
};
use harness_tests::{dynamo, job, logged, query, without_ports};
use plugin_api::Error;
use plugin_host::CallOptions;
use serde_json::{Value, json};

const QUERY: &str = "SELECT * FROM my_table WHERE price > 1";

/// A cause, what brings it about, and what it has to be for good; whether a second attempt gets through.
type Case = (&'static str, Fault, &'static str, bool);

static CASES: [Case; 24] = [
    (
        "throttled: table's throughput",
        Fault::ProvisionedThroughputExceeded,
        "THROTTLED",
        true,
    ),
    ("throttled: partition", Fault::Throttling, "THROTTLED", true),
    (
        "throttled: account",
        Fault::RequestLimitExceeded,
        "THROTTLED",
        true,
    ),
    ("500", Fault::InternalServerError, "UNAVAILABLE", true),
    ("503", Fault::ServiceUnavailable, "UNAVAILABLE", true),
    (
        "reset before a body",
        Fault::ResetBeforeAnswer,
        "UNAVAILABLE",
        true,
    ),
    (
        "reset in the middle of a body",
        Fault::ResetMidBody,
        "UNAVAILABLE",
        true,
    ),
    (
        "stall before a body",
        Fault::StallBeforeAnswer,
        "UNAVAILABLE",
        true,
    ),
    (
        "stall in the middle of a body",
        Fault::StallMidBody,
        "UNAVAILABLE",
        true,
    ),
    ("truncated body", Fault::Truncated, "UNAVAILABLE", true),
    ("corrupt JSON", Fault::CorruptJson, "BAD_RESPONSE", true),
    (
        "wrong x-amz-crc32",
        Fault::WrongChecksum,
        "BAD_RESPONSE",
        true,
    ),
    (
        "a body cut at its content-length",
        Fault::WrongLength,
        "BAD_RESPONSE",
        true,
    ),
    ("no list of items", Fault::NoItems, "BAD_RESPONSE", true),
    ("empty body", Fault::EmptyBody, "BAD_RESPONSE", true),
    ("a web page, HTTP 200", Fault::Html, "BAD_RESPONSE", true),
    ("redirect", Fault::Redirect, "BAD_RESPONSE", false),
    ("expired token", Fault::ExpiredToken, "CREDENTIALS", false),
    (
        "unknown access key",
        Fault::UnrecognizedClient,
        "CREDENTIALS",
        false,
    ),
    (
        "clock 20 minutes off",
        Fault::ClockSkew(1200),
        "CREDENTIALS",
        true,
    ),
    ("access denied", Fault::AccessDenied, "ACCESS_DENIED", false),
    ("no such table", Fault::NotFound, "NOT_FOUND", false),
    (
        "validation, with a position",
        Fault::Validation(MALFORMED),
        "VALIDATION",
        false,
    ),
    (
        "validation, without one",
        Fault::Validation("Unexpected from source"),
        "VALIDATION",
        false,
    ),
];

const MALFORMED: &str =
    "Statement wasn't well formed, can't be processed: Unexpected path component at 1:30:5";

/// Three pages; the last brings a column that the others lack, and another type for one that they have.
fn pages() -> Vec<bytes::Bytes> {
    let item = |n: u32| format!(r#"{{"id":{{"S":"item-{n}"}},"price":{{"N":"{n}.50"}}}}"#);
    let last = r#"{"id":{"S":"item-9"},"price":{"S":"free"},"late":{"L":[{"NULL":true}]}}"#;
    chain(&[
        vec![item(1), item(2)],
        vec![item(3), item(4), item(5)],
        vec![last.to_owned()],
    ])
}

/// A job under an id that tells its audit line; one about a stall does not wait for long.
fn document(url: &str, id: &str) -> Value {
    let mut job = job(url, &json!({"query": QUERY}));
    job["id"] = json!(id);
    if id.contains("stall") || id == "forty" {
        job["cluster"]["context"]["read_timeout_seconds"] = json!(2);
    }
    job
}

/// The result without its stats, which alone may differ, and the stats.
fn run(job: &Value) -> Result<(String, Value), Error> {
    let result = dynamo().run_job(job.to_string().as_bytes(), &CallOptions::default())?;
    let result = String::from_utf8(result.to_vec()).unwrap();
    let stats = serde_json::from_str::<Value>(&result).unwrap()["stats"].clone();
    let (rows, _) = result.split_once(",\"stats\":").unwrap();
    Ok((rows.to_owned(), stats))
}

fn clean() -> String {
    let server = Faults::start(pages(), Vec::new()).unwrap();
    run(&document(&server.url(), "clean")).unwrap().0
}

/// A line of the table.
struct Row {
    cause: &'static str,
    once: String,
    error: Error,
    requests: usize,
}

#[test]
fn every_fault_has_its_code_and_a_job_that_gets_through_is_the_clean_run() {
    let clean = clean();
    let mut rows: Vec<Row> = thread::scope(|scope| {
        let running: Vec<_> = CASES
            .iter()
            .map(|case| scope.spawn(|| row_of(case, &clean)))
            .collect();
        running.into_iter().map(|row| row.join().unwrap()).collect()
    });
    rows.extend(unreachable());
    compare(&render(&rows));
}

fn row_of(&(cause, fault, code, passes): &Case, clean: &str) -> Row {
    let server = Faults::start(pages(), vec![Fault::None, fault]).unwrap();
    let once = match run(&document(&server.url(), &format!("{cause}, once"))) {
        Ok((rows, stats)) => {
            assert!(passes, "{cause}: got through");
            assert_eq!(rows, clean, "{cause}: differs from the clean run");
            assert_eq!(
                (&stats["requests"], &stats["retries"], &stats["pages"]),
                (&json!(4), &json!(1), &json!(3)),
                "{cause}"
            );
            format!("the clean run's rows, {} requests", server.requests())
        }
        Err(error) => {
            assert!(!passes, "{cause}, once: {error}");
            format!("the same, {} requests", server.requests())
        }
    };
    let script = std::iter::once(Fault::None).chain([fault; 20]).collect();
    let server = Faults::start(pages(), script).unwrap();
    let id = format!("{cause}, for good");
    let error = run(&document(&server.url(), &id)).unwrap_err();
    assert_eq!(error.code, code, "{cause}: {error}");
    assert_eq!(
        (error.partial.rows, error.partial.pages),
        (2, 1),
        "{cause}: the first page was read"
    );
    assert_eq!(requests_told(&id), server.requests(), "{cause}");
    checked(cause, once, error, server.requests())
}

/// Faults on the way, before any server.
fn unreachable() -> Vec<Row> {
    let refused = Refused::start().unwrap();
    let backend = Faults::start(pages(), Vec::new()).unwrap();
    let untrusted = Authority::new().unwrap();
    let front = untrusted.front(backend.server().address(), &[]).unwrap();
    let ways = [
        ("host name does not resolve", UNRESOLVABLE.to_owned()),
        ("connection refused", refused.url()),
        ("certificate of an unknown authority", front.url()),
        (
            "HTTP where TLS is expected",
            backend.url().replace("http:", "https:"),
        ),
    ];
    let rows = ways.map(|(cause, url)| {
        let error = run(&document(&url, cause)).unwrap_err();
        assert_eq!(error.code, "UNAVAILABLE", "{cause}: {error}");
        checked(cause, "–".to_owned(), error, requests_told(cause))
    });
    assert_eq!(backend.requests(), 0);
    rows.into()
}

fn checked(cause: &'static str, once: String, error: Error, requests: usize) -> Row {
    assert!(error.hint.is_some(), "{cause}: no hint");
    let retryable = ["THROTTLED", "UNAVAILABLE", "BAD_RESPONSE"].contains(&error.code.as_str());
    assert_eq!(error.retryable, retryable, "{cause}");
    let expected = if retryable && cause != "redirect" {
        3
    } else {
        1
    };
    assert!(requests >= expected, "{cause}: {requests} requests");
    Row {
        cause,
        once,
        error,
        requests,
    }
}

/// The requests that the job's audit line tells.
fn requests_told(id: &str) -> usize {
    let lines = logged(id);
    let line = lines
        .iter()
        .find(|line| line.contains("dynamo::audit"))
        .unwrap();
    let (_, rest) = line.split_once(" requests=").unwrap();
    rest.split(' ').next().unwrap().parse().unwrap()
}

fn render(rows: &[Row]) -> String {
    let mut page = String::from(
        "# Faults\n\n\
         What a job gives when the second of its three pages fails, with the default of three attempts per request. A test writes this\n\
         table and compares it. *Once*: one request meets the fault; the rows are then the clean run's, byte for byte. *For good*:\n\
         every request from the second page on meets it; every error counts the first page in `partial`. Connections that never come\n\
         about have no *once*.\n\n\
         | fault | once | for good | AWS code | request id | retryable | requests | message | hint |\n\
         |---|---|---|---|---|---|---|---|---|\n",
    );
    for Row {
        cause,
        once,
        error,
        requests,
    } in rows
    {
        let _ = writeln!(
            page,
            "| {cause} | {once} | `{}` | {} | {} | {} | {requests} | {} | {} |",
            error.code,
            error.aws_code.as_deref().unwrap_or("–"),
            if error.request_id.is_some() {
                "yes"
            } else {
                "–"
            },
            if error.retryable { "yes" } else { "no" },
            cell(&error.message),
            cell(error.hint.as_deref().unwrap_or_default()),
        );
    }
    page
}

fn cell(text: &str) -> String {
    let text = without_ports(text);
    text.replace('|', "\\|").replace('\n', "<br>")
}

fn compare(page: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/FAULTS.md");
    if env::var_os("BLESS").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        return fs::write(path, page).unwrap();
    }
    let kept = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        kept == page,
        "docs/FAULTS.md is not what faults give now; BLESS=1 rewrites it:\n{page}"
    );
}

#[test]
fn forty_pages_through_every_kind_of_passing_fault_lose_and_double_no_row() {
    let items: Vec<Vec<String>> = (0..40)
        .map(|page| {
            (0..10)
                .map(|n| format!(r#"{{"id":{{"N":"{}"}}}}"#, page * 10 + n))
                .collect()
        })
        .collect();
    let passing: Vec<Fault> = CASES
        .iter()
        .filter(|case| case.3)
        .flat_map(|case| [Fault::None, case.1, Fault::None])
        .collect();
    let server = Faults::start(chain(&items), passing).unwrap();
    let (rows, stats) = run(&document(&server.url(), "forty")).unwrap();
    let expected: Vec<Value> = (0..400).map(|n| json!([n])).collect();
    assert!(rows.ends_with(&format!("\"data\":{}", json!(expected))));
    assert_eq!(
        (&stats["pages"], &stats["retries"]),
        (&json!(40), &json!(17))
    );
}

#[test]
fn a_position_of_dynamodb_is_mapped_onto_the_users_text() {
    let server = Faults::always(pages(), Fault::Validation(MALFORMED)).unwrap();
    let error = query(&server.url(), QUERY).unwrap_err();
    assert_eq!((error.line, error.column), (Some(1), Some(30)));
    assert!(error.message.contains(QUERY), "{}", error.message);
    let caret = error.message.lines().last().unwrap();
    let shown = error
        .message
        .lines()
        .find(|line| line.contains(QUERY))
        .unwrap();
    let start = shown.find(QUERY).unwrap();
    assert_eq!(caret.find('^').unwrap() - start, 29, "{}", error.message);
}

#[test]
fn max_attempts_is_the_clusters() {
    for attempts in [1, 2] {
        let server = Faults::always(pages(), Fault::InternalServerError).unwrap();
        let mut job = document(&server.url(), "attempts");
        job["cluster"]["context"]["max_attempts"] = json!(attempts);
        run(&job).unwrap_err();
        assert_eq!(server.requests(), attempts);
    }
}

#[test]
fn an_endpoint_that_fails_takes_no_retries_from_others() {
    // More failures than the SDK's retry quota covers.
    let broken = Faults::always(pages(), Fault::InternalServerError).unwrap();
    let mut job = document(&broken.url(), "broken");
    job["cluster"]["context"]["max_attempts"] = json!(2);
    thread::scope(|scope| {
        for _ in 0..120 {
            scope.spawn(|| run(&job).unwrap_err());
        }
    });
    let other = Faults::start(pages(), vec![Fault::None, Fault::InternalServerError]).unwrap();
    run(&document(&other.url(), "other")).unwrap();
    assert_eq!(other.requests(), 4);
}
