//! What a hostile or broken service may answer: bodies without end, the request's own headers, and words that a terminal obeys.

use std::sync::{Arc, Mutex};

use base64::{Engine, prelude::BASE64_STANDARD};
use engines::{
    endless::Endless,
    faults::Faults,
    http::{Answer, Call as Asked, Server},
};
use harness_tests::child::{self, Call, Outcome};
use serde_json::{Value, json};

use super::{ROLE, dynamodb};

/// More than a few connections' system buffers, and far less than a client would read that does not stop.
const MOST_BYTES: u64 = 96 << 20;

const KEY: &str = "AKIDMARKEDKEY0001";
const TOKEN: &str = "IQoJb3JpZ2luX2VjEJr//////////wEaCXVzLWVhc3QtMSJHMEUCIQDz+Q==";

const KEYS: [(&str, &str); 3] = [
    ("AWS_ACCESS_KEY_ID", KEY),
    ("AWS_SECRET_ACCESS_KEY", "s"),
    ("AWS_SESSION_TOKEN", TOKEN),
];

fn job(endpoint: &str, context: &Value) -> Value {
    let mut job = harness_tests::job(
        endpoint,
        &json!({"query": "SELECT * FROM t", "timeout_seconds": 60}),
    );
    let cluster = job["cluster"]["context"].as_object_mut().unwrap();
    cluster.extend(context.as_object().unwrap().clone());
    job
}

fn error(outcome: &Outcome) -> (&str, &str) {
    let error = &outcome.answers[0]["error"];
    (
        error["code"].as_str().unwrap(),
        error["message"].as_str().unwrap(),
    )
}

#[test]
fn an_endless_body_is_read_to_its_bound_whoever_sends_it() {
    let dynamodb = dynamodb();
    for (status, expected) in [
        (
            400,
            ["BAD_RESPONSE", "BAD_RESPONSE", "CREDENTIALS", "UNAVAILABLE"],
        ),
        (200, ["", "BAD_RESPONSE", "BAD_RESPONSE", "BAD_RESPONSE"]),
    ] {
        let endless = Endless::start(status).unwrap();
        let url = endless.url();
        let role = json!({"role_arn": ROLE, "sts_endpoint_url": url});
        let agent = format!("{url}/credentials");
        let container = [("AWS_CONTAINER_CREDENTIALS_FULL_URI", agent.as_str())];
        let instance = [
            ("AWS_EC2_METADATA_DISABLED", "false"),
            ("AWS_EC2_METADATA_SERVICE_ENDPOINT", url.as_str()),
        ];
        type Case<'a> = (&'a str, &'a [(&'a str, &'a str)], Value);
        let cases: [Case<'_>; 4] = [
            ("DynamoDB", &KEYS, job(&url, &json!({}))),
            ("STS", &KEYS, job(&dynamodb.url(), &role)),
            ("container", &container, job(&dynamodb.url(), &json!({}))),
            ("instance", &instance, job(&dynamodb.url(), &json!({}))),
        ];
        for ((who, variables, job), code) in cases.into_iter().zip(expected) {
            if code.is_empty() {
                continue; // A result's size is `max_result_bytes`' to bound.
            }
            let before = endless.sent();
            let outcome = child::run(variables, &[Call::Job(job)]);
            let sent = endless.sent() - before;
            println!(
                "{who}, HTTP {status}: {sent} bytes were taken; {:?}",
                error(&outcome)
            );
            assert_eq!(error(&outcome).0, code, "{who}, HTTP {status}: {outcome:?}");
            assert!(sent < MOST_BYTES, "{who}, HTTP {status}: {sent} bytes");
        }
    }
    assert_eq!(dynamodb.requests(), 0);
}

/// Every header and the body of a request, in the forms in which a service may repeat them.
fn repeated(call: &Asked) -> String {
    let headers = call
        .headers
        .iter()
        .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap_or_default()));
    let mut request = headers.collect::<Vec<_>>().join("; ");
    request.push_str(&String::from_utf8_lossy(&call.body));
    let escaped: String = request.bytes().map(|byte| format!("%{byte:02X}")).collect();
    let hex: String = request.bytes().map(|byte| format!("{byte:02x}")).collect();
    [
        request.clone(),
        request.to_lowercase(),
        BASE64_STANDARD.encode(&request),
        escaped,
        hex,
    ]
    .join(" | ")
}

/// A service that refuses everything and repeats the request, in JSON or XML.
fn echo(status: u16, code: &'static str, is_sts: bool, seen: &Arc<Mutex<Vec<String>>>) -> Server {
    let seen = Arc::clone(seen);
    Server::start(move |call| {
        let authorization = call.header("authorization").to_owned();
        seen.lock().unwrap().push(authorization.clone());
        let repeated = repeated(&call);
        let body = if is_sts {
            let repeated = repeated.replace('&', "&amp;").replace('<', "&lt;");
            format!("<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>{repeated}</Message></Error><RequestId>{TOKEN}</RequestId></ErrorResponse>")
        } else {
            json!({"__type": format!("x#{code}"), "message": repeated}).to_string()
        };
        let answer = Answer::new(status, body)
            .with_header("x-amzn-requestid", &authorization.replace(' ', ""))
            .with_header("content-type", if is_sts { "text/xml" } else { "application/x-amz-json-1.0" });
        Box::pin(std::future::ready(Some(answer)))
    })
    .unwrap()
}

