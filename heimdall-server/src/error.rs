//! The errors of the host's interface: one code, one HTTP status, one JSON body.
//!
//! In: what went wrong, or a plugin's error document. Out: `{"error","code","hint","id","details"}` with the contract's status.

use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use plugin_api::ErrorCode;
use results::visible_json;
use serde::Serialize;
use serde_json::{Value, json};

/// The error codes of the host's interface; those of a plugin's error document travel through unchanged.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Code {
    /// A code of a plugin's error document, see [`ErrorCode`].
    Plugin(ErrorCode),
    /// A query parameter, cursor or status value cannot be meant. Caller: fix it.
    InvalidRequest,
    /// No active command and cluster carry what the job asks for. Caller: fix the criteria.
    NoRoute,
    /// No caller, no token, or a wrong one.
    Unauthenticated,
    /// The caller may not do this.
    Forbidden,
    /// No such job, command, cluster, plugin, endpoint or result.
    NotFound,
    /// The endpoint does not take this method.
    MethodNotAllowed,
    /// The job has ended.
    NotCancellable,
    /// The job has not ended.
    NotFinished,
    /// The request's body took too long to arrive.
    RequestTimeout,
    /// The request's body is larger than the host takes.
    BodyTooLarge,
    /// A limit of the host is reached; try again in a moment.
    Busy,
    /// The command's plugin is not loaded in a version that it allows.
    PluginUnavailable,
    /// A result has none of the media types that the client accepts.
    NotAcceptable,
    /// A result without columns cannot be written in this format.
    NoColumns,
    /// The disk is full, or has less room than the operator wants to keep free.
    StorageFull,
    /// A plugin refused to be loaded, opened or used.
    PluginRefused,
}

impl Code {
    /// The word in the body.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Plugin(code) => code.as_str(),
            Self::InvalidRequest => "INVALID_REQUEST",
            Self::NoRoute => "NO_ROUTE",
            Self::Unauthenticated => "UNAUTHENTICATED",
            Self::Forbidden => "FORBIDDEN",
            Self::NotFound => "NOT_FOUND",
            Self::MethodNotAllowed => "METHOD_NOT_ALLOWED",
            Self::NotCancellable => "NOT_CANCELLABLE",
            Self::NotFinished => "NOT_FINISHED",
            Self::RequestTimeout => "REQUEST_TIMEOUT",
            Self::BodyTooLarge => "BODY_TOO_LARGE",
            Self::Busy => "BUSY",
            Self::PluginUnavailable => "PLUGIN_UNAVAILABLE",
            Self::NotAcceptable => "NOT_ACCEPTABLE",
            Self::NoColumns => "NO_COLUMNS",
            Self::StorageFull => "STORAGE_FULL",
            Self::PluginRefused => "PLUGIN_REFUSED",
        }
    }

    /// The HTTP status that the code is answered with.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        match self {
            Self::Plugin(code) => plugin_status(code.as_str()),
            Self::InvalidRequest | Self::NoRoute => StatusCode::BAD_REQUEST,
            Self::Unauthenticated => StatusCode::UNAUTHORIZED,
            Self::Forbidden => StatusCode::FORBIDDEN,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::NotCancellable | Self::NotFinished | Self::PluginRefused => StatusCode::CONFLICT,
            Self::RequestTimeout => StatusCode::REQUEST_TIMEOUT,
            Self::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Busy => StatusCode::TOO_MANY_REQUESTS,
            Self::PluginUnavailable => StatusCode::SERVICE_UNAVAILABLE,
            Self::NotAcceptable => StatusCode::NOT_ACCEPTABLE,
            Self::NoColumns => StatusCode::UNPROCESSABLE_ENTITY,
            Self::StorageFull => StatusCode::INSUFFICIENT_STORAGE,
        }
    }
}

/// The HTTP status of a plugin's code. A code that this host does not know is the plugin's failure: 502.
fn plugin_status(code: &str) -> StatusCode {
    match code {
        "INVALID_JOB" | "INVALID_QUERY" | "NOT_READ_ONLY" | "VALIDATION" => StatusCode::BAD_REQUEST,
        "TABLE_NOT_ALLOWED" => StatusCode::FORBIDDEN,
        "NOT_FOUND" => StatusCode::NOT_FOUND,
        "RESULT_TOO_LARGE" | "BUDGET_EXCEEDED" => StatusCode::UNPROCESSABLE_ENTITY,
        "THROTTLED" => StatusCode::TOO_MANY_REQUESTS,
        "UNAVAILABLE" | "SHUTTING_DOWN" | "PLUGIN_CRASHED" | "PLUGIN_UNAVAILABLE" => {
            StatusCode::SERVICE_UNAVAILABLE
        }
        "TIMEOUT" => StatusCode::GATEWAY_TIMEOUT,
        // A cancelled job is an answer of its own; as an error it can only be the job's own state.
        "CANCELLED" => StatusCode::CONFLICT,
        "INTERNAL" => StatusCode::INTERNAL_SERVER_ERROR,
        _ => StatusCode::BAD_GATEWAY,
    }
}

