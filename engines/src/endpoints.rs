//! Endpoints where nobody answers: refused, unresolvable, and one that swallows connection attempts.
//!
//! Each gives a URL for a client to fail on. For a server that accepts and stays mute, see
//! [`crate::faults::Fault::StallBeforeAnswer`].

use std::{
    io,
    net::{Ipv4Addr, SocketAddr, TcpStream},
    time::Duration,
};

use tokio::net::TcpSocket;

/// A host name that no resolver knows: the name is reserved to be invalid.
pub const UNRESOLVABLE: &str = "http://dynamodb.no-such-host.invalid:8000";

/// A port that refuses connections for as long as this is held, because it is taken but nobody listens.
#[derive(Debug)]
pub struct Refused {
    address: SocketAddr,
    _socket: TcpSocket,
}

impl Refused {
    /// Takes a free port.
    ///
    /// # Errors
    /// No port was to be had.
    pub fn start() -> io::Result<Refused> {
        let socket = bound()?;
        Ok(Refused {
            address: socket.local_addr()?,
            _socket: socket,
        })
    }

    /// `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

/// A port whose connection attempts are neither accepted nor refused: clients run into their connect timeout.
#[derive(Debug)]
pub struct BlackHole {
    address: SocketAddr,
    _listener: std::net::TcpListener,
    _queued: Vec<TcpStream>,
}

impl BlackHole {
    /// Listens with the shortest queue there is, and fills it.
    ///
    /// # Errors
    /// No port was to be had, or the system queues without end.
    pub fn start() -> io::Result<BlackHole> {
        let listener = listen_without_queue()?;
        let address = listener.local_addr()?;
        let mut queued = Vec::new();
        while let Ok(stream) = TcpStream::connect_timeout(&address, Duration::from_millis(200)) {
            queued.push(stream);
            if queued.len() > 16 {
                return Err(io::Error::other("the listen queue does not fill up"));
            }
        }
        Ok(BlackHole {
            address,
            _listener: listener,
            _queued: queued,
        })
    }

    /// `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

fn bound() -> io::Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    socket.bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
    Ok(socket)
}

/// Listening registers the socket with a runtime; what is kept is the plain listener, which needs none.
fn listen_without_queue() -> io::Result<std::net::TcpListener> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()?;
    runtime.block_on(async { bound()?.listen(0)?.into_std() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client;

    #[test]
    fn a_refused_port_refuses() {
        let refused = Refused::start().unwrap();
        let error = TcpStream::connect(refused.address).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
        assert!(client::dynamodb(&refused.url(), "ListTables", &serde_json::json!({})).is_err());
    }

    #[test]
    fn a_black_hole_lets_the_connect_timeout_pass() {
        let hole = BlackHole::start().unwrap();
        let error =
            TcpStream::connect_timeout(&hole.address, Duration::from_millis(100)).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }
}
