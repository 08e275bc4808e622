//! The table of routes: every path of the interface, its methods, and who answers.

use std::sync::Arc;

use axum::{
    extract::{OriginalUri, Request, State},
    http::{Method, StatusCode},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{MethodRouter, Router, get, post},
};
use plugin_api::Level;
use serde_json::json;
use tower_http::compression::{
    CompressionLayer,
    predicate::{DefaultPredicate, NotForContentType, Predicate},
};

use super::{Shared, admin, auth, auth::Caller, buffers, fallback, jobs, objects, ready, result};
use crate::{
    error::{Code, HostError, Refusal},
    log::first_line,
};

/// A path, its methods, and their handlers.
pub(super) type Route = (&'static str, &'static [&'static str], MethodRouter<Shared>);

pub(super) fn table() -> Vec<Route> {
    const GET: &[&str] = &["get"];
    const POST: &[&str] = &["post"];
    const GET_PUT: &[&str] = &["get", "put"];
    let mut routes = job_routes();
    routes.extend([
        ("/api/v1/command/statuses", GET, get(objects::statuses)),
        ("/api/v1/command/{id}", GET, get(objects::command)),
        (
            "/api/v1/command/{id}/status",
            GET_PUT,
            get(objects::command_status)
                .put(objects::set_command_status)
                .layer(middleware::from_fn(to_its_end)),
        ),
        ("/api/v1/commands", GET, get(objects::commands)),
        ("/api/v1/cluster/statuses", GET, get(objects::statuses)),
        ("/api/v1/cluster/{id}", GET, get(objects::cluster)),
        (
            "/api/v1/cluster/{id}/status",
            GET_PUT,
            get(objects::cluster_status)
                .put(objects::set_cluster_status)
                .layer(middleware::from_fn(to_its_end)),
        ),
        (
            "/api/v1/cluster/{id}/health",
            GET,
            get(objects::cluster_health),
        ),
        ("/api/v1/clusters", GET, get(objects::clusters)),
        (
            "/api/v1/clusters/health",
            GET,
            get(objects::clusters_health),
        ),
        ("/api/v1/plugins", GET, get(admin::plugins)),
        (
            "/api/v1/plugins/reload",
            POST,
            post(admin::reload).layer(middleware::from_fn(to_its_end)),
        ),
        (
            "/api/v1/plugins/{id}/use",
            POST,
            post(admin::use_version).layer(middleware::from_fn(to_its_end)),
        ),
        ("/livez", GET, get(ready::livez)),
        ("/readyz", GET, get(ready::readyz)),
        ("/metrics", GET, get(admin::metrics)),
        ("/openapi.json", GET, get(admin::openapi)),
    ]);
    routes
}

/// gzip where a client asks for it, but for formats that are compressed already.
fn zipped() -> CompressionLayer<impl Predicate> {
    let binary = NotForContentType::const_new("application/vnd.apache.");
    CompressionLayer::new().compress_when(DefaultPredicate::new().and(binary))
}

/// Brings a request that changes something to its end, also where its client hangs up meanwhile: the server drops its future then, and
/// what it had written would not be what is in force.
async fn to_its_end(request: Request, next: Next) -> Response {
    match tokio::spawn(next.run(request)).await {
        Ok(response) => response,
        Err(_) => HostError::internal("the request's task panicked").into_response(),
    }
}

fn job_routes() -> Vec<Route> {
    const GET: &[&str] = &["get"];
    const POST: &[&str] = &["post"];
    vec![
        ("/api/v1/job", POST, post(jobs::submit)),
        ("/api/v1/job/statuses", GET, get(jobs::statuses)),
        ("/api/v1/job/{id}", GET, get(jobs::record)),
        ("/api/v1/job/{id}/status", GET, get(jobs::status)),
        (
            "/api/v1/job/{id}/result",
            GET,
            get(result::result).layer(zipped()),
        ),
        ("/api/v1/job/{id}/result/link", POST, post(result::link)),
        (
            "/api/v1/result/{id}",
            GET,
            get(result::by_link).layer(zipped()),
        ),
        ("/api/v1/job/{id}/stdout", GET, get(jobs::stdout)),
        ("/api/v1/job/{id}/stderr", GET, get(jobs::stderr)),
        (
            "/api/v1/job/{id}/cancel",
            POST,
            post(jobs::cancel).layer(middleware::from_fn(to_its_end)),
        ),
        ("/api/v1/jobs", GET, get(jobs::list)),
    ]
}

/// The whole interface over one application.
pub(super) fn router(app: Shared) -> Router {
    let mut router = Router::new();
    for (path, _, handlers) in table() {
        router = router.route(path, handlers);
    }
    router
        .merge(console::page(app.web_ui.is_none()))
        .fallback(fallback::anything_else)
        .method_not_allowed_fallback(wrong_method)
        .layer(middleware::from_fn_with_state(
            Arc::clone(&app),
            buffers::bound,
        ))
        .layer(middleware::from_fn_with_state(
            Arc::clone(&app),
            auth::check,
        ))
        .layer(middleware::from_fn_with_state(
            Arc::clone(&app),
            note_refusals,
        ))
        .with_state(app)
}

async fn wrong_method(method: Method, OriginalUri(uri): OriginalUri) -> HostError {
    HostError::new(
        Code::MethodNotAllowed,
        format!("{} does not take {method}", uri.path()),
    )
    .hint("the Allow header lists what it takes")
}

/// Counts refusals by code, and writes a line for each that somebody may ask about: what was to be changed, who was not let in, and
/// what the host could not do.
async fn note_refusals(State(app): State<Shared>, request: Request, next: Next) -> Response {
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let mut response = next.run(request).await;
    let Some(refusal) = response.extensions_mut().remove::<Refusal>() else {
        return response;
    };
    app.metrics.refused(refusal.code.as_str());
    let status = response.status();
    let changes = !matches!(method, Method::GET | Method::HEAD);
    let matters = changes
        || status.is_server_error()
        || matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN);
    if !matters || refusal.is_of_a_job || path == "/readyz" {
        return response;
    }
    let caller = response.extensions().get::<Caller>();
    let level = if status == StatusCode::INTERNAL_SERVER_ERROR {
        Level::Error
    } else {
        Level::Warn
    };
    let fields = [
        ("method", json!(method.as_str())),
        ("path", json!(path)),
        ("status", json!(status.as_u16())),
        ("code", json!(refusal.code.as_str())),
        (
            "user",
            json!(caller.and_then(|caller| caller.name.as_deref())),
        ),
        ("id", json!(refusal.id)),
        ("error", json!(first_line(&refusal.message))),
    ];
    app.log.event(level, "request refused", &fields);
    response
}