/// A refusal or failure as the host answers it.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{message}")]
pub struct HostError {
    /// The cause, as a word.
    pub code: Code,
    /// What is wrong with which value, in one sentence.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
    /// The job that it is about.
    pub id: Option<String>,
    /// The rest of the plugin's error document, or what else is known.
    pub details: Option<Value>,
}

impl HostError {
    /// An error with only a code and a message.
    #[must_use]
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            hint: None,
            id: None,
            details: None,
        }
    }

    /// There is no job of that id, or the caller may not know of it.
    #[must_use]
    pub fn unknown_job(id: &str) -> Self {
        Self::new(Code::NotFound, format!("unknown job_id '{id}'"))
            .hint("the id is in the answer to the submission")
    }

    /// Adds what to do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Adds the job that it is about.
    #[must_use]
    pub fn about(mut self, id: impl Into<String>) -> Self {
        self.id = Some(id.into());
        self
    }

    /// A bug, or a disk that fails: the text is for the operator and carries no secret.
    #[must_use]
    pub fn internal(cause: impl std::fmt::Display) -> Self {
        Self::new(Code::Plugin(ErrorCode::INTERNAL), cause.to_string())
    }

    /// A job document that cannot be run.
    #[must_use]
    pub fn invalid_job(message: impl Into<String>) -> Self {
        Self::new(Code::Plugin(ErrorCode::INVALID_JOB), message)
    }

    /// The body of the answer.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        #[derive(Serialize)]
        struct ErrorBody<'a> {
            error: &'a str,
            code: &'a str,
            #[serde(skip_serializing_if = "Option::is_none")]
            hint: Option<&'a str>,
            #[serde(skip_serializing_if = "Option::is_none")]
            id: Option<&'a str>,
            #[serde(skip_serializing_if = "Option::is_none")]
            details: Option<&'a Value>,
        }
        let body = serde_json::to_string(&ErrorBody {
            error: &self.message,
            code: self.code.as_str(),
            hint: self.hint.as_deref(),
            id: self.id.as_deref(),
            details: self.details.as_ref(),
        })
        .expect("strings and JSON values always serialize");
        // It may quote what a client, a plugin or a service wrote, and people read it on terminals.
        visible_json(&body).into_owned().into_bytes()
    }
}

impl From<plugin_api::Error> for HostError {
    fn from(error: plugin_api::Error) -> Self {
        Self {
            details: Some(json!({
                "line": error.line,
                "column": error.column,
                "retryable": error.retryable,
                "aws_code": error.aws_code,
                "request_id": error.request_id,
                "field": error.field,
                "partial": error.partial,
            })),
            code: Code::Plugin(error.code),
            message: error.message,
            hint: error.hint,
            id: None,
        }
    }
}

/// What a refusing answer was made of: for the log and the metrics, which see answers only.
#[derive(Debug, Clone)]
pub(crate) struct Refusal {
    pub(crate) code: Code,
    pub(crate) message: String,
    pub(crate) id: Option<String>,
    /// Whether a job ran and failed, rather than the request.
    pub(crate) is_of_a_job: bool,
}

impl IntoResponse for HostError {
    fn into_response(self) -> Response {
        let status = self.code.status();
        // A pause of a worker that keeps dying, or a version that is being replaced: both pass.
        let passes = self.code.as_str() == "PLUGIN_UNAVAILABLE";
        let mut response = (status, self.to_json()).into_response();
        response.extensions_mut().insert(Refusal {
            // A failed job has a line of its own.
            is_of_a_job: self.id.is_some() && self.details.is_some(),
            code: self.code.clone(),
            message: self.message.clone(),
            id: self.id.clone(),
        });
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/json"),
        );
        match status {
            _ if passes || status == StatusCode::TOO_MANY_REQUESTS => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
            }
            StatusCode::UNAUTHORIZED => {
                headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            // Another `Accept` would have got the result.
            StatusCode::NOT_ACCEPTABLE => {
                headers.insert(header::VARY, HeaderValue::from_static("Accept"));
            }
            _ => {}
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_bugs_are_answered_with_500() {
        for (code, status) in [
            ("INTERNAL", StatusCode::INTERNAL_SERVER_ERROR),
            ("INVALID_JOB", StatusCode::BAD_REQUEST),
            ("A_CODE_OF_A_NEWER_PLUGIN", StatusCode::BAD_GATEWAY),
        ] {
            assert_eq!(
                Code::Plugin(ErrorCode::new(code)).status(),
                status,
                "{code}"
            );
        }
    }

    #[test]
    fn a_plugins_error_keeps_everything_it_said() {
        let error =
            plugin_api::Error::new(ErrorCode::retryable("THROTTLED"), "too fast").hint("wait");
        let host = HostError::from(error).about("id-1");
        let body: Value = serde_json::from_slice(&host.to_json()).unwrap();
        assert_eq!(
            body,
            json!({"error": "too fast", "code": "THROTTLED", "hint": "wait", "id": "id-1",
                   "details": {"line": null, "column": null, "retryable": true, "aws_code": null, "request_id": null,
                               "field": null,
                               "partial": {"rows": 0, "pages": 0, "next_token": null}}}),
        );
        assert_eq!(host.into_response().headers()[header::RETRY_AFTER], "1");
    }
}
