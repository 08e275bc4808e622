//! One line per job for the operator's records: who read what as whom, how much of it, at which cost, and how it ended.
//!
//! Never the statement, its literals or its parameters.

use std::fmt::Write;

use dynamo_decode::Stats;
use plugin_api::{Error, JobCtx, Level};

use crate::{job::Job, session::Session, statement::Statement};

/// Most lines are shorter.
const LINE_BYTES: usize = 256;

/// What is known of a job by the time it ends.
#[derive(Debug, Default)]
pub(crate) struct Audit {
    user: Option<String>,
    role: Option<String>,
    region: Option<String>,
    table: Option<String>,
    index: Option<String>,
    stats: Stats,
}

impl Audit {
    pub(crate) fn job(&mut self, job: &Job) {
        self.user.clone_from(&job.user);
        self.role = job.cluster.role.as_ref().map(|role| role.arn.clone());
    }

    pub(crate) fn statement(&mut self, statement: &Statement) {
        self.table = Some(statement.table.clone());
        self.index.clone_from(&statement.index);
    }

    pub(crate) fn session(&mut self, session: &Session) {
        self.region = Some(session.region.clone());
    }

    pub(crate) fn stats(&mut self, stats: &Stats) {
        self.stats = stats.clone();
    }

    /// Writes the line: `key=value`, absent values as `-`, odd ones in quotes.
    pub(crate) fn write(self, ctx: &JobCtx, error: Option<&Error>) {
        let mut line = String::with_capacity(LINE_BYTES);
        let texts = [
            ("user", self.user),
            ("role", self.role),
            ("region", self.region),
            ("table", self.table),
            ("index", self.index),
        ];
        for (key, value) in texts {
            line.push_str(key);
            line.push('=');
            push_quoted(&mut line, value.as_deref().unwrap_or("-"));
            line.push(' ');
        }
        let Stats {
            rows,
            pages,
            requests,
            retries,
            ..
        } = self.stats;
        let _ = write!(
            line,
            "rows={rows} pages={pages} requests={requests} retries={retries} capacity="
        );
        let _ = match self.stats.consumed_capacity_units {
            Some(units) => write!(line, "{units}"),
            None => write!(line, "-"),
        };
        let _ = write!(
            line,
            " elapsed_ms={} outcome={}",
            ctx.started().elapsed().as_millis(),
            error.map_or("OK", |error| error.code.as_str()),
        );
        ctx.log(Level::Info, "dynamo::audit", &line);
    }
}

/// Adds a value as it is, or in quotes with escapes where it could be taken for another field or another line.
fn push_quoted(line: &mut String, value: &str) {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_.:/@+-*,".contains(c);
    if !value.is_empty() && value.chars().all(plain) {
        line.push_str(value);
    } else {
        let _ = write!(line, "{value:?}");
    }
}
