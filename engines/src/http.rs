//! A small HTTP/1.1 server for scripted engines: a request comes in whole, an [`Answer`] goes out piece by piece.
//!
//! hyper does the protocol; what is added is what a well-behaved server never does: waiting or stalling in the
//! middle of a body, a body shorter than its `content-length`, and a connection reset at any point. It must not
//! know what DynamoDB or STS are.

use std::{
    collections::VecDeque,
    future::Future,
    io,
    net::SocketAddr,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Instant,
};

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::{
    Method, Request, Response, StatusCode, Uri,
    body::Incoming,
    header::{CONTENT_LENGTH, HeaderMap, HeaderName, HeaderValue},
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

pub use crate::scripted_body::Piece;
use crate::{
    line::Line,
    scripted_body::ScriptedBody,
    worker::{self, Worker},
};

/// One request as it came in, whole.
#[derive(Debug, Clone)]
pub struct Call {
    /// When its head had arrived.
    pub at: Instant,
    /// The method.
    pub method: Method,
    /// The target as the client wrote it.
    pub uri: Uri,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its whole body.
    pub body: Bytes,
}

impl Call {
    /// A header's text, empty where it is absent or not text.
    pub fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or("")
    }

    /// The access key that signed this request (the start of `Credential=` in `Authorization`), if it was signed.
    pub fn access_key(&self) -> Option<&str> {
        let (_, credential) = self.header("authorization").split_once("Credential=")?;
        credential.split('/').next()
    }
}

/// What a handler answers.
#[derive(Debug, Clone)]
pub struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    pieces: VecDeque<Piece>,
}

impl Answer {
    /// An answer with this status and body; `content-length` is the body's.
    ///
    /// # Panics
    /// If `status` is not between 100 and 999.
    pub fn new(status: u16, body: impl Into<Bytes>) -> Answer {
        Answer {
            status: StatusCode::from_u16(status).expect("a status has three digits"),
            headers: HeaderMap::new(),
            pieces: VecDeque::from([Piece::Data(body.into())]),
        }
    }

    /// The same answer with one more header (or another value for it).
    ///
    /// # Panics
    /// If `value` cannot stand in a header.
    #[must_use]
    pub fn with_header(mut self, name: &'static str, value: &str) -> Answer {
        self.headers.insert(
            HeaderName::from_static(name),
            HeaderValue::from_str(value).expect("a scripted header is visible ASCII"),
        );
        self
    }

    /// The same head over another body, announced as `content_length` bytes whatever the pieces add up to.
    #[must_use]
    pub fn with_pieces(mut self, content_length: usize, pieces: Vec<Piece>) -> Answer {
        self.headers
            .insert(CONTENT_LENGTH, HeaderValue::from(content_length));
        self.pieces = pieces.into();
        self
    }
}

/// What a handler gives: an answer, or `None` for a connection reset before any byte of one.
pub type Answering = Pin<Box<dyn Future<Output = Option<Answer>> + Send>>;

/// A server under way; it stops when dropped.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    gauges: Arc<Gauges>,
    _worker: Worker,
}

#[derive(Debug, Default)]
struct Gauges {
    connections: AtomicUsize,
    under_way: AtomicUsize,
}

impl Server {
    /// Serves `handler` on a free loopback port.
    ///
    /// # Errors
    /// No port or no thread was to be had.
    pub fn start(
        handler: impl Fn(Call) -> Answering + Send + Sync + 'static,
    ) -> io::Result<Server> {
        let (listener, address) = worker::listen()?;
        let gauges = Arc::new(Gauges::default());
        let shared = Arc::new(Shared {
            handler,
            gauges: gauges.clone(),
        });
        let worker = Worker::spawn("engine-http", move || {
            worker::accept(listener, move |stream| {
                shared.gauges.connections.fetch_add(1, Ordering::Relaxed);
                converse(stream, shared.clone())
            })
        })?;
        Ok(Server {
            address,
            gauges,
            _worker: worker,
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// How many connections were accepted so far.
    pub fn connections(&self) -> usize {
        self.gauges.connections.load(Ordering::Relaxed)
    }

    /// How many requests are being answered now: a client that hung up is no longer counted.
    pub fn requests_under_way(&self) -> usize {
        self.gauges.under_way.load(Ordering::Relaxed)
    }
}

struct Shared<Handler> {
    handler: Handler,
    gauges: Arc<Gauges>,
}

async fn converse<Handler>(stream: TcpStream, shared: Arc<Shared<Handler>>)
where
    Handler: Fn(Call) -> Answering + Send + Sync + 'static,
{
    let reset = Arc::new(AtomicBool::new(false));
    let line = TokioIo::new(Line::new(stream, reset.clone()));
    let service = service_fn(|request| answer(request, &shared, &reset));
    // How a conversation ends is the script's or the client's business: nothing to report.
    let _ = hyper::server::conn::http1::Builder::new()
        .serve_connection(line, service)
        .await;
}

async fn answer<Handler>(
    request: Request<Incoming>,
    shared: &Shared<Handler>,
    reset: &Arc<AtomicBool>,
) -> io::Result<Response<ScriptedBody<RunningRequest>>>
where
    Handler: Fn(Call) -> Answering,
{
    let at = Instant::now();
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
    let under_way = RunningRequest::enter(&shared.gauges);
    let call = Call {
        at,
        method: head.method,
        uri: head.uri,
        headers: head.headers,
        body,
    };
    let Some(answer) = (shared.handler)(call).await else {
        reset.store(true, Ordering::Relaxed);
        return Err(io::Error::other("reset by script"));
    };
    let announced = answer.headers.contains_key(CONTENT_LENGTH);
    let body = ScriptedBody::new(answer.pieces, announced, reset.clone(), under_way);
    let mut response = Response::new(body);
    *response.status_mut() = answer.status;
    *response.headers_mut() = answer.headers;
    Ok(response)
}

/// Counts one request for as long as it is held.
struct RunningRequest(Arc<Gauges>);

impl RunningRequest {
    fn enter(gauges: &Arc<Gauges>) -> RunningRequest {
        gauges.under_way.fetch_add(1, Ordering::Relaxed);
        RunningRequest(gauges.clone())
    }
}

impl Drop for RunningRequest {
    fn drop(&mut self) {
        self.0.under_way.fetch_sub(1, Ordering::Relaxed);
    }
}
