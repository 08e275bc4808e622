//! Which paths are the host's own; Heimdall's web UI answers the others where one is configured.

use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};

use super::Shared;
use super::auth::Caller;
use crate::error::{Code, HostError};

/// Whether the host itself answers a path, be it with "unknown endpoint".
pub(super) fn is_ours(path: &str) -> bool {
    let exact = ["/api/v1", "/metrics", "/openapi.json", "/livez", "/readyz"];
    exact.contains(&path) || path.starts_with("/api/v1/") || is_page(path)
}

/// Whether a path is one of the host's own web page, beside `/`.
pub(super) fn is_page(path: &str) -> bool {
    path.starts_with("/console")
}

/// Answers what no route takes: Heimdall's web UI, or an error.
pub(super) async fn anything_else(State(app): State<Shared>, request: Request) -> Response {
    let path = request.uri().path();
    let Some(web_ui) = app.web_ui.as_ref().filter(|_| !is_ours(path)) else {
        let message = format!("unknown endpoint: {} {path}", request.method());
        return HostError::new(Code::NotFound, message)
            .hint("GET /openapi.json lists them")
            .into_response();
    };
    let caller = request.extensions().get::<Caller>().cloned();
    let name = caller.and_then(|caller| caller.name);
    match web_ui.forward(name.as_deref(), request).await {
        Ok(answer) => answer,
        Err(error) => HostError::new(
            Code::Plugin(plugin_api::ErrorCode::UNAVAILABLE),
            error.to_string(),
        )
        .hint("start the web UI, or correct server.web_ui; the host's own page is at /console")
        .into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interface_and_the_hosts_own_page_are_ours_and_nothing_else() {
        for path in [
            "/api/v1/jobs",
            "/api/v1/what/ever",
            "/metrics",
            "/openapi.json",
            "/livez",
            "/readyz",
            "/console",
            "/console/app.js",
        ] {
            assert!(is_ours(path), "{path}");
        }
        for path in [
            "/",
            "/jobs",
            "/api/v2/jobs",
            "/metrics/x",
            "/_next/static/x.js",
        ] {
            assert!(!is_ours(path), "{path}");
        }
    }
}
