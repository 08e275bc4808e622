//! What the fuzz target `http` calls (`fuzz/`): any bytes as a request to a whole host in this process. An answer of ours is no 500,
//! and a refusal is an error document.

use std::sync::OnceLock;

use axum::{
    Router,
    body::Body,
    http::{HeaderName, HeaderValue, Method, Request, Uri},
};
use hyper::service::Service;
use hyper_util::service::TowerToHyperService;
use tokio::runtime::Runtime;

use super::{routes, start};
use crate::testing::{CONFIG, Host};

/// What the linked plugin would do for longer than a round may take, or by a panic, which ends a fuzzer.
const NOT_ASKED: [&str; 6] = ["panic", "deaf", "wait", "progress", "large", "lines"];

/// Sends `METHOD PATH`, lines of headers, an empty line and a body.
///
/// # Panics
/// The answer is one that nobody should get.
pub fn request(bytes: &[u8]) {
    let Some(request) = read(bytes) else { return };
    let (runtime, router) = api();
    let service = TowerToHyperService::new(router.clone());
    let (parts, body) = runtime.block_on(async {
        let answer = service.call(request).await.expect("a router answers");
        let (parts, body) = answer.into_parts();
        let bytes = axum::body::to_bytes(Body::new(body), 1 << 24).await;
        (parts, bytes.expect("an answer can be read"))
    });
    let status = parts.status.as_u16();
    assert!(status != 500, "{}", String::from_utf8_lossy(&body));
    let is_json = parts
        .headers
        .get("content-type")
        .is_some_and(|kind| kind == "application/json");
    if is_json && !body.is_empty() {
        let _: serde_json::Value = serde_json::from_slice(&body).expect("JSON is JSON");
    }
}

fn read(bytes: &[u8]) -> Option<Request<Body>> {
    let text = String::from_utf8_lossy(bytes);
    if NOT_ASKED.iter().any(|word| text.contains(word)) {
        return None;
    }
    let end = bytes.windows(2).position(|pair| pair == b"\n\n");
    let (head, body) = bytes.split_at(end.unwrap_or(bytes.len()));
    let head = std::str::from_utf8(head).ok()?;
    let mut lines = head.lines();
    let (method, path) = lines.next()?.split_once(' ')?;
    let mut request = Request::new(Body::from(body.get(2..).unwrap_or_default().to_vec()));
    *request.method_mut() = Method::from_bytes(method.as_bytes()).ok()?;
    *request.uri_mut() = path.parse::<Uri>().ok()?;
    let headers = request.headers_mut();
    headers.insert("host", HeaderValue::from_static("localhost"));
    for line in lines {
        let (name, value) = line.split_once(':')?;
        headers.append(
            HeaderName::from_bytes(name.as_bytes()).ok()?,
            HeaderValue::from_str(value.trim()).ok()?,
        );
    }
    Some(request)
}

/// One host for all rounds: what one request leaves behind is there for the next.
fn api() -> &'static (Runtime, Router) {
    static API: OnceLock<(Runtime, Router)> = OnceLock::new();
    API.get_or_init(|| {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        let router = runtime.block_on(async {
            let host = Box::leak(Box::new(Host::with(CONFIG)));
            routes::router(start::app_of(host).await)
        });
        (runtime, router)
    })
}
