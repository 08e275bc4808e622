//! Request bodies: bounded in size and time, and all of them together in memory.

use axum::body::{Body, HttpBody, to_bytes};
use bytes::Bytes;
use http_body_util::LengthLimitError;

use super::{
    App,
    buffers::{self, Reservation},
    connections::Client,
};
use crate::error::{Code, HostError};

/// A request's body, with its share of the room for bodies.
pub(super) struct RequestBytes {
    pub(super) bytes: Bytes,
    _share: Option<Reservation>,
}

/// A request's whole body.
///
/// # Errors
/// It is larger, or slower, than the host takes, or there is no room for it beside the others.
pub(super) async fn read(app: &App, client: Client, body: Body) -> Result<RequestBytes, HostError> {
    let most = app.limits.body_bytes as u64;
    // A body whose length is not told may become as long as any.
    let expected = body.size_hint().exact().unwrap_or(most).min(most);
    let share = match expected {
        0..=buffers::SMALL => None,
        _ => Some(
            app.buffers
                .take(client, expected)
                .ok_or_else(buffers::busy)?,
        ),
    };
    let bytes = read_bytes(app, body).await?;
    Ok(RequestBytes {
        bytes,
        _share: share,
    })
}

async fn read_bytes(app: &App, body: Body) -> Result<Bytes, HostError> {
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
