//! `/livez` and `/readyz`: whether the process answers, and whether it would take jobs.
//!
//! Neither needs a token. The answers say what is wrong in the host's own words and hold nothing of jobs or callers.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use axum::{
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use plugin_api::ErrorCode;
use serde_json::json;
use tokio::sync::Mutex;

use super::{Shared, answer};
use crate::error::{Code, HostError};

/// How long a check of the disk counts, so that many questions cost one write.
const FRESH: Duration = Duration::from_secs(1);

/// What is known about whether jobs would be accepted.
#[derive(Default)]
pub(super) struct Readiness {
    stopping: AtomicBool,
    /// The last check of the store.
    store: Mutex<Option<(Instant, Result<(), HostError>)>>,
}

impl Readiness {
    /// From now on no: the host is about to stop.
    pub(super) fn stop(&self) {
        self.stopping.store(true, Ordering::Release);
    }
}

pub(super) async fn livez() -> Response {
    answer::json(&json!({"status": "ok"}))
}

pub(super) async fn readyz(State(app): State<Shared>) -> Response {
    match check(&app).await {
        Ok(()) => answer::json(&json!({"status": "ok"})),
        Err(error) => {
            let mut answer = error.into_response();
            // One status for every reason: it is all that a load balancer looks at.
            *answer.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
            answer
        }
    }
}

async fn check(app: &Shared) -> Result<(), HostError> {
    if app.ready.stopping.load(Ordering::Acquire) {
        let code = Code::Plugin(ErrorCode::SHUTTING_DOWN);
        return Err(HostError::new(code, "the host is stopping"));
    }
    plugins(app)?;
    store(app).await
}

/// One command with a plugin is enough: the others' state is in the log and the metrics.
fn plugins(app: &Shared) -> Result<(), HostError> {
    let missing = app.dispatch.commands_without_plugin();
    if missing.len() < missing.active {
        return Ok(());
    }
    let message = match missing.ids.first() {
        None => "no command is active".to_owned(),
        Some(first) => {
            format!("no active command has its plugin loaded, for example '{first}'")
        }
    };
    Err(HostError::new(Code::PluginUnavailable, message)
        .hint("GET /api/v1/plugins says what was refused and why"))
}

async fn store(app: &Shared) -> Result<(), HostError> {
    let mut last = app.ready.store.lock().await;
    if let Some((at, outcome)) = &*last
        && at.elapsed() < FRESH
    {
        return outcome.clone();
    }
    let outcome = app.dispatch.check_store().await;
    *last = Some((Instant::now(), outcome.clone()));
    outcome
}
