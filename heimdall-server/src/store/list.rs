//! Lists of jobs: what is asked, the position in a list, and the janitor's own lists. A page is found in `page.rs`.
//!
//! A cursor names the last job that was seen, by the value it is ordered by and its number, so that nothing is left out or repeated
//! while jobs come and go. It belongs to its order.

use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use rusqlite::Connection;

use super::{Pattern, StoreError};
use crate::job::{JobRecord, JobStatus};

/// How many jobs one round of the janitor removes, so that it never holds up a commit for long.
const BATCH: u64 = 200;

/// What jobs are ordered by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OrderBy {
    /// The id.
    Id,
    /// When they were accepted: in seconds, and within one in the order of acceptance.
    #[default]
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

/// The position after a job in a list of one order and direction.
#[derive(Debug, Clone, PartialEq)]
pub struct Cursor {
    pub(super) value: serde_json::Value,
    pub(super) seq: i64,
    order: &'static str,
}

/// The word in a cursor that ties it to its order.
fn order_word(order: OrderBy, direction: Direction) -> &'static str {
    match (order, direction) {
        (OrderBy::Id, Direction::Ascending) => "id+",
        (OrderBy::Id, Direction::Descending) => "id-",
        (OrderBy::CreatedAt, Direction::Ascending) => "created+",
        (OrderBy::CreatedAt, Direction::Descending) => "created-",
        (OrderBy::UpdatedAt, Direction::Ascending) => "updated+",
        (OrderBy::UpdatedAt, Direction::Descending) => "updated-",
    }
}

impl Cursor {
    /// Reads a cursor; `None` where it is none, or belongs to another order or direction.
    #[must_use]
    pub fn decode(text: &str, order: OrderBy, direction: Direction) -> Option<Self> {
        let unpadded = text.trim_end_matches('=');
        let bytes = URL_SAFE_NO_PAD
            .decode(unpadded)
            .or_else(|_| STANDARD.decode(text))
            .ok()?;
        #[derive(serde::Deserialize)]
        struct Parts {
            v: serde_json::Value,
            i: i64,
            o: String,
        }
        let Parts {
            v: value,
            i: seq,
            o: found,
        } = serde_json::from_slice(&bytes).ok()?;
        let fits = match order {
            OrderBy::Id => value.is_string(),
            OrderBy::CreatedAt | OrderBy::UpdatedAt => value.is_i64(),
        };
        let order = order_word(order, direction);
        (fits && found == order).then_some(Self { value, seq, order })
    }

    /// The cursor as text that fits into a URL as it is.
    #[must_use]
    pub fn encode(&self) -> String {
        let parts = serde_json::json!({"v": self.value, "i": self.seq, "o": self.order});
        URL_SAFE_NO_PAD.encode(parts.to_string())
    }

    /// The position after a job in a query's order.
    pub(super) fn at(query: &JobQuery, value: serde_json::Value, seq: i64) -> Self {
        Self {
            value,
            seq,
            order: order_word(query.order, query.direction),
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
    /// The position to go on from.
    pub cursor: Option<Cursor>,
    /// The most jobs on the page.
    pub limit: u32,
}

/// One page.
#[derive(Debug)]
pub struct JobsPage {
    /// The jobs.
    pub jobs: Vec<JobRecord>,
    /// Where the next page begins; `None` on the last one.
    pub next: Option<Cursor>,
}

/// Whether a job's result is a file of its own.
const HAS_FILE: &str = "result_bytes IS NOT NULL AND NOT EXISTS (SELECT 1 FROM payloads WHERE payloads.seq = jobs.seq AND result IS NOT NULL)";

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

/// The jobs whose results are files.
pub(super) fn with_files(connection: &Connection) -> Result<Vec<i64>, StoreError> {
    let jobs = seqs(connection, "result_bytes IS NOT NULL")?;
    let jobs = jobs.into_iter().filter(|(_, has_file)| *has_file);
    Ok(jobs.map(|(seq, _)| seq).collect())
}

/// See [`super::Store::oldest_with_bytes`].
pub(super) fn oldest_with_bytes(
    connection: &Connection,
    bytes: u64,
) -> Result<Vec<(i64, bool)>, StoreError> {
    let sql = format!(
        "SELECT seq, {HAS_FILE}, result_bytes FROM jobs WHERE {FINISHED} AND result_bytes > 0 ORDER BY seq LIMIT {BATCH}"
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query([])?;
    let (mut jobs, mut left) = (Vec::new(), i64::try_from(bytes).unwrap_or(i64::MAX));
    while left > 0
        && let Some(row) = rows.next()?
    {
        jobs.push((row.get(0)?, row.get(1)?));
        left = left.saturating_sub(row.get(2)?);
    }
    Ok(jobs)
}

fn seqs(connection: &Connection, rest: &str) -> Result<Vec<(i64, bool)>, StoreError> {
    let mut statement =
        connection.prepare(&format!("SELECT seq, {HAS_FILE} FROM jobs WHERE {rest}"))?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}
