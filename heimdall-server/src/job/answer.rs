//! A job as the interface answers it, in JSON.

use std::borrow::Cow;

use serde::Serialize;
use serde_json::value::RawValue;

use super::{JobRecord, JobStatus};

/// In which shape a job is answered.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum View {
    /// The record: everything.
    Record,
    /// The answer to a submission: without times and route.
    Submitted,
}

#[derive(Serialize)]
struct JobBody<'a> {
    id: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    name: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    version: &'a str,
    user: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    tags: &'a RawValue,
    #[serde(skip_serializing_if = "Option::is_none")]
    context: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    created_at: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    updated_at: Option<i64>,
    status: JobStatus,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    is_sync: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a str>,
    command_criteria: &'a RawValue,
    cluster_criteria: &'a RawValue,
    #[serde(skip_serializing_if = "Option::is_none")]
    command_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    command_name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cluster_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cluster_name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[serde(rename = "canceled_by")]
    cancelled_by: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    plugin: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    plugin_version: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    traceparent: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    progress: Option<Progress>,
    #[serde(skip_serializing_if = "Option::is_none")]
    job_attributes: Option<Attributes<'a>>,
}

/// What Heimdall's own UI shows of a job beside what every job has, under these very labels.
#[derive(Serialize)]
struct Attributes<'a> {
    #[serde(rename = "Result", skip_serializing_if = "Option::is_none")]
    result: Option<Attribute<'a>>,
    #[serde(rename = "Rows", skip_serializing_if = "Option::is_none")]
    rows: Option<Attribute<'a>>,
    #[serde(rename = "Plugin")]
    plugin: Attribute<'a>,
}

#[derive(Serialize)]
#[serde(tag = "kind", content = "value", rename_all = "lowercase")]
enum Attribute<'a> {
    Link(Cow<'a, str>),
    Text(Cow<'a, str>),
}

#[derive(Serialize)]
struct Progress {
    rows: u64,
    pages: u64,
    wire_bytes: u64,
}

impl JobRecord {
    /// The job as JSON, without a result. `progress`: the rows, pages and wire bytes of one that runs.
    #[must_use]
    pub fn to_json(&self, view: View, progress: Option<[u64; 3]>) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.write_json(view, progress, &mut bytes);
        bytes
    }

    /// As [`JobRecord::to_json`], behind what is there already.
    pub fn write_json(&self, view: View, progress: Option<[u64; 3]>, into: &mut Vec<u8>) {
        let record = view == View::Record;
        let route = record.then_some(&self.route);
        let body = JobBody {
            id: &self.id,
            name: &self.name,
            version: &self.version,
            user: &self.user,
            description: self.description.as_deref(),
            tags: &self.tags,
            context: self.context.as_deref(),
            created_at: record.then_some(self.created_at),
            updated_at: record.then_some(self.updated_at),
            status: self.status,
            is_sync: self.is_sync,
            error: self.error.as_deref(),
            command_criteria: &self.command_criteria,
            cluster_criteria: &self.cluster_criteria,
            command_id: route.map(|route| route.command_id.as_str()),
            command_name: route.map(|route| route.command_name.as_str()),
            cluster_id: route.map(|route| route.cluster_id.as_str()),
            cluster_name: route.map(|route| route.cluster_name.as_str()),
            cancelled_by: self.cancelled_by.as_deref(),
            // Named once a version has run it, never before.
            plugin: self
                .plugin_version
                .as_ref()
                .map(|_| self.route.plugin.as_str()),
            plugin_version: self.plugin_version.as_deref(),
            traceparent: self.traceparent.as_deref().filter(|_| record),
            progress: progress.map(|[rows, pages, wire_bytes]| Progress {
                rows,
                pages,
                wire_bytes,
            }),
            job_attributes: self.attributes().filter(|_| record),
        };
        serde_json::to_writer(into, &body).expect("text, numbers and JSON always serialize");
    }

    /// `None` until a version has run it.
    fn attributes(&self) -> Option<Attributes<'_>> {
        let version = self.plugin_version.as_deref()?;
        let succeeded = self.status == JobStatus::Succeeded;
        let link = || Attribute::Link(format!("/api/v1/job/{}/result", self.id).into());
        Some(Attributes {
            result: succeeded.then(link),
            rows: self
                .rows
                .map(|rows| Attribute::Text(rows.to_string().into())),
            plugin: Attribute::Text(format!("{} {version}", self.route.plugin).into()),
        })
    }
}
