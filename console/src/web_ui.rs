//! Heimdall's own web UI behind the host, as Heimdall itself puts it there.
//!
//! In: a request that is not the host's own, and who asks. Out: the UI's answer as it comes. The host's credentials, which a
//! browser sends along, never reach the UI.

use axum::{body::Body, response::Response};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Uri, header, uri};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};

/// Heimdall's header that tells the UI who asks.
const USER: HeaderName = HeaderName::from_static("x-heimdall-user");
/// Heimdall's header that tells the UI which version it talks to.
const VERSION: HeaderName = HeaderName::from_static("x-heimdall-version");

/// Headers that concern one connection (RFC 9110, section 7.6.1), and what belongs to the host alone.
const NOT_PASSED_ON: [HeaderName; 10] = [
    header::CONNECTION,
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    HeaderName::from_static("keep-alive"),
    header::AUTHORIZATION,
    header::COOKIE,
];

/// A web UI that answers every path which is not the host's own.
#[derive(Debug, Clone)]
pub struct WebUi {
    scheme: uri::Scheme,
    authority: uri::Authority,
    version: HeaderValue,
    client: Client<HttpConnector, Body>,
}

/// Why a UI cannot be used or did not answer.
#[derive(Debug, thiserror::Error)]
pub enum WebUiError {
    /// The setting is no address of a web UI. Operator: the configuration.
    #[error("'{0}' is not the address of a web UI: write http://HOST:PORT without a path")]
    Address(String),
    /// The UI does not answer. Operator: the UI's process.
    #[error("the web UI at {authority} does not answer: {reason}")]
    Unreachable {
        /// Host and port of the UI.
        authority: uri::Authority,
        /// What happened.
        reason: String,
    },
}

impl WebUi {
    /// A UI at `address`, for example `http://localhost:3000`; `version` is what it is told of the host.
    ///
    /// # Errors
    /// [`WebUiError::Address`] where the address has another scheme, a path, a user or no host.
    pub fn new(address: &str, version: &str) -> Result<Self, WebUiError> {
        let wrong = || WebUiError::Address(address.to_owned());
        let parts = address.parse::<Uri>().map_err(|_| wrong())?.into_parts();
        let path = parts
            .path_and_query
            .as_ref()
            .map_or("/", |path| path.as_str());
        match (parts.scheme, parts.authority) {
            (Some(scheme), Some(authority))
                if scheme == uri::Scheme::HTTP
                    && path == "/"
                    && !authority.as_str().contains('@') =>
            {
                Ok(Self {
                    scheme,
                    authority,
                    version: HeaderValue::from_str(version).map_err(|_| wrong())?,
                    client: Client::builder(TokioExecutor::new()).build_http(),
                })
            }
            _ => Err(wrong()),
        }
    }

    /// Passes a request on, for a caller of that name, and gives the UI's answer.
    ///
    /// # Errors
    /// [`WebUiError::Unreachable`] where the UI cannot be reached or breaks off before an answer.
    pub async fn forward(
        &self,
        caller: Option<&str>,
        request: Request<Body>,
    ) -> Result<Response, WebUiError> {
        let unreachable = |reason: String| WebUiError::Unreachable {
            authority: self.authority.clone(),
            reason,
        };
        let (mut parts, body) = request.into_parts();
        let mut target = uri::Parts::default();
        target.scheme = Some(self.scheme.clone());
        target.authority = Some(self.authority.clone());
        target.path_and_query = parts
            .uri
            .path_and_query()
            .cloned()
            .or_else(|| Some(uri::PathAndQuery::from_static("/")));
        parts.uri = Uri::from_parts(target).map_err(|error| unreachable(error.to_string()))?;
        parts.version = http::Version::HTTP_11;
        strip(&mut parts.headers);
        parts.headers.remove(header::HOST);
        // Heimdall's name for a caller that it does not know.
        let user = caller.and_then(|name| HeaderValue::from_str(name).ok());
        parts
            .headers
            .insert(USER, user.unwrap_or(HeaderValue::from_static("heimdall")));
        parts.headers.insert(VERSION, self.version.clone());
        let answer = self
            .client
            .request(Request::from_parts(parts, body))
            .await
            .map_err(|error| {
                let cause = std::error::Error::source(&error).map(ToString::to_string);
                unreachable(cause.unwrap_or_else(|| error.to_string()))
            })?;
        let (mut parts, body) = answer.into_parts();
        strip(&mut parts.headers);
        Ok(Response::from_parts(parts, Body::new(body)))
    }
}

fn strip(headers: &mut HeaderMap) {
    // `Connection` names further headers that concern only this connection.
    let named: Vec<HeaderName> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    for name in NOT_PASSED_ON.iter().chain(&named) {
        headers.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use axum::{Router, routing::any};
    use http_body_util::BodyExt;

    use super::*;

    /// Answers with the headers that it got.
    async fn mirror() -> String {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new().fallback(any(|request: Request<Body>| async move {
            format!(
                "{} {} {:?}",
                request.method(),
                request.uri(),
                request.headers()
            )
        }));
        tokio::spawn(async move { axum::serve(listener, router).await });
        format!("http://{address}")
    }

    async fn text(response: Response) -> String {
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        String::from_utf8(bytes.to_vec()).unwrap()
    }

    #[tokio::test]
    async fn the_ui_learns_who_asks_and_never_the_hosts_credentials() {
        let ui = WebUi::new(&mirror().await, "1.2.3").unwrap();
        let request = Request::get("/jobs/1?tab=log")
            .header(header::AUTHORIZATION, "Bearer secret-token")
            .header(header::COOKIE, "session=secret-cookie")
            .header(header::CONNECTION, "x-only-here")
            .header("x-only-here", "1")
            .header("X-Heimdall-User", "mallory")
            .header("accept", "text/html")
            .body(Body::empty())
            .unwrap();
        let seen = text(ui.forward(Some("alice"), request).await.unwrap()).await;
        assert!(seen.starts_with("GET /jobs/1?tab=log "), "{seen}");
        for part in ["\"alice\"", "\"1.2.3\"", "text/html"] {
            assert!(seen.contains(part), "{part}: {seen}");
        }
        for part in ["secret", "x-only-here", "mallory"] {
            assert!(!seen.contains(part), "{part}: {seen}");
        }
    }

    #[tokio::test]
    async fn a_caller_without_a_name_is_heimdalls_default_user() {
        let ui = WebUi::new(&mirror().await, "1").unwrap();
        let request = Request::post("/").body(Body::from("x")).unwrap();
        let seen = text(ui.forward(None, request).await.unwrap()).await;
        assert!(seen.contains("\"heimdall\""), "{seen}");
    }

    #[tokio::test]
    async fn a_ui_that_is_not_there_is_named() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        drop(listener);
        let ui = WebUi::new(&format!("http://{address}"), "1").unwrap();
        let request = Request::get("/").body(Body::empty()).unwrap();
        let error = ui.forward(None, request).await.unwrap_err().to_string();
        assert!(error.contains(&address), "{error}");
    }

    #[test]
    fn an_address_that_is_none_is_refused() {
        for address in [
            "",
            "localhost:3000",
            "https://ui",
            "http://ui/path",
            "http://a:b@ui",
            "ftp://ui",
        ] {
            assert!(WebUi::new(address, "1").is_err(), "{address}");
        }
        assert!(WebUi::new("http://localhost:3000/", "1").is_ok());
    }
}
