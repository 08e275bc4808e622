//! Request bodies: bounded in size and time.

use axum::body::{Body, to_bytes};
use bytes::Bytes;
use http_body_util::LengthLimitError;

use super::App;
use crate::error::{Code, HostError};

/// A request's whole body.
///
/// # Errors
/// It is larger, or slower, than the host takes.
pub(super) async fn read(app: &App, body: Body) -> Result<Bytes, HostError> {
    let limit = app.limits.body_bytes;
    match tokio::time::timeout(app.read_timeout, to_bytes(body, limit)).await {
        Ok(Ok(bytes)) => Ok(bytes),
        Ok(Err(error)) if is_too_large(&error) => Err(HostError::new(
            Code::BodyTooLarge,
            format!("the body is larger than {limit} bytes"),
        )
        .hint("the operator can raise limits.max_body_bytes")),
        Ok(Err(_)) => Err(HostError::new(
            Code::InvalidRequest,
            "the body ended before its time",
        )),
        Err(_) => Err(HostError::new(
            Code::RequestTimeout,
            format!("the body took longer than {} s", app.read_timeout.as_secs()),
        )),
    }
}

fn is_too_large(error: &axum::Error) -> bool {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if error.is::<LengthLimitError>() {
            return true;
        }
        cause = error.source();
    }
    false
}
