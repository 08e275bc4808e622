//! A job's record to and from its row.

use std::{path::Path, time::Duration};

use rusqlite::{
    Connection, OpenFlags, OptionalExtension, Row, params,
    types::{Type, Value},
};
use serde_json::value::RawValue;

use super::StoreError;
use crate::job::{JobRecord, JobStatus, Route, is_system_tag};

/// The columns that [`read`] expects, in its order.
pub(super) const COLUMNS: &str = "seq, id, name, version, description, user, tags, context, command_criteria, cluster_criteria, is_sync, \
    command_id, command_name, cluster_id, cluster_name, plugin, status, error, error_document, plugin_version, canceled_by, \
    created_at, updated_at, attempts, traceparent, result_rows";

/// What a job decides once is written once; the rest follows each put.
const UPSERT: &str = "
INSERT INTO jobs (seq, id, name, version, description, user, tags, context, command_criteria, cluster_criteria, is_sync,
    command_id, command_name, cluster_id, cluster_name, plugin, status, error, error_document, plugin_version, canceled_by,
    created_at, updated_at, attempts, result_bytes, traceparent, result_rows)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23, ?24, ?25, ?26,
    ?27)
ON CONFLICT (seq) DO UPDATE SET status = ?17, error = ?18, error_document = ?19, plugin_version = ?20, canceled_by = ?21,
    updated_at = ?23, attempts = ?24, result_bytes = ?25, result_rows = ?27";

pub(super) fn open_for_reading(path: &Path) -> Result<Connection, StoreError> {
    let connection = Connection::open_with_flags(
        path,
        OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )?;
    connection.busy_timeout(Duration::from_secs(10))?;
    Ok(connection)
}

/// A connection that shows the store as it is now, whatever is written later.
pub(super) fn snapshot(path: &Path) -> Result<Connection, StoreError> {
    let connection = open_for_reading(path)?;
    connection.execute_batch("BEGIN; SELECT id FROM store LIMIT 1")?;
    Ok(connection)
}

pub(super) fn write(
    connection: &Connection,
    job: &JobRecord,
    result_bytes: Option<u64>,
) -> Result<(), StoreError> {
    let result_bytes = result_bytes.map(|bytes| i64::try_from(bytes).unwrap_or(i64::MAX));
    connection.prepare_cached(UPSERT)?.execute(params![
        job.seq,
        job.id,
        job.name,
        job.version,
        job.description,
        job.user,
        job.tags.get(),
        job.context.as_ref().map(|context| context.get()),
        job.command_criteria.get(),
        job.cluster_criteria.get(),
        job.is_sync,
        job.route.command_id,
        job.route.command_name,
        job.route.cluster_id,
        job.route.cluster_name,
        job.route.plugin,
        job.status.number(),
        job.error,
        job.error_document,
        job.plugin_version,
        job.cancelled_by,
        job.created_at,
        job.updated_at,
        job.attempts,
        result_bytes,
        job.traceparent,
        job.rows.map(|rows| i64::try_from(rows).unwrap_or(i64::MAX)),
    ])?;
    for tag in own_tags(job.tags.get()) {
        connection
            .prepare_cached(
                "INSERT OR IGNORE INTO job_tags (tag, created_at, seq) VALUES (?, ?, ?)",
            )?
            .execute(params![tag, job.created_at, job.seq])?;
    }
    Ok(())
}

/// Takes a job's tags out of their index; its row must still be there.
pub(super) fn delete_tags(connection: &Connection, seq: i64) -> Result<(), StoreError> {
    let mut statement =
        connection.prepare_cached("SELECT tags, created_at FROM jobs WHERE seq = ?")?;
    let row = statement.query_row([seq], |row| Ok((row.get(0)?, row.get(1)?)));
    let Some((tags, created_at)): Option<(Value, Value)> = row.optional()? else {
        return Ok(());
    };
    // A damaged record can be deleted as well.
    let tags = match &tags {
        Value::Text(tags) => tags,
        _ => "",
    };
    for tag in own_tags(tags) {
        connection
            .prepare_cached("DELETE FROM job_tags WHERE tag = ? AND created_at = ? AND seq = ?")?
            .execute(params![tag, created_at, seq])?;
    }
    Ok(())
}

/// A job's tags without the system's own, which say what columns say.
fn own_tags(tags: &str) -> Vec<String> {
    let mut tags: Vec<String> = serde_json::from_str(tags).unwrap_or_default();
    tags.retain(|tag| !is_system_tag(tag));
    tags
}

