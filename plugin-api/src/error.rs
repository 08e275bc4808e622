//! The error document: what a failed job gives instead of a result.
//!
//! In: a code, one sentence, what is known about the cause. Out: `{"error":{…}}` with every key always present.
//! No I/O, no AWS types: the host parses the same type back from any plugin's bytes.

use serde::{Deserialize, Serialize};

/// What went wrong, as a word that programs may match on. Texts may change between versions; codes do not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ErrorCode {
    /// The document is not JSON, or a field is missing, unknown, or of the wrong type, length or range. Caller: mend the job.
    InvalidJob,
    /// The statement is malformed or uses what DynamoDB's PartiQL lacks. Caller: mend the statement at `line`/`column`.
    InvalidQuery,
    /// The statement is, or hides, a write. Caller: only SELECT runs here.
    NotReadOnly,
    /// The table is not among the command's `tables`. Operator: widen the list, or caller: another command.
    TableNotAllowed,
    /// No credentials, or they are refused or expired beyond refresh. Operator: the process's AWS identity.
    Credentials,
    /// STS refused the role. Operator: the role's trust policy, `external_id`, `role_arn`.
    AssumeRole,
    /// DynamoDB refused the caller. Operator: the identity's policy.
    AccessDenied,
    /// No such table or index. Caller: the name; operator: the region.
    NotFound,
    /// DynamoDB refused the statement, in its own words. Caller: mend the statement.
    Validation,
    /// Still throttled after the retries. Anyone: try again later.
    Throttled,
    /// No connection, or no answer in time, or 5xx after the retries. Operator: endpoint, network, proxy.
    Unavailable,
    /// The service's answer could not be understood. Try again; operator: what answers at the endpoint.
    BadResponse,
    /// The job's deadline passed. Caller: a narrower query or a longer `timeout_seconds`.
    Timeout,
    /// The job was cancelled.
    Cancelled,
    /// The result would be over `max_result_bytes`. Caller: `limit` or fewer columns.
    ResultTooLarge,
    /// The plugin is closing or closed. Try again on the next version.
    ShuttingDown,
    /// A bug: a panic was caught. The plugin goes on serving other jobs.
    Internal,
}

impl ErrorCode {
    /// Every code, in the contract's order.
    pub const ALL: [Self; 17] = [
        Self::InvalidJob,
        Self::InvalidQuery,
        Self::NotReadOnly,
        Self::TableNotAllowed,
        Self::Credentials,
        Self::AssumeRole,
        Self::AccessDenied,
        Self::NotFound,
        Self::Validation,
        Self::Throttled,
        Self::Unavailable,
        Self::BadResponse,
        Self::Timeout,
        Self::Cancelled,
        Self::ResultTooLarge,
        Self::ShuttingDown,
        Self::Internal,
    ];

    /// The word in the document, for example `NOT_READ_ONLY`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InvalidJob => "INVALID_JOB",
            Self::InvalidQuery => "INVALID_QUERY",
            Self::NotReadOnly => "NOT_READ_ONLY",
            Self::TableNotAllowed => "TABLE_NOT_ALLOWED",
            Self::Credentials => "CREDENTIALS",
            Self::AssumeRole => "ASSUME_ROLE",
            Self::AccessDenied => "ACCESS_DENIED",
            Self::NotFound => "NOT_FOUND",
            Self::Validation => "VALIDATION",
            Self::Throttled => "THROTTLED",
            Self::Unavailable => "UNAVAILABLE",
            Self::BadResponse => "BAD_RESPONSE",
            Self::Timeout => "TIMEOUT",
            Self::Cancelled => "CANCELLED",
            Self::ResultTooLarge => "RESULT_TOO_LARGE",
            Self::ShuttingDown => "SHUTTING_DOWN",
            Self::Internal => "INTERNAL",
        }
    }

    /// Whether the same job may succeed when it is simply sent again.
    #[must_use]
    pub const fn retryable(self) -> bool {
        matches!(
            self,
            Self::Throttled
                | Self::Unavailable
                | Self::BadResponse
                | Self::Timeout
                | Self::ShuttingDown
        )
    }
}

