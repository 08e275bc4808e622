//! Lists of jobs: filtered, ordered, a page at a time.
//!
//! In: a checked query. Out: one page and whether there is more. A cursor names the last row that was seen, by its sort value
//! and its number, so that nothing is left out or repeated while jobs come and go.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use rusqlite::types::{ToSql, Value};
use rusqlite::{Connection, params_from_iter};

use super::{Pattern, StoreError, rows};
use crate::job::{Job, JobStatus};

/// How many jobs one round of the janitor removes, so that it never holds up a commit for long.
const BATCH: u64 = 200;

/// What jobs are ordered by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OrderBy {
    /// The order of acceptance.
    #[default]
    Acceptance,
    /// The id.
    Id,
    /// When they were accepted, in seconds.
    CreatedAt,
    /// When they last changed, in seconds.
    UpdatedAt,
}

/// Which way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Direction {
    /// Smallest first.
    Ascending,
    /// Largest first.
    #[default]
    Descending,
}

/// The place after a job in a list.
#[derive(Debug, Clone, PartialEq)]
pub struct Cursor {
    pub(super) value: serde_json::Value,
    pub(super) seq: i64,
}

impl Cursor {
    /// Reads a cursor; `None` where it is none, or belongs to another order.
    #[must_use]
    pub fn decode(text: &str, order: OrderBy) -> Option<Self> {
        let unpadded = text.trim_end_matches('=');
        let bytes = URL_SAFE_NO_PAD
            .decode(unpadded)
            .or_else(|_| STANDARD.decode(text))
            .ok()?;
        #[derive(serde::Deserialize)]
        struct Parts {
            v: serde_json::Value,
            i: i64,
        }
        let Parts { v: value, i: seq } = serde_json::from_slice(&bytes).ok()?;
        let fits = match order {
            OrderBy::Id => value.is_string(),
            OrderBy::Acceptance | OrderBy::CreatedAt | OrderBy::UpdatedAt => value.is_i64(),
        };
        fits.then_some(Self { value, seq })
    }

    /// The cursor as text that fits into a URL as it is.
    #[must_use]
    pub fn encode(&self) -> String {
        URL_SAFE_NO_PAD.encode(serde_json::json!({"v": self.value, "i": self.seq}).to_string())
    }

    fn after(job: &Job, order: OrderBy) -> Self {
        let value = match order {
            OrderBy::Acceptance => job.seq.into(),
            OrderBy::Id => job.id.clone().into(),
            OrderBy::CreatedAt => job.created_at.into(),
            OrderBy::UpdatedAt => job.updated_at.into(),
        };
        Self {
            value,
            seq: job.seq,
        }
    }
}

