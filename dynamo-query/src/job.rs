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

pub use cluster::{Cluster, Role, SessionPolicy};
use document::Fields;
use limits::Command;

/// The most characters that DynamoDB takes in one statement.
pub const MAX_QUERY_CHARS: usize = 8192;

/// `max_result_bytes` where the command sets none: 1 GiB.
pub const DEFAULT_MAX_RESULT_BYTES: u64 = 1 << 30;

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
    /// The largest result document, in bytes.
    pub max_result_bytes: u64,
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
        let command = Command::read(fields.take("command"))?;
        let cluster = Cluster::read(fields.take("cluster"), user.as_deref())?;
        let context = fields.take("context").ok_or_else(|| {
            invalid("the job has no 'context'").hint(r#"add "context": {"query": "SELECT …"}"#)
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
    command: Command,
    cluster: Cluster,
    user: Option<String>,
) -> Result<Job, Error> {
    const KNOWN: [&str; 6] = [
        "query",
        "limit",
        "parameters",
        "consistent_read",
        "timeout_seconds",
        "max_result_bytes",
    ];
    let mut context = Fields::open(context, "context")?;
    context.refuse_unknown(&KNOWN)?;
    let query = context.string("query")?.ok_or_else(|| {
        invalid("context has no 'query'").hint(r#"add "query": "SELECT … FROM …""#)
    })?;
    let characters = query.chars().count();
    if characters == 0 {
        return Err(invalid("context.query is empty").hint("write one SELECT"));
    }
    if characters > MAX_QUERY_CHARS {
        return Err(invalid(format!("context.query has {characters} characters, more than the {MAX_QUERY_CHARS} that DynamoDB takes"))
            .hint("put long values into parameters and write ? in their place"));
    }
    let parameters = context
        .take("parameters")
        .map_or(Ok(Vec::new()), parameters::read)?;
    Ok(Job {
        query,
        parameters,
        limit: command.limit(context.integer("limit", 0)?)?,
        consistent_read: context
            .boolean("consistent_read")?
            .or(command.consistent_read)
            .unwrap_or(false),
        timeout: command.timeout(context.seconds("timeout_seconds")?)?,
        max_result_bytes: command.max_result_bytes(context.integer("max_result_bytes", 1)?)?,
        tables: command.tables,
        cluster,
        user,
    })
}

/// An `INVALID_JOB`.
fn invalid(message: impl Into<String>) -> Error {
    Error::new(ErrorCode::INVALID_JOB, message)
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