impl ErrorCode {
    /// What the code means, in one sentence.
    #[must_use]
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::InvalidJob => {
                "the job document is not JSON, or a field is missing, unknown, or of the wrong type, length or range"
            }
            Self::InvalidQuery => {
                "the statement is malformed, is more than one, or uses what DynamoDB's PartiQL lacks"
            }
            Self::NotReadOnly => "the statement is, or hides, a write",
            Self::TableNotAllowed => "the table is not among those that the command allows",
            Self::Credentials => {
                "there are no AWS credentials, or they are refused or expired beyond refresh"
            }
            Self::AssumeRole => "STS refused the role",
            Self::AccessDenied => "DynamoDB refused the caller",
            Self::NotFound => "there is no such table or index",
            Self::Validation => "DynamoDB refused the statement, in its own words",
            Self::Throttled => "still throttled after the retries",
            Self::Unavailable => {
                "no connection, a lost one, no answer in time, or a failure of the service, after the retries"
            }
            Self::BadResponse => "the service's answer could not be understood",
            Self::Timeout => "the job's deadline passed",
            Self::Cancelled => "the job was cancelled",
            Self::ResultTooLarge => "the result would be larger than max_result_bytes",
            Self::ShuttingDown => "the plugin is closing or closed and takes no new job",
            Self::Internal => "a bug: a panic was caught; other jobs go on",
        }
    }

    /// Who can do what about it.
    #[must_use]
    pub const fn remedy(self) -> &'static str {
        match self {
            Self::InvalidJob => {
                "Whoever wrote the job, or for the command's and cluster's contexts the operator: mend the named field."
            }
            Self::InvalidQuery | Self::Validation => {
                "Whoever wrote the statement: mend it at the line and column that the error names."
            }
            Self::NotReadOnly => {
                "Whoever wrote the statement: only SELECT runs here; put a word that is an attribute's name into double quotes."
            }
            Self::TableNotAllowed => {
                "Use a command whose tables include it, or ask the operator to widen the list."
            }
            Self::Credentials => {
                "The operator: check where the host's process gets its AWS credentials from."
            }
            Self::AssumeRole => {
                "The operator: check role_arn, external_id and the role's trust policy, and sts:AssumeRole for the host's identity."
            }
            Self::AccessDenied => {
                "The operator: allow dynamodb:PartiQLSelect on the table and its indexes for the identity."
            }
            Self::NotFound => {
                "Check the name, which is case-sensitive; the operator: the cluster's region and account."
            }
            Self::Throttled => {
                "Send the job again later; the operator: the table's capacity, or the cluster's max_attempts."
            }
            Self::Unavailable => {
                "The operator: check endpoint, region, proxy and network; else send the job again later."
            }
            Self::BadResponse => {
                "Send the job again; if it stays, the operator: check what answers at the endpoint."
            }
            Self::Timeout => "Narrow the statement, or raise timeout_seconds.",
            Self::Cancelled => {
                "Nothing is wrong; submit the job again if its result is wanted after all."
            }
            Self::ResultTooLarge => {
                "Set a limit, select fewer columns, or raise max_result_bytes as far as the command allows."
            }
            Self::ShuttingDown => "Send the job again: another version of the plugin may take it.",
            Self::Internal => "Report it with the position that the message names.",
        }
    }
}

impl std::fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How far a job had come when it failed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Partial {
    /// Rows that had been read.
    pub rows: u64,
    /// Pages that had been read.
    pub pages: u64,
}

/// A failure, as it travels in the error document.
///
/// `message` is one sentence in lower case that says what is wrong with which value; `hint` says what to do.
/// Neither may hold a credential or a parameter's value.
///
/// ```
/// use plugin_api::{Error, ErrorCode};
///
/// let error = Error::new(ErrorCode::NotFound, "no table is named 'ordrs'").hint("check the name and the region");
/// assert_eq!(
///     String::from_utf8(error.to_json()).unwrap(),
///     r#"{"error":{"code":"NOT_FOUND","message":"no table is named 'ordrs'","hint":"check the name and the region","line":null,"column":null,"retryable":false,"aws_code":null,"request_id":null,"partial":{"rows":0,"pages":0}}}"#,
/// );
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{code}: {message}")]
pub struct Error {
    /// The cause, as a word.
    pub code: ErrorCode,
    /// What is wrong with which value, in one sentence. INVALID_QUERY adds the line and a caret below it.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
    /// 1-based line in the user's statement.
    pub line: Option<u32>,
    /// 1-based column in the user's statement, in characters.
    pub column: Option<u32>,
    /// Whether the same job may succeed when sent again.
    pub retryable: bool,
    /// AWS's own word for it, for example `ResourceNotFoundException`.
    pub aws_code: Option<String>,
    /// AWS's id of the request that failed, for a support case.
    pub request_id: Option<String>,
    /// How far the job had come.
    #[serde(default)]
    pub partial: Partial,
}

/// The document around an [`Error`], owned or borrowed.
#[derive(Serialize, Deserialize)]
struct Document<E> {
    error: E,
}

impl Error {
    /// An error with only a code and a message.
    #[must_use]
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            hint: None,
            line: None,
            column: None,
            retryable: code.retryable(),
            aws_code: None,
            request_id: None,
            partial: Partial::default(),
        }
    }

    /// Adds what to do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Adds the 1-based position in the user's statement.
    #[must_use]
    pub fn at(mut self, line: u32, column: u32) -> Self {
        self.line = Some(line);
        self.column = Some(column);
        self
    }

    /// The error document's bytes.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(&Document { error: self })
            .expect("strings, numbers and booleans always serialize")
    }

    /// Reads an error document; `None` where the bytes are not one.
    #[must_use]
    pub fn from_json(document: &[u8]) -> Option<Self> {
        serde_json::from_slice::<Document<Self>>(document)
            .ok()
            .map(|document| document.error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_serializes_as_its_word_and_reads_back() {
        for code in ErrorCode::ALL {
            assert_eq!(serde_json::to_string(&code).unwrap(), format!("\"{code}\""));
            let error = Error::new(code, "text").at(2, 3);
            assert_eq!(Error::from_json(&error.to_json()), Some(error));
        }
    }

    #[test]
    fn bytes_that_are_no_error_document_are_none() {
        for bytes in [
            &b""[..],
            b"{}",
            b"[]",
            b"{\"error\":\"text\"}",
            b"{\"error\":{\"code\":\"NEW_WORD\"}}",
        ] {
            assert_eq!(Error::from_json(bytes), None);
        }
    }

    #[test]
    fn the_page_about_jobs_lists_every_code_with_its_meaning() {
        let page = include_str!("../../docs/JOB.md");
        for code in ErrorCode::ALL {
            let again = if code.retryable() { "yes" } else { "no" };
            let row = format!("| `{code}` | {} | {again} |", code.meaning());
            assert!(page.contains(&row), "docs/JOB.md lacks: {row}");
        }
    }
}
