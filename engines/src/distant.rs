//! Distance in front of any engine: each byte arrives half a round trip later, in either direction, and so does a new connection.
//!
//! In: an address and the time of a round trip. Out: another address, which counts the connections that were made to it. Throughput is
//! not limited; handshakes of TLS pay the distance as requests do.

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::mpsc,
    time::{Instant, sleep_until},
};

use crate::worker::{self, Worker};

/// Pieces that may be on their way in one direction: a page of 1 MB in records of TLS (16 KB) is 64, and more may follow it.
const PIECES_ON_THE_WAY: usize = 1024;
const PIECE_BYTES: usize = 64 << 10;

/// The distance under way; it ends when dropped.
#[derive(Debug)]
pub struct Distant {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
    _worker: Worker,
}

impl Distant {
    /// Puts `round_trip` in front of `backend`.
    ///
    /// # Errors
    /// No port or thread was to be had.
    pub fn start(backend: SocketAddr, round_trip: Duration) -> io::Result<Distant> {
        let (listener, address) = worker::listen()?;
        let connections = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&connections);
        let worker = Worker::spawn("engine-distant", move || {
            worker::accept(listener, move |client| {
                counted.fetch_add(1, Ordering::Relaxed);
                async move {
                    // TCP's own handshake: loopback answers it at once.
                    tokio::time::sleep(round_trip).await;
                    // A connection that breaks is the client's or the backend's business.
                    let _ = pass(client, backend, round_trip / 2).await;
                }
            })
        })?;
        Ok(Distant {
            address,
            connections,
            _worker: worker,
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many connections were made.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }
}

async fn pass(client: TcpStream, backend: SocketAddr, delay: Duration) -> io::Result<()> {
    let server = TcpStream::connect(backend).await?;
    server.set_nodelay(true)?;
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    tokio::try_join!(
        one_way(from_client, to_server, delay),
        one_way(from_server, to_client, delay),
    )?;
    Ok(())
}

/// Reads at once and writes later, so that a piece on its way does not hold up the next.
async fn one_way(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    delay: Duration,
) -> io::Result<()> {
    let (sent, mut arriving) = mpsc::channel::<(Instant, Bytes)>(PIECES_ON_THE_WAY);
    let reading = async move {
        loop {
            let mut piece = BytesMut::with_capacity(PIECE_BYTES);
            if from.read_buf(&mut piece).await? == 0
                || sent
                    .send((Instant::now() + delay, piece.freeze()))
                    .await
                    .is_err()
            {
                return io::Result::Ok(());
            }
        }
    };
    let writing = async move {
        while let Some((due, piece)) = arriving.recv().await {
            sleep_until(due).await;
            to.write_all(&piece).await?;
        }
        to.shutdown().await
    };
    tokio::try_join!(reading, writing)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{client, faults::Faults};

    #[test]
    fn what_is_asked_through_the_distance_is_answered_as_before_and_no_sooner_than_it_can_be() {
        let backend =
            Faults::start(vec![Bytes::from_static(b"{\"Items\":[]}")], Vec::new()).unwrap();
        let round_trip = Duration::from_millis(30);
        let distant = Distant::start(backend.server().address(), round_trip).unwrap();
        let begun = Instant::now();
        let request = serde_json::json!({"Statement": "SELECT * FROM t"});
        let url = format!("http://{}", distant.address());
        let answer = client::dynamodb_ok(&url, "ExecuteStatement", &request).unwrap();
        assert_eq!(answer, serde_json::json!({"Items": []}));
        // One for the connection, one for the request.
        assert!(begun.elapsed() >= 2 * round_trip);
        assert_eq!(distant.connections(), 1);
    }
}
