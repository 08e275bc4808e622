//! A job as the host knows it: what was submitted, what the host decided, and what became of it.
//!
//! In: the body of a submission. Out: a [`JobRecord`] and its JSON in the shapes of the interface. No I/O.

use std::{
    borrow::Cow,
    collections::BTreeSet,
    sync::{Mutex, PoisonError},
    time::{SystemTime, UNIX_EPOCH},
};

use plugin_api::json::{self, JsonError};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use uuid::{ContextV7, Timestamp, Uuid};

use crate::error::HostError;

/// Where a job stands. The numbers are those of the store and never change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(into = "&'static str")]
pub enum JobStatus {
    /// Accepted by the host and waiting for a worker.
    New = 1,
    /// Taken by a worker.
    Accepted = 2,
    /// With the plugin.
    Running = 3,
    /// Ended with an error.
    Failed = 4,
    /// Ended from outside; kept for Heimdall's clients, this host never sets it.
    Killed = 5,
    /// Ended with a result.
    Succeeded = 6,
    /// Asked to stop.
    Cancelling = 7,
    /// Stopped before it had a result.
    Cancelled = 8,
}

impl From<JobStatus> for &'static str {
    fn from(status: JobStatus) -> Self {
        status.as_str()
    }
}

impl JobStatus {
    /// Every status, by name.
    pub const ALL: [Self; 8] = [
        Self::Accepted,
        Self::Cancelled,
        Self::Cancelling,
        Self::Failed,
        Self::Killed,
        Self::New,
        Self::Running,
        Self::Succeeded,
    ];

    /// The word in answers.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::New => "NEW",
            Self::Accepted => "ACCEPTED",
            Self::Running => "RUNNING",
            Self::Failed => "FAILED",
            Self::Killed => "KILLED",
            Self::Succeeded => "SUCCEEDED",
            Self::Cancelling => "CANCELING",
            Self::Cancelled => "CANCELED",
        }
    }

    /// The number in the store.
    #[must_use]
    pub const fn number(self) -> i64 {
        self as i64
    }

    /// The status of a number in the store.
    #[must_use]
    pub fn from_number(number: i64) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|status| status.number() == number)
    }

    /// The status of a word in either case.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|status| status.as_str().eq_ignore_ascii_case(word))
    }

    /// Whether nothing more can happen to the job.
    #[must_use]
    pub const fn is_final(self) -> bool {
        matches!(
            self,
            Self::Failed | Self::Killed | Self::Succeeded | Self::Cancelled
        )
    }
}

/// A job's whole record.
#[derive(Debug, Clone)]
pub struct JobRecord {
    /// Its number in this store, in the order of acceptance.
    pub seq: i64,
    /// Its id, set by the host.
    pub id: String,
    /// As submitted; may be empty.
    pub name: String,
    /// As submitted; may be empty.
    pub version: String,
    /// As submitted.
    pub description: Option<String>,
    /// Who submitted it, from the header.
    pub user: String,
    /// Submitted and system tags, a JSON array.
    pub tags: Box<RawValue>,
    /// What the plugin is asked, a JSON object, as submitted.
    pub context: Option<Box<RawValue>>,
    /// A JSON array of tags.
    pub command_criteria: Box<RawValue>,
    /// A JSON array of tags.
    pub cluster_criteria: Box<RawValue>,
    /// Whether the caller waits.
    pub is_sync: bool,
    /// The command and cluster that the host chose.
    pub route: Route,
    /// Where it stands.
    pub status: JobStatus,
    /// Why it failed, in one sentence.
    pub error: Option<String>,
    /// The error as the interface answers it, JSON.
    pub error_document: Option<String>,
    /// The version of the plugin that ran it.
    pub plugin_version: Option<String>,
    /// Who cancelled it.
    pub cancelled_by: Option<String>,
    /// Seconds since 1970.
    pub created_at: i64,
    /// Seconds since 1970.
    pub updated_at: i64,
    /// How often a worker has started it.
    pub attempts: i64,
    /// The trace that the submission belongs to, as W3C's `traceparent` says it.
    pub traceparent: Option<String>,
    /// The rows of its result, where it has one that tells them.
    pub rows: Option<u64>,
}

/// The pair that a job was routed to, by the names it had then.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// The command's id.
    pub command_id: String,
    /// The command's name.
    pub command_name: String,
    /// The cluster's id.
    pub cluster_id: String,
    /// The cluster's name.
    pub cluster_name: String,
    /// The command's plugin.
    pub plugin: String,
}

/// The most bytes of a job's name, and of its version.
const NAME_BYTES: usize = 1024;
/// The most bytes of a job's description.
const DESCRIPTION_BYTES: usize = 16 * 1024;
/// The most bytes of a job's context as it is written.
const CONTEXT_BYTES: usize = 512 * 1024;
/// The most tags of a job, of its command criteria and of its cluster criteria.
const TAGS: usize = 64;
/// The most bytes of a tag.
const TAG_BYTES: usize = 1024;

/// A job as a client submits it. What else the client sends, the server decides, so it is dropped.
#[derive(Debug, Deserialize)]
pub struct Submission {
    /// For people.
    #[serde(default)]
    pub name: Option<String>,
    /// For people.
    #[serde(default)]
    pub version: Option<String>,
    /// For people.
    #[serde(default)]
    pub description: Option<String>,
    /// Tags beside the system ones.
    #[serde(default)]
    pub tags: Option<BTreeSet<String>>,
    /// What the plugin is asked.
    #[serde(default)]
    pub context: Option<Box<RawValue>>,
    /// Tags that the command must carry.
    #[serde(default)]
    pub command_criteria: Option<BTreeSet<String>>,
    /// Tags that the cluster must carry.
    #[serde(default)]
    pub cluster_criteria: Option<BTreeSet<String>>,
}

