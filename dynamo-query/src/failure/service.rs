//! DynamoDB's own refusals, by their code.

use aws_sdk_dynamodb::{
    error::ProvideErrorMetadata, operation::execute_statement::ExecuteStatementError,
    types::ThrottlingReason,
};
use plugin_api::{Error, ErrorCode};

use super::Request;
use crate::statement;

/// Texts shorter than this are too common to be struck out of a sentence without spoiling it.
const SHORTEST_SECRET: usize = 3;

pub(super) fn error_of(error: &ExecuteStatementError, status: u16, request: Request<'_>) -> Error {
    let aws_code = error.code();
    let words = clean(error.message().unwrap_or_default(), request.secrets);
    let mut mapped = match aws_code.unwrap_or_default() {
        "ResourceNotFoundException" => not_found(request),
        "AccessDeniedException" | "AccessDenied" | "NotAuthorized" => {
            access_denied(&words, request)
        }
        "ValidationException" => validation(&words, request),
        "ProvisionedThroughputExceededException"
        | "ThrottlingException"
        | "Throttling"
        | "RequestLimitExceeded"
        | "ThrottledException"
        | "TooManyRequestsException" => throttled(error, request),
        code if is_credentials(code) => credentials(code, request),
        _ if status >= 500 => Error::new(
            ErrorCode::Unavailable,
            format!("DynamoDB answered HTTP {status}"),
        )
        .hint("try again later; the AWS health page may know more"),
        _ if status == 429 => throttled(error, request),
        "" => Error::new(
            ErrorCode::BadResponse,
            format!("the answer, HTTP {status}, is not DynamoDB's"),
        )
        .hint("check what answers at the cluster's endpoint: a proxy's page, for example"),
        code => Error::new(
            ErrorCode::Validation,
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

pub(super) fn credentials(code: &str, request: Request<'_>) -> Error {
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
    Error::new(
        ErrorCode::Credentials,
        format!("{message} (region {})", request.region),
    )
    .hint(hint)
}

fn not_found(request: Request<'_>) -> Error {
    Error::new(
        ErrorCode::NotFound,
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
            "allow dynamodb:PartiQLSelect on the table '{0}' and its indexes (…:table/{0}, …:table/{0}/index/*)",
            request.table
        )
    };
    Error::new(
        ErrorCode::AccessDenied,
        format!("DynamoDB refused {who}{sentence}"),
    )
    .hint(hint)
}

fn validation(words: &str, request: Request<'_>) -> Error {
    let error = Error::new(
        ErrorCode::Validation,
        format!("DynamoDB refused the statement: {words}"),
    );
    let hint = if words.contains("reserved") {
        "put the reserved word into double quotes"
    } else {
        "the words are DynamoDB's own; its PartiQL reference lists what a SELECT may hold"
    };
    // The text that was sent has the user's positions: only comments became blanks.
    match statement::service_position(words) {
        Some((line, column)) => {
            let caret = statement::caret(request.query, line, column);
            let message = format!("{}\n{caret}", error.message);
            Error { message, ..error }.at(line, column).hint(hint)
        }
        None => error.hint(hint),
    }
}

fn throttled(error: &ExecuteStatementError, request: Request<'_>) -> Error {
    let reasons = throttling_reasons(error);
    let why = if reasons.is_empty() {
        String::new()
    } else {
        format!(" ({})", reasons.join(", "))
    };
    Error::new(ErrorCode::Throttled, format!("the table '{}' is still throttled after the retries{why}", request.table))
        .hint("send the job again later, or raise the table's read capacity or the cluster's max_attempts")
}

fn throttling_reasons(error: &ExecuteStatementError) -> Vec<String> {
    let reasons: &[ThrottlingReason] = match error {
        ExecuteStatementError::ProvisionedThroughputExceededException(error) => {
            error.throttling_reasons()
        }
        ExecuteStatementError::RequestLimitExceeded(error) => error.throttling_reasons(),
        ExecuteStatementError::ThrottlingException(error) => error.throttling_reasons(),
        _ => &[],
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

/// AWS's words without the parameters' values, in one line.
fn clean(words: &str, secrets: &[String]) -> String {
    let mut clean = words.trim().to_owned();
    for secret in secrets
        .iter()
        .filter(|secret| secret.chars().count() >= SHORTEST_SECRET)
    {
        clean = clean.replace(secret.as_str(), "?");
    }
    clean
}
