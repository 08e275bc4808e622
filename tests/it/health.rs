//! Health checks, and jobs that are stopped: what an operator asks when something is wrong.

use std::{
    thread,
    time::{Duration, Instant},
};

use engines::{
    endpoints::{BlackHole, Refused, UNRESOLVABLE},
    faults::{Fault, Faults},
    sts::{Outcome, Script, Sts},
};
use harness_tests::{
    child::{self, Call},
    dynamo, job, logged,
};
use plugin_api::{Error, ErrorCode};
use plugin_host::CallOptions;
use serde_json::{Value, json};

const ROLE: &str = "arn:aws:iam::123456789012:role/HeimdallDynamoQueryRole";

fn cluster(context: &Value) -> Value {
    json!({"name": "test", "context": context})
}

fn health(context: &Value, timeout: Option<Duration>) -> Result<Value, Error> {
    let options = CallOptions {
        timeout,
        ..CallOptions::default()
    };
    let answer = dynamo().check_health(cluster(context).to_string().as_bytes(), &options)?;
    Ok(serde_json::from_slice(&answer).unwrap())
}

fn at(url: &str) -> Value {
    json!({"endpoint_url": url, "region": "us-east-1", "max_attempts": 1})
}

#[test]
fn a_cluster_is_healthy_where_it_answers_even_if_all_is_denied() {
    for fault in [
        Fault::AccessDenied,
        Fault::NotFound,
        Fault::Validation("no"),
        Fault::None,
    ] {
        let server = Faults::always(vec![engines::replay::page::<&str>(&[], None)], fault).unwrap();
        let answer = health(&at(&server.url()), None).unwrap();
        assert_eq!(answer["status"], "ok", "{fault:?}");
        assert!(answer["latency_ms"].is_u64());
        assert_eq!(server.requests(), 1);
        let target = server.seen()[0].call.header("x-amz-target").to_owned();
        assert_eq!(
            target, "DynamoDB_20120810.ExecuteStatement",
            "the one action that the role has"
        );
    }
}

#[test]
fn what_is_wrong_with_a_cluster_is_told_apart() {
    let unknown = Faults::always(Vec::new(), Fault::UnrecognizedClient).unwrap();
    let refused = Refused::start().unwrap();
    let sts = Sts::start(Script {
        after: Outcome::Refuse,
        ..Script::default()
    })
    .unwrap();
    let role = json!({"endpoint_url": unknown.url(), "region": "us-east-1", "role_arn": ROLE, "sts_endpoint_url": sts.url()});
    let cases = [
        (
            at(&unknown.url()),
            ErrorCode::new("CREDENTIALS"),
            "does not know the credentials",
        ),
        (role, ErrorCode::new("ASSUME_ROLE"), ROLE),
        (at(&refused.url()), ErrorCode::UNAVAILABLE, "refused"),
        (at(UNRESOLVABLE), ErrorCode::UNAVAILABLE, "does not resolve"),
        (
            json!({"region": "mars-north-1"}),
            ErrorCode::UNAVAILABLE,
            "mars-north-1",
        ),
        (
            json!({"region": "us east"}),
            ErrorCode::INVALID_JOB,
            "no region",
        ),
        (
            json!({"regoin": "us-east-1"}),
            ErrorCode::INVALID_JOB,
            "regoin",
        ),
    ];
    for (context, code, words) in cases {
        let error = health(&context, Some(Duration::from_secs(20))).unwrap_err();
        assert_eq!(error.code, code, "{context}: {error}");
        assert!(error.message.contains(words), "{context}: {error}");
        assert!(error.hint.is_some(), "{context}");
    }
    assert!(
        logged("").iter().all(|line| !line.contains("regoin")),
        "a health check leaves no audit line"
    );
}

#[test]
fn a_missing_region_and_missing_credentials_are_told_apart() {
    let server = Faults::always(Vec::new(), Fault::NotFound).unwrap();
    let keys = [
        ("AWS_ACCESS_KEY_ID", "AKID"),
        ("AWS_SECRET_ACCESS_KEY", "s"),
    ];
    let outcome = child::run(&keys, &[Call::Health(cluster(&json!({})))]);
    assert_eq!(
        outcome.answers[0]["error"]["code"], "INVALID_JOB",
        "{outcome:?}"
    );
    assert!(
        outcome.answers[0]["error"]["message"]
            .as_str()
            .unwrap()
            .contains("region")
    );
    let outcome = child::run(&[], &[Call::Health(cluster(&at(&server.url())))]);
    assert_eq!(
        outcome.answers[0]["error"]["code"], "CREDENTIALS",
        "{outcome:?}"
    );
}