/// Which jobs are asked for.
#[derive(Debug, Clone, Default)]
pub struct JobQuery {
    /// Filters by text: column and pattern.
    pub patterns: Vec<(&'static str, Pattern)>,
    /// Statuses; empty: all.
    pub statuses: Vec<JobStatus>,
    /// Tags that a job must carry, all of them.
    pub tags: Vec<String>,
    /// Accepted at or after, seconds since 1970.
    pub created_after: Option<i64>,
    /// Accepted before, seconds since 1970.
    pub created_before: Option<i64>,
    /// What they are ordered by.
    pub order: OrderBy,
    /// Which way.
    pub direction: Direction,
    /// The place to go on from.
    pub cursor: Option<Cursor>,
    /// The most jobs on the page.
    pub limit: u32,
}

/// One page.
#[derive(Debug)]
pub struct JobsPage {
    /// The jobs.
    pub jobs: Vec<Job>,
    /// Where the next page begins; `None` on the last one.
    pub next: Option<Cursor>,
}

pub(super) fn page(connection: &Connection, query: &JobQuery) -> Result<JobsPage, StoreError> {
    let (sql, values) = statement(query);
    let mut statement = connection.prepare_cached(&sql)?;
    let parameters = params_from_iter(values.iter().map(|value| value as &dyn ToSql));
    let mut jobs: Vec<Job> = statement
        .query_map(parameters, rows::read)?
        .collect::<Result<_, _>>()?;
    let limit = usize::try_from(query.limit).unwrap_or(usize::MAX);
    let more = jobs.len() > limit;
    jobs.truncate(limit);
    let next = jobs
        .last()
        .filter(|_| more)
        .map(|job| Cursor::after(job, query.order));
    Ok(JobsPage { jobs, next })
}

/// Column names come from this file alone; everything that a client wrote is a bound value.
fn statement(query: &JobQuery) -> (String, Vec<Value>) {
    let mut conditions: Vec<String> = Vec::new();
    let mut values: Vec<Value> = Vec::new();
    for (column, pattern) in &query.patterns {
        let (operator, value) = pattern.condition();
        conditions.push(format!("{column} {operator} ?"));
        values.push(value.to_owned().into());
    }
    if !query.statuses.is_empty() {
        let numbers: Vec<_> = query
            .statuses
            .iter()
            .map(|status| status.number().to_string())
            .collect();
        conditions.push(format!("status IN ({})", numbers.join(", ")));
    }
    for tag in &query.tags {
        conditions.push(
            "EXISTS (SELECT 1 FROM json_each(jobs.tags) WHERE json_each.value = ?)".to_owned(),
        );
        values.push(tag.clone().into());
    }
    for (operator, time) in [(">=", query.created_after), ("<", query.created_before)] {
        if let Some(time) = time {
            conditions.push(format!("created_at {operator} ?"));
            values.push(time.into());
        }
    }
    let column = match query.order {
        OrderBy::Acceptance => "seq",
        OrderBy::Id => "id",
        OrderBy::CreatedAt => "created_at",
        OrderBy::UpdatedAt => "updated_at",
    };
    let (word, beyond) = match query.direction {
        Direction::Ascending => ("ASC", ">"),
        Direction::Descending => ("DESC", "<"),
    };
    if let Some(cursor) = &query.cursor {
        conditions.push(format!("({column}, seq) {beyond} (?, ?)"));
        values.push(match &cursor.value {
            serde_json::Value::String(text) => text.clone().into(),
            number => number.as_i64().unwrap_or_default().into(),
        });
        values.push(cursor.seq.into());
    }
    let filter = if conditions.is_empty() {
        String::new()
    } else {
        format!("WHERE {}", conditions.join(" AND "))
    };
    values.push((i64::from(query.limit) + 1).into());
    let sql = format!(
        "SELECT {} FROM jobs {filter} ORDER BY {column} {word}, seq {word} LIMIT ?",
        rows::COLUMNS
    );
    (sql, values)
}

/// A status that a job ends with.
const FINISHED: &str = "status IN (4, 5, 6, 8)";

/// See [`super::Store::outdated`].
pub(super) fn outdated(
    connection: &Connection,
    cutoff: i64,
) -> Result<Vec<(i64, bool)>, StoreError> {
    seqs(
        connection,
        &format!("{FINISHED} AND updated_at < {cutoff} ORDER BY updated_at LIMIT {BATCH}"),
    )
}

/// See [`super::Store::finished`].
pub(super) fn finished(connection: &Connection) -> Result<u64, StoreError> {
    let sql = format!("SELECT count(*) FROM jobs WHERE {FINISHED}");
    let finished: i64 = connection
        .prepare_cached(&sql)?
        .query_row([], |row| row.get(0))?;
    Ok(u64::try_from(finished).unwrap_or(0))
}

/// See [`super::Store::oldest`].
pub(super) fn oldest(
    connection: &Connection,
    at_most: u64,
) -> Result<Vec<(i64, bool)>, StoreError> {
    let n_jobs = at_most.min(BATCH);
    seqs(
        connection,
        &format!("{FINISHED} ORDER BY seq LIMIT {n_jobs}"),
    )
}

fn seqs(connection: &Connection, rest: &str) -> Result<Vec<(i64, bool)>, StoreError> {
    let has_file = "result_bytes IS NOT NULL AND NOT EXISTS (SELECT 1 FROM payloads WHERE payloads.seq = jobs.seq AND result IS NOT NULL)";
    let mut statement =
        connection.prepare(&format!("SELECT seq, {has_file} FROM jobs WHERE {rest}"))?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}
