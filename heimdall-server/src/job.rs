//! A job as the host knows it: what was submitted, what the host decided, and what became of it.
//!
//! In: the body of a submission (`submission.rs`). Out: a [`JobRecord`], and its JSON in the shapes of the interface (`answer.rs`). No I/O.

mod answer;
mod submission;

use std::{
    sync::{Mutex, PoisonError},
    time::{SystemTime, UNIX_EPOCH},
};

use serde::Serialize;
use serde_json::value::RawValue;
use uuid::{ContextV7, Timestamp, Uuid};

pub(crate) use self::submission::is_system_tag;
pub use self::{answer::View, submission::Submission};

/// The status of a job. The numbers are those of the store and never change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(into = "&'static str")]
pub enum JobStatus {
    /// Accepted by the host and waiting for a worker.
    New = 1,
    /// Taken by a worker.
    Accepted = 2,
    /// Being run by the plugin.
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
    /// Its name, as submitted; may be empty.
    pub name: String,
    /// Its version, as submitted; may be empty.
    pub version: String,
    /// Its description, as submitted.
    pub description: Option<String>,
    /// Who submitted it, from the header.
    pub user: String,
    /// Submitted and system tags, a JSON array.
    pub tags: Box<RawValue>,
    /// What the plugin is asked, a JSON object, as submitted.
    pub context: Option<Box<RawValue>>,
    /// The tags that its command had to carry, a JSON array.
    pub command_criteria: Box<RawValue>,
    /// The tags that its cluster had to carry, a JSON array.
    pub cluster_criteria: Box<RawValue>,
    /// Whether the caller waits.
    pub is_sync: bool,
    /// The command and cluster that the host chose.
    pub route: Route,
    /// Its status.
    pub status: JobStatus,
    /// Why it failed, in one sentence.
    pub error: Option<String>,
    /// The error as the interface answers it, JSON.
    pub error_document: Option<String>,
    /// The version of the plugin that ran it.
    pub plugin_version: Option<String>,
    /// Who cancelled it.
    pub cancelled_by: Option<String>,
    /// When it was accepted, in seconds since 1970.
    pub created_at: i64,
    /// When its record last changed, in seconds since 1970.
    pub updated_at: i64,
    /// How often a worker has started it.
    pub attempts: i64,
    /// The trace that the submission belongs to, as W3C's `traceparent` says it.
    pub traceparent: Option<String>,
    /// The rows of its result, where it has one that tells them.
    pub rows: Option<u64>,
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

/// Any value as JSON text.
///
/// # Panics
/// Only where a map has keys that are not text, which no type here has.
#[must_use]
pub fn raw(value: &impl Serialize) -> Box<RawValue> {
    serde_json::value::to_raw_value(value).expect("sets and maps with text keys always serialize")
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
