//! The endpoints of plugins, metrics and the interface's own description.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use semver::Version;
use serde::Deserialize;
use serde_json::{Value, json};

use super::query::Id;
use super::{Shared, answer, body};
use crate::error::{Code, HostError};
use crate::plugins::Plugins;

type Answer = Result<Response, HostError>;

/// The interface's description; a test compares it with the routes.
pub(super) const OPENAPI: &str = include_str!("openapi.json");

pub(super) async fn plugins(State(app): State<Shared>) -> Answer {
    let rows = on_blocking(&app, |plugins| Ok(plugins.list())).await?;
    Ok(answer::json(&json!({"data": rows})))
}

pub(super) async fn reload(State(app): State<Shared>) -> Answer {
    on_blocking(&app, |plugins| plugins.reload())
        .await
        .map(|report| answer::json(&report))
}

pub(super) async fn use_version(State(app): State<Shared>, Id(name): Id, body: Body) -> Answer {
    /// `version` must be there: a body that forgot it would otherwise undo a pin.
    #[derive(Deserialize)]
    struct Wanted {
        #[serde(deserialize_with = "Option::deserialize")]
        version: Option<Version>,
    }
    let bytes = body::read(&app, body).await?;
    let Wanted { version } = serde_json::from_slice(&bytes).map_err(|error| {
        HostError::new(
            Code::InvalidRequest,
            format!("the body cannot be read: {error}"),
        )
        .hint("send {\"version\": \"1.2.3\"}, or {\"version\": null} for the newest")
    })?;
    let rows = on_blocking(&app, move |plugins| {
        plugins.use_version(&name, version.as_ref())
    })
    .await?;
    Ok(answer::json(&json!({"data": rows})))
}

pub(super) async fn metrics(State(app): State<Shared>) -> Answer {
    let rows = on_blocking(&app, |plugins| Ok(plugins.list())).await?;
    let (running, queued) = app.dispatch.load();
    let text = app.metrics.text(running, queued, &rows);
    Ok(answer::text_as(
        "text/plain; version=0.0.4; charset=utf-8",
        text,
    ))
}

pub(super) async fn openapi() -> Response {
    answer::text_as("application/json", OPENAPI)
}

/// Plugins are asked on a blocking thread: a reload reads files and starts processes.
async fn on_blocking(
    app: &Shared,
    ask: impl FnOnce(&Arc<dyn Plugins>) -> Result<Value, HostError> + Send + 'static,
) -> Result<Value, HostError> {
    let plugins = Arc::clone(&app.plugins);
    match tokio::task::spawn_blocking(move || ask(&plugins)).await {
        Ok(answer) => answer,
        Err(_) => Err(HostError::internal("a question to the plugins panicked")),
    }
}
