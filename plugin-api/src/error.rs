//! The error document: what a failed job gives instead of a result.
//!
//! In: a code, one sentence, what is known about the cause. Out: `{"error":{…}}` with every key always present.
//! No I/O, no AWS types: the host parses the same type back from any plugin's bytes.

use std::{
    borrow::Cow,
    fmt,
    hash::{Hash, Hasher},
};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// What went wrong, as a word that programs may match on. Texts may change between versions; codes do not.
///
/// A host meets codes of plugins that are newer than itself, so a code is a word and not a closed list: every word travels unchanged.
/// Two codes are equal if their words are.
///
/// ```
/// use plugin_api::ErrorCode;
///
/// // A plugin's own codes are constants beside the standard ones.
/// const QUEUE_FULL: ErrorCode = ErrorCode::retryable("QUEUE_FULL");
/// assert_eq!(QUEUE_FULL.as_str(), "QUEUE_FULL");
/// assert_eq!(ErrorCode::INTERNAL, "INTERNAL");
/// ```
#[derive(Debug, Clone)]
pub struct ErrorCode {
    word: Cow<'static, str>,
    retryable: bool,
}

impl ErrorCode {
    /// The job document or the plugin's configuration is not valid.
    pub const INVALID_JOB: Self = Self::new("INVALID_JOB");
    /// A service that the plugin needs cannot be reached or failed; the same job may succeed later.
    pub const UNAVAILABLE: Self = Self::retryable("UNAVAILABLE");
    /// The job's deadline passed.
    pub const TIMEOUT: Self = Self::retryable("TIMEOUT");
    /// The job was cancelled.
    pub const CANCELLED: Self = Self::new("CANCELLED");
    /// The result would be larger than allowed.
    pub const RESULT_TOO_LARGE: Self = Self::new("RESULT_TOO_LARGE");
    /// The plugin is closing or closed. Another version of it may take the job.
    pub const SHUTTING_DOWN: Self = Self::retryable("SHUTTING_DOWN");
    /// A bug: a panic was caught. The plugin goes on serving other jobs.
    pub const INTERNAL: Self = Self::new("INTERNAL");

    /// A code whose errors stay the same when the same job is sent again.
    #[must_use]
    pub const fn new(word: &'static str) -> Self {
        Self {
            word: Cow::Borrowed(word),
            retryable: false,
        }
    }

    /// A code whose errors may be gone when the same job is sent again.
    #[must_use]
    pub const fn retryable(word: &'static str) -> Self {
        Self {
            word: Cow::Borrowed(word),
            retryable: true,
        }
    }

    pub(crate) const fn word(&self) -> &Cow<'static, str> {
        &self.word
    }

    /// The word in the document, for example `INVALID_JOB`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.word
    }

    /// What [`Error::new`] sets `retryable` to. A code that was read from a document does not know it: the document's error does.
    #[must_use]
    pub const fn is_retryable(&self) -> bool {
        self.retryable
    }
}

impl PartialEq for ErrorCode {
    fn eq(&self, other: &Self) -> bool {
        self.word == other.word
    }
}

impl Eq for ErrorCode {}

impl PartialEq<str> for ErrorCode {
    fn eq(&self, other: &str) -> bool {
        self.word == other
    }
}

impl PartialEq<&str> for ErrorCode {
    fn eq(&self, other: &&str) -> bool {
        self.word == *other
    }
}

impl Hash for ErrorCode {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.word.hash(state);
    }
}

impl From<String> for ErrorCode {
    fn from(word: String) -> Self {
        Self {
            word: Cow::Owned(word),
            retryable: false,
        }
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.word)
    }
}

impl Serialize for ErrorCode {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.word)
    }
}

impl<'de> Deserialize<'de> for ErrorCode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::from)
    }
}

/// What a plugin tells of one of its codes, so that hosts and their users need not know the plugin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ErrorInfo {
    /// The code.
    pub code: ErrorCode,
    /// What it means, in one sentence.
    pub meaning: Cow<'static, str>,
    /// Who can do what about it.
    pub remedy: Cow<'static, str>,
    /// Whether the same job may succeed when it is sent again.
    #[serde(default)]
    pub retryable: bool,
}

