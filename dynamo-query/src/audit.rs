//! One line per job for the operator's records: who read what as whom, how much of it, at which cost, and how it ended.
//!
//! Never the statement, its literals or its parameters.

use std::fmt::Write;

use plugin_api::{Error, JobCtx, Level};

use crate::{job::Job, session::Session, statement::Statement, table::Stats};

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
        let mut line = String::new();
        let texts = [
            ("user", self.user),
            ("role", self.role),
            ("region", self.region),
            ("table", self.table),
            ("index", self.index),
        ];
        for (key, value) in texts {
            let value = value.map_or("-".to_owned(), |value| quoted(&value));
            let _ = write!(line, "{key}={value} ");
        }
        let Stats {
            rows,
            pages,
            requests,
            retries,
            ..
        } = self.stats;
        let capacity = self
            .stats
            .consumed_capacity_units
            .map_or("-".to_owned(), |units| units.to_string());
        let _ = write!(
            line,
            "rows={rows} pages={pages} requests={requests} retries={retries} capacity={capacity} elapsed_ms={} outcome={}",
            ctx.started().elapsed().as_millis(),
            error.map_or("OK", |error| error.code.as_str()),
        );
        ctx.log(Level::Info, "dynamo::audit", &line);
    }
}

/// A value as it is, or in quotes with escapes where it could be taken for another field or another line.
fn quoted(value: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_.:/@+-*,".contains(c);
    if !value.is_empty() && value.chars().all(plain) {
        value.to_owned()
    } else {
        format!("{value:?}")
    }
}
