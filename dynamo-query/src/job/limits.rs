//! The command's context: the operator's defaults and ceilings, and what a job's own wishes become under them.

use std::time::Duration;

use plugin_api::Error;
use serde_json::value::RawValue;

use super::{MAX_SEGMENTS, document::Fields, invalid};

/// What a budget of capacity must be, for messages.
pub(super) const UNITS: &str = "a number of capacity units";

/// What the command sets, checked against itself.
#[derive(Debug, Default)]
pub(super) struct CommandLimits {
    limit: Option<u64>,
    max_limit: Option<u64>,
    timeout: Option<Duration>,
    max_timeout: Option<Duration>,
    max_result_bytes: Option<u64>,
    max_pages: Option<u64>,
    max_capacity_units: Option<f64>,
    /// `None`: the document has no command, and so no ceiling.
    max_total_segments: Option<u64>,
    pub(super) consistent_read: Option<bool>,
    pub(super) tables: Option<Vec<String>>,
}

impl CommandLimits {
    pub(super) fn read(command: Option<&RawValue>) -> Result<Self, Error> {
        const KNOWN: [&str; 10] = [
            "limit",
            "max_limit",
            "timeout_seconds",
            "max_timeout_seconds",
            "max_result_bytes",
            "max_pages",
            "max_consumed_capacity_units",
            "max_total_segments",
            "consistent_read",
            "tables",
        ];
        let Some(command) = command else {
            return Ok(Self::default());
        };
        let mut command = Fields::open(command, "command")?;
        command.string("name")?;
        let context = command.take("context");
        let mut context = context.map_or(Ok(Fields::absent("command.context")), |context| {
            Fields::open(context, "command.context")
        })?;
        context.refuse_unknown(&KNOWN)?;
        let read = Self {
            limit: context.integer("limit", 0)?,
            max_limit: context.integer("max_limit", 1)?,
            timeout: context.seconds("timeout_seconds")?,
            max_timeout: context.seconds("max_timeout_seconds")?,
            max_result_bytes: context.integer("max_result_bytes", 1)?,
            max_pages: context.integer("max_pages", 1)?,
            max_capacity_units: context.positive("max_consumed_capacity_units", UNITS)?,
            // More than one segment costs the same capacity in less time, so it is the operator's to allow.
            max_total_segments: Some(context.integer("max_total_segments", 1)?.unwrap_or(1)),
            consistent_read: context.boolean("consistent_read")?,
            tables: context.strings("tables")?,
        };
        read.refuse_default_above_ceiling()?;
        Ok(read)
    }

    fn refuse_default_above_ceiling(&self) -> Result<(), Error> {
        let above = |field: &str, default: String, ceiling: String| {
            let path = format!("command.context.{field}");
            let message =
                format!("{path} is {default}, above its own ceiling max_{field} {ceiling}");
            invalid(path, message)
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

    /// The job's largest result: its own, else the command's.
    pub(super) fn max_result_bytes(&self, wish: Option<u64>) -> Result<Option<u64>, Error> {
        default_and_ceiling("max_result_bytes", wish, self.max_result_bytes)
    }

    /// The job's most pages: its own, else the command's.
    pub(super) fn max_pages(&self, wish: Option<u64>) -> Result<Option<u64>, Error> {
        default_and_ceiling("max_pages", wish, self.max_pages)
    }

    /// The job's most capacity units: its own, else the command's.
    pub(super) fn max_capacity_units(&self, wish: Option<f64>) -> Result<Option<f64>, Error> {
        default_and_ceiling("max_consumed_capacity_units", wish, self.max_capacity_units)
    }

    /// Into how many segments the job's table is divided, and which one of them is read, if not all.
    pub(super) fn segments(
        &self,
        total: Option<u64>,
        segment: Option<u64>,
    ) -> Result<(u32, Option<u32>), Error> {
        let total = total.unwrap_or(1);
        let count = u32::try_from(total).ok().filter(|n| *n <= MAX_SEGMENTS);
        let Some(count) = count else {
            return Err(invalid(
                "context.total_segments",
                format!(
                    "context.total_segments is {total}, more than the {MAX_SEGMENTS} that DynamoDB takes"
                ),
            ));
        };
        let ceiling = self.max_total_segments.unwrap_or(u64::MAX);
        // One segment of many is another machine's share, of which this command's ceiling cannot know.
        if total > ceiling && (segment.is_none() || ceiling == 1) {
            let (total, ceiling) = (total.to_string(), ceiling.to_string());
            return Err(over(
                "total_segments",
                &total,
                "max_total_segments",
                &ceiling,
            ));
        }
        let Some(segment) = segment else {
            return Ok((count, None));
        };
        if ceiling == 1 {
            return Err(invalid(
                "context.segment",
                format!("context.segment is {segment}, but the command allows no segments"),
            )
            .hint("leave it out, or ask the operator to raise the command's max_total_segments"));
        }
        match u32::try_from(segment).ok().filter(|only| *only < count) {
            Some(only) => Ok((count, Some(only))),
            None => Err(invalid(
                "context.segment",
                format!("context.segment is {segment}, but must be below total_segments, which is {total}"),
            )
            .hint("segments are counted from 0")),
        }
    }
}

/// The job's value where the command's is the default and the ceiling at once.
fn default_and_ceiling<T: PartialOrd + ToString>(
    field: &str,
    wish: Option<T>,
    command: Option<T>,
) -> Result<Option<T>, Error> {
    match (wish, command) {
        (Some(wish), Some(ceiling)) if wish > ceiling => {
            Err(over(field, &wish.to_string(), field, &ceiling.to_string()))
        }
        (wish, command) => Ok(wish.or(command)),
    }
}

fn over(field: &str, wish: &str, ceiling_field: &str, ceiling: &str) -> Error {
    let path = format!("context.{field}");
    let message = format!("{path} is {wish}, above the command's {ceiling_field} of {ceiling}");
    invalid(path, message).hint(format!(
        "ask for at most {ceiling}, or ask the operator to raise the command's {ceiling_field}"
    ))
}

fn seconds(duration: Duration) -> String {
    duration.as_secs_f64().to_string()
}
