//! Refusals as DynamoDB words them, and what a user reads of each.

use aws_sdk_dynamodb::{error::ErrorMetadata, operation::execute_statement::ExecuteStatementError};

use super::{super::Action, *};

/// What a refusal of this status, code (empty: none) and these words becomes.
fn mapped(status: u16, code: &str, words: &str, query: &str, table: &str) -> Error {
    let mut metadata = ErrorMetadata::builder().message(words);
    if !code.is_empty() {
        metadata = metadata.code(code);
    }
    let request = Request {
        query,
        table,
        action: Action::Select,
        secrets: &[],
        role: None,
        region: "eu-west-1",
    };
    error_of(
        &ExecuteStatementError::generic(metadata.build()),
        status,
        request,
    )
}

#[test]
fn refusals_are_told_for_what_they_are() {
    for (status, code, words, expected, said) in [
        (
            400,
            "UnknownOperationException",
            "",
            "VALIDATION",
            "does not know ExecuteStatement",
        ),
        (501, "", "", "VALIDATION", "does not know ExecuteStatement"),
        (429, "", "", "THROTTLED", "gateway"),
        (
            429,
            "ThrottlingException",
            "slow",
            "THROTTLED",
            "still throttled",
        ),
        (
            502,
            "",
            "",
            "UNAVAILABLE",
            "a gateway or proxy before DynamoDB answered HTTP 502",
        ),
        (504, "", "", "UNAVAILABLE", "no answer in time"),
        (
            503,
            "ServiceUnavailable",
            "",
            "UNAVAILABLE",
            "DynamoDB answered HTTP 503",
        ),
        (404, "", "", "BAD_RESPONSE", "HTTP 404"),
        (
            400,
            "AccessDeniedException",
            "not authorized to perform: kms:Decrypt on key",
            "ACCESS_DENIED",
            "KMS key",
        ),
        (
            400,
            "AccessDeniedException",
            "The ciphertext refers to a customer master key that does not exist",
            "ACCESS_DENIED",
            "kms:DescribeKey",
        ),
        (
            400,
            "KMSDisabledException",
            "key is disabled",
            "ACCESS_DENIED",
            "key is enabled",
        ),
        (400, "KMSThrottlingException", "", "THROTTLED", "KMS"),
        (
            400,
            "SubscriptionRequiredException",
            "The AWS Access Key Id needs a subscription for the service",
            "ACCESS_DENIED",
            "sign-up",
        ),
        (403, "OptInRequired", "", "ACCESS_DENIED", "eu-west-1"),
        (
            400,
            "AccessDeniedException",
            "no",
            "ACCESS_DENIED",
            "dynamodb:PartiQLSelect",
        ),
        (
            400,
            "ValidationException",
            "bad: 'KMS key'",
            "VALIDATION",
            "DynamoDB refused the statement",
        ),
        (
            401,
            "UNAUTHENTICATED",
            "",
            "VALIDATION",
            "with UNAUTHENTICATED and no further word check what answers at the cluster's endpoint",
        ),
    ] {
        let error = mapped(status, code, words, "SELECT a FROM t", "t");
        let text = format!("{} {}", error.message, error.hint.unwrap_or_default());
        assert_eq!(error.code.as_str(), expected, "{status} {code}: {text}");
        assert!(text.contains(said), "{status} {code}: {text}");
    }
}

#[test]
fn a_reserved_word_without_quotes_is_pointed_at_where_it_can_be_the_reason() {
    const FAILED: &str = "Statement wasn't well formed, can't be processed: SELECT";
    for (query, words, position) in [
        ("SELECT a,\n size FROM t", FAILED, Some((2, 2))),
        (
            "SELECT a FROM t WHERE a = 1 ORDER BY number NULLS LAST",
            FAILED,
            None,
        ),
        (
            "SELECT name FROM t",
            "name is a reserved keyword",
            Some((1, 8)),
        ),
        (
            "SELECT a FROM t WHERE true > 1",
            "Incorrect operand type for operator or function; operator or function: >, operand type: BOOL",
            Some((1, 23)),
        ),
        (
            "SELECT null FROM t",
            "Unexpected path component at 1:8:4",
            Some((1, 8)),
        ),
        (
            "SELECT name FROM t WHERE a.b > 1 AND a > null",
            "Incorrect operand type for operator or function",
            None,
        ),
        (
            "SELECT a FROM t WHERE x + 1 = 2",
            "Unsupported operator in Condition Expression. Operator: +",
            None,
        ),
    ] {
        let error = mapped(400, "ValidationException", words, query, "t");
        let hint = error.hint.unwrap_or_default();
        assert_eq!(
            hint.contains("double quotes"),
            position.is_some(),
            "{query}: {hint}"
        );
        if position.is_some() {
            assert_eq!(error.line.zip(error.column), position, "{query}");
            assert!(error.message.contains('^'), "{query}: {}", error.message);
        }
    }
}

#[test]
fn a_role_that_sts_refuses_for_its_session_is_told_what_to_change() {
    for (code, words, said) in [
        (
            "ValidationError",
            "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.",
            "session_duration_seconds",
        ),
        (
            "ValidationError",
            "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining.",
            "an hour",
        ),
        (
            "PackedPolicyTooLarge",
            "Packed size of session tags consumes 103%",
            "session tags",
        ),
        (
            "AccessDenied",
            "not authorized to perform: sts:AssumeRole",
            "trust policy",
        ),
    ] {
        assert!(role_hint(code, words).contains(said), "{code}");
    }
}

#[test]
fn a_table_and_index_in_one_pair_of_quotes_are_told_apart() {
    let error = mapped(400, "ResourceNotFoundException", "", "", "Music.ByYear");
    assert!(error.hint.unwrap().contains(r#""Music"."ByYear""#));
    let arn = mapped(
        400,
        "ResourceNotFoundException",
        "",
        "",
        "arn:aws:dynamodb:r:1:table/a.b",
    );
    assert!(!arn.hint.unwrap().contains("quoted"));
}

#[test]
fn parameter_values_are_removed_in_every_form_that_a_sentence_may_quote() {
    let secrets = ["sec\"ret", "it's", "QkJC", "topkey", "ab", "7"].map(str::to_owned);
    let words = r#"value ab; QkJC; "sec\"ret" 'it''s' topkey=7 at 17:71 table absent"#;
    assert_eq!(
        clean(words, &secrets),
        r#"value ?; ?; "?" '?' ?=? at 17:71 table absent"#
    );
}
