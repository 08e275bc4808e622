//! The endpoints of plugins, metrics and the interface's own description.

use std::sync::Arc;

use axum::{Extension, body::Body, extract::State, response::Response};
use plugin_api::Level;
use semver::Version;
use serde::Deserialize;
use serde_json::json;

use super::{Shared, answer, auth::Caller, body, connections::Client, query::Id};
use crate::{
    error::{Code, HostError},
    job::now,
    metrics::Snapshot,
    plugins::Plugins,
    store::Pin,
};

type Answer = Result<Response, HostError>;

/// The interface's description; a test compares it with the routes.
pub(super) const OPENAPI: &str = include_str!("openapi.json");

pub(super) async fn plugins(State(app): State<Shared>) -> Answer {
    let rows = on_blocking(&app, |plugins| Ok(plugins.list())).await?;
    Ok(answer::json(&json!({"data": rows})))
}

pub(super) async fn reload(State(app): State<Shared>) -> Answer {
    on_blocking(&app, Plugins::reload)
        .await
        .map(|report| answer::json(&report))
}

pub(super) async fn use_version(
    State(app): State<Shared>,
    Extension(caller): Extension<Caller>,
    Id(name): Id,
    client: Client,
    body: Body,
) -> Answer {
    /// `version` must be there: a body that forgot it would otherwise undo a pin.
    #[derive(Deserialize)]
    struct VersionRequest {
        #[serde(deserialize_with = "Option::deserialize")]
        version: Option<Version>,
    }
    let bytes = body::read(&app, client, body).await?.bytes;
    let VersionRequest { version } = serde_json::from_slice(&bytes).map_err(|error| {
        HostError::new(
            Code::InvalidRequest,
            format!("the body cannot be read: {error}"),
        )
        .hint("send {\"version\": \"1.2.3\"}, or {\"version\": null} for the newest")
    })?;
    let (plugin, requested) = (name.clone(), version.clone());
    let rows = on_blocking(&app, move |plugins| {
        plugins.use_version(&plugin, requested.as_ref())
    })
    .await?;
    // Whoever may change the host is named.
    let by = caller.name.unwrap_or_default();
    let fields = [
        ("plugin", json!(name)),
        ("version", json!(version)),
        ("user", json!(by)),
    ];
    let (message, kept) = match version {
        Some(version) => {
            let pin = Pin {
                plugin: name,
                version,
                set_by: by,
                set_at: now(),
            };
            ("plugin pinned", app.store.set_pin(pin).await)
        }
        None => ("plugin no longer pinned", app.store.remove_pin(name).await),
    };
    app.log.event(Level::Info, message, &fields);
    // In force already; the caller must know that it will not outlast this run.
    kept.map_err(|error| crate::dispatch::store_failed(&error))?;
    Ok(answer::json(&json!({"data": rows})))
}

pub(super) async fn metrics(State(app): State<Shared>) -> Answer {
    let rows = on_blocking(&app, |plugins| Ok(plugins.list())).await?;
    let store = Arc::clone(&app.store);
    let disk = tokio::task::spawn_blocking(move || (store.size_bytes(), store.free_bytes().ok()));
    let (store_bytes, free_bytes) = disk.await.unwrap_or_default();
    let (running, queued) = app.dispatch.load();
    let text = app.metrics.text(&Snapshot {
        running,
        queued,
        oldest_queued_seconds: app
            .dispatch
            .oldest_queued()
            .unwrap_or_default()
            .as_secs_f64(),
        commands_without_plugin: app.dispatch.commands_without_plugin().len(),
        result_bytes: app.store.result_bytes(),
        store_bytes,
        free_bytes,
        lost_log_lines: app.log.lost_lines(),
        plugins: &rows,
    });
    Ok(answer::text_as(
        "text/plain; version=0.0.4; charset=utf-8",
        text,
    ))
}

pub(super) async fn openapi() -> Response {
    answer::text_as("application/json", OPENAPI)
}

/// Plugins are asked on a blocking thread: a reload reads files and starts processes.
async fn on_blocking<T: Send + 'static>(
    app: &Shared,
    ask: impl FnOnce(&Plugins) -> Result<T, HostError> + Send + 'static,
) -> Result<T, HostError> {
    let plugins = Arc::clone(&app.plugins);
    match tokio::task::spawn_blocking(move || ask(&plugins)).await {
        Ok(answer) => answer,
        Err(_) => Err(HostError::internal("a question to the plugins panicked")),
    }
}
