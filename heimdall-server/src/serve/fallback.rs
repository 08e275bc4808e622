//! What no route takes: Heimdall's web UI answers it where one is configured, else it is an error.

use axum::{
    extract::{Request, State},
    response::{IntoResponse, Response},
};

use super::{Shared, auth::Caller, paths};
use crate::error::{Code, HostError};

/// Answers what no route takes: Heimdall's web UI, or an error.
pub(super) async fn anything_else(State(app): State<Shared>, request: Request) -> Response {
    let path = request.uri().path();
    let Some(web_ui) = app.web_ui.as_ref().filter(|_| !paths::is_ours(path)) else {
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
