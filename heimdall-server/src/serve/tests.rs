//! The interface as a client sees it, over a linked plugin.

mod access;
mod admin;
mod jobs;
mod objects;
mod ready;
mod refusals;
mod results;

use axum::{
    Router,
    body::Body,
    http::{Request, StatusCode},
};
use hyper::service::Service;
use hyper_util::service::TowerToHyperService;
use serde_json::Value;

use super::{routes, start};
use crate::testing::{CONFIG, Host, submitted};

/// The interface over a test's host.
struct Api {
    host: Host,
    router: Router,
}

struct Answer {
    status: StatusCode,
    headers: axum::http::HeaderMap,
    bytes: Vec<u8>,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.bytes)
            .unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&self.bytes)))
    }
    fn code(&self) -> (u16, String) {
        (
            self.status.as_u16(),
            self.json()["code"].as_str().unwrap_or_default().to_owned(),
        )
    }
}

async fn api() -> Api {
    api_with(CONFIG).await
}

async fn api_with(config: &str) -> Api {
    let host = Host::with(config);
    let router = routes::router(start::app_of(&host).await);
    Api { host, router }
}

impl Api {
    /// Sends a request, to `localhost` where it does not say another host.
    async fn send(&self, mut request: Request<Body>) -> Answer {
        request
            .headers_mut()
            .entry("host")
            .or_insert_with(|| "localhost".parse().unwrap());
        let service = TowerToHyperService::new(self.router.clone());
        let (parts, body) = service.call(request).await.unwrap().into_parts();
        let bytes = axum::body::to_bytes(Body::new(body), usize::MAX)
            .await
            .unwrap()
            .to_vec();
        Answer {
            status: parts.status,
            headers: parts.headers,
            bytes,
        }
    }

    async fn call(
        &self,
        method: &str,
        path: &str,
        user: Option<&str>,
        body: impl Into<Body>,
    ) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        if let Some(user) = user {
            request = request.header("X-Heimdall-User", user);
        }
        self.send(request.body(body.into()).unwrap()).await
    }

    async fn get(&self, path: &str) -> Answer {
        self.call("GET", path, Some("alice"), Body::empty()).await
    }

    async fn submit(&self, command: &str, query: &str) -> Answer {
        let body = submitted(command, query);
        self.call("POST", "/api/v1/job", Some("alice"), body).await
    }
}
