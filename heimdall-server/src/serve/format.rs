//! The format in which a client wants a result: `?format=`, a body that names it, or `Accept`.

use axum::http::{HeaderMap, header};
use results::Format;

use crate::error::{Code, HostError};

/// How a result is to be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ResultFormat {
    pub(super) format: Format,
    /// Whether text that a spreadsheet would take for a formula gets a `'` in front.
    pub(super) safe: bool,
}

/// The best format that `Accept` allows.
///
/// # Errors
/// It allows none: 406.
pub(super) fn acceptable(headers: &HeaderMap) -> Result<Format, HostError> {
    let accepted = headers
        .get_all(header::ACCEPT)
        .into_iter()
        .filter_map(|value| value.to_str().ok());
    results::negotiate(accepted).ok_or_else(|| {
        HostError::new(
            Code::NotAcceptable,
            "a result has none of the media types that Accept names",
        )
        .hint(format!("there are {}; or use ?format=", media_types()))
    })
}

fn media_types() -> String {
    Format::SERVED.map(Format::content_type).join(", ")
}

/// `{"format":"csv"}`.
pub(super) fn format_in(bytes: &[u8]) -> Result<Option<Format>, HostError> {
    #[derive(serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Fields {
        format: Option<String>,
    }
    let fields: Fields = serde_json::from_slice(bytes).map_err(|error| {
        HostError::new(
            Code::InvalidRequest,
            format!("the body cannot be read: {error}"),
        )
        .hint("send {\"format\": \"csv\"}, or no body and ?format=csv")
    })?;
    fields.format.as_deref().map(format_named).transpose()
}

/// The format of a name.
///
/// # Errors
/// There is none.
pub(super) fn format_named(name: &str) -> Result<Format, HostError> {
    Format::served(name).ok_or_else(|| {
        HostError::new(Code::InvalidRequest, format!("unknown format '{name}'")).hint(format!(
            "a result can be had as {}",
            Format::SERVED.map(Format::name).join(", ")
        ))
    })
}
