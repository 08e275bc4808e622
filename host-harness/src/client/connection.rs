//! The connection to a host: HTTP, or HTTPS with the system's certificates.
//!
//! A proxy is heeded for `https` alone (`HTTPS_PROXY`, `ALL_PROXY`, `NO_PROXY`), as a tunnel: over plain HTTP it would read the token.

use std::{error::Error, io, time::Duration};

use bytes::Bytes;
use http::{Request, Uri};
use http_body_util::Full;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::{
        legacy::{
            Client, ResponseFuture,
            connect::{HttpConnector, proxy::Tunnel},
        },
        proxy::matcher::Matcher,
    },
    rt::TokioExecutor,
};

/// How long a host may take to accept a connection.
const CONNECT: Duration = Duration::from_secs(5);
/// A peer that is gone without a word is found after some of these.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

type RequestBody = Full<Bytes>;

/// Makes connections and keeps them for the next request.
#[derive(Debug)]
pub(super) enum Connection {
    Direct(Client<HttpsConnector<HttpConnector>, RequestBody>),
    Tunnel(Client<HttpsConnector<Tunnel<HttpConnector>>, RequestBody>),
}

impl Connection {
    /// For requests to this host.
    ///
    /// # Errors
    /// The system's certificates or the proxy cannot be used, as a sentence.
    pub(super) fn to(url: &Uri) -> Result<Self, String> {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(CONNECT));
        tcp.set_keepalive(Some(KEEP_ALIVE));
        let is_tls = url.scheme_str() == Some("https");
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls(is_tls).map_err(|error| {
                format!(
                    "the system's certificates cannot be used: {error}; SSL_CERT_FILE names others"
                )
            })?)
            .https_or_http()
            .enable_http1();
        let proxy = is_tls.then(|| Matcher::from_env().intercept(url)).flatten();
        let client = Client::builder(TokioExecutor::new());
        let Some(proxy) = proxy else {
            return Ok(Self::Direct(client.build(connector.wrap_connector(tcp))));
        };
        if proxy.uri().scheme_str() != Some("http") {
            return Err(format!(
                "a proxy of the kind {} cannot be used; HTTPS_PROXY takes http://HOST:PORT, and NO_PROXY exempts a host",
                proxy.uri().scheme_str().unwrap_or("unknown")
            ));
        }
        let mut tunnel = Tunnel::new(proxy.uri().clone(), tcp);
        if let Some(auth) = proxy.basic_auth() {
            tunnel = tunnel.with_auth(auth.clone());
        }
        Ok(Self::Tunnel(client.build(connector.wrap_connector(tunnel))))
    }

    /// Sends a request.
    pub(super) fn send(&self, request: Request<RequestBody>) -> ResponseFuture {
        match self {
            Self::Direct(client) => client.request(request),
            Self::Tunnel(client) => client.request(request),
        }
    }
}

/// Reading the system's certificates takes a while, so that it is done only where they are needed.
fn tls(is_needed: bool) -> io::Result<rustls::ClientConfig> {
    use hyper_rustls::ConfigBuilderExt;
    let provider = rustls::crypto::ring::default_provider();
    let builder = rustls::ClientConfig::builder_with_provider(provider.into())
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?;
    let builder = if is_needed {
        builder.with_native_roots()?
    } else {
        builder.with_root_certificates(rustls::RootCertStore::empty())
    };
    Ok(builder.with_no_client_auth())
}

/// Why a request had no answer, in the words of the innermost cause.
pub(super) fn cause(error: &dyn Error) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}
