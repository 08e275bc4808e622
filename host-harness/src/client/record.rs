//! A job's record as the host tells it.

use bytes::Bytes;
use heimdall_server::job::JobStatus;
use plugin_api::{Error, ErrorCode};
use serde::Deserialize;
use serde_json::value::RawValue;

/// What is known of a job.
#[derive(Debug)]
pub(super) struct Record {
    pub(super) fields: Fields,
    /// The host's own bytes.
    pub(super) raw: Bytes,
}

/// The fields that are shown. A host may send more.
#[derive(Debug, Deserialize)]
pub(super) struct Fields {
    pub(super) id: String,
    pub(super) status: String,
    #[serde(default)]
    pub(super) name: Option<String>,
    #[serde(default)]
    pub(super) version: Option<String>,
    #[serde(default)]
    pub(super) description: Option<String>,
    #[serde(default)]
    pub(super) user: Option<String>,
    #[serde(default)]
    pub(super) tags: Vec<String>,
    #[serde(default)]
    pub(super) context: Option<Box<RawValue>>,
    #[serde(default)]
    pub(super) created_at: Option<i64>,
    #[serde(default)]
    pub(super) updated_at: Option<i64>,
    #[serde(default)]
    pub(super) error: Option<String>,
    #[serde(default)]
    pub(super) command_id: Option<String>,
    #[serde(default)]
    pub(super) command_name: Option<String>,
    #[serde(default)]
    pub(super) cluster_name: Option<String>,
    #[serde(default)]
    #[serde(rename = "canceled_by")]
    pub(super) cancelled_by: Option<String>,
    #[serde(default)]
    pub(super) plugin: Option<String>,
    #[serde(default)]
    pub(super) plugin_version: Option<String>,
    #[serde(default)]
    pub(super) progress: Option<Progress>,
}

/// How far a job has come.
#[derive(Debug, Clone, Copy, Deserialize)]
pub(super) struct Progress {
    pub(super) rows: u64,
    pub(super) pages: u64,
    pub(super) wire_bytes: u64,
}

impl Record {
    /// Reads a record.
    pub(super) fn parse(raw: Bytes) -> Result<Self, serde_json::Error> {
        let fields = serde_json::from_slice(&raw)?;
        Ok(Self { fields, raw })
    }

    /// The first record of a list.
    pub(super) fn first_of_list(list: &[u8]) -> Result<Option<Self>, serde_json::Error> {
        #[derive(Deserialize)]
        struct List<'a> {
            #[serde(borrow)]
            data: Vec<&'a RawValue>,
        }
        let list: List<'_> = serde_json::from_slice(list)?;
        list.data
            .first()
            .map(|record| Self::parse(Bytes::copy_from_slice(record.get().as_bytes())))
            .transpose()
    }

    /// Whether nothing more can happen to the job.
    pub(super) fn is_final(&self) -> bool {
        JobStatus::from_word(&self.fields.status).is_some_and(JobStatus::is_final)
    }

    pub(super) fn has_succeeded(&self) -> bool {
        self.fields.status == JobStatus::Succeeded.as_str()
    }

    /// The error of a job that was stopped, in case nobody noted more.
    pub(super) fn cancelled(&self) -> Error {
        let by = self.fields.cancelled_by.as_ref();
        let by = by.map_or(String::new(), |by| format!(" by {by}"));
        Error::new(ErrorCode::CANCELLED, format!("the job was cancelled{by}"))
    }

    /// Whether it was stopped before it had a result.
    pub(super) fn is_cancelled(&self) -> bool {
        self.fields.status == JobStatus::Cancelled.as_str()
    }
}