impl ErrorInfo {
    /// The standard codes, for a plugin that has no codes of its own.
    pub const STANDARD: &'static [Self] = &[
        Self::new(
            ErrorCode::INVALID_JOB,
            "the job document is not JSON, or a field is missing, unknown, or of the wrong type, length or range",
            "Whoever wrote the job, or for the command's and cluster's contexts the operator: correct the named field.",
        ),
        Self::new(
            ErrorCode::UNAVAILABLE,
            "a service that the plugin needs cannot be reached or failed",
            "The operator: check endpoint and network; else send the job again later.",
        ),
        Self::new(
            ErrorCode::TIMEOUT,
            "the job's deadline passed",
            "Ask for less, or allow the job more time.",
        ),
        Self::new(
            ErrorCode::CANCELLED,
            "the job was cancelled",
            "Nothing is wrong; submit the job again if its result is wanted after all.",
        ),
        Self::new(
            ErrorCode::RESULT_TOO_LARGE,
            "the result would be larger than allowed",
            "Ask for less, or raise the limit as far as the command allows.",
        ),
        Self::new(
            ErrorCode::SHUTTING_DOWN,
            "the plugin is closing or closed and takes no new job",
            "Send the job again: another version of the plugin may take it.",
        ),
        Self::new(
            ErrorCode::INTERNAL,
            "a bug: a panic was caught; other jobs go on",
            "Report it with the position that the message names.",
        ),
    ];

    /// A row of a plugin's list, as a constant.
    #[must_use]
    pub const fn new(code: ErrorCode, meaning: &'static str, remedy: &'static str) -> Self {
        let retryable = code.is_retryable();
        Self {
            code,
            meaning: Cow::Borrowed(meaning),
            remedy: Cow::Borrowed(remedy),
            retryable,
        }
    }
}

/// What a job had cost, by its plugin's count.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Cost {
    /// Requests sent to services, retried ones included.
    pub requests: u64,
    /// Retried requests.
    pub retries: u64,
    /// Bytes of the bodies of the pages that were read.
    pub wire_bytes: u64,
    /// Capacity units that a service reported as consumed; `None` where it reported none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consumed_capacity_units: Option<f64>,
}

impl Cost {
    /// So many requests, so many of them retried, and the bytes that were read.
    #[must_use]
    pub const fn new(requests: u64, retries: u64, wire_bytes: u64) -> Self {
        Self {
            requests,
            retries,
            wire_bytes,
            consumed_capacity_units: None,
        }
    }
}

/// How far a job had come when it failed, and what it had cost by then.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Partial {
    /// Rows that had been read.
    pub rows: u64,
    /// Pages that had been read.
    pub pages: u64,
    /// Where a later job may go on, if the plugin can say so.
    pub next_token: Option<String>,
    /// What it had cost: fields of the same object, which are not there where the plugin does not count, or nothing had been sent.
    #[serde(flatten)]
    pub cost: Option<Box<Cost>>,
}

impl Partial {
    /// So many rows of so many pages.
    #[must_use]
    pub const fn new(rows: u64, pages: u64) -> Self {
        Self {
            rows,
            pages,
            next_token: None,
            cost: None,
        }
    }
}

/// A failure, as it travels in the error document.
///
/// `message` is one sentence in lower case that says what is wrong with which value; `hint` says what to do.
/// Neither may hold a credential or a parameter's value.
///
/// ```
/// use plugin_api::{Error, ErrorCode};
///
/// let error = Error::new(ErrorCode::new("NOT_FOUND"), "no table is named 'ordrs'").hint("check the name and the region");
/// assert_eq!(
///     String::from_utf8(error.to_json()).unwrap(),
///     r#"{"error":{"code":"NOT_FOUND","message":"no table is named 'ordrs'","hint":"check the name and the region","line":null,"column":null,"retryable":false,"aws_code":null,"request_id":null,"field":null,"partial":{"rows":0,"pages":0,"next_token":null}}}"#,
/// );
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, thiserror::Error)]
#[error("{code}: {message}")]
#[non_exhaustive]
pub struct Error {
    /// The cause, as a word.
    pub code: ErrorCode,
    /// What is wrong with which value, in one sentence. INVALID_QUERY adds the line and a caret below it.
    pub message: String,
    /// What to do about it.
    #[serde(default)]
    pub hint: Option<String>,
    /// 1-based line in the user's statement.
    #[serde(default)]
    pub line: Option<u32>,
    /// 1-based column in the user's statement, in characters.
    #[serde(default)]
    pub column: Option<u32>,
    /// Whether the same job may succeed when sent again.
    #[serde(default)]
    pub retryable: bool,
    /// AWS's own word for it, for example `ResourceNotFoundException`.
    #[serde(default)]
    pub aws_code: Option<String>,
    /// AWS's id of the request that failed, for a support case.
    #[serde(default)]
    pub request_id: Option<String>,
    /// The field of the job document that is at fault, for example `context.limit`.
    #[serde(default)]
    pub field: Option<String>,
    /// How far the job had come.
    #[serde(default)]
    pub partial: Partial,
}

