//! A connection whose client has to read.
//!
//! In: a stream and how long its client may leave what is sent unread. Out: the same stream; a write fails once the client has had that
//! long. Every byte that it takes gives it a little more time, so that a slow reader is served and one that takes a byte now and then is
//! not.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, Sleep},
};

/// The bytes a second below which a reader is too slow.
const SLOWEST: u32 = 16 * 1024;

/// How long a client may still leave unread what waits for it.
struct UnreadTime {
    whole: Duration,
    left: Duration,
}

impl UnreadTime {
    fn spend(&mut self, waited: Duration) {
        self.left = self.left.saturating_sub(waited);
    }

    fn earn(&mut self, bytes: usize) {
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        let earned = Duration::from_secs(1) * bytes / SLOWEST;
        self.left = (self.left + earned).min(self.whole);
    }
}

/// See the module.
pub(super) struct Paced<S> {
    stream: S,
    patience: UnreadTime,
    waiting_since: Option<Instant>,
    alarm: Pin<Box<Sleep>>,
}

impl<S: AsyncWrite + Unpin> Paced<S> {
    /// A stream whose client has `patience`.
    pub(super) fn new(stream: S, patience: Duration) -> Self {
        Self {
            stream,
            patience: UnreadTime {
                whole: patience,
                left: patience,
            },
            waiting_since: None,
            alarm: Box::pin(tokio::time::sleep(Duration::ZERO)),
        }
    }

    fn timed(
        &mut self,
        context: &mut Context<'_>,
        written: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        match written {
            Poll::Ready(outcome) => {
                if let Some(since) = self.waiting_since.take() {
                    self.patience.spend(since.elapsed());
                }
                self.patience.earn(outcome.as_ref().copied().unwrap_or(0));
                Poll::Ready(outcome)
            }
            Poll::Pending => {
                if self.waiting_since.is_none() {
                    let now = Instant::now();
                    self.waiting_since = Some(now);
                    self.alarm.as_mut().reset(now + self.patience.left);
                }
                ready!(self.alarm.as_mut().poll(context));
                let slow = "the client does not read its answer";
                Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, slow)))
            }
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Paced<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Paced<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.timed(context, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.timed(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use std::{future::poll_fn, io::Read};

    use tokio::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn a_slow_reader_keeps_its_time_and_one_that_takes_a_byte_now_and_then_loses_it() {
        let whole = Duration::from_secs(60);
        for (bytes_a_second, served) in [(20_000, true), (16_384, true), (8_000, false), (1, false)]
        {
            let mut patience = UnreadTime { whole, left: whole };
            for _ in 0..600 {
                patience.spend(Duration::from_secs(1));
                if patience.left.is_zero() {
                    break;
                }
                patience.earn(bytes_a_second);
            }
            assert_eq!(!patience.left.is_zero(), served, "{bytes_a_second}");
        }
    }

    /// Sends 32 MiB, which is more than sockets hold.
    async fn write(stream: &mut Paced<TcpStream>) -> io::Result<()> {
        let (piece, mut left) = (vec![b'x'; 1 << 16], 32 << 20);
        while left > 0 {
            let piece = &piece[..piece.len().min(left)];
            left -= poll_fn(|context| Pin::new(&mut *stream).poll_write(context, piece)).await?;
        }
        Ok(())
    }

    #[tokio::test]
    async fn an_answer_that_nobody_reads_ends_and_one_that_is_read_arrives() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let unread = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        let outcome = write(&mut Paced::new(stream, Duration::from_millis(50))).await;
        assert_eq!(outcome.unwrap_err().kind(), io::ErrorKind::TimedOut);
        drop(unread);

        let mut read = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        let reader = std::thread::spawn(move || {
            let mut bytes = Vec::new();
            read.read_to_end(&mut bytes).unwrap()
        });
        let mut stream = Paced::new(stream, Duration::from_secs(60));
        write(&mut stream).await.unwrap();
        drop(stream);
        assert_eq!(reader.join().unwrap(), 32 << 20);
    }
}