impl Submission {
    /// Reads the body of a submission.
    ///
    /// # Errors
    /// `INVALID_JOB` where it is not a JSON object, or a field is of the wrong type.
    pub fn parse(body: &[u8]) -> Result<Self, HostError> {
        let first = body.iter().find(|byte| !byte.is_ascii_whitespace());
        if first.is_some_and(|byte| *byte != b'{')
            && serde_json::from_slice::<&RawValue>(body).is_ok()
        {
            return Err(HostError::invalid_job("the job is not a JSON object"));
        }
        let text = std::str::from_utf8(body).ok();
        let read = match text {
            Some(text) => serde_json::from_str(text),
            None => serde_json::from_slice(body),
        };
        let keys = match (text, &read) {
            (Some(text), Ok(_)) => json::check_keys(text),
            (Some(text), Err(_)) => json::parse(text).map(drop),
            (None, _) => Ok(()),
        };
        if let Err(twice @ JsonError::KeyTwice { .. }) = keys {
            return Err(HostError::invalid_job(twice.to_string())
                .hint("a key may be given only once in an object"));
        }
        let mut job: Self = read.map_err(|error| {
            HostError::invalid_job(format!("the job cannot be read: {error}"))
                .hint("send one JSON object with name, version, command_criteria, cluster_criteria and context")
        })?;
        job.context = job.context.filter(|context| context.get() != "null");
        if let Some(context) = &job.context
            && !context.get().starts_with('{')
        {
            return Err(HostError::invalid_job("'context' must be an object"));
        }
        job.check_sizes()?;
        Ok(job)
    }

    /// Every record is kept and listed, so each of its parts has a size that it may have.
    fn check_sizes(&self) -> Result<(), HostError> {
        let texts = [
            ("name", self.name.as_deref(), NAME_BYTES),
            ("version", self.version.as_deref(), NAME_BYTES),
            (
                "description",
                self.description.as_deref(),
                DESCRIPTION_BYTES,
            ),
            (
                "context",
                self.context.as_deref().map(RawValue::get),
                CONTEXT_BYTES,
            ),
        ];
        for (field, text, most) in texts {
            let bytes = text.map_or(0, str::len);
            if bytes > most {
                let message = format!(
                    "'{field}' has {bytes} bytes, more than the {most} that a job's {field} may have"
                );
                return Err(HostError::invalid_job(message).hint("shorten it"));
            }
        }
        let lists = [
            ("tags", &self.tags),
            ("command_criteria", &self.command_criteria),
            ("cluster_criteria", &self.cluster_criteria),
        ];
        for (field, tags) in lists {
            let tags = tags.iter().flatten();
            if tags.clone().count() > TAGS || tags.clone().any(|tag| tag.len() > TAG_BYTES) {
                let message = format!(
                    "'{field}' has more than {TAGS} tags, or one of more than {TAG_BYTES} bytes"
                );
                return Err(HostError::invalid_job(message).hint("shorten it"));
            }
        }
        Ok(())
    }

    /// The tags of the job's record: the submitted ones, and the system's own.
    #[must_use]
    pub fn tags_with_system(&self, id: &str) -> BTreeSet<String> {
        let name = self.name.as_deref().unwrap_or_default();
        let version = self.version.as_deref().unwrap_or_default();
        let submitted = self.tags.iter().flatten().filter(|tag| !is_system_tag(tag));
        let mut tags: BTreeSet<String> = submitted.cloned().collect();
        tags.extend([
            format!("_id:{id}"),
            format!("_name:{name}"),
            format!("_version:{version}"),
        ]);
        tags
    }
}

/// System tags are the server's to set; a resubmitted record may carry an older job's.
pub(crate) fn is_system_tag(tag: &str) -> bool {
    ["_id:", "_name:", "_version:"]
        .iter()
        .any(|prefix| tag.starts_with(prefix))
}

/// Any value as JSON text.
///
/// # Panics
/// Only where a map has keys that are not text, which no type here has.
#[must_use]
pub fn raw(value: &impl Serialize) -> Box<RawValue> {
    serde_json::value::to_raw_value(value).expect("sets and maps with text keys always serialize")
}

/// Which shape of a job is answered.
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
    /// About how many bytes its record has.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let fixed = 512;
        let texts = [
            Some(self.name.as_str()),
            self.description.as_deref(),
            self.error.as_deref(),
            self.error_document.as_deref(),
            self.context.as_deref().map(RawValue::get),
            Some(self.tags.get()),
            Some(self.command_criteria.get()),
            Some(self.cluster_criteria.get()),
        ];
        fixed + texts.into_iter().flatten().map(str::len).sum::<usize>()
    }

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

/// The id of a new job. Ids grow with time, so that the store appends rather than scatters; a clock that stands before 1970 is
/// taken for 1970.
#[must_use]
pub fn new_id() -> Uuid {
    id_at(SystemTime::now())
}

fn id_at(time: SystemTime) -> Uuid {
    static ORDER: Mutex<ContextV7> = Mutex::new(ContextV7::new());
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    let order = ORDER.lock().unwrap_or_else(PoisonError::into_inner);
    let stamp = Timestamp::from_unix(&*order, since.as_secs(), since.subsec_nanos());
    Uuid::new_v7(stamp)
}

/// Seconds since 1970.
#[must_use]
pub fn now() -> i64 {
    let since = std::time::SystemTime::UNIX_EPOCH
        .elapsed()
        .unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