/// The document around an [`Error`], owned or borrowed.
#[derive(Serialize, Deserialize)]
struct ErrorDocument<E> {
    error: E,
}

impl Error {
    /// An error with only a code and a message.
    #[must_use]
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            hint: None,
            line: None,
            column: None,
            retryable: code.is_retryable(),
            code,
            aws_code: None,
            request_id: None,
            field: None,
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

    /// Adds the field of the job document that is at fault.
    #[must_use]
    pub fn field(mut self, field: impl Into<String>) -> Self {
        self.field = Some(field.into());
        self
    }

    /// Adds how far the job had come.
    #[must_use]
    pub fn partial(mut self, partial: Partial) -> Self {
        self.partial = partial;
        self
    }

    /// The error document's bytes.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(&ErrorDocument { error: self })
            .expect("strings, numbers and booleans always serialize")
    }

    /// Reads an error document; `None` where the bytes are not one.
    ///
    /// A document with a code and a message is one, whatever its other fields became in a plugin that is newer than this host: of
    /// such a one the code, the message, the hint and `retryable` are kept.
    #[must_use]
    pub fn from_json(document: &[u8]) -> Option<Self> {
        if let Ok(document) = serde_json::from_slice::<ErrorDocument<Self>>(document) {
            return Some(document.error);
        }
        let document: serde_json::Value = serde_json::from_slice(document).ok()?;
        let error = &document["error"];
        let text = |field: &str| error[field].as_str().map(str::to_owned);
        let mut known = Self::new(ErrorCode::from(text("code")?), text("message")?);
        known.hint = text("hint");
        known.retryable = error["retryable"].as_bool().unwrap_or(false);
        Some(known)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_reads_back_as_it_was_written() {
        let error = Error::new(ErrorCode::retryable("QUEUE_FULL"), "text")
            .hint("wait")
            .field("context.limit")
            .at(2, 3);
        assert!(error.retryable);
        assert_eq!(Error::from_json(&error.to_json()), Some(error));
    }

    #[test]
    fn a_failed_jobs_cost_is_in_the_document_where_it_is_known() {
        let mut error = Error::new(ErrorCode::TIMEOUT, "late").partial(Partial::new(2, 1));
        let partial = |error: &Error| {
            let document: serde_json::Value = serde_json::from_slice(&error.to_json()).unwrap();
            document["error"]["partial"].clone()
        };
        assert_eq!(
            partial(&error),
            serde_json::json!({"rows": 2, "pages": 1, "next_token": null})
        );
        let mut cost = Cost::new(3, 1, 99);
        cost.consumed_capacity_units = Some(1.5);
        error.partial.cost = Some(Box::new(cost));
        assert_eq!(
            partial(&error),
            serde_json::json!({"rows": 2, "pages": 1, "next_token": null, "requests": 3, "retries": 1,
                               "wire_bytes": 99, "consumed_capacity_units": 1.5})
        );
        assert_eq!(Error::from_json(&error.to_json()), Some(error));
    }

    #[test]
    fn a_code_from_the_future_keeps_its_word_message_hint_and_retryable() {
        for document in [
            r#"{"error":{"code":"QUOTA_OF_2031","message":"m","hint":"h","retryable":true,"new_field":[1]}}"#,
            r#"{"error":{"code":"QUOTA_OF_2031","message":"m","hint":"h","retryable":true,"line":"two","partial":null}}"#,
        ] {
            let error = Error::from_json(document.as_bytes()).unwrap();
            assert_eq!(error.code, "QUOTA_OF_2031");
            assert_eq!(
                (
                    error.message.as_str(),
                    error.hint.as_deref(),
                    error.retryable
                ),
                ("m", Some("h"), true)
            );
        }
    }

    #[test]
    fn bytes_that_are_no_error_document_are_none() {
        for bytes in [
            &b""[..],
            b"{}",
            b"[]",
            b"{\"error\":\"text\"}",
            b"{\"error\":{\"code\":\"NO_MESSAGE\"}}",
        ] {
            assert_eq!(Error::from_json(bytes), None);
        }
    }
}
