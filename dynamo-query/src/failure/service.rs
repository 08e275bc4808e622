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
use crate::{
    codes,
    statement::{
        self,
        reserved::{ReservedName, first_unquoted},
    },
};

/// Shorter texts are removed only where they stand alone: inside other words they say nothing, and removing them spoils a sentence.
const SHORTEST_SECRET: usize = 3;

pub(super) fn error_of<E>(error: &E, status: u16, request: Request<'_>) -> Error
where
    E: ProvideErrorMetadata + StdError + 'static,
{
    let aws_code = error.code();
    let words = clean(error.message().unwrap_or_default(), request.secrets);
    let mut mapped = match aws_code.unwrap_or_default() {
        "ResourceNotFoundException" => not_found(request),
        "UnknownOperationException" | "UnknownOperation" | "InvalidAction" | "NotImplemented" => {
            unknown_operation(request)
        }
        "SubscriptionRequiredException" | "OptInRequired" | "AccountProblem" => {
            not_subscribed(&words, request)
        }
        "KMSThrottlingException" => Error::new(
            codes::THROTTLED,
            format!("KMS throttles the key of the table '{}'", request.table),
        )
        .hint("send the job again later, or raise the account's KMS request quota"),
        // A validation's words may repeat the user's statement, which may hold anything.
        code if code.starts_with("KMS")
            || (code != "ValidationException" && is_about_a_key(&words)) =>
        {
            key_refused(&words, request)
        }
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
        // Every refusal of DynamoDB has a code; what has none comes from something before it.
        "" if status == 501 => unknown_operation(request),
        "" if status >= 500 => Error::new(
            ErrorCode::UNAVAILABLE,
            format!("a gateway or proxy before DynamoDB answered HTTP {status}{}", meaning(status)),
        )
        .hint("send the job again later; if it stays, check what stands between the host and DynamoDB (proxy, load balancer, VPC endpoint)"),
        "" if status == 429 => Error::new(
            codes::THROTTLED,
            "a gateway or proxy before DynamoDB answered HTTP 429: too many requests",
        )
        .hint("send the job again later; the limit is the gateway's, not the table's"),
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
        code if words.is_empty() => Error::new(
            codes::VALIDATION,
            format!("DynamoDB refused the statement with {code} and no further word"),
        )
        .hint("check what answers at the cluster's endpoint: another service, for example"),
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

/// What to do where STS refused a role in these words.
pub(super) fn role_hint(code: &str, words: &str) -> &'static str {
    match code {
        _ if words.contains("DurationSeconds") || words.contains("MaxSessionDuration") => {
            "lower session_duration_seconds, or raise the role's maximum session duration; a role that is assumed with another role's credentials lasts an hour at most"
        }
        "PackedPolicyTooLarge" | "PackedPolicyTooLargeException" => {
            "the session's policy and tags are too large together: pass fewer or shorter session tags, or set session_policy to none"
        }
        "SubscriptionRequiredException" | "OptInRequired" => {
            "the account's owner: finish its sign-up, activate the region, and check its billing"
        }
        _ => {
            "check the role's trust policy and external_id, and that this process's identity is allowed sts:AssumeRole on it"
        }
    }
}

/// The endpoint is no DynamoDB, or one that lacks PartiQL: DAX, a stream's endpoint, an emulator.
fn unknown_operation(request: Request<'_>) -> Error {
    let operation = request.action.operation();
    Error::new(
        codes::VALIDATION,
        format!("the endpoint does not know {operation}"),
    )
    .hint(format!("check the cluster's endpoint_url: it must be DynamoDB's own, or an emulator that has {operation}"))
}

fn not_subscribed(words: &str, request: Request<'_>) -> Error {
    Error::new(
        codes::ACCESS_DENIED,
        format!(
            "the AWS account cannot use DynamoDB in region {}{}",
            request.region,
            sentence(words)
        ),
    )
    .hint("the account's owner: finish its sign-up, activate the region, and check its billing")
}

/// Whether a refusal is one of KMS, which DynamoDB passes on.
fn is_about_a_key(words: &str) -> bool {
    [
        "customer master key",
        "KMS key",
        "kms:",
        "INACCESSIBLE_ENCRYPTION_CREDENTIALS",
        "encryption credentials",
    ]
    .iter()
    .any(|sign| words.contains(sign))
}

/// The key of a table is denied, disabled, being deleted or gone.
fn key_refused(words: &str, request: Request<'_>) -> Error {
    Error::new(
        codes::ACCESS_DENIED,
        format!(
            "the table '{}' is encrypted with a KMS key that {} cannot use{}",
            request.table,
            who(request),
            sentence(words)
        ),
    )
    .hint("allow kms:Decrypt and kms:DescribeKey on the table's key, in its key policy too, and check that the key is enabled")
}

/// What a gateway's status means.
fn meaning(status: u16) -> &'static str {
    match status {
        502 => ": it got no valid answer",
        503 => ": unavailable",
        504 => ": it got no answer in time",
        _ => "",
    }
}

/// AWS's words behind a sentence of ours.
fn sentence(words: &str) -> String {
    if words.is_empty() {
        String::new()
    } else {
        format!(": {words}")
    }
}

fn who(request: Request<'_>) -> String {
    request
        .role
        .map_or("the process's AWS identity".to_owned(), |role| {
            format!("the role {role}")
        })
}

/// `"Table"."Index"` for a table whose name has the dot of both in one pair of quotes.
pub(crate) fn quoted_apart(table: &str) -> Option<String> {
    let (table, index) = table.split_once('.')?;
    let is_name = |name: &str| !name.is_empty() && !name.contains(':');
    (is_name(table) && is_name(index)).then(|| format!("\"{table}\".\"{index}\""))
}

fn not_found(request: Request<'_>) -> Error {
    let hint = match quoted_apart(request.table) {
        Some(apart) => format!(
            "a table and its index are quoted each: {apart}; else check the name, which is case-sensitive, and the cluster's region and account"
        ),
        None => "check the name, which is case-sensitive, and the cluster's region and account"
            .to_owned(),
    };
    Error::new(
        codes::NOT_FOUND,
        format!(
            "there is no table or index '{}' in region {}",
            request.table, request.region
        ),
    )
    .hint(hint)
}

fn access_denied(words: &str, request: Request<'_>) -> Error {
    let hint = if words.contains("FullTableScan") {
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
        format!("DynamoDB refused {}{}", who(request), sentence(words)),
    )
    .hint(hint)
}

fn validation(words: &str, position: Option<(u32, u32)>, request: Request<'_>) -> Error {
    let mut error = Error::new(
        codes::VALIDATION,
        format!("DynamoDB refused the statement: {words}"),
    );
    let reserved = reserved_name(words, position, request.query);
    let hint = match &reserved {
        Some(name) => name.hint(),
        None if words.contains("reserved") => "put the reserved word into double quotes".to_owned(),
        None => "the words are DynamoDB's own; its PartiQL reference lists what a SELECT may hold"
            .to_owned(),
    };
    // The text that was sent has the user's positions: only comments became blanks.
    match reserved.map(|name| (name.line, name.column)).or(position) {
        Some((line, column)) => {
            let caret = statement::caret(request.query, line, column);
            error.message = format!("{}\n{caret}", error.message);
            error.at(line, column).hint(hint)
        }
        None => error.hint(hint),
    }
}

/// The reserved word without quotes that may be the reason for a refusal in these words, at the position that DynamoDB gives, if it gives one.
///
/// A word that PartiQL's reader refuses is a reason wherever it is a name. Another one is thought of only where DynamoDB speaks of reserved
/// words: a statement that holds `name` may be refused for a hundred other reasons.
fn reserved_name(words: &str, position: Option<(u32, u32)>, query: &str) -> Option<ReservedName> {
    const CAUSED: [&str; 6] = [
        "wasn't well formed",
        "Unexpected path component",
        "Unexpected from source",
        "must be compared using IS",
        "Incorrect operand type",
        "eserved",
    ];
    let name =
        first_unquoted(query).filter(|_| CAUSED.iter().any(|cause| words.contains(cause)))?;
    // The reader may notice such a word only behind it.
    let is_there = position.is_none_or(|at| at == (name.line, name.column))
        || (name.is_refused && words.contains("wasn't well formed"));
    let may_be_it = name.is_refused || words.contains("eserved");
    (is_there && may_be_it).then_some(name)
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
mod tests;
