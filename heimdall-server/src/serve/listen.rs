//! Where the host listens, and connections.
//!
//! In: the configured address, a router, a shutdown. Out: served connections: bounded in number, of all and of each client, in the
//! time that a request's head may take, and in the time that a client may leave an answer unread.

use std::{
    convert::Infallible,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs},
    time::Duration,
};

use axum::{Router, body::Body};
use hyper::{
    Request, Response,
    body::Incoming,
    server::conn::http1,
    service::{Service, service_fn},
};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
    service::TowerToHyperService,
};
use tokio::net::{TcpListener, TcpStream};

use super::{
    buffers::hold,
    connections::{Client, ConnectionSlot, Connections},
    paced::Paced,
};

/// Where to listen, and what to say about it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct BindAddress {
    /// The first that can be bound is used.
    pub(super) addresses: Vec<SocketAddr>,
    /// One line for the operator.
    pub(super) note: Option<String>,
}

/// Reads an address by the rule that nobody is let in unasked.
///
/// # Errors
/// It is no address, or it is open to others without a token or the explicit flag.
pub(super) fn bind_address(
    address: &str,
    has_token: bool,
    allow_unauthenticated: bool,
) -> Result<BindAddress, String> {
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
            return Ok(BindAddress {
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
        return Ok(BindAddress {
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
    Ok(BindAddress {
        addresses,
        note: (!loopback && !has_token).then_some(open_to_all),
    })
}

/// Bounds of connections.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    /// How long the head of a request may take, and the wait before it.
    pub(super) head: Duration,
    /// How long a client may leave an answer unread.
    pub(super) write: Duration,
    /// How many are open at once.
    pub(super) connections: usize,
    /// How many of one client.
    pub(super) of_client: usize,
}

/// Serves connections until `shutdown` resolves, then lets answers under way end, for `linger` at most.
pub(super) async fn serve(
    listener: TcpListener,
    router: Router,
    bounds: Bounds,
    shutdown: impl Future<Output = ()>,
    linger: Duration,
) {
    let connections = Connections::new(bounds.connections, bounds.of_client);
    let graceful = GracefulShutdown::new();
    tokio::pin!(shutdown);
    loop {
        let (stream, client) = tokio::select! {
            accepted = accept(&listener) => accepted,
            () = &mut shutdown => break,
        };
        let Some(slot) = connections.enter(client) else {
            refuse(&stream);
            continue;
        };
        // Small answers are not to wait for more.
        let _ = stream.set_nodelay(true);
        let stream = Paced::new(stream, bounds.write);
        let leave = slot.leave.clone();
        let router = TowerToHyperService::new(router.clone());
        let service = service_fn(move |request| answer(router.clone(), &slot, request));
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(bounds.head)
            .max_buf_size(64 * 1024)
            .serve_connection(TokioIo::new(Box::pin(stream)), service);
        let connection = graceful.watch(connection);
        tokio::spawn(async move {
            // A connection that breaks is the client's matter.
            tokio::select! { _ = connection => {}, () = leave.cancelled() => {} }
        });
    }
    drop(listener);
    let _ = tokio::time::timeout(linger, graceful.shutdown()).await;
}

/// Answers a request of a connection, which is at work until the answer is sent.
fn answer(
    router: TowerToHyperService<Router>,
    slot: &ConnectionSlot,
    mut request: Request<Incoming>,
) -> impl Future<Output = Result<Response<Body>, Infallible>> + use<> {
    request.extensions_mut().insert(slot.client);
    let under_way = slot.begin_request();
    async move {
        let response = router.call(request).await?;
        Ok(response.map(|body| hold(body, under_way)))
    }
}

/// Tells a client that there is no room for it, where the few bytes can be sent at once.
fn refuse(stream: &TcpStream) {
    const BODY: &str = r#"{"error":"this host has as many connections as it takes, all of them at work","code":"BUSY","hint":"try again in a moment"}"#;
    let answer = format!(
        "HTTP/1.1 429 Too Many Requests\r\nContent-Type: application/json\r\nContent-Length: {}\r\nRetry-After: 1\r\nConnection: close\r\n\r\n{BODY}",
        BODY.len()
    );
    let _ = stream.try_write(answer.as_bytes());
}

async fn accept(listener: &TcpListener) -> (TcpStream, Client) {
    loop {
        match listener.accept().await {
            Ok((stream, address)) => return (stream, address.ip().into()),
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
            let bind = bind_address(address, token, flag);
            match expected {
                Ok((first, noted)) => {
                    let bind = bind.unwrap();
                    assert_eq!(
                        (bind.addresses[0].to_string().as_str(), bind.note.is_some()),
                        (first, noted),
                        "{address}"
                    );
                }
                Err(part) => assert!(bind.unwrap_err().contains(part), "{address}"),
            }
        }
    }
}
