//! The job document: what the user submitted, and what the host resolved for it. Every host and every test writes it here.

use serde::Serialize;
use serde_json::value::RawValue;

/// A job document in the order in which it is written: the id first, so that it is found at once whatever follows.
///
/// A field that is `None` is not written. The three objects are `Json`: text that is copied as it stands, unless the host has values.
///
/// ```
/// use plugin_host::JobDocument;
/// use serde_json::json;
///
/// let job = JobDocument {
///     id: Some("7f"),
///     context: Some(&json!({"query": "SELECT * FROM t"})),
///     ..JobDocument::default()
/// };
/// assert_eq!(job.to_json(), br#"{"id":"7f","context":{"query":"SELECT * FROM t"}}"#);
/// ```
#[derive(Debug, Serialize)]
pub struct JobDocument<'a, Json: ?Sized = RawValue> {
    /// What the job is cancelled by.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<&'a str>,
    /// The job's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<&'a str>,
    /// The job's version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<&'a str>,
    /// Who submitted it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<&'a str>,
    /// The trace that it belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<&'a str>,
    /// What the user wants.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub context: Option<&'a Json>,
    /// The command, as the operator wrote it: `{"name","context"}`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command: Option<&'a Json>,
    /// The cluster, as the operator wrote it: `{"name","context"}`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cluster: Option<&'a Json>,
}

// Not derived: that would ask `Json` for a default, which a borrowed text has none of.
impl<Json: ?Sized> Default for JobDocument<'_, Json> {
    fn default() -> Self {
        Self {
            id: None,
            name: None,
            version: None,
            user: None,
            traceparent: None,
            context: None,
            command: None,
            cluster: None,
        }
    }
}

impl<Json: Serialize + ?Sized> JobDocument<'_, Json> {
    /// The document's bytes.
    ///
    /// # Panics
    /// Where an object cannot be written as JSON; raw text and [`serde_json::Value`] always can.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("texts and JSON serialize")
    }
}
