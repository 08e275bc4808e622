//! What must never be seen: credentials, tokens, passwords and parameter values, in any log line, error or result; and the audit line,
//! which tells everything but the statement.

use std::{sync::Arc, time::Duration};

use engines::{
    embedded::Embedded,
    endpoints::{Refused, UNRESOLVABLE},
    faults::{Fault, Faults},
    metadata::{CONTAINER_AUTHORIZATION, Metadata},
    proxy::{Proxy, Rules},
    replay::page,
    session::{SECRET_MARK, TOKEN_MARK},
    sts::{Outcome, Script, Sts},
};
use harness_tests::{
    child::{self, Call, Outcome as Ran},
    job, logged, run,
};
use serde_json::{Value, json};

const ROLE: &str = "arn:aws:iam::123456789012:role/HeimdallDynamoQueryRole";
const KEY: &str = "AKIDMARKEDKEY";
const SECRET: &str = "MarkedSecretKey";
const TOKEN: &str = "MarkedSessionToken";
const PASSWORD: &str = "MarkedPassword";
const TEXT: &str = "marked parameter text";
const NUMBER: &str = "987654321234567";
const LITERAL: &str = "marked literal";

/// What no line, error or result may hold.
const MARKS: [&str; 10] = [
    KEY,
    SECRET,
    TOKEN,
    PASSWORD,
    TEXT,
    NUMBER,
    SECRET_MARK,
    TOKEN_MARK,
    CONTAINER_AUTHORIZATION,
    "MarkedExternalId",
];

/// DynamoDB's sentence, with what it may quote of a request.
const QUOTING: &str = "The value marked parameter text or 987654321234567 does not fit, at 1:15:4";

fn statement(url: &str) -> Value {
    let query = format!("SELECT * FROM t WHERE a = ? AND b = ? AND c = '{LITERAL}'");
    let number: Value = serde_json::from_str(NUMBER).unwrap();
    let mut job = job(
        url,
        &json!({"query": query, "parameters": [TEXT, {"L": [{"N": number.to_string()}]}]}),
    );
    job["id"] = json!("marked");
    job["cluster"]["context"]["max_attempts"] = json!(2);
    job["cluster"]["context"]["read_timeout_seconds"] = json!(1);
    job
}

fn with(mut job: Value, context: &Value) -> Value {
    let cluster = job["cluster"]["context"].as_object_mut().unwrap();
    cluster.extend(context.as_object().unwrap().clone());
    job
}

fn clean(what: &str, ran: &Ran) {
    let answers = ran.answers.iter().map(Value::to_string);
    for text in ran.log.iter().cloned().chain(answers) {
        for mark in MARKS {
            assert!(!text.contains(mark), "{what}: '{mark}' in: {text}");
        }
    }
    for line in &ran.log {
        assert!(
            !line.contains(LITERAL),
            "{what}: the statement in a log line: {line}"
        );
    }
    let jobs = ran
        .log
        .iter()
        .filter(|line| line.contains("dynamo::audit"))
        .count();
    assert_eq!(jobs, ran.answers.len(), "{what}: one audit line per job");
}

const BASE: [(&str, &str); 3] = [
    ("AWS_ACCESS_KEY_ID", KEY),
    ("AWS_SECRET_ACCESS_KEY", SECRET),
    ("AWS_SESSION_TOKEN", TOKEN),
];

