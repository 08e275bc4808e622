//! 1 · The job document in, checked types out. Nothing here touches the network.
//!
//! In: JSON text (contract, section 1). Out: [`Job`], whose fields cannot be wrong any more, or `INVALID_JOB` that names the
//! field, and for a misspelt one the nearest known name. Parameter values never appear in a message.

mod cluster;
mod document;
mod limits;
mod parameters;
#[cfg(test)]
mod tests;

use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use plugin_api::{Error, ErrorCode};
use serde_json::value::RawValue;

pub(crate) use self::cluster::is_url;
pub use self::cluster::{CapacityRate, Cluster, Role, SessionPolicy};
use self::{
    document::Fields,
    limits::{CommandLimits, UNITS},
};

/// The most characters that DynamoDB takes in one statement.
pub const MAX_QUERY_CHARS: usize = 8192;

/// The largest result document where neither job nor command state a `max_result_bytes`: 1 GiB.
pub const DEFAULT_MAX_RESULT_BYTES: u64 = 1 << 30;

/// The most segments that DynamoDB divides a table into.
const MAX_SEGMENTS: u32 = 1_000_000;

/// What a job may use up, and what happens then.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Budget {
    /// Answered pages beyond which no request is begun; `None`: any number.
    pub max_pages: Option<u64>,
    /// Capacity units after which no request is begun; `None`: any number.
    pub max_capacity_units: Option<f64>,
    /// Whether a used-up budget ends the job with the rows so far; else with `BUDGET_EXCEEDED`.
    pub truncate: bool,
}

/// A checked job: what is to be read, how much of it at most, where and as whom.
#[derive(Debug, Clone, PartialEq)]
pub struct Job {
    /// Who submitted it; `None` where the host does not say.
    pub user: Option<String>,
    /// The statement as the user wrote it, 1 to 8192 characters.
    pub query: String,
    /// One value per `?`.
    pub parameters: Vec<AttributeValue>,
    /// The most rows in the result; `None`: no limit.
    pub limit: Option<u64>,
    /// Strongly consistent read.
    pub consistent_read: bool,
    /// The job's or the command's time, from the start of the call.
    pub timeout: Option<Duration>,
    /// The largest result, in bytes, where job or command state one. A document has at most [`DEFAULT_MAX_RESULT_BYTES`] without.
    pub max_result_bytes: Option<u64>,
    /// What it may use up.
    pub budget: Budget,
    /// Where an earlier job of the same statement ended, as its result said.
    pub next_token: Option<String>,
    /// Into how many segments a whole read is divided.
    pub total_segments: u32,
    /// The only segment to read; `None`: all of them.
    pub segment: Option<u32>,
    /// The tables that the command allows, `*` as wildcard; `None`: all.
    pub tables: Option<Vec<String>>,
    /// Where and as whom.
    pub cluster: Cluster,
}

impl Job {
    /// Reads and checks a job document.
    ///
    /// # Errors
    /// `INVALID_JOB`.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let document = document::parse(text, "the job")?;
        let mut fields = Fields::open(document, "the job")?;
        for name in ["id", "name", "version"] {
            fields.string(name)?;
        }
        let user = fields.string("user")?;
        let command = CommandLimits::read(fields.take("command"))?;
        let cluster = Cluster::read(fields.take("cluster"), user.as_deref())?;
        let context = fields.take("context").ok_or_else(|| {
            invalid("context", "the job has no 'context'")
                .hint(r#"add "context": {"query": "SELECT …"}"#)
        })?;
        read_context(context, command, cluster, user)
    }

    /// Whether the command lets a statement read `table`.
    #[must_use]
    pub fn allows_table(&self, table: &str) -> bool {
        self.tables
            .as_ref()
            .is_none_or(|tables| tables.iter().any(|pattern| matches(pattern, table)))
    }
}

fn read_context(
    context: &RawValue,
    command: CommandLimits,
    cluster: Cluster,
    user: Option<String>,
) -> Result<Job, Error> {
    const KNOWN: [&str; 12] = [
        "query",
        "limit",
        "parameters",
        "consistent_read",
        "timeout_seconds",
        "max_result_bytes",
        "max_pages",
        "max_consumed_capacity_units",
        "on_budget",
        "next_token",
        "total_segments",
        "segment",
    ];
    let mut context = Fields::open(context, "context")?;
    context.refuse_unknown(&KNOWN)?;
    let query = read_query(&mut context)?;
    let parameters = context
        .take("parameters")
        .map_or(Ok(Vec::new()), parameters::read)?;
    let (total_segments, segment) = command.segments(
        context.integer("total_segments", 1)?,
        context.integer("segment", 0)?,
    )?;
    let job = Job {
        query,
        parameters,
        limit: command.limit(context.integer("limit", 0)?)?,
        consistent_read: context
            .boolean("consistent_read")?
            .or(command.consistent_read)
            .unwrap_or(false),
        timeout: command.timeout(context.seconds("timeout_seconds")?)?,
        max_result_bytes: command.max_result_bytes(context.integer("max_result_bytes", 1)?)?,
        budget: Budget {
            max_pages: command.max_pages(context.integer("max_pages", 1)?)?,
            max_capacity_units: command
                .max_capacity_units(context.positive("max_consumed_capacity_units", UNITS)?)?,
            truncate: context.word("on_budget", &["fail", "truncate"])? == Some(1),
        },
        next_token: context.string("next_token")?,
        total_segments,
        segment,
        tables: command.tables,
        cluster,
        user,
    };
    refuse_contradictions(&job)?;
    Ok(job)
}

fn read_query(context: &mut Fields<'_>) -> Result<String, Error> {
    const FIELD: &str = "context.query";
    let query = context.string("query")?.ok_or_else(|| {
        invalid(FIELD, "context has no 'query'").hint(r#"add "query": "SELECT … FROM …""#)
    })?;
    let characters = query.chars().count();
    if characters == 0 {
        return Err(invalid(FIELD, "context.query is empty").hint("write one SELECT"));
    }
    if characters > MAX_QUERY_CHARS {
        return Err(invalid(FIELD, format!("context.query has {characters} characters, more than the {MAX_QUERY_CHARS} that DynamoDB takes"))
            .hint("put long values into parameters and write ? in their place"));
    }
    Ok(query)
}

/// Fields that are right each but exclude one another.
fn refuse_contradictions(job: &Job) -> Result<(), Error> {
    if job.next_token.is_some() && (job.total_segments > 1 || job.segment.is_some()) {
        return Err(invalid(
            "context.next_token",
            "context.next_token goes on where one reader stopped, so it cannot be given with segments",
        )
        .hint("leave out total_segments and segment, or next_token"));
    }
    if let (Some(segment), Some(limit)) = (job.segment, job.limit) {
        return Err(invalid(
            "context.segment",
            format!("context.segment is {segment}, but a limit of {limit} is in force, and a segment is read whole"),
        )
        .hint("leave out the segment, or set limit to 0 where the command has no max_limit"));
    }
    Ok(())
}

/// An `INVALID_JOB` that names the field at fault.
fn invalid(field: impl Into<String>, message: impl Into<String>) -> Error {
    Error::new(ErrorCode::INVALID_JOB, message).field(field)
}

/// Whether `text` is what `pattern` describes, `*` standing for any characters.
fn matches(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|first| text.strip_prefix(first)) else {
        return false;
    };
    let Some(last) = pattern.rsplit_once('*').map(|(_, last)| last) else {
        return rest.is_empty();
    };
    // The leftmost match of each middle part leaves the most for the others, so this never has to go back.
    for part in parts.clone().take(parts.count() - 1) {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}
