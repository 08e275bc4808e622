//! The endpoints of commands, clusters and their health.

use axum::{Extension, body::Body, extract::State, http::StatusCode, response::Response};
use plugin_api::Level;
use serde::Deserialize;
use serde_json::json;

use super::{
    Shared, answer,
    auth::Caller,
    body,
    connections::Client,
    query::{Id, Parameters, unknown_status},
};
use crate::{
    catalog::{Catalog, Kind, Known},
    config::{Object, Status},
    error::{Code, HostError},
    health::Health,
    job::now,
};

type Answer = Result<Response, HostError>;

pub(super) async fn statuses() -> Response {
    answer::json(&Status::ALL)
}

pub(super) async fn commands(State(app): State<Shared>, parameters: Parameters) -> Answer {
    let filter = parameters.objects(&["id", "name", "version", "username", "plugin", "status"])?;
    let catalog = app.dispatch.catalog();
    let passing = catalog.commands().filter(|command| {
        let object = &command.command.object;
        filter.passes(command.known.status, |name| {
            if name == "plugin" {
                &command.command.plugin
            } else {
                text_of(object, name)
            }
        })
    });
    Ok(answer::data(
        &passing.map(|command| &**command).collect::<Vec<_>>(),
    ))
}

pub(super) async fn clusters(State(app): State<Shared>, parameters: Parameters) -> Answer {
    let filter = parameters.objects(&["id", "name", "version", "username", "status"])?;
    let catalog = app.dispatch.catalog();
    let passing = catalog.clusters().filter(|cluster| {
        filter.passes(cluster.known.status, |name| {
            text_of(&cluster.cluster.object, name)
        })
    });
    Ok(answer::data(
        &passing.map(|cluster| &**cluster).collect::<Vec<_>>(),
    ))
}

fn text_of<'a>(object: &'a Object, name: &str) -> &'a str {
    match name {
        "id" => &object.id,
        "name" => &object.name,
        "version" => &object.version,
        _ => &object.user,
    }
}

pub(super) async fn command(State(app): State<Shared>, Id(id): Id) -> Answer {
    let catalog = app.dispatch.catalog();
    catalog
        .command(&id)
        .map(|command| answer::json(&**command))
        .ok_or_else(|| unknown(Kind::Command, &id))
}

pub(super) async fn cluster(State(app): State<Shared>, Id(id): Id) -> Answer {
    let catalog = app.dispatch.catalog();
    catalog
        .cluster(&id)
        .map(|cluster| answer::json(&**cluster))
        .ok_or_else(|| unknown(Kind::Cluster, &id))
}

pub(super) async fn command_status(State(app): State<Shared>, Id(id): Id) -> Answer {
    known(&app.dispatch.catalog(), Kind::Command, &id).map(status_body)
}

pub(super) async fn cluster_status(State(app): State<Shared>, Id(id): Id) -> Answer {
    known(&app.dispatch.catalog(), Kind::Cluster, &id).map(status_body)
}

pub(super) async fn set_command_status(
    State(app): State<Shared>,
    Extension(caller): Extension<Caller>,
    Id(id): Id,
    client: Client,
    body: Body,
) -> Answer {
    set_status(&app, &caller, Kind::Command, &id, client, body).await
}

pub(super) async fn set_cluster_status(
    State(app): State<Shared>,
    Extension(caller): Extension<Caller>,
    Id(id): Id,
    client: Client,
    body: Body,
) -> Answer {
    set_status(&app, &caller, Kind::Cluster, &id, client, body).await
}

async fn set_status(
    app: &Shared,
    caller: &Caller,
    kind: Kind,
    id: &str,
    client: Client,
    body: Body,
) -> Answer {
    #[derive(Deserialize)]
    struct StatusRequest {
        status: String,
    }
    let bytes = body::read(app, client, body).await?.bytes;
    let change: StatusRequest = serde_json::from_slice(&bytes).map_err(|error| {
        HostError::new(
            Code::InvalidRequest,
            format!("the body cannot be read: {error}"),
        )
        .hint("send {\"status\": \"active\"} or inactive or deleted")
    })?;
    let status = Status::from_word(&change.status)
        .ok_or_else(|| unknown_status(&change.status, &["ACTIVE", "DELETED", "INACTIVE"]))?;
    // One change at a time, so that the snapshot in force and the store agree.
    let _guard = app.changing.lock().await;
    let catalog = app.dispatch.catalog();
    known(&catalog, kind, id)?;
    let now = now();
    let stored = app.store.set_object_status(kind, id, status, now).await;
    stored.map_err(|error| crate::dispatch::store_failed(&error))?;
    let changed = catalog.with_status(kind, id, status, now);
    let answer = known(&changed, kind, id).map(status_body);
    app.dispatch.set_catalog(changed);
    let fields = [
        ("kind", json!(kind.as_str())),
        ("id", json!(id)),
        ("status", json!(status)),
        ("user", json!(caller.name)),
    ];
    app.log.event(Level::Info, "status set", &fields);
    answer
}

fn known<'a>(catalog: &'a Catalog, kind: Kind, id: &str) -> Result<&'a Known, HostError> {
    let found = match kind {
        Kind::Command => catalog.command(id).map(|command| &command.known),
        Kind::Cluster => catalog.cluster(id).map(|cluster| &cluster.known),
    };
    found.ok_or_else(|| unknown(kind, id))
}

fn status_body(known: &Known) -> Response {
    answer::json(&json!({"updated_at": known.updated_at, "status": known.status}))
}

fn unknown(kind: Kind, id: &str) -> HostError {
    let kind = kind.as_str();
    HostError::new(Code::NotFound, format!("unknown {kind}_id '{id}'"))
        .hint(format!("GET /api/v1/{kind}s lists them"))
}

pub(super) async fn cluster_health(State(app): State<Shared>, Id(id): Id) -> Answer {
    let catalog = app.dispatch.catalog();
    let cluster = catalog
        .cluster(&id)
        .ok_or_else(|| unknown(Kind::Cluster, &id))?;
    if !cluster.cluster.health_check {
        return Err(HostError::new(
            Code::NotFound,
            format!("health check is not enabled for the cluster '{id}'"),
        )
        .hint("set health_check: true in its definition"));
    }
    let health = app.checker.check(&catalog, std::iter::once(cluster)).await;
    if health.checks.is_empty() {
        return Err(HostError::new(
            Code::NotFound,
            format!("no active command runs on the cluster '{id}', or it is inactive"),
        )
        .hint("a cluster is checked by the plugin of a command whose cluster_tags it carries"));
    }
    Ok(health_body(&health))
}

pub(super) async fn clusters_health(State(app): State<Shared>) -> Response {
    let catalog = app.dispatch.catalog();
    health_body(&app.checker.check(&catalog, catalog.clusters()).await)
}

fn health_body(health: &Health) -> Response {
    let status = if health.healthy {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    answer::json_with(status, health)
}
