//! How every request is sent: through a proxy or directly, with bounds on what is read of an answer.
//!
//! In: the SDK's request. Out: the SDK's answer. An error's body is read here, to 64 KiB and in the read timeout, and what the request
//! was signed with is cut out of it before the SDK sees it; of a service that gives credentials every body is. An error of the network
//! learns which host and port were asked ([`NetworkError`]).

use std::{
    collections::HashMap,
    error::Error as StdError,
    fmt,
    future::poll_fn,
    pin::Pin,
    sync::{Arc, Mutex, OnceLock, PoisonError},
    task::{Context, Poll, ready},
    time::Duration,
};

use aws_smithy_async::rt::sleep::SharedAsyncSleep;
use aws_smithy_runtime_api::{
    box_error::BoxError,
    client::{
        connector_metadata::ConnectorMetadata,
        http::{
            HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings,
            SharedHttpConnector,
        },
        orchestrator::{HttpRequest, HttpResponse},
        result::ConnectorError,
        runtime_components::RuntimeComponents,
    },
};
use aws_smithy_types::body::SdkBody;
use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use http::{
    Uri,
    uri::{Authority, Scheme},
};
use http_body::{Body, Frame};

use super::{network::Transport, proxy::Proxies, secrets::Secrets};

/// The most that is read of an error's body (contract, section 4, Bounds).
const MAX_ERROR_BYTES: usize = 64 << 10;

/// The most that is read of an answer with credentials.
const MAX_CREDENTIALS_BYTES: usize = 256 << 10;

/// How long a body may take where the caller sets no read timeout.
const BODY_TIMEOUT: Duration = Duration::from_secs(5);

/// Which kind of service is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Peer {
    /// DynamoDB: bodies of successful answers are large and pass as they come.
    DynamoDb,
    /// STS or SSO.
    Credentials,
    /// A container's or an instance's own agent, never through a proxy.
    Agent,
}

/// The clients of one network: direct, and through each proxy that there is.
#[derive(Debug)]
pub(super) struct NetworkClients {
    pub(super) proxies: Proxies,
    pub(super) direct: Transport,
    /// The transport through each proxy, by the proxy's URL.
    pub(super) through: Vec<(String, Transport)>,
}

/// A client for one kind of peer.
#[derive(Debug)]
pub(super) struct PeerClient {
    ways: Arc<NetworkClients>,
    peer: Peer,
    /// One connector for each pair of connect and read timeout.
    connections: Mutex<HashMap<Timeouts, SharedHttpConnector>>,
}

type Timeouts = (Option<Duration>, Option<Duration>);

impl PeerClient {
    pub(super) fn new(ways: Arc<NetworkClients>, peer: Peer) -> Self {
        Self {
            ways,
            peer,
            connections: Mutex::default(),
        }
    }
}

/// An error of the network, with what was asked.
#[derive(Debug)]
pub(crate) struct NetworkError {
    /// `HOST:PORT` of the service.
    pub(crate) target: String,
    /// `HOST:PORT` of the proxy, where one was used.
    pub(crate) proxy: Option<String>,
    /// Whether the proxy was given a user and password.
    pub(crate) with_password: bool,
    source: BoxError,
}

/// The `HOST:PORT` that gave an answer, kept with the answer for errors that only come while its body is read.
#[derive(Debug, Clone)]
pub(crate) struct RequestedHost(pub(crate) Arc<str>);

/// A proxy answered a plain request itself.
#[derive(Debug)]
pub(crate) struct ProxyAnswered {
    pub(crate) status: u16,
}

/// A service that gives credentials answered with more than credentials can be.
#[derive(Debug)]
pub(crate) struct TooLong;

impl HttpClient for PeerClient {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        let timeouts = (settings.connect_timeout(), settings.read_timeout());
        let mut connections = self
            .connections
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let made = connections.entry(timeouts).or_insert_with(|| {
            SharedHttpConnector::new(Connection {
                ways: Arc::clone(&self.ways),
                peer: self.peer,
                settings: settings.clone(),
                sleep: components.sleep_impl(),
                direct: Connectors::default(),
                through: self
                    .ways
                    .through
                    .iter()
                    .map(|_| Connectors::default())
                    .collect(),
            })
        });
        made.clone()
    }

    /// What the SDK's own client says of itself.
    fn connector_metadata(&self) -> Option<ConnectorMetadata> {
        Some(ConnectorMetadata::new("hyper", Some("1.x".into())))
    }
}

#[derive(Debug)]
struct Connection {
    ways: Arc<NetworkClients>,
    peer: Peer,
    settings: HttpConnectorSettings,
    sleep: Option<SharedAsyncSleep>,
    direct: Connectors,
    /// As `NetworkClients::through`, in the same order.
    through: Vec<Connectors>,
}

/// What makes connections directly or through one proxy; each is made with the first request that needs it.
#[derive(Debug, Default)]
struct Connectors {
    plain: OnceLock<SharedHttpConnector>,
    with_tls: OnceLock<SharedHttpConnector>,
}

