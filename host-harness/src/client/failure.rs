//! What a host refuses, and what becomes of a request without an answer, as error documents.

use http::StatusCode;
use plugin_api::{Error, ErrorCode};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::run::error::RunError;

/// Why a request failed.
#[derive(Debug)]
pub(super) enum Failure {
    /// Nobody takes the connection, so that nothing was sent.
    Absent(Error),
    /// There is no answer, or only a part of one; the host may have done what it was asked.
    Lost(Error),
    /// The host refuses, or the job that it tells of failed.
    Refused {
        status: StatusCode,
        error: Error,
        /// The job that it is about.
        id: Option<String>,
    },
}

impl Failure {
    pub(super) fn error(self) -> Error {
        match self {
            Self::Absent(error) | Self::Lost(error) | Self::Refused { error, .. } => error,
        }
    }

    /// Whether the host may be there again later.
    pub(super) fn is_gone(&self) -> bool {
        matches!(self, Self::Absent(_) | Self::Lost(_))
    }

    /// Whether this is the outcome of a job, rather than of a request.
    pub(super) fn is_of_a_job(&self) -> bool {
        matches!(self, Self::Refused { id: Some(_), .. })
    }

    /// What a host answered that is no success.
    pub(super) fn refused(status: StatusCode, body: &[u8]) -> Self {
        match serde_json::from_slice::<RefusalBody>(body) {
            Ok(body) => Self::Refused {
                status,
                id: body.id.clone(),
                error: body.into_error(status),
            },
            Err(_) => Self::Refused {
                status,
                id: None,
                error: not_a_host(status, body),
            },
        }
    }
}

impl From<Failure> for RunError {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure.error())
    }
}

/// `{"error","code","hint","id","details"}`. The details of a missing result are the whole error of its job, in this same shape.
#[derive(Deserialize)]
struct RefusalBody {
    error: String,
    code: String,
    #[serde(default)]
    hint: Option<String>,
    #[serde(default)]
    id: Option<String>,
    #[serde(default)]
    details: Option<Map<String, Value>>,
}

impl RefusalBody {
    fn into_error(self, status: StatusCode) -> Error {
        let details = self.details.unwrap_or_default();
        if details.contains_key("code")
            && let Ok(cause) = serde_json::from_value::<Self>(details.clone().into())
        {
            return cause.into_error(status);
        }
        let retryable = matches!(
            status,
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE
        );
        let mut error = Error::new(ErrorCode::from(self.code), self.error);
        error.hint = self.hint;
        error.retryable = details
            .get("retryable")
            .and_then(Value::as_bool)
            .unwrap_or(retryable);
        let of = |name: &str| details.get(name).cloned().unwrap_or_default();
        let number = |name: &str| of(name).as_u64().and_then(|value| value.try_into().ok());
        let text = |name: &str| of(name).as_str().map(str::to_owned);
        (error.line, error.column) = (number("line"), number("column"));
        error.aws_code = text("aws_code");
        error.request_id = text("request_id");
        error.field = text("field");
        error.partial = serde_json::from_value(of("partial")).unwrap_or_default();
        error
    }
}

/// An answer in no shape of a host's: a proxy's page, or another server.
fn not_a_host(status: StatusCode, body: &[u8]) -> Error {
    let text = String::from_utf8_lossy(body);
    let beginning: String = text.trim().chars().take(200).collect();
    let shown = results::visible(beginning.as_str().into());
    Error::new(
        ErrorCode::from("BAD_RESPONSE".to_owned()),
        format!("the answer is {status}, and not a host's: {shown}"),
    )
    .hint("check --url, and whether a proxy stands between")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(status: u16, body: &str) -> Error {
        Failure::refused(StatusCode::from_u16(status).unwrap(), body.as_bytes()).error()
    }

    #[test]
    fn a_jobs_error_document_comes_back_as_the_plugin_wrote_it() {
        let mut written = Error::new(ErrorCode::INVALID_JOB, "no")
            .hint("fix it")
            .at(2, 3)
            .field("context.limit")
            .partial(plugin_api::Partial::new(4, 5));
        written.aws_code = Some("X".to_owned());
        written.request_id = Some("R".to_owned());
        let host = heimdall_server::error::HostError::from(written.clone()).about("id-1");
        let body = String::from_utf8(host.to_json()).unwrap();
        assert_eq!(error(400, &body).to_json(), written.to_json());
        // As /result tells of a job that failed.
        let missing = format!(
            r#"{{"error":"the job has no result","code":"NOT_FOUND","id":"id-1","details":{body}}}"#
        );
        assert_eq!(error(404, &missing).to_json(), written.to_json());
    }

    #[test]
    fn a_refusal_is_retryable_where_its_status_says_so_and_another_servers_page_is_told() {
        let busy = error(429, r#"{"error":"too many","code":"BUSY"}"#);
        assert!(busy.retryable && busy.code == "BUSY");
        let page = error(502, "<html>\u{1b}[31mBad gateway</html>");
        assert_eq!(page.code, "BAD_RESPONSE");
        assert!(page.message.contains("Bad gateway") && !page.message.contains('\u{1b}'));
    }
}