pub(super) fn read(row: &Row<'_>) -> rusqlite::Result<JobRecord> {
    Ok(JobRecord {
        seq: row.get(0)?,
        id: row.get(1)?,
        name: row.get(2)?,
        version: row.get(3)?,
        description: row.get(4)?,
        user: row.get(5)?,
        tags: json(6, row.get(6)?)?,
        context: row
            .get::<_, Option<String>>(7)?
            .map(|text| json(7, text))
            .transpose()?,
        command_criteria: json(8, row.get(8)?)?,
        cluster_criteria: json(9, row.get(9)?)?,
        is_sync: row.get(10)?,
        route: Route {
            command_id: row.get(11)?,
            command_name: row.get(12)?,
            cluster_id: row.get(13)?,
            cluster_name: row.get(14)?,
            plugin: row.get(15)?,
        },
        status: status(row.get(16)?)?,
        error: row.get(17)?,
        error_document: row.get(18)?,
        plugin_version: row.get(19)?,
        cancelled_by: row.get(20)?,
        created_at: row.get(21)?,
        updated_at: row.get(22)?,
        attempts: row.get(23)?,
        traceparent: row.get(24)?,
        rows: row
            .get::<_, Option<i64>>(25)?
            .and_then(|rows| u64::try_from(rows).ok()),
    })
}

/// A record as it is in the store.
#[derive(Debug)]
pub enum Recorded {
    /// All of it.
    Whole(JobRecord),
    /// What can be read of it, as a job whose status is not known, and why the rest cannot.
    Unreadable(JobRecord, StoreError),
}

/// Reads a record that may be damaged: values of a wrong type, texts that are no JSON, a status that is none.
pub(super) fn recorded(row: &Row<'_>) -> rusqlite::Result<Recorded> {
    Ok(match read(row) {
        Ok(job) => Recorded::Whole(job),
        Err(error) => Recorded::Unreadable(salvaged(row)?, error.into()),
    })
}

/// What can be read of a record, with nothing where a column has no value that can be one.
fn salvaged(row: &Row<'_>) -> rusqlite::Result<JobRecord> {
    let text = |column| row.get::<_, String>(column).ok();
    let some = |column| text(column).unwrap_or_default();
    let number = |column| row.get::<_, i64>(column).unwrap_or_default();
    let json = |column, or: &str| {
        let found = text(column).and_then(|text| RawValue::from_string(text).ok());
        found.map_or_else(|| RawValue::from_string(or.to_owned()), Ok)
    };
    let (tags, command, cluster) = (json(6, "[]"), json(8, "null"), json(9, "null"));
    // The number is the table's own key: SQLite lets it be nothing else.
    let seq = row.get(0)?;
    Ok(JobRecord {
        seq,
        id: text(1).unwrap_or_else(|| format!("unreadable-{seq}")),
        name: some(2),
        version: some(3),
        description: text(4),
        user: some(5),
        tags: tags.expect("an empty list is JSON"),
        context: text(7).and_then(|text| RawValue::from_string(text).ok()),
        command_criteria: command.expect("null is JSON"),
        cluster_criteria: cluster.expect("null is JSON"),
        is_sync: row.get(10).unwrap_or_default(),
        route: Route {
            command_id: some(11),
            command_name: some(12),
            cluster_id: some(13),
            cluster_name: some(14),
            plugin: some(15),
        },
        status: JobStatus::from_number(number(16)).unwrap_or(JobStatus::Failed),
        error: text(17),
        error_document: text(18),
        plugin_version: text(19),
        cancelled_by: text(20),
        created_at: number(21),
        updated_at: number(22),
        attempts: number(23),
        traceparent: text(24),
        rows: None,
    })
}

/// Writes a record in place of the one that has its number.
pub(super) fn replace(connection: &Connection, job: &JobRecord) -> Result<(), StoreError> {
    connection
        .prepare_cached("DELETE FROM jobs WHERE seq = ?")?
        .execute([job.seq])?;
    write(connection, job, None)
}

fn json(column: usize, text: String) -> rusqlite::Result<Box<RawValue>> {
    RawValue::from_string(text).map_err(|error| {
        rusqlite::Error::FromSqlConversionFailure(column, Type::Text, Box::new(error))
    })
}

fn status(number: i64) -> rusqlite::Result<JobStatus> {
    JobStatus::from_number(number).ok_or(rusqlite::Error::IntegralValueOutOfRange(16, number))
}
