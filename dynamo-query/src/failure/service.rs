//! DynamoDB's own refusals, by their code.

use std::error::Error as StdError;

use aws_sdk_dynamodb::{
    error::ProvideErrorMetadata,
    types::{
        ThrottlingReason,
        error::{
            ProvisionedThroughputExceededException, RequestLimitExceeded, ThrottlingException,
        },
    },
};
use plugin_api::{Error, ErrorCode};

use super::{Request, find, words};
use crate::{codes, statement};

/// Shorter texts are struck out only where they stand alone: inside other words they say nothing, and striking them spoils a sentence.
const SHORTEST_SECRET: usize = 3;

pub(super) fn error_of<E>(error: &E, status: u16, request: Request<'_>) -> Error
where
    E: ProvideErrorMetadata + StdError + 'static,
{
    let aws_code = error.code();
    let words = clean(error.message().unwrap_or_default(), request.secrets);
    let mut mapped = match aws_code.unwrap_or_default() {
        "ResourceNotFoundException" => not_found(request),
        "AccessDeniedException" | "AccessDenied" | "NotAuthorized" => {
            access_denied(&words, request)
        }
        // DynamoDB says so in a validation; the index is as absent as a table would be.
        "ValidationException" if words.contains("does not have the specified index") => {
            Error::new(codes::NOT_FOUND, format!("there is no such index: {words}"))
                .hint("check the index's name, which is case-sensitive")
        }
        "ValidationException" => validation(
            &words,
            statement::service_position(error.message().unwrap_or_default()),
            request,
        ),
        "ProvisionedThroughputExceededException"
        | "ThrottlingException"
        | "Throttling"
        | "RequestLimitExceeded"
        | "ThrottledException"
        | "TooManyRequestsException" => throttled(error, request),
        code if is_credentials(code) => credentials(code, request.region),
        _ if status >= 500 => Error::new(
            ErrorCode::UNAVAILABLE,
            format!("DynamoDB answered HTTP {status}"),
        )
        .hint("try again later; the AWS health page may know more"),
        _ if status == 429 => throttled(error, request),
        "" => Error::new(
            codes::BAD_RESPONSE,
            format!("the answer, HTTP {status}, is not DynamoDB's"),
        )
        .hint("check what answers at the cluster's endpoint: a proxy's page, for example"),
        code => Error::new(
            codes::VALIDATION,
            format!("DynamoDB refused the statement ({code}): {words}"),
        ),
    };
    mapped.aws_code = aws_code.map(str::to_owned);
    mapped
}

/// Codes by which AWS refuses the signature rather than the deed. Their sentences quote the signed request, so ours are given.
pub(super) fn is_credentials(code: &str) -> bool {
    matches!(
        code,
        "UnrecognizedClientException"
            | "InvalidSignatureException"
            | "SignatureDoesNotMatch"
            | "IncompleteSignature"
            | "IncompleteSignatureException"
            | "MissingAuthenticationToken"
            | "MissingAuthenticationTokenException"
            | "InvalidClientTokenId"
            | "InvalidAccessKeyId"
            | "ExpiredToken"
            | "ExpiredTokenException"
            | "RequestExpired"
            | "OptInRequired"
    )
}

pub(super) fn credentials(code: &str, region: &str) -> Error {
    let (message, hint) = match code {
        "ExpiredToken" | "ExpiredTokenException" | "RequestExpired" => (
            "the AWS credentials have expired and could not be refreshed",
            "renew them where the process gets them from (profile, SSO login, container, instance)",
        ),
        "InvalidSignatureException"
        | "SignatureDoesNotMatch"
        | "IncompleteSignature"
        | "IncompleteSignatureException" => (
            "AWS refused the request's signature",
            "check the secret key, the region that requests are signed for, and this machine's clock",
        ),
        _ => (
            "AWS does not know the credentials",
            "check the access key, and that it belongs to the partition and account of the endpoint",
        ),
    };
    Error::new(codes::CREDENTIALS, format!("{message} (region {region})")).hint(hint)
}

fn not_found(request: Request<'_>) -> Error {
    Error::new(
        codes::NOT_FOUND,
        format!(
            "there is no table or index '{}' in region {}",
            request.table, request.region
        ),
    )
    .hint("check the name, which is case-sensitive, and the cluster's region and account")
}

fn access_denied(words: &str, request: Request<'_>) -> Error {
    let who = request
        .role
        .map_or("the process's AWS identity".to_owned(), |role| {
            format!("the role {role}")
        });
    let sentence = if words.is_empty() {
        String::new()
    } else {
        format!(": {words}")
    };
    let hint = if words.contains("kms:") {
        "allow kms:Decrypt and kms:DescribeKey on the table's key".to_owned()
    } else if words.contains("FullTableScan") {
        "the policy denies full scans: give the statement a condition on the partition key"
            .to_owned()
    } else {
        format!(
            "allow {1} on the table '{0}' and its indexes (…:table/{0}, …:table/{0}/index/*)",
            request.table,
            request.action.policy_action()
        )
    };
    Error::new(
        codes::ACCESS_DENIED,
        format!("DynamoDB refused {who}{sentence}"),
    )
    .hint(hint)
}

fn validation(words: &str, position: Option<(u32, u32)>, request: Request<'_>) -> Error {
    let mut error = Error::new(
        codes::VALIDATION,
        format!("DynamoDB refused the statement: {words}"),
    );
    let hint = if words.contains("reserved") {
        "put the reserved word into double quotes"
    } else {
        "the words are DynamoDB's own; its PartiQL reference lists what a SELECT may hold"
    };
    // The text that was sent has the user's positions: only comments became blanks.
    match position {
        Some((line, column)) => {
            let caret = statement::caret(request.query, line, column);
            error.message = format!("{}\n{caret}", error.message);
            error.at(line, column).hint(hint)
        }
        None => error.hint(hint),
    }
}

fn throttled(error: &(dyn StdError + 'static), request: Request<'_>) -> Error {
    let reasons = throttling_reasons(error);
    let why = if reasons.is_empty() {
        String::new()
    } else {
        format!(" ({})", reasons.join(", "))
    };
    Error::new(codes::THROTTLED, format!("the table '{}' is still throttled after the retries{why}", request.table))
        .hint("send the job again later, or raise the table's read capacity or the cluster's max_attempts")
}

fn throttling_reasons(error: &(dyn StdError + 'static)) -> Vec<String> {
    let reasons: &[ThrottlingReason] =
        if let Some(error) = find::<ProvisionedThroughputExceededException>(error) {
            error.throttling_reasons()
        } else if let Some(error) = find::<RequestLimitExceeded>(error) {
            error.throttling_reasons()
        } else if let Some(error) = find::<ThrottlingException>(error) {
            error.throttling_reasons()
        } else {
            &[]
        };
    reasons
        .iter()
        .map(|reason| {
            [reason.reason(), reason.resource()]
                .into_iter()
                .flatten()
                .collect::<Vec<_>>()
                .join(" on ")
        })
        .collect()
}

/// AWS's words without the parameters' values: plain, escaped as in JSON, or with quotes doubled as in PartiQL.
fn clean(words: &str, secrets: &[String]) -> String {
    let mut clean = words.trim().to_owned();
    for secret in secrets.iter().filter(|secret| !secret.is_empty()) {
        let json = serde_json::to_string(secret).unwrap_or_default();
        for form in [
            secret.as_str(),
            json.trim_matches('"'),
            &secret.replace('\'', "''"),
        ] {
            clean = if form.chars().count() >= SHORTEST_SECRET {
                clean.replace(form, "?")
            } else {
                without_word(&clean, form)
            };
        }
    }
    words::plain(&clean)
}

/// `text` with a `?` wherever `word` stands alone, between characters that belong to no word.
fn without_word(text: &str, word: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(word).filter(|_| !word.is_empty()) {
        let (before, after) = (&rest[..at], &rest[at + word.len()..]);
        let joins = |c: char| c.is_alphanumeric() || c == '_';
        let alone = !before
            .chars()
            .next_back()
            .or(kept.chars().next_back())
            .is_some_and(joins)
            && !after.chars().next().is_some_and(joins);
        kept.push_str(before);
        kept.push_str(if alone { "?" } else { word });
        rest = after;
    }
    kept + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameter_values_are_struck_out_in_every_form_that_a_sentence_may_quote() {
        let secrets = ["sec\"ret", "it's", "QkJC", "topkey", "ab", "7"].map(str::to_owned);
        let words = r#"value ab; QkJC; "sec\"ret" 'it''s' topkey=7 at 17:71 table absent"#;
        assert_eq!(
            clean(words, &secrets),
            r#"value ?; ?; "?" '?' ?=? at 17:71 table absent"#
        );
    }
}