#[test]
fn no_fault_of_dynamodb_makes_a_secret_seen() {
    let page = page(&[r#"{"id":{"S":"1"}}"#], None);
    let faults = [
        Fault::None,
        Fault::Throttling,
        Fault::InternalServerError,
        Fault::ResetBeforeAnswer,
        Fault::ResetMidBody,
        Fault::StallBeforeAnswer,
        Fault::StallMidBody,
        Fault::Truncated,
        Fault::CorruptJson,
        Fault::WrongChecksum,
        Fault::EmptyBody,
        Fault::Html,
        Fault::Redirect,
        Fault::ExpiredToken,
        Fault::ClockSkew(1200),
        Fault::UnrecognizedClient,
        Fault::AccessDenied,
        Fault::NotFound,
        Fault::Validation(QUOTING),
    ];
    let servers = faults.map(|fault| Faults::always(vec![page.clone()], fault).unwrap());
    let refused = Refused::start().unwrap();
    let urls = servers
        .iter()
        .map(Faults::url)
        .chain([refused.url(), UNRESOLVABLE.to_owned()]);
    let calls: Vec<Call> = urls.map(|url| Call::Job(statement(&url))).collect();
    let ran = child::run(&BASE, &calls);
    clean("faults", &ran);
    let quoted = ran.answers[18]["error"]["message"].as_str().unwrap();
    assert!(quoted.contains("The value ? or ? does not fit"), "{quoted}");
}

#[test]
fn no_answer_of_sts_makes_a_secret_seen() {
    let dynamodb = Faults::always(vec![page::<&str>(&[], None)], Fault::None).unwrap();
    let outcomes = [
        Outcome::Grant,
        Outcome::Refuse,
        Outcome::ExpiredToken,
        Outcome::InvalidClientToken,
        Outcome::Throttle,
        Outcome::InternalFailure,
        Outcome::Reset,
        Outcome::Stall,
    ];
    let servers = outcomes.map(|after| {
        Sts::start(Script {
            after,
            ..Script::default()
        })
        .unwrap()
    });
    let calls: Vec<Call> = servers
        .iter()
        .map(|sts| {
            let context = json!({"role_arn": ROLE, "external_id": "MarkedExternalId", "sts_endpoint_url": sts.url()});
            Call::Job(with(statement(&dynamodb.url()), &context))
        })
        .collect();
    let ran = child::run(&BASE, &calls);
    clean("STS", &ran);
    assert!(ran.answers[0]["data"].is_array(), "{:?}", ran.answers[0]);
}

#[test]
fn no_source_of_credentials_and_no_proxy_makes_a_secret_seen() {
    let dynamodb =
        Faults::always(vec![page::<&str>(&[], None)], Fault::UnrecognizedClient).unwrap();
    let metadata = Metadata::start(Duration::from_secs(60), "us-east-1").unwrap();
    let job = || Call::Job(statement(&dynamodb.url()));
    let container = metadata.container_url();
    let variables = [
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", container.as_str()),
        ("AWS_CONTAINER_AUTHORIZATION_TOKEN", CONTAINER_AUTHORIZATION),
    ];
    clean("container", &child::run(&variables, &[job()]));

    // A process that fails and says what it knows on both of its outputs.
    let folder = tempfile::tempdir().unwrap();
    let (config, script) = (
        folder.path().join("config"),
        folder.path().join("process.sh"),
    );
    std::fs::write(
        &script,
        format!("echo {SECRET}\necho {TOKEN} >&2\nexit 1\n"),
    )
    .unwrap();
    std::fs::write(
        &config,
        format!("[default]\ncredential_process = sh {}\n", script.display()),
    )
    .unwrap();
    let variables = [("AWS_CONFIG_FILE", config.to_str().unwrap())];
    clean("credential_process", &child::run(&variables, &[job()]));

    let proxy = Proxy::start(Rules {
        credentials: Some("user:other".into()),
        ..Rules::default()
    })
    .unwrap();
    let context = json!({"proxy": proxy.url_with(&format!("user:{PASSWORD}"))});
    let broken = json!({"proxy": format!("http://user:{PASSWORD}@[::1:1")});
    let tls = statement("https://127.0.0.1:1");
    let calls = [
        Call::Job(with(tls.clone(), &context)),
        Call::Job(with(statement(&dynamodb.url()), &context)),
        Call::Job(with(tls, &broken)),
    ];
    clean("proxy", &child::run(&BASE, &calls));
}

#[test]
fn the_audit_line_tells_who_read_what_and_how_much_and_never_the_statement() {
    let engine = Embedded::start().unwrap();
    engine.load(&engines::sample::tables()).unwrap();
    let sts = Arc::new(Sts::start(Script::default()).unwrap());
    let context = json!({"query": "SELECT * FROM my_table WHERE category = 'books'"});
    let mut document = job(&engine.url(), &context);
    document["id"] = json!("audited");
    document["user"] = json!("alice smith\n");
    let document = with(
        document,
        &json!({"role_arn": ROLE, "sts_endpoint_url": sts.url()}),
    );
    let capacity = run(&document).unwrap()["stats"]["consumed_capacity_units"].to_string();
    let lines = logged("audited");
    assert_eq!(lines.len(), 1, "{lines:?}");
    let line = &lines[0];
    assert!(
        line.starts_with("Info dynamo::audit job=audited "),
        "{line}"
    );
    for field in [
        r#"user="alice smith\n""#,
        &format!("role={ROLE}"),
        "region=us-east-1",
        "table=my_table",
        "index=-",
        "rows=2",
        "pages=1",
        "requests=1",
        "retries=0",
        &format!("capacity={capacity}"),
        "elapsed_ms=",
        "outcome=OK",
    ] {
        assert!(line.contains(&format!(" {field}")), "{field}: {line}");
    }
    assert!(!line.contains("books"), "{line}");

    let mut refused = job(
        &engine.url(),
        &json!({"query": "DELETE FROM my_table WHERE id = 'literal'"}),
    );
    refused["id"] = json!("refused");
    run(&refused).unwrap_err();
    let lines = logged("refused");
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(
        lines[0].ends_with("outcome=NOT_READ_ONLY") && !lines[0].contains("literal"),
        "{lines:?}"
    );
}
