//! The job document: what the user submitted, and what the host resolved for it. `serve` and `run` both write it here.

use serde::Serialize;
use serde_json::value::RawValue;

use crate::job::JobRecord;

/// A job document in the order in which it is written: the id first, so that it is found at once whatever follows.
#[derive(Debug, Serialize)]
pub struct JobDocument<'a> {
    /// What the job is cancelled by.
    pub id: &'a str,
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
    pub context: Option<&'a RawValue>,
    /// The command, as the operator wrote it.
    pub command: &'a RawValue,
    /// The cluster, as the operator wrote it.
    pub cluster: &'a RawValue,
}

impl<'a> JobDocument<'a> {
    /// The document of a job that was accepted.
    #[must_use]
    pub fn of(job: &'a JobRecord, command: &'a RawValue, cluster: &'a RawValue) -> Self {
        let filled = |text: &'a str| Some(text).filter(|text| !text.is_empty());
        Self {
            id: &job.id,
            name: filled(&job.name),
            version: filled(&job.version),
            user: Some(&job.user),
            traceparent: job.traceparent.as_deref(),
            context: job.context.as_deref(),
            command,
            cluster,
        }
    }

    /// The document's bytes.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        let context = self.context.map_or(0, |context| context.get().len());
        let mut bytes =
            Vec::with_capacity(context + self.command.get().len() + self.cluster.get().len() + 512);
        serde_json::to_writer(&mut bytes, self).expect("texts and raw JSON serialize");
        bytes
    }
}