fn letters(text: &str) -> String {
    text.chars()
        .filter(char::is_ascii_alphanumeric)
        .map(|c| c.to_ascii_lowercase())
        .collect()
}

fn clean(outcome: &Outcome, secrets: &[&str]) {
    let all = letters(&format!("{outcome:?}"));
    for secret in secrets {
        let hex: String = secret.bytes().map(|byte| format!("{byte:02x}")).collect();
        for form in [
            letters(secret),
            hex,
            letters(&BASE64_STANDARD.encode(secret)),
        ] {
            let form: Vec<char> = form.chars().collect();
            for part in form.windows(form.len().min(16)) {
                let part: String = part.iter().collect();
                assert!(
                    !all.contains(&part),
                    "{part} of {secret} is seen in {outcome:?}"
                );
            }
        }
    }
}

#[test]
fn a_service_that_repeats_the_request_gives_nothing_of_its_signature_away() {
    let folder = tempfile::tempdir().unwrap();
    let web_token = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJtYXJrZWQifQ.c2lnbmF0dXJl";
    let file = folder.path().join("token");
    std::fs::write(&file, web_token).unwrap();
    let working = dynamodb();
    for (status, code) in [
        (400, "ValidationException"),
        (400, "AccessDeniedException"),
        (400, "Whatever"),
        (500, "InternalServerError"),
        (400, KEY),
    ] {
        let seen = Arc::default();
        let service = echo(status, code, false, &seen);
        let outcome = child::run(&KEYS, &[Call::Job(job(&service.url(), &json!({})))]);
        checked(&outcome, &seen, &[KEY, TOKEN]);

        let seen = Arc::default();
        let sts = echo(status, code, true, &seen);
        let context = json!({"role_arn": ROLE, "sts_endpoint_url": sts.url(), "external_id": "marked-external-identity"});
        let outcome = child::run(&KEYS, &[Call::Job(job(&working.url(), &context))]);
        checked(&outcome, &seen, &[KEY, TOKEN, "marked-external-identity"]);

        let variables = [
            ("AWS_WEB_IDENTITY_TOKEN_FILE", file.to_str().unwrap()),
            ("AWS_ROLE_ARN", ROLE),
        ];
        let context = json!({"sts_endpoint_url": sts.url()});
        let outcome = child::run(&variables, &[Call::Job(job(&working.url(), &context))]);
        checked(&outcome, &seen, &[web_token]);
    }
    assert_eq!(Faults::requests(&working), 0);
}

fn checked(outcome: &Outcome, seen: &Arc<Mutex<Vec<String>>>, secrets: &[&str]) {
    assert!(
        outcome.answers[0]["error"]["code"].is_string(),
        "{outcome:?}"
    );
    let seen = seen.lock().unwrap();
    let signatures = seen
        .iter()
        .filter_map(|header| Some(header.split_once("Signature=")?.1));
    let all: Vec<&str> = signatures.chain(secrets.iter().copied()).collect();
    clean(outcome, &all);
}

#[test]
fn a_services_words_are_cut_and_hold_nothing_that_a_terminal_obeys() {
    let words = format!(
        "no\x1b[2Jice\u{9b}31m \u{202e}drow\u{2066} \r\n\u{7} {}",
        "long ".repeat(10_000)
    );
    for code in [
        "ValidationException",
        "AccessDeniedException",
        "Whatever\u{1b}[2J",
    ] {
        let body = json!({"__type": code, "message": words}).to_string();
        let service = Server::start(move |_| {
            let answer = Answer::new(400, body.clone())
                .with_header("content-type", "application/x-amz-json-1.0");
            Box::pin(std::future::ready(Some(answer)))
        })
        .unwrap();
        let outcome = child::run(&KEYS, &[Call::Job(job(&service.url(), &json!({})))]);
        let message = error(&outcome).1;
        let obeyed = |c: char| {
            (c.is_control() && c != '\n')
                || ('\u{202a}'..='\u{202e}').contains(&c)
                || ('\u{2066}'..='\u{2069}').contains(&c)
        };
        assert!(!message.contains(obeyed), "{message:?}");
        assert!(
            message.chars().count() < 2_300,
            "{}",
            message.chars().count()
        );
        let aws_code = outcome.answers[0]["error"]["aws_code"].as_str().unwrap();
        assert!(
            aws_code.chars().all(|c| c.is_ascii_graphic()),
            "{aws_code:?}"
        );
        assert!(
            outcome.log.iter().all(|line| !line.contains(obeyed)),
            "{:?}",
            outcome.log
        );
    }
}