#[test]
fn a_health_check_answers_within_its_timeout() {
    let mute = Faults::always(Vec::new(), Fault::StallBeforeAnswer).unwrap();
    let sts = Sts::start(Script {
        after: Outcome::Stall,
        ..Script::default()
    })
    .unwrap();
    let hole = BlackHole::start().unwrap();
    let role = json!({"endpoint_url": mute.url(), "region": "us-east-1", "role_arn": ROLE, "sts_endpoint_url": sts.url()});
    for context in [at(&mute.url()), role, at(&hole.url())] {
        let asked = Instant::now();
        let error = health(&context, Some(Duration::from_millis(500))).unwrap_err();
        assert_eq!(error.code, ErrorCode::TIMEOUT, "{context}: {error}");
        assert!(
            asked.elapsed() < Duration::from_millis(2500),
            "{context}: {:?}",
            asked.elapsed()
        );
    }
}

/// Waits until `ready` holds, at most ten seconds.
fn until(what: &str, ready: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !ready() {
        assert!(Instant::now() < deadline, "in vain: {what}");
        thread::sleep(Duration::from_millis(2));
    }
}

/// Starts the job, cancels it once `ready` holds, and gives how long it took to return.
fn cancelled(id: &str, mut document: Value, ready: impl Fn() -> bool) -> Duration {
    document["id"] = json!(id);
    let document = document.to_string();
    thread::scope(|scope| {
        let running = scope.spawn(|| {
            let error = dynamo()
                .run_job(document.as_bytes(), &CallOptions::default())
                .unwrap_err();
            (error, Instant::now())
        });
        until("the job is where it shall be stopped", ready);
        let asked = Instant::now();
        assert!(dynamo().cancel_job(id));
        let (error, returned) = running.join().unwrap();
        assert_eq!((error.code, error.retryable), (ErrorCode::CANCELLED, false));
        let took = returned - asked;
        // Past the capture: the figure is what this test is for.
        eprintln!("cancelled while {id}: {} ms", took.as_millis());
        assert!(took < Duration::from_secs(2), "{id}: {took:?}");
        took
    })
}

fn statement(url: &str) -> Value {
    job(url, &json!({"query": "SELECT * FROM t"}))
}

#[test]
fn a_cancelled_job_returns_at_once_and_its_request_is_stopped() {
    let mute = Faults::always(Vec::new(), Fault::StallBeforeAnswer).unwrap();
    cancelled("waiting for DynamoDB", statement(&mute.url()), || {
        mute.requests() == 1
    });
    until("the request is gone", || {
        mute.server().requests_under_way() == 0
    });

    let page = engines::replay::page(&[r#"{"id":{"S":"1"}}"#], None);
    let half = Faults::always(vec![page], Fault::StallMidBody).unwrap();
    cancelled("reading a body", statement(&half.url()), || {
        half.requests() == 1
    });
    until("the request is gone", || {
        half.server().requests_under_way() == 0
    });

    let sts = Sts::start(Script {
        after: Outcome::Stall,
        ..Script::default()
    })
    .unwrap();
    let mut job = statement(&mute.url());
    job["cluster"]["context"]["role_arn"] = json!(ROLE);
    job["cluster"]["context"]["sts_endpoint_url"] = json!(sts.url());
    cancelled("waiting for STS", job, || sts.seen().len() == 1);
    until("the request is gone", || {
        sts.server().requests_under_way() == 0
    });
    assert_eq!(mute.requests(), 1);
}

#[test]
fn a_job_asleep_between_retries_is_cancelled_at_once_and_sends_no_more() {
    let broken = Faults::always(Vec::new(), Fault::InternalServerError).unwrap();
    let mut job = statement(&broken.url());
    job["cluster"]["context"]["max_attempts"] = json!(30);
    // After several attempts the pauses are seconds long.
    cancelled("asleep between retries", job, || broken.requests() >= 4);
    let sent = broken.requests();
    assert_eq!(broken.server().requests_under_way(), 0);
    thread::sleep(Duration::from_millis(1500));
    assert_eq!(
        broken.requests(),
        sent,
        "nothing is left behind that goes on trying"
    );
}

#[test]
fn a_job_that_waits_for_credentials_ends_with_its_deadline_and_close_is_prompt_after_it() {
    let mute = Faults::always(Vec::new(), Fault::StallBeforeAnswer).unwrap();
    let sts = Sts::start(Script {
        after: Outcome::Stall,
        ..Script::default()
    })
    .unwrap();
    let mut job = statement(&mute.url());
    job["context"]["timeout_seconds"] = json!(0.5);
    let mut with_role = job.clone();
    with_role["cluster"]["context"]["role_arn"] = json!(ROLE);
    with_role["cluster"]["context"]["sts_endpoint_url"] = json!(sts.url());
    let keys = [
        ("AWS_ACCESS_KEY_ID", "AKID"),
        ("AWS_SECRET_ACCESS_KEY", "s"),
    ];
    let outcome = child::run(&keys, &[Call::Job(job), Call::AtOnce(5, with_role)]);
    for answer in &outcome.answers {
        assert_eq!(answer["error"]["code"], "TIMEOUT", "{answer}");
    }
    assert_eq!(
        mute.server().requests_under_way() + sts.server().requests_under_way(),
        0
    );
    assert!(
        outcome.close_ms < 2000,
        "close took {} ms: something was left behind",
        outcome.close_ms
    );
}
