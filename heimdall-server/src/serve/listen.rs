//! Where the host listens, and connections.
//!
//! In: the configured address, a router, a shutdown. Out: served connections: bounded in number, in the time that a request's
//! head may take, and in the time that a client may leave an answer unread.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_io_timeout::TimeoutStream;

/// Where to listen, and what to say about it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// The first that can be bound is used.
    pub(super) addresses: Vec<SocketAddr>,
    /// One line for the operator.
    pub(super) note: Option<String>,
}

/// Reads an address by the rule that nobody is let in unasked.
///
/// # Errors
/// It is no address, or it is open to others without a token or the explicit flag.
pub(super) fn place(
    address: &str,
    has_token: bool,
    allow_unauthenticated: bool,
) -> Result<Place, String> {
    let open_to_all =
        "no token is asked for: everyone who reaches this address may run jobs under any name"
            .to_owned();
    let (host, port) = address
        .rsplit_once(':')
        .ok_or_else(|| format!("server.addr '{address}' has no port: write HOST:PORT or :PORT"))?;
    let port: u16 = port
        .parse()
        .map_err(|_| format!("server.addr '{address}' has no port between 0 and 65535"))?;
    if host.is_empty() {
        if !has_token && !allow_unauthenticated {
            let note = format!(
                "server.addr '{address}' is bound to loopback only, because auth.token_file is not set"
            );
            return Ok(Place {
                addresses: vec![(Ipv4Addr::LOCALHOST, port).into()],
                note: Some(note),
            });
        }
        // Dual-stack where the system has it.
        let addresses = [
            IpAddr::V6(Ipv6Addr::UNSPECIFIED),
            Ipv4Addr::UNSPECIFIED.into(),
        ]
        .map(|ip| SocketAddr::new(ip, port));
        return Ok(Place {
            addresses: addresses.into(),
            note: (!has_token).then_some(open_to_all),
        });
    }
    let found = address
        .to_socket_addrs()
        .map_err(|error| format!("server.addr '{address}' cannot be resolved: {error}"))?;
    let addresses: Vec<SocketAddr> = found.collect();
    let loopback = addresses.iter().all(|address| address.ip().is_loopback());
    if !loopback && !has_token && !allow_unauthenticated {
        return Err(format!(
            "server.addr '{address}' is open to others: set auth.token_file, or pass --allow-unauthenticated to let everyone in who reaches it"
        ));
    }
    Ok(Place {
        addresses,
        note: (!loopback && !has_token).then_some(open_to_all),
    })
}

/// Bounds of a connection.
#[derive(Debug, Clone, Copy)]
pub(super) struct Timeouts {
    pub(super) head: Duration,
    pub(super) write: Duration,
}

/// Serves connections until `shutdown` resolves, then lets answers under way end, for `linger` at most.
pub(super) async fn serve(
    listener: TcpListener,
    router: Router,
    timeouts: Timeouts,
    connections: usize,
    shutdown: impl Future<Output = ()>,
    linger: Duration,
) {
    let places = Arc::new(Semaphore::new(connections));
    let graceful = GracefulShutdown::new();
    tokio::pin!(shutdown);
    loop {
        let accepted = tokio::select! {
            accepted = accept(&listener, &places) => accepted,
            () = &mut shutdown => break,
        };
        let (stream, place) = accepted;
        // Small answers are not to wait for more.
        let _ = stream.set_nodelay(true);
        let mut stream = TimeoutStream::new(stream);
        stream.set_write_timeout(Some(timeouts.write));
        let service = TowerToHyperService::new(router.clone());
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(timeouts.head)
            .max_buf_size(64 * 1024)
            .serve_connection(TokioIo::new(Box::pin(stream)), service);
        let connection = graceful.watch(connection);
        tokio::spawn(async move {
            // A connection that breaks is the client's matter.
            let _ = connection.await;
            drop(place);
        });
    }
    drop(listener);
    let _ = tokio::time::timeout(linger, graceful.shutdown()).await;
}

async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> (TcpStream, tokio::sync::OwnedSemaphorePermit) {
    let place = Arc::clone(places)
        .acquire_owned()
        .await
        .expect("the semaphore is never closed");
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return (stream, place),
            // Out of file handles, or a connection that was gone already: neither ends the host.
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_let_in_unasked() {
        for (address, token, flag, expected) in [
            (":9090", false, false, Ok(("127.0.0.1:9090", true))),
            (":9090", true, false, Ok(("[::]:9090", false))),
            (":9090", false, true, Ok(("[::]:9090", true))),
            ("127.0.0.1:0", false, false, Ok(("127.0.0.1:0", false))),
            ("[::1]:0", false, false, Ok(("[::1]:0", false))),
            ("0.0.0.0:1", false, false, Err("set auth.token_file")),
            ("0.0.0.0:1", true, false, Ok(("0.0.0.0:1", false))),
            ("192.0.2.1:1", false, true, Ok(("192.0.2.1:1", true))),
            ("9090", false, false, Err("has no port")),
            ("127.0.0.1:http", false, false, Err("has no port")),
            ("127.0.0.1:99999", false, false, Err("has no port")),
        ] {
            let place = place(address, token, flag);
            match expected {
                Ok((first, noted)) => {
                    let place = place.unwrap();
                    assert_eq!(
                        (
                            place.addresses[0].to_string().as_str(),
                            place.note.is_some()
                        ),
                        (first, noted),
                        "{address}"
                    );
                }
                Err(part) => assert!(place.unwrap_err().contains(part), "{address}"),
            }
        }
    }
}
