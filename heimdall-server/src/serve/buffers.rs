//! How many bytes of requests and answers may be in memory at once.
//!
//! In: a client and a number of bytes. Out: a share of the room, given back when it is dropped, or nothing. Small bodies are not
//! counted: the number of connections bounds them. No client holds more than half of the room, so that one that reads nothing does
//! not end the answers of the others.

use std::{
    collections::HashMap,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, ready},
};

use axum::{
    body::{Body, Bytes, HttpBody},
    extract::{Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};
use http_body::{Frame, SizeHint};

use super::{Shared, connections::Client};
use crate::error::{Code, HostError};

/// Bodies up to this size are not counted.
pub(super) const SMALL: u64 = 64 * 1024;
/// What an answer counts that is sent as it is made.
pub(super) const STREAM: u64 = 512 * 1024;

/// The bytes that bodies may hold in memory, by client and in all.
pub(super) struct Buffers(Arc<BufferPool>);

struct BufferPool {
    most: u64,
    usage: Mutex<Usage>,
}

#[derive(Default)]
struct Usage {
    all: u64,
    by_client: HashMap<Client, u64>,
}

impl BufferPool {
    fn usage(&self) -> MutexGuard<'_, Usage> {
        self.usage.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A reservation of buffered bytes; dropping it gives them back.
pub(super) struct Reservation {
    pool: Arc<BufferPool>,
    client: Client,
    bytes: u64,
}

impl Drop for Reservation {
    fn drop(&mut self) {
        let mut usage = self.pool.usage();
        usage.all -= self.bytes;
        if let Some(of_client) = usage.by_client.get_mut(&self.client) {
            *of_client -= self.bytes;
            if *of_client == 0 {
                usage.by_client.remove(&self.client);
            }
        }
    }
}

impl Buffers {
    /// Room for so many bytes.
    pub(super) fn new(most: u64) -> Self {
        Self(Arc::new(BufferPool {
            most,
            usage: Mutex::default(),
        }))
    }

    /// A share of the room, where there is enough.
    pub(super) fn take(&self, client: Client, bytes: u64) -> Option<Reservation> {
        self.take_below(client, bytes, self.0.most / 2)
    }

    /// A share for what could also be sent from a file, which needs far less: half of the client's room is left for such answers.
    pub(super) fn take_whole(&self, client: Client, bytes: u64) -> Option<Reservation> {
        self.take_below(client, bytes, self.0.most / 4)
    }

    fn take_below(&self, client: Client, bytes: u64, most_of_client: u64) -> Option<Reservation> {
        let mut usage = self.0.usage();
        let of_client = usage.by_client.get(&client).copied().unwrap_or(0);
        if usage.all + bytes > self.0.most || of_client + bytes > most_of_client {
            return None;
        }
        usage.all += bytes;
        *usage.by_client.entry(client).or_default() += bytes;
        drop(usage);
        Some(Reservation {
            pool: Arc::clone(&self.0),
            client,
            bytes,
        })
    }
}

/// The refusal of what there is no room for.
pub(super) fn busy() -> HostError {
    HostError::new(
        Code::Busy,
        "the bodies under way fill the room that this host has for them",
    )
    .hint("read the answers that you have asked for, or try again in a moment; the operator can raise limits.max_buffered_bytes")
}

/// Says that an answer holds its share already.
#[derive(Clone)]
pub(super) struct Counted;

/// Counts an answer for as long as it is not sent, and refuses it where there is no room.
pub(super) async fn bound(State(app): State<Shared>, request: Request, next: Next) -> Response {
    let client = Client::of(request.extensions());
    let response = next.run(request).await;
    if response.extensions().get::<Counted>().is_some() {
        return response;
    }
    let bytes = response.body().size_hint().exact().unwrap_or(STREAM);
    if bytes <= SMALL {
        return response;
    }
    match app.buffers.take(client, bytes) {
        Some(share) => response.map(|body| hold(body, share)),
        None => busy().into_response(),
    }
}

/// A body that keeps something until it is sent or dropped.
///
/// It is given to the connection in pieces: a connection takes a body's next frame when there is room in its own small buffer, so that
/// what is kept is given back when nearly all of the body is sent, and not when the only frame of a large one was taken.
pub(super) fn hold(body: Body, kept: impl Send + Unpin + 'static) -> Body {
    Body::new(BodyWithGuard {
        body,
        rest: Bytes::new(),
        _kept: kept,
    })
}

/// The most bytes that are given to a connection at once.
const PIECE: usize = 64 * 1024;

struct BodyWithGuard<T> {
    body: Body,
    /// What is left of the body's last frame.
    rest: Bytes,
    _kept: T,
}

impl<T: Unpin> HttpBody for BodyWithGuard<T> {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if self.rest.is_empty() {
            match ready!(Pin::new(&mut self.body).poll_frame(context)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => self.rest = data,
                    Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
                },
                ended => return Poll::Ready(ended),
            }
        }
        let length = self.rest.len().min(PIECE);
        Poll::Ready(Some(Ok(Frame::data(self.rest.split_to(length)))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let (rest, mut hint) = (self.rest.len() as u64, self.body.size_hint());
        if let Some(upper) = hint.upper() {
            hint.set_upper(upper + rest);
        }
        hint.set_lower(hint.lower() + rest);
        hint
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_a_large_body_counts_is_held_until_its_last_piece_was_taken() {
        let buffers = Buffers::new(1 << 20);
        let client = Client::from(std::net::IpAddr::from([192, 0, 2, 1]));
        let length = 2 * PIECE + 1;
        let share = buffers.take(client, length as u64);
        let mut body = hold(Body::from(vec![b'x'; length]), share);
        for (taken, rest) in [(PIECE, length - PIECE), (PIECE, 1), (1, 0)] {
            assert!(buffers.0.usage().all > 0);
            let next = std::future::poll_fn(|context| Pin::new(&mut body).poll_frame(context));
            let piece = next.await.unwrap().unwrap().into_data().unwrap();
            assert_eq!(piece.len(), taken);
            assert_eq!(body.size_hint().exact(), Some(rest as u64));
            assert_eq!(body.is_end_stream(), rest == 0);
        }
        drop(body);
        assert_eq!(buffers.0.usage().all, 0);
    }

    #[test]
    fn no_more_is_taken_than_there_is_and_no_client_takes_more_than_half() {
        let client = |last| Client::from(std::net::IpAddr::from([192, 0, 2, last]));
        let buffers = Buffers::new(100);
        assert!(buffers.take_whole(client(1), 26).is_none());
        assert!(buffers.take_whole(client(1), 25).is_some());
        let first = buffers.take(client(1), 50).unwrap();
        assert!(buffers.take(client(1), 1).is_none());
        let second = buffers.take(client(2), 40).unwrap();
        assert!(buffers.take(client(3), 11).is_none());
        let third = buffers.take(client(3), 10).unwrap();
        drop(first);
        assert!(buffers.take(client(1), 50).is_some());
        drop((second, third));
        assert_eq!(buffers.0.usage().all, 0);
        assert!(buffers.0.usage().by_client.is_empty());
    }
}
