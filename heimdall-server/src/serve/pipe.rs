//! A body that a thread makes while the client reads it.
//!
//! In: a function that writes. Out: a body of its bytes. A few pieces at most wait for the client, so that one that does not read
//! costs little memory; the number of such threads is bounded, and they are not those that jobs run on.

use std::{
    io::{self, Write},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use axum::body::Body;
use bytes::Bytes;
use http_body::Frame;
use plugin_api::Level;
use results::WriteError;
use serde_json::json;
use tokio::sync::mpsc::{self, Receiver, Sender};

use super::Shared;
use crate::error::{Code, HostError};

/// How many bodies are made at once.
pub(super) const AT_ONCE: usize = 64;
/// How many pieces, of 64 KiB each, wait for a client.
const PIECES: usize = 4;

/// A piece of the body, or its end.
enum Piece {
    Bytes(Bytes),
    End,
}

/// Starts a body about the result of a job.
///
/// # Errors
/// As many are being made as may be.
pub(super) fn body(
    app: &Shared,
    id: String,
    make: impl FnOnce(&mut (dyn Write + Send)) -> Result<(), WriteError> + Send + 'static,
) -> Result<Body, HostError> {
    let busy = |message: String| {
        HostError::new(Code::Busy, message).hint("try again when some have been read")
    };
    let permit = Arc::clone(&app.pipes)
        .try_acquire_owned()
        .map_err(|_| busy(format!("{AT_ONCE} results are being sent already")))?;
    let (sender, receiver) = mpsc::channel(PIECES);
    let log = Arc::clone(&app.log);
    let run = move || {
        let _permit = permit;
        let mut out = PipeWriter(sender);
        match make(&mut out) {
            // The client may be gone by now.
            Ok(()) => drop(out.0.blocking_send(Piece::End)),
            Err(WriteError::Io(error)) if error.kind() == io::ErrorKind::BrokenPipe => {}
            Err(error) => {
                let fields = [("id", json!(id)), ("error", json!(error.to_string()))];
                let message = "a result could not be sent whole; its connection is broken off";
                log.event(Level::Error, message, &fields);
            }
        }
    };
    let thread = std::thread::Builder::new().name("result".to_owned());
    thread
        .spawn(run)
        .map_err(|error| busy(format!("no thread can be started: {error}")))?;
    Ok(Body::new(PipeBody {
        receiver,
        has_ended: false,
    }))
}

struct PipeWriter(Sender<Piece>);

impl Write for PipeWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let piece = Piece::Bytes(Bytes::copy_from_slice(bytes));
        match self.0.blocking_send(piece) {
            Ok(()) => Ok(bytes.len()),
            Err(_) => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct PipeBody {
    receiver: Receiver<Piece>,
    has_ended: bool,
}

impl http_body::Body for PipeBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        if self.has_ended {
            return Poll::Ready(None);
        }
        self.receiver.poll_recv(context).map(|piece| match piece {
            Some(Piece::Bytes(bytes)) => Some(Ok(Frame::data(bytes))),
            Some(Piece::End) => {
                self.has_ended = true;
                None
            }
            // The thread gave up, so the client must not take what it has for the whole.
            None => Some(Err(io::Error::other("the result ended early"))),
        })
    }

    fn is_end_stream(&self) -> bool {
        self.has_ended
    }
}
