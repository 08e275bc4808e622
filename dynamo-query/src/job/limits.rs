//! The command's context: the operator's defaults and ceilings, and what a job's own wishes become under them.

use std::time::Duration;

use plugin_api::Error;
use serde_json::value::RawValue;

use super::{DEFAULT_MAX_RESULT_BYTES, document::Fields, invalid};

/// What the command sets, checked against itself.
#[derive(Debug, Default)]
pub(super) struct Command {
    limit: Option<u64>,
    max_limit: Option<u64>,
    timeout: Option<Duration>,
    max_timeout: Option<Duration>,
    max_result_bytes: Option<u64>,
    pub(super) consistent_read: Option<bool>,
    pub(super) tables: Option<Vec<String>>,
}

impl Command {
    pub(super) fn read(command: Option<&RawValue>) -> Result<Self, Error> {
        const KNOWN: [&str; 7] = [
            "limit",
            "max_limit",
            "timeout_seconds",
            "max_timeout_seconds",
            "max_result_bytes",
            "consistent_read",
            "tables",
        ];
        let Some(command) = command else {
            return Ok(Self::default());
        };
        let mut command = Fields::open(command, "command")?;
        command.string("name")?;
        let Some(context) = command.take("context") else {
            return Ok(Self::default());
        };
        let mut context = Fields::open(context, "command.context")?;
        context.refuse_unknown(&KNOWN)?;
        let read = Self {
            limit: context.integer("limit", 0)?,
            max_limit: context.integer("max_limit", 1)?,
            timeout: context.seconds("timeout_seconds")?,
            max_timeout: context.seconds("max_timeout_seconds")?,
            max_result_bytes: context.integer("max_result_bytes", 1)?,
            consistent_read: context.boolean("consistent_read")?,
            tables: context.strings("tables")?,
        };
        read.refuse_default_above_ceiling()?;
        Ok(read)
    }

    fn refuse_default_above_ceiling(&self) -> Result<(), Error> {
        let above = |field: &str, default: String, ceiling: String| {
            invalid(format!(
                "command.context.{field} is {default}, above its own ceiling max_{field} {ceiling}"
            ))
            .hint("the command is misconfigured: lower the default or raise the ceiling")
        };
        match (self.limit, self.max_limit) {
            (Some(default), Some(ceiling)) if default > ceiling => {
                return Err(above("limit", default.to_string(), ceiling.to_string()));
            }
            _ => {}
        }
        match (self.timeout, self.max_timeout) {
            (Some(default), Some(ceiling)) if default > ceiling => {
                Err(above("timeout_seconds", seconds(default), seconds(ceiling)))
            }
            _ => Ok(()),
        }
    }

    /// The job's limit: its own, else the default, else the ceiling; 0 asks for none and gets the ceiling.
    pub(super) fn limit(&self, wish: Option<u64>) -> Result<Option<u64>, Error> {
        match (wish, self.max_limit) {
            (Some(wish), Some(ceiling)) if wish > ceiling => Err(over(
                "limit",
                &wish.to_string(),
                "max_limit",
                &ceiling.to_string(),
            )),
            (wish, ceiling) => Ok(wish.or(self.limit).filter(|limit| *limit > 0).or(ceiling)),
        }
    }

    /// The job's time: its own, else the default, else the ceiling.
    pub(super) fn timeout(&self, wish: Option<Duration>) -> Result<Option<Duration>, Error> {
        match (wish, self.max_timeout) {
            (Some(wish), Some(ceiling)) if wish > ceiling => Err(over(
                "timeout_seconds",
                &seconds(wish),
                "max_timeout_seconds",
                &seconds(ceiling),
            )),
            (wish, ceiling) => Ok(wish.or(self.timeout).or(ceiling)),
        }
    }

    /// The job's largest result: its own, else the command's, else 1 GiB.
    pub(super) fn max_result_bytes(&self, wish: Option<u64>) -> Result<u64, Error> {
        match (wish, self.max_result_bytes) {
            (Some(wish), Some(ceiling)) if wish > ceiling => Err(over(
                "max_result_bytes",
                &wish.to_string(),
                "max_result_bytes",
                &ceiling.to_string(),
            )),
            (wish, ceiling) => Ok(wish.or(ceiling).unwrap_or(DEFAULT_MAX_RESULT_BYTES)),
        }
    }
}

fn over(field: &str, wish: &str, ceiling_field: &str, ceiling: &str) -> Error {
    invalid(format!(
        "context.{field} is {wish}, above the command's {ceiling_field} of {ceiling}"
    ))
    .hint(format!(
        "ask for at most {ceiling}, or ask the operator to raise the command's {ceiling_field}"
    ))
}

fn seconds(duration: Duration) -> String {
    duration.as_secs_f64().to_string()
}
