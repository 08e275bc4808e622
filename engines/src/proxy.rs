//! A small forward proxy: `CONNECT` tunnels and plain HTTP requests, what passes recorded.
//!
//! It can ask for a user name and password, and it can lead every connection to one loopback address, whatever
//! host the client named: AWS's own host names are then testable without leaving the machine. It does not look
//! into tunnels, and of a plain connection only at the first request.

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::worker::{self, Worker};

/// The longest request head that is read.
const MAX_HEAD_BYTES: usize = 64 * 1024;

/// What a proxy asks for and where it leads.
#[derive(Debug, Clone, Default)]
pub struct Rules {
    /// `user:password` that clients have to give; others get 407.
    pub credentials: Option<String>,
    /// Where every connection goes, whatever host it names; without one, to that host.
    pub route: Option<SocketAddr>,
}

/// One connection that a client asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct Passed {
    /// `CONNECT`, or the method of a plain request.
    pub method: String,
    /// The host and port that the client named.
    pub target: String,
    /// False where it was turned away with 407.
    pub admitted: bool,
}

/// The proxy under way; it stops when dropped.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    passed: Arc<Mutex<Vec<Passed>>>,
    _worker: Worker,
}

impl Proxy {
    /// Serves on a free loopback port.
    ///
    /// # Errors
    /// No port or no thread was to be had.
    pub fn start(rules: Rules) -> io::Result<Proxy> {
        let (listener, address) = worker::listen()?;
        let passed = Arc::new(Mutex::new(Vec::new()));
        let shared = Arc::new((rules, passed.clone()));
        let worker = Worker::spawn("engine-proxy", move || {
            worker::accept(listener, move |stream| {
                let shared = shared.clone();
                async move {
                    let (rules, passed) = &*shared;
                    // A connection that breaks is the client's or the script's business.
                    let _ = pass(stream, rules, passed).await;
                }
            })
        })?;
        Ok(Proxy {
            address,
            passed,
            _worker: worker,
        })
    }

    /// `http://127.0.0.1:PORT`, as proxy settings want it.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// As [`Proxy::url`], with `user:password` in it.
    pub fn url_with(&self, credentials: &str) -> String {
        format!("http://{credentials}@{}", self.address)
    }

    /// Every connection so far, in order.
    pub fn passed(&self) -> Vec<Passed> {
        self.passed
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

async fn pass(mut client: TcpStream, rules: &Rules, passed: &Mutex<Vec<Passed>>) -> io::Result<()> {
    let (head, rest) = read_head(&mut client).await?;
    let Some((method, target)) = destination(&head) else {
        return answer(&mut client, "400 Bad Request", "").await;
    };
    let admitted = rules
        .credentials
        .as_deref()
        .is_none_or(|credentials| authorization(&head) == Some(STANDARD.encode(credentials)));
    passed
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .push(Passed {
            method: method.clone(),
            target: target.clone(),
            admitted,
        });
    if !admitted {
        let challenge = "proxy-authenticate: Basic realm=\"engine\"\r\n";
        return answer(&mut client, "407 Proxy Authentication Required", challenge).await;
    }
    let reached = match rules.route {
        Some(address) => TcpStream::connect(address).await,
        None => TcpStream::connect(&target).await,
    };
    let Ok(mut server) = reached else {
        return answer(&mut client, "502 Bad Gateway", "").await;
    };
    server.set_nodelay(true)?;
    if method == "CONNECT" {
        client
            .write_all(b"HTTP/1.1 200 Connection established\r\n\r\n")
            .await?;
    } else {
        // A server takes the absolute form of a target as well, so the head can stay as it is.
        server.write_all(head.as_bytes()).await?;
    }
    server.write_all(&rest).await?;
    tokio::io::copy_bidirectional(&mut client, &mut server).await?;
    Ok(())
}

/// The request's head up to and with its empty line, and what came behind it.
async fn read_head(client: &mut TcpStream) -> io::Result<(String, Vec<u8>)> {
    let mut bytes = Vec::new();
    loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            let rest = bytes.split_off(end + 4);
            let head = String::from_utf8(bytes).map_err(io::Error::other)?;
            return Ok((head, rest));
        }
        if bytes.len() > MAX_HEAD_BYTES || client.read_buf(&mut bytes).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
}

/// The method, and the host and port that a request asks for.
fn destination(head: &str) -> Option<(String, String)> {
    let mut words = head.lines().next()?.split(' ');
    let (method, target) = (words.next()?, words.next()?);
    if method == "CONNECT" {
        return Some((method.to_owned(), target.to_owned()));
    }
    let host = target.strip_prefix("http://")?.split('/').next()?;
    let port = if host.contains(':') { "" } else { ":80" };
    Some((method.to_owned(), format!("{host}{port}")))
}

/// The base64 of a request's basic credentials for the proxy.
fn authorization(head: &str) -> Option<String> {
    head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        let value = value.trim().strip_prefix("Basic ")?;
        name.eq_ignore_ascii_case("proxy-authorization")
            .then(|| value.to_owned())
    })
}

