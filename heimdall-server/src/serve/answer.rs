//! Answers: JSON, text, results, without copying what is large.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http_body::{Frame, SizeHint};
use serde::Serialize;

use crate::job::{Job, View};
use crate::store::StoredResult;

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const TEXT: HeaderValue = HeaderValue::from_static("text/plain");

fn with(status: StatusCode, kind: HeaderValue, body: Body) -> Response {
    let mut response = (status, body).into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

/// Bytes that are JSON already.
pub(super) fn json_bytes(bytes: Vec<u8>) -> Response {
    with(StatusCode::OK, JSON, bytes.into())
}

/// A value as JSON.
pub(super) fn json(value: &impl Serialize) -> Response {
    json_with(StatusCode::OK, value)
}

/// A value as JSON with a status of its own.
pub(super) fn json_with(status: StatusCode, value: &impl Serialize) -> Response {
    let bytes = serde_json::to_vec(value).expect("the interface's types have text keys only");
    with(status, JSON, bytes.into())
}

/// `{"data":[…]}`.
pub(super) fn data(values: &[impl Serialize]) -> Response {
    #[derive(Serialize)]
    struct Data<'a, T> {
        data: &'a [T],
    }
    json(&Data { data: values })
}

/// Plain text.
pub(super) fn text(text: impl Into<Body>) -> Response {
    with(StatusCode::OK, TEXT, text.into())
}

/// Plain text of another kind.
pub(super) fn text_as(kind: &'static str, text: impl Into<Body>) -> Response {
    with(StatusCode::OK, HeaderValue::from_static(kind), text.into())
}

/// A sync job with its result: the plugin's bytes are sent from where they are.
pub(super) fn job_with_result(job: &Job, result: Option<Bytes>) -> Response {
    let mut head = job.to_json(View::Submitted);
    let Some(result) = result else {
        return json_bytes(head);
    };
    head.truncate(head.len() - 1);
    head.extend_from_slice(b",\"result\":");
    let chunks = Chunks::new([head.into(), result, Bytes::from_static(b"}")]);
    with(StatusCode::OK, JSON, Body::new(chunks))
}

/// A stored result, unchanged.
pub(super) fn result(stored: StoredResult) -> Response {
    match stored {
        StoredResult::Inline(bytes) => json_bytes(bytes),
        StoredResult::File(file, length) => {
            let stream = tokio_util::io::ReaderStream::with_capacity(
                tokio::fs::File::from_std(file),
                256 * 1024,
            );
            let mut response = with(StatusCode::OK, JSON, Body::from_stream(stream));
            response
                .headers_mut()
                .insert(header::CONTENT_LENGTH, length.into());
            response
        }
    }
}

/// A body of known pieces.
struct Chunks {
    chunks: VecDeque<Bytes>,
}

impl Chunks {
    fn new(chunks: impl IntoIterator<Item = Bytes>) -> Self {
        Self {
            chunks: chunks
                .into_iter()
                .filter(|chunk| !chunk.is_empty())
                .collect(),
        }
    }
}

impl http_body::Body for Chunks {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.chunks.pop_front().map(|chunk| Ok(Frame::data(chunk))))
    }

    fn is_end_stream(&self) -> bool {
        self.chunks.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.chunks.iter().map(|chunk| chunk.len() as u64).sum())
    }
}
