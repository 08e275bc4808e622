//! Answers: JSON, text, results, without copying what is large.

use std::{
    collections::VecDeque,
    convert::Infallible,
    fs::File,
    pin::Pin,
    task::{Context, Poll},
};

use axum::{
    body::Body,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use http_body::{Frame, SizeHint};
use serde::Serialize;

use super::{
    buffers::{self, Buffers, Counted, Reservation, hold},
    connections::Client,
};
use crate::{
    error::HostError,
    job::{JobRecord, View},
    store::StoredResult,
};

/// How much of a file is read at a time.
const READ_BYTES: usize = 256 * 1024;

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

/// A body of a media type.
pub(super) fn body_as(kind: &'static str, body: Body) -> Response {
    with(StatusCode::OK, HeaderValue::from_static(kind), body)
}

/// A sync job with its result: the plugin's bytes are sent from where they are.
pub(super) fn job_with_result(job: &JobRecord, result: Option<Bytes>) -> Response {
    let mut head = job.to_json(View::Submitted, None);
    let Some(result) = result else {
        return json_bytes(head);
    };
    head.truncate(head.len() - 1);
    head.extend_from_slice(b",\"result\":");
    let chunks = Chunks::new([head.into(), result, Bytes::from_static(b"}")]);
    with(StatusCode::OK, JSON, Body::new(chunks))
}

/// As [`job_with_result`], with the result as the store has it.
pub(super) fn job_with_stored(job: &JobRecord, stored: Option<StoredResult>) -> Response {
    match stored {
        // Rows as they came are made into a document elsewhere.
        None | Some(StoredResult::Lines(_)) => job_with_result(job, None),
        Some(StoredResult::Inline(bytes)) => job_with_result(job, Some(bytes.into())),
        Some(StoredResult::File(file, _)) => {
            let mut head = job.to_json(View::Submitted, None);
            head.truncate(head.len() - 1);
            head.extend_from_slice(b",\"result\":");
            let stream = tokio_util::io::ReaderStream::with_capacity(
                tokio::fs::File::from_std(file),
                READ_BYTES,
            );
            let body = FramedBody {
                head: Some(head.into()),
                inner: Body::from_stream(stream),
                tail: Some(Bytes::from_static(b"}")),
            };
            with(StatusCode::OK, JSON, Body::new(body))
        }
    }
}

/// A body between two pieces.
struct FramedBody {
    head: Option<Bytes>,
    inner: Body,
    tail: Option<Bytes>,
}

impl http_body::Body for FramedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if let Some(head) = self.head.take() {
            return Poll::Ready(Some(Ok(Frame::data(head))));
        }
        match std::task::ready!(Pin::new(&mut self.inner).poll_frame(context)) {
            None => Poll::Ready(self.tail.take().map(|tail| Ok(Frame::data(tail)))),
            frame => Poll::Ready(frame),
        }
    }
}

/// An answer that has its share of the room for bodies already.
pub(super) fn counted(response: Response, share: Reservation) -> Response {
    let mut response = response.map(|body| hold(body, share));
    response.extensions_mut().insert(Counted);
    response
}

/// Bytes that are JSON already, counted for as long as they are not sent; `BUSY` where there is no room for them.
///
/// # Errors
/// `BUSY`.
pub(super) fn json_counted(
    buffers: &Buffers,
    client: Client,
    bytes: Vec<u8>,
) -> Result<Response, HostError> {
    let length = bytes.len() as u64;
    if length <= buffers::SMALL {
        return Ok(json_bytes(bytes));
    }
    match buffers.take(client, length) {
        Some(share) => Ok(counted(json_bytes(bytes), share)),
        None => Err(buffers::busy()),
    }
}

/// A file of JSON, as it is.
pub(super) fn json_file(file: File, length: u64) -> Response {
    let stream =
        tokio_util::io::ReaderStream::with_capacity(tokio::fs::File::from_std(file), READ_BYTES);
    let mut response = with(StatusCode::OK, JSON, Body::from_stream(stream));
    response
        .headers_mut()
        .insert(header::CONTENT_LENGTH, length.into());
    response
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
