//! A job as a client submits it: what it may hold, and how much of it.

use std::collections::BTreeSet;

use plugin_api::json::{self, JsonError};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::error::HostError;

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
    /// A name to show to people.
    #[serde(default)]
    pub name: Option<String>,
    /// A version to show to people.
    #[serde(default)]
    pub version: Option<String>,
    /// A description to show to people.
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
