//! As whom a job runs: every source of credentials that can be had on loopback, roles, refresh, and what STS may answer instead.

mod attacks;
mod settings;
mod sources;
mod way;

use std::{thread, time::Duration};

use engines::{
    endpoints::Refused,
    faults::{Fault, Faults},
    moto,
    replay::chain,
    skip_or_fail,
    sts::{Outcome, Script, Sts},
};
use harness_tests::{job, run};
use plugin_api::ErrorCode;
use serde_json::{Value, json};

const ROLE: &str = "arn:aws:iam::123456789012:role/HeimdallDynamoQueryRole";

/// What the contract says a role session may do; the text is AWS's to read, so it is compared as JSON.
const READ_ONLY: &str = r#"{"Version":"2012-10-17","Statement":[
    {"Effect":"Allow","Action":["dynamodb:PartiQLSelect","dynamodb:Scan","dynamodb:DescribeTable"],"Resource":"*"},
    {"Effect":"Allow","Action":["kms:Decrypt","kms:DescribeKey"],"Resource":"*",
     "Condition":{"StringLike":{"kms:ViaService":"dynamodb.*.amazonaws.com"}}}]}"#;

/// `n_pages` pages of one numbered row each.
fn pages(n_pages: usize) -> Vec<bytes::Bytes> {
    let items: Vec<Vec<String>> = (0..n_pages)
        .map(|n| vec![format!(r#"{{"id":{{"N":"{n}"}}}}"#)])
        .collect();
    chain(&items)
}

fn dynamodb() -> Faults {
    Faults::start(pages(1), Vec::new()).unwrap()
}

/// A job that assumes the role, with these fields in its cluster's context as well.
fn with_role(dynamodb: &str, sts: &str, more: &Value) -> Value {
    let mut job = job(dynamodb, &json!({"query": "SELECT * FROM t"}));
    job["user"] = json!("alice");
    let context = job["cluster"]["context"].as_object_mut().unwrap();
    context.insert("role_arn".into(), json!(ROLE));
    context.insert("sts_endpoint_url".into(), json!(sts));
    context.extend(more.as_object().unwrap().clone());
    job
}

fn keys(dynamodb: &Faults) -> Vec<String> {
    let seen = dynamodb.seen();
    seen.iter()
        .map(|seen| seen.call.access_key().unwrap().to_owned())
        .collect()
}

#[test]
fn a_role_is_assumed_with_everything_that_the_cluster_says() {
    let (dynamodb, sts) = (dynamodb(), Sts::start(Script::default()).unwrap());
    let more = json!({"external_id": "ext+id", "session_name": "team-{user}", "session_duration_seconds": 900});
    run(&with_role(&dynamodb.url(), &sts.url(), &more)).unwrap();
    let seen = &sts.seen()[0];
    assert_eq!(seen.access_key.as_deref(), Some("test"));
    for (parameter, value) in [
        ("RoleArn", ROLE),
        ("ExternalId", "ext+id"),
        ("RoleSessionName", "team-alice"),
        ("DurationSeconds", "900"),
    ] {
        assert_eq!(seen.parameter(parameter), value, "{parameter}");
    }
    let policy: Value = serde_json::from_str(seen.parameter("Policy")).unwrap();
    assert_eq!(policy, serde_json::from_str::<Value>(READ_ONLY).unwrap());
    assert_eq!(keys(&dynamodb), sts.granted());
}

#[test]
fn without_more_a_role_session_is_named_for_the_cluster_and_with_none_it_has_no_policy() {
    let (dynamodb, sts) = (dynamodb(), Sts::start(Script::default()).unwrap());
    let job = with_role(
        &dynamodb.url(),
        &sts.url(),
        &json!({"session_policy": "none"}),
    );
    run(&job).unwrap();
    let parameters = sts.seen()[0].parameters.clone();
    assert_eq!(parameters["RoleSessionName"], "heimdall-test");
    for absent in ["Policy", "ExternalId", "DurationSeconds"] {
        assert!(!parameters.contains_key(absent), "{absent}");
    }
}

#[test]
fn a_hundred_first_jobs_at_once_assume_the_role_once() {
    let dynamodb = dynamodb();
    let script = Script {
        after: Outcome::GrantLate(Duration::from_millis(300)),
        ..Script::default()
    };
    let sts = Sts::start(script).unwrap();
    let job = with_role(&dynamodb.url(), &sts.url(), &json!({}));
    thread::scope(|scope| {
        for _ in 0..100 {
            scope.spawn(|| run(&job).unwrap());
        }
    });
    assert_eq!((sts.seen().len(), dynamodb.requests()), (1, 100));
}

#[test]
fn clusters_that_differ_in_any_field_never_share_a_session() {
    let (dynamodb, sts) = (dynamodb(), Sts::start(Script::default()).unwrap());
    let differences = [
        json!({}),
        json!({"role_arn": "arn:aws:iam::123456789012:role/Other"}),
        json!({"external_id": "x"}),
        json!({"session_name": "s"}),
        json!({"session_name": "s-{user}"}),
        json!({"session_duration_seconds": 900}),
        json!({"session_policy": "none"}),
        json!({"region": "eu-west-1"}),
        json!({"endpoint_url": format!("{}/", dynamodb.url())}),
        json!({"sts_endpoint_url": format!("{}/", sts.url())}),
        json!({"max_attempts": 7}),
        json!({"connect_timeout_seconds": 7}),
        json!({"read_timeout_seconds": 7}),
    ];
    for _ in 0..2 {
        for difference in &differences {
            run(&with_role(&dynamodb.url(), &sts.url(), difference)).unwrap();
        }
    }
    assert_eq!(sts.granted().len(), differences.len());
    let keys = keys(&dynamodb);
    assert_eq!(keys[..differences.len()], sts.granted());
    assert_eq!(keys[differences.len()..], sts.granted());

    // Two users of one cluster, too, where its session name tells them apart; else they share.
    let mut other_user = with_role(
        &dynamodb.url(),
        &sts.url(),
        &json!({"session_name": "s-{user}"}),
    );
    other_user["user"] = json!("bob");
    run(&other_user).unwrap();
    assert_eq!(sts.granted().len(), differences.len() + 1);
    let mut shared = with_role(&dynamodb.url(), &sts.url(), &json!({}));
    shared["user"] = json!("bob");
    run(&shared).unwrap();
    assert_eq!(sts.granted().len(), differences.len() + 1);
}

/// A session this short is refreshed some seconds after it began, in the middle of a scan of [`SCAN`] pages.
const SHORT: Duration = Duration::from_secs(10);
const SCAN: usize = 45;

/// A scan of about nine seconds, under sessions as this STS grants them.
fn scan(script: Script) -> (Result<Value, plugin_api::Error>, Faults, Sts) {
    let dynamodb = Faults::always(pages(SCAN), Fault::Late(Duration::from_millis(200))).unwrap();
    let sts = Sts::start(script).unwrap();
    let result = run(&with_role(
        &dynamodb.url(),
        &sts.url(),
        &json!({"session_duration_seconds": 900}),
    ));
    (result, dynamodb, sts)
}

#[test]
fn a_session_refreshed_in_the_middle_of_a_scan_loses_and_doubles_no_row() {
    let (result, dynamodb, sts) = scan(Script {
        lifetime: SHORT,
        ..Script::default()
    });
    let rows: Vec<Value> = (0..SCAN).map(|n| json!([n])).collect();
    assert_eq!(result.unwrap()["data"], json!(rows));
    let mut keys = keys(&dynamodb);
    assert_eq!(keys.len(), SCAN);
    keys.dedup();
    assert!(keys.len() >= 2, "never refreshed");
    assert_eq!(keys, sts.granted());
}

#[test]
fn a_failed_refresh_is_retried() {
    let script = vec![Outcome::Grant, Outcome::InternalFailure, Outcome::Reset];
    let (result, _, sts) = scan(Script {
        lifetime: SHORT,
        script,
        ..Script::default()
    });
    assert_eq!(result.unwrap()["data"].as_array().unwrap().len(), SCAN);
    assert!(sts.seen().len() >= 4, "{} calls", sts.seen().len());
}

#[test]
fn a_refresh_that_fails_for_good_is_named_and_tells_how_far_the_job_came() {
    let script = vec![Outcome::Grant];
    let (result, dynamodb, _) = scan(Script {
        lifetime: SHORT,
        script,
        after: Outcome::Refuse,
    });
    let error = result.unwrap_err();
    assert_eq!(error.code, ErrorCode::new("ASSUME_ROLE"), "{error}");
    assert_eq!(error.partial.pages, dynamodb.requests() as u64);
    assert!(error.partial.pages > 0);
}

#[test]
fn whatever_sts_answers_has_its_code_and_no_request_reaches_dynamodb() {
    let dynamodb = dynamodb();
    let cases = [
        (
            Outcome::Refuse,
            ErrorCode::new("ASSUME_ROLE"),
            Some("AccessDenied"),
        ),
        (
            Outcome::ExpiredToken,
            ErrorCode::new("CREDENTIALS"),
            Some("ExpiredToken"),
        ),
        (
            Outcome::InvalidClientToken,
            ErrorCode::new("CREDENTIALS"),
            Some("InvalidClientTokenId"),
        ),
        (
            Outcome::Throttle,
            ErrorCode::new("THROTTLED"),
            Some("Throttling"),
        ),
        (
            Outcome::InternalFailure,
            ErrorCode::UNAVAILABLE,
            Some("InternalFailure"),
        ),
        (Outcome::Reset, ErrorCode::UNAVAILABLE, None),
        (Outcome::Stall, ErrorCode::UNAVAILABLE, None),
    ];
    thread::scope(|scope| {
        for (outcome, code, aws_code) in cases {
            let url = dynamodb.url();
            scope.spawn(move || {
                let sts = Sts::start(Script {
                    after: outcome,
                    ..Script::default()
                })
                .unwrap();
                let more =
                    json!({"read_timeout_seconds": if outcome == Outcome::Stall { 1 } else { 20 }});
                let error = run(&with_role(&url, &sts.url(), &more)).unwrap_err();
                assert_eq!(
                    (error.code.as_str(), error.aws_code.as_deref()),
                    (code.as_str(), aws_code),
                    "{outcome:?}: {error}"
                );
                assert!(error.hint.is_some(), "{outcome:?}");
                assert_eq!(
                    error.request_id.is_some(),
                    aws_code.is_some(),
                    "{outcome:?}"
                );
                let attempts = if error.retryable { 3 } else { 1 };
                assert_eq!(sts.seen().len(), attempts, "{outcome:?}");
                println!("{outcome:?}: {error}");
            });
        }
    });
    let nobody = Refused::start().unwrap();
    let error = run(&with_role(&dynamodb.url(), &nobody.url(), &json!({}))).unwrap_err();
    assert_eq!(error.code, ErrorCode::UNAVAILABLE);
    assert!(error.message.contains("STS"), "{error}");
    assert_eq!(dynamodb.requests(), 0);
}

#[test]
fn motos_sts_grants_a_role_as_well() {
    let moto = match moto::shared() {
        Ok(moto) => moto,
        Err(skip) => return skip_or_fail(&skip),
    };
    let dynamodb = dynamodb();
    run(&with_role(
        &dynamodb.url(),
        moto.url(),
        &json!({"external_id": "x"}),
    ))
    .unwrap();
    assert!(keys(&dynamodb)[0].starts_with("ASIA"));
}