/// Where a request goes.
#[derive(Debug, Clone)]
struct Target {
    host: Arc<str>,
    proxy: Option<Arc<str>>,
    with_password: bool,
    /// A plain request is the proxy's to answer; in a tunnel it is not seen.
    is_tunnel: bool,
}

impl HttpConnector for Connection {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let (target, connector) = self.choose(request.uri());
        let carried = self.carried(&request);
        let ways = Arc::clone(&self.ways);
        let timeout = self.settings.read_timeout().unwrap_or(BODY_TIMEOUT);
        let peer = self.peer;
        let answer = connector.call(request);
        HttpConnectorFuture::new(async move {
            let response = answer.await.map_err(|error| target.named(error))?;
            if target.was_answered_by_proxy(&response) {
                let status = response.status().as_u16();
                return Err(ConnectorError::io(
                    target.error(ProxyAnswered { status }.into()),
                ));
            }
            let is_success = response.status().is_success();
            if is_success && peer == Peer::DynamoDb {
                return Ok(watched(response, target));
            }
            let max = if is_success {
                MAX_CREDENTIALS_BYTES
            } else {
                MAX_ERROR_BYTES
            };
            let whole = tokio::time::timeout(timeout, whole(response, max, &target));
            let (mut response, body, is_cut) = match whole.await {
                Ok(read) => read?,
                Err(elapsed) => return Err(ConnectorError::timeout(target.error(elapsed.into()))),
            };
            if is_success && is_cut {
                return Err(ConnectorError::other(target.error(TooLong.into()), None));
            }
            *response.body_mut() = if is_success {
                SdkBody::from(body)
            } else {
                let secrets = carried.secrets(&ways.proxies);
                let secrets = Secrets::of(secrets.iter().map(String::as_str));
                clean_headers(&mut response, &secrets);
                SdkBody::from(secrets.cut(&String::from_utf8_lossy(&body)))
            };
            Ok(response)
        })
    }
}

impl Connection {
    fn choose(&self, uri: &str) -> (Target, &SharedHttpConnector) {
        let uri: Uri = uri.parse().unwrap_or_default();
        let authority = uri.authority().map_or("", Authority::as_str);
        let is_https = uri.scheme() == Some(&Scheme::HTTPS);
        let proxy = match self.peer {
            Peer::Agent => None,
            _ => self.ways.proxies.to(is_https, authority),
        };
        let through = proxy.and_then(|proxy| {
            let mut ways = self.ways.through.iter().zip(&self.through);
            ways.find(|((url, _), _)| *url == proxy.url)
        });
        let (way, connectors) = match through {
            Some(((_, way), connectors)) => (way, connectors),
            None => (&self.ways.direct, &self.direct),
        };
        let with_tls = is_https || way.is_always_tls();
        let connector = if with_tls {
            &connectors.with_tls
        } else {
            &connectors.plain
        };
        let connector =
            connector.get_or_init(|| way.connector(with_tls, &self.settings, self.sleep.clone()));
        let host = match (uri.port_u16().is_some(), is_https) {
            (true, _) => authority.to_owned(),
            (false, true) => format!("{authority}:443"),
            (false, false) => format!("{authority}:80"),
        };
        let target = Target {
            host: host.into(),
            proxy: proxy.map(|proxy| proxy.host.as_str().into()),
            with_password: proxy.is_some_and(|proxy| proxy.login.is_some()),
            is_tunnel: is_https,
        };
        (target, connector)
    }

    /// What the request carries that no message may hold, as it stands: it is only looked into where there is a message.
    fn carried(&self, request: &HttpRequest) -> Carried {
        let header = |name| request.headers().get(name).map(str::to_owned);
        let is_login = self.peer == Peer::Credentials;
        Carried {
            authorization: header("authorization"),
            tokens: TOKEN_HEADERS.map(header),
            body: is_login.then(|| request.body().bytes().unwrap_or_default().into()),
        }
    }
}

/// The headers that hold a secret and nothing else.
const TOKEN_HEADERS: [&str; 4] = [
    "x-amz-security-token",
    "x-aws-ec2-metadata-token",
    "x-amz-sso_bearer_token",
    "proxy-authorization",
];

/// What holds secrets in a request.
struct Carried {
    authorization: Option<String>,
    tokens: [Option<String>; TOKEN_HEADERS.len()],
    /// Of a request for credentials.
    body: Option<Vec<u8>>,
}

impl Carried {
    /// The secrets in it, and those of the proxies that it may have gone through.
    fn secrets(self, proxies: &Proxies) -> Vec<String> {
        let mut secrets: Vec<String> = self.tokens.into_iter().flatten().collect();
        if let Some(value) = &self.authorization {
            secrets.extend(of_authorization(value));
        }
        if let Some(body) = &self.body {
            secrets.extend(of_body(body));
        }
        for (user, password) in proxies.all().filter_map(|proxy| proxy.login.as_ref()) {
            secrets.push(BASE64_STANDARD.encode(format!("{user}:{password}")));
            secrets.push(password.clone());
        }
        secrets
    }
}

