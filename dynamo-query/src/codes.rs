//! The error codes of this plugin: what each means, and who can do what about it.
//!
//! The codes that every plugin shares are `ErrorCode`'s own constants. [`ERRORS`] is the list that a host shows its users, in the
//! order of the contract's section 3.

use plugin_api::{ErrorCode, ErrorInfo};

/// The statement is malformed or uses what DynamoDB's PartiQL lacks.
pub const INVALID_QUERY: ErrorCode = ErrorCode::new("INVALID_QUERY");
/// The statement is, or hides, a write.
pub const NOT_READ_ONLY: ErrorCode = ErrorCode::new("NOT_READ_ONLY");
/// The table is not among the command's `tables`.
pub const TABLE_NOT_ALLOWED: ErrorCode = ErrorCode::new("TABLE_NOT_ALLOWED");
/// No credentials, or they are refused or expired beyond refresh.
pub const CREDENTIALS: ErrorCode = ErrorCode::new("CREDENTIALS");
/// STS refused the role.
pub const ASSUME_ROLE: ErrorCode = ErrorCode::new("ASSUME_ROLE");
/// DynamoDB refused the caller.
pub const ACCESS_DENIED: ErrorCode = ErrorCode::new("ACCESS_DENIED");
/// No such table or index.
pub const NOT_FOUND: ErrorCode = ErrorCode::new("NOT_FOUND");
/// DynamoDB refused the statement, in its own words.
pub const VALIDATION: ErrorCode = ErrorCode::new("VALIDATION");
/// Still throttled after the retries.
pub const THROTTLED: ErrorCode = ErrorCode::retryable("THROTTLED");
/// The service's answer could not be understood.
pub const BAD_RESPONSE: ErrorCode = ErrorCode::retryable("BAD_RESPONSE");
/// A budget of the job or its command is used up.
pub const BUDGET_EXCEEDED: ErrorCode = ErrorCode::new("BUDGET_EXCEEDED");

/// Every code that a job can fail with.
pub const ERRORS: &[ErrorInfo] = &[
    ErrorInfo::new(
        ErrorCode::INVALID_JOB,
        "the job document is not JSON, or a field is missing, unknown, or of the wrong type, length or range",
        "Whoever wrote the job, or for the command's and cluster's contexts the operator: correct the named field.",
    ),
    ErrorInfo::new(
        INVALID_QUERY,
        "the statement is malformed, is more than one, or uses what DynamoDB's PartiQL lacks",
        "Whoever wrote the statement: correct it at the line and column that the error names.",
    ),
    ErrorInfo::new(
        NOT_READ_ONLY,
        "the statement is, or hides, a write",
        "Whoever wrote the statement: only SELECT runs here; put a word that is an attribute's name into double quotes.",
    ),
    ErrorInfo::new(
        TABLE_NOT_ALLOWED,
        "the table is not among those that the command allows",
        "Use a command whose tables include it, or ask the operator to widen the list.",
    ),
    ErrorInfo::new(
        CREDENTIALS,
        "there are no AWS credentials, or they are refused or expired beyond refresh",
        "The operator: check where the host's process gets its AWS credentials from.",
    ),
    ErrorInfo::new(
        ASSUME_ROLE,
        "STS refused the role",
        "The operator: check role_arn, external_id and the role's trust policy, and sts:AssumeRole for the host's identity.",
    ),
    ErrorInfo::new(
        ACCESS_DENIED,
        "DynamoDB refused the caller",
        "The operator: allow the action that the message or its hint names, usually dynamodb:PartiQLSelect, on the table and its indexes.",
    ),
    ErrorInfo::new(
        NOT_FOUND,
        "there is no such table or index",
        "Check the name, which is case-sensitive; the operator: the cluster's region and account.",
    ),
    ErrorInfo::new(
        VALIDATION,
        "DynamoDB refused the statement, in its own words",
        "Whoever wrote the statement: correct it at the line and column that the error names.",
    ),
    ErrorInfo::new(
        THROTTLED,
        "still throttled after the retries",
        "Send the job again later; the operator: the table's capacity, or the cluster's max_attempts.",
    ),
    ErrorInfo::new(
        ErrorCode::UNAVAILABLE,
        "no connection, a lost one, no answer in time, or a failure of the service, after the retries",
        "The operator: check endpoint, region, proxy and network; else send the job again later.",
    ),
    ErrorInfo::new(
        BAD_RESPONSE,
        "the service's answer could not be understood",
        "Send the job again; if it stays, the operator: check what answers at the endpoint.",
    ),
    ErrorInfo::new(
        ErrorCode::TIMEOUT,
        "the job's deadline passed",
        "Narrow the statement, or raise timeout_seconds.",
    ),
    ErrorInfo::new(
        ErrorCode::CANCELLED,
        "the job was cancelled",
        "Nothing is wrong; submit the job again if its result is wanted after all.",
    ),
    ErrorInfo::new(
        ErrorCode::RESULT_TOO_LARGE,
        "the result would be larger than max_result_bytes",
        "Set a limit, select fewer columns, or raise max_result_bytes as far as the command allows.",
    ),
    ErrorInfo::new(
        BUDGET_EXCEEDED,
        "max_pages or max_consumed_capacity_units is used up, and there is more to read",
        "Narrow the statement, raise the budget as far as the command allows, or set on_budget to \"truncate\" and go on with next_token.",
    ),
    ErrorInfo::new(
        ErrorCode::SHUTTING_DOWN,
        "the plugin is closing or closed and takes no new job",
        "Send the job again: another version of the plugin may take it.",
    ),
    ErrorInfo::new(
        ErrorCode::INTERNAL,
        "a bug: a panic was caught; other jobs go on",
        "Report it with the position that the message names.",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_about_jobs_lists_every_code_with_its_meaning() {
        let page = include_str!("../../docs/JOB.md");
        for info in ERRORS {
            let again = if info.retryable { "yes" } else { "no" };
            let row = format!("| `{}` | {} | {again} |", info.code, info.meaning);
            assert!(page.contains(&row), "docs/JOB.md lacks: {row}");
        }
    }
}
