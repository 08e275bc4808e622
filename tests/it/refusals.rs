//! What services and gateways refuse a request with, end to end: each told for what it is.

use engines::{
    http::{Answer, Server},
    wire,
};
use harness_tests::{job, run};
use serde_json::json;

fn answering(answer: Answer) -> Server {
    Server::start(move |_| Box::pin(std::future::ready(Some(answer.clone())))).unwrap()
}

/// An error of STS.
fn sts_error(status: u16, code: &str, message: &str) -> Answer {
    let body = format!(
        "<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><Error><Type>Sender</Type>\
         <Code>{code}</Code><Message>{message}</Message></Error><RequestId>r-1</RequestId></ErrorResponse>"
    );
    Answer::new(status, body).with_header("content-type", "text/xml")
}

#[test]
fn what_answers_in_place_of_dynamodb_or_in_its_name_is_told_apart() {
    let coral = |status, name: &str, message: &str| {
        wire::error(status, &format!("com.amazon.coral.service#{name}"), message)
    };
    let page = |status| Answer::new(status, "<html>no</html>");
    for (answer, code, retryable, words) in [
        (
            coral(
                400,
                "AccessDeniedException",
                "User: u is not authorized to perform: kms:Decrypt on resource: arn:aws:kms:eu-west-1:1:key/k",
            ),
            "ACCESS_DENIED",
            false,
            "KMS key",
        ),
        (
            coral(400, "KMSDisabledException", "key is disabled"),
            "ACCESS_DENIED",
            false,
            "key is enabled",
        ),
        (
            coral(400, "UnknownOperationException", ""),
            "VALIDATION",
            false,
            "does not know ExecuteStatement",
        ),
        (
            coral(
                400,
                "SubscriptionRequiredException",
                "The AWS Access Key Id needs a subscription for the service",
            ),
            "ACCESS_DENIED",
            false,
            "sign-up",
        ),
        (
            coral(
                403,
                "OptInRequired",
                "You are not subscribed to this service",
            ),
            "ACCESS_DENIED",
            false,
            "us-east-1",
        ),
        (page(429), "THROTTLED", true, "gateway"),
        (
            page(502),
            "UNAVAILABLE",
            true,
            "a gateway or proxy before DynamoDB answered HTTP 502",
        ),
    ] {
        let server = answering(answer);
        let error = run(&job(&server.url(), &json!({"query": "SELECT * FROM t"}))).unwrap_err();
        let text = format!(
            "{} {}",
            error.message,
            error.hint.as_deref().unwrap_or_default()
        );
        assert_eq!(
            (error.code.as_str(), error.retryable),
            (code, retryable),
            "{text}"
        );
        assert!(text.contains(words), "{code}: {text}");
    }
}

#[test]
fn a_role_that_sts_refuses_for_its_session_says_which_setting_to_change() {
    for (code, message, words) in [
        (
            "ValidationError",
            "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.",
            "session_duration_seconds",
        ),
        (
            "PackedPolicyTooLarge",
            "Packed policy consumes 103% of allotted space, please use smaller policy.",
            "session",
        ),
        (
            "AccessDenied",
            "User: u is not authorized to perform: sts:AssumeRole on resource: r",
            "trust policy",
        ),
    ] {
        let sts = answering(sts_error(400, code, message));
        let mut document = job("http://127.0.0.1:9", &json!({"query": "SELECT * FROM t"}));
        let cluster = document["cluster"]["context"].as_object_mut().unwrap();
        cluster.insert("sts_endpoint_url".into(), json!(sts.url()));
        cluster.insert(
            "role_arn".into(),
            json!("arn:aws:iam::123456789012:role/HeimdallDynamoQueryRole"),
        );
        let error = run(&document).unwrap_err();
        assert_eq!(error.code, "ASSUME_ROLE", "{error}");
        assert!(error.message.contains(message), "{error}");
        let hint = error.hint.unwrap();
        assert!(hint.contains(words), "{code}: {hint}");
    }
}