/// The access key's id and the signature of a signed request, else the whole token.
fn of_authorization(value: &str) -> Vec<String> {
    let after = |name: &str| {
        let (_, rest) = value.split_once(name)?;
        rest.split(['/', ',', ' ']).next().map(str::to_owned)
    };
    match after("Credential=") {
        Some(key) => [Some(key), after("Signature=")]
            .into_iter()
            .flatten()
            .collect(),
        None => value.split(' ').map(str::to_owned).collect(),
    }
}

/// The secrets that a request for credentials sends in its body: a form's, or JSON's.
fn of_body(body: &[u8]) -> Vec<String> {
    const NAMES: [&str; 8] = [
        "WebIdentityToken",
        "SAMLAssertion",
        "TokenCode",
        "ExternalId",
        "clientSecret",
        "refreshToken",
        "deviceCode",
        "code",
    ];
    let json: Option<serde_json::Map<String, serde_json::Value>> =
        serde_json::from_slice(body).ok();
    match json {
        Some(fields) => fields
            .into_iter()
            .filter(|(name, _)| NAMES.contains(&name.as_str()))
            .filter_map(|(_, value)| value.as_str().map(str::to_owned))
            .collect(),
        None => form_urlencoded::parse(body)
            .filter(|(name, _)| NAMES.contains(&name.as_ref()))
            .map(|(_, value)| value.into_owned())
            .collect(),
    }
}

impl Target {
    fn error(&self, source: BoxError) -> BoxError {
        NetworkError {
            target: self.host.to_string(),
            proxy: self.proxy.as_deref().map(str::to_owned),
            with_password: self.with_password,
            source,
        }
        .into()
    }

    /// The same error, of the same kind, with what was asked.
    fn named(&self, error: ConnectorError) -> ConnectorError {
        let connection = error.connection_metadata().cloned();
        let kind = error.as_other();
        let make: Box<dyn Fn(BoxError) -> ConnectorError> = if error.is_timeout() {
            Box::new(ConnectorError::timeout)
        } else if error.is_io() {
            Box::new(ConnectorError::io)
        } else if error.is_user() {
            Box::new(ConnectorError::user)
        } else {
            Box::new(move |source| ConnectorError::other(source, kind))
        };
        let named = make(self.error(error.into_source()));
        match connection {
            Some(connection) => named.with_connection(connection),
            None => named,
        }
    }

    /// AWS gives every answer an id; an answer to a plain request that lacks one and speaks of proxies is the proxy's own.
    fn was_answered_by_proxy(&self, response: &HttpResponse) -> bool {
        let status = response.status().as_u16();
        self.proxy.is_some()
            && !self.is_tunnel
            && (status == 407
                || ([403, 502, 503, 504].contains(&status)
                    && !["x-amzn-requestid", "x-amz-request-id", "x-amzn-errortype"]
                        .iter()
                        .any(|name| response.headers().contains_key(name))))
    }
}

/// Reads a body to its end, or to `max` bytes; whether it was longer.
async fn whole(
    mut response: HttpResponse,
    max: usize,
    target: &Target,
) -> Result<(HttpResponse, Vec<u8>, bool), ConnectorError> {
    let mut body = response.take_body();
    let mut read = Vec::new();
    loop {
        let frame = poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await;
        let data = match frame {
            None => return Ok((response, read, false)),
            Some(Ok(frame)) => frame.into_data().unwrap_or_default(),
            Some(Err(error)) => return Err(ConnectorError::io(target.error(error))),
        };
        let fits = data.len().min(max - read.len());
        read.extend_from_slice(&data[..fits]);
        if fits < data.len() {
            return Ok((response, read, true));
        }
    }
}

/// Headers reach messages as well: the error's code and the request's id.
fn clean_headers(response: &mut HttpResponse, secrets: &Secrets) {
    for name in ["x-amzn-requestid", "x-amz-request-id", "x-amzn-errortype"] {
        let Some(value) = response.headers().get(name) else {
            continue;
        };
        let clean = secrets.cut(value);
        if clean != value {
            let _ = response.headers_mut().try_insert(name, clean);
        }
    }
}

/// The answer, whose body's errors tell what was asked.
fn watched(mut response: HttpResponse, target: Target) -> HttpResponse {
    let inner = response.take_body();
    response.add_extension(RequestedHost(Arc::clone(&target.host)));
    *response.body_mut() = SdkBody::from_body_1_x(CountedBody { inner, target });
    response
}

struct CountedBody {
    inner: SdkBody,
    target: Target,
}

impl Body for CountedBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let frame = ready!(Pin::new(&mut self.inner).poll_frame(context));
        Poll::Ready(frame.map(|frame| frame.map_err(|error| self.target.error(error))))
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> http_body::SizeHint {
        Body::size_hint(&self.inner)
    }
}

impl fmt::Display for NetworkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "asking {}", self.target)
    }
}

impl StdError for NetworkError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(self.source.as_ref())
    }
}

impl fmt::Display for ProxyAnswered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the proxy answered HTTP {}", self.status)
    }
}

impl StdError for ProxyAnswered {}

impl fmt::Display for TooLong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the answer is longer than 256 KiB")
    }
}

impl StdError for TooLong {}