async fn answer(client: &mut TcpStream, status: &str, header: &str) -> io::Result<()> {
    let head =
        format!("HTTP/1.1 {status}\r\n{header}content-length: 0\r\nconnection: close\r\n\r\n");
    client.write_all(head.as_bytes()).await
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use super::*;
    use crate::faults::{Fault, Faults};

    /// Sends `text` to the proxy and gives the first line of each answer found in what comes back.
    fn speak(proxy: &Proxy, text: &str) -> String {
        let mut stream = std::net::TcpStream::connect(proxy.address).unwrap();
        stream.write_all(text.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    fn backend() -> Faults {
        Faults::always(Vec::new(), Fault::NotFound).unwrap()
    }

    const REQUEST: &str =
        "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";

    #[test]
    fn a_tunnel_leads_where_it_is_told_and_is_recorded() {
        let backend = backend();
        let proxy = Proxy::start(Rules {
            route: Some(backend.server().address()),
            ..Rules::default()
        })
        .unwrap();
        let target = "dynamodb.us-east-1.amazonaws.com:443";
        let answer = speak(
            &proxy,
            &format!("CONNECT {target} HTTP/1.1\r\n\r\n{REQUEST}"),
        );
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        assert!(answer.contains("ResourceNotFoundException"), "{answer}");
        let passed = Passed {
            method: "CONNECT".into(),
            target: target.into(),
            admitted: true,
        };
        assert_eq!(proxy.passed(), [passed]);
    }

    #[test]
    fn a_plain_request_passes_to_the_host_it_names() {
        let backend = backend();
        let proxy = Proxy::start(Rules::default()).unwrap();
        let absolute = REQUEST.replacen('/', &format!("{}/", backend.url()), 1);
        assert!(speak(&proxy, &absolute).contains("ResourceNotFoundException"));
        assert_eq!(
            proxy.passed()[0].target,
            backend.server().address().to_string()
        );
    }

    #[test]
    fn without_the_password_nothing_passes() {
        let backend = backend();
        let proxy = Proxy::start(Rules {
            credentials: Some("user:pass".into()),
            route: Some(backend.server().address()),
        })
        .unwrap();
        let bare = speak(&proxy, "CONNECT a:1 HTTP/1.1\r\n\r\n");
        assert!(bare.starts_with("HTTP/1.1 407"), "{bare}");
        let authorization = format!(
            "Proxy-Authorization: Basic {}",
            STANDARD.encode("user:pass")
        );
        let signed = format!("CONNECT a:1 HTTP/1.1\r\n{authorization}\r\n\r\n{REQUEST}");
        assert!(speak(&proxy, &signed).starts_with("HTTP/1.1 200"));
        let admitted: Vec<_> = proxy
            .passed()
            .iter()
            .map(|passed| passed.admitted)
            .collect();
        assert_eq!(admitted, [false, true]);
        assert_eq!(backend.requests(), 1);
    }

    #[test]
    fn what_cannot_be_reached_is_a_bad_gateway() {
        let refused = crate::endpoints::Refused::start().unwrap();
        let proxy = Proxy::start(Rules::default()).unwrap();
        let target = refused.url().replace("http://", "");
        let answer = speak(&proxy, &format!("CONNECT {target} HTTP/1.1\r\n\r\n"));
        assert!(answer.starts_with("HTTP/1.1 502"), "{answer}");
        assert!(speak(&proxy, "nonsense\r\n\r\n").starts_with("HTTP/1.1 400"));
    }
}
