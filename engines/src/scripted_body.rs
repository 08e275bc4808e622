//! An answer's body, played piece by piece: bytes, pauses, a stall, a reset.
//!
//! A body of one piece tells its length and goes out in one write; nothing is copied.

use std::{
    collections::VecDeque,
    future::Future,
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::time::Sleep;

/// One step of an answer's body.
#[derive(Debug, Clone)]
pub enum Piece {
    /// These bytes.
    Data(Bytes),
    /// Nothing for this long.
    Wait(Duration),
    /// Nothing ever again; the connection stays open until the client or the engine gives up.
    Stall,
    /// A connection reset, after what was sent so far has left.
    Reset,
}

/// A body that plays its pieces; `Guard` is kept until the body is done with or dropped.
pub(crate) struct ScriptedBody<Guard> {
    pieces: VecDeque<Piece>,
    pause: Option<Pin<Box<Sleep>>>,
    flushed: bool,
    announced: bool,
    reset: Arc<AtomicBool>,
    _guard: Guard,
}

impl<Guard> ScriptedBody<Guard> {
    /// Plays `pieces`; `announced`: a length is told in the head, which need not be that of the pieces; `reset` is set
    /// where the script ends the connection so.
    pub(crate) fn new(
        pieces: VecDeque<Piece>,
        announced: bool,
        reset: Arc<AtomicBool>,
        guard: Guard,
    ) -> Self {
        ScriptedBody {
            pieces,
            pause: None,
            flushed: false,
            announced,
            reset,
            _guard: guard,
        }
    }
}

impl<Guard: Unpin> Body for ScriptedBody<Guard> {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        loop {
            if let Some(pause) = &mut self.pause {
                std::task::ready!(pause.as_mut().poll(context));
                self.pause = None;
            }
            match self.pieces.front() {
                None => return Poll::Ready(None),
                Some(Piece::Stall) => return Poll::Pending,
                Some(Piece::Reset) if !self.flushed => {
                    // hyper writes out what it holds when a body has nothing to give, and drops it on an error.
                    self.flushed = true;
                    context.waker().wake_by_ref();
                    return Poll::Pending;
                }
                Some(Piece::Reset) => {
                    self.reset.store(true, Ordering::Relaxed);
                    return Poll::Ready(Some(Err(io::Error::other("reset by script"))));
                }
                Some(Piece::Wait(_) | Piece::Data(_)) => {}
            }
            match self.pieces.pop_front() {
                Some(Piece::Data(bytes)) => return Poll::Ready(Some(Ok(Frame::data(bytes)))),
                Some(Piece::Wait(time)) => self.pause = Some(Box::pin(tokio::time::sleep(time))),
                _ => return Poll::Ready(None),
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.pieces.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        // hyper holds a body to its own hint, and a scripted one may be shorter than what the head tells.
        match self.pieces.front() {
            _ if self.announced => SizeHint::new(),
            Some(Piece::Data(bytes)) if self.pieces.len() == 1 => {
                SizeHint::with_exact(bytes.len() as u64)
            }
            None => SizeHint::with_exact(0),
            _ => SizeHint::new(),
        }
    }
}
