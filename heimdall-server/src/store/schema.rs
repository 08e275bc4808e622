//! The tables of the store, and the way from an older host's tables to them.

use rusqlite::{Connection, Transaction};
use uuid::Uuid;

use super::{StoreError, rows};

/// Bumped when the tables or files change in a way that an older host cannot read.
pub(super) const FORMAT: i64 = 2;

/// Columns that may be large stand last: a row is read up to the last column that is asked for.
const JOBS: &str = "
CREATE TABLE IF NOT EXISTS jobs (
    seq INTEGER PRIMARY KEY, id TEXT NOT NULL, name TEXT NOT NULL, version TEXT NOT NULL, user TEXT NOT NULL, is_sync INTEGER NOT NULL,
    command_id TEXT NOT NULL, command_name TEXT NOT NULL, cluster_id TEXT NOT NULL, cluster_name TEXT NOT NULL, plugin TEXT NOT NULL,
    status INTEGER NOT NULL, plugin_version TEXT, canceled_by TEXT, created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL,
    attempts INTEGER NOT NULL, result_bytes INTEGER, result_rows INTEGER, command_criteria TEXT NOT NULL, cluster_criteria TEXT NOT NULL, tags TEXT NOT NULL,
    traceparent TEXT, description TEXT, error TEXT, error_document TEXT, context TEXT);
";

/// An index for each filter, in the order of acceptance within each value. The number of a job ends each of them by itself.
const REST: &str = "
CREATE UNIQUE INDEX IF NOT EXISTS jobs_by_id ON jobs (id);
CREATE INDEX IF NOT EXISTS jobs_by_name ON jobs (name, created_at);
CREATE INDEX IF NOT EXISTS jobs_by_version ON jobs (version, created_at);
CREATE INDEX IF NOT EXISTS jobs_by_user ON jobs (user, created_at);
CREATE INDEX IF NOT EXISTS jobs_by_command_name ON jobs (command_name, created_at);
CREATE INDEX IF NOT EXISTS jobs_by_cluster_name ON jobs (cluster_name, created_at);
CREATE INDEX IF NOT EXISTS jobs_by_status ON jobs (status, created_at);
CREATE INDEX IF NOT EXISTS jobs_by_created_at ON jobs (created_at);
CREATE INDEX IF NOT EXISTS jobs_by_updated_at ON jobs (updated_at);
CREATE TABLE IF NOT EXISTS job_tags (
    tag TEXT NOT NULL, created_at INTEGER NOT NULL, seq INTEGER NOT NULL, PRIMARY KEY (tag, created_at, seq)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS payloads (seq INTEGER PRIMARY KEY, stderr TEXT NOT NULL, result BLOB, about TEXT);
CREATE TABLE IF NOT EXISTS objects (
    kind TEXT NOT NULL, id TEXT NOT NULL, created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL,
    file_status TEXT NOT NULL, status TEXT NOT NULL, PRIMARY KEY (kind, id)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS pins (
    plugin TEXT PRIMARY KEY, version TEXT NOT NULL, set_by TEXT NOT NULL, set_at INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS store (id TEXT NOT NULL);
";

/// The store behind a connection.
pub(super) struct Opened {
    /// Which store it is, among all there are.
    pub(super) id: String,
    /// Whether its result files still have the names of format 1.
    pub(super) was_format_1: bool,
}

/// Makes what is missing, and brings an older host's tables into this form, in one transaction.
pub(super) fn open(connection: &mut Connection) -> Result<Opened, StoreError> {
    let transaction = connection.transaction()?;
    let found: i64 = transaction.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    if found > FORMAT {
        return Err(StoreError::Format {
            found,
            known: FORMAT,
        });
    }
    match found {
        1 => from_format_1(&transaction)?,
        FORMAT => add_result_rows(&transaction)?,
        _ => {}
    }
    transaction.execute_batch(JOBS)?;
    transaction.execute_batch(REST)?;
    if found == 1 {
        index_tags(&transaction)?;
    }
    transaction.execute(
        "INSERT INTO store (id) SELECT ? WHERE NOT EXISTS (SELECT 1 FROM store)",
        [Uuid::new_v4().simple().to_string()],
    )?;
    let id = transaction.query_row("SELECT id FROM store", [], |row| row.get(0))?;
    transaction.pragma_update(None, "user_version", FORMAT)?;
    transaction.commit()?;
    Ok(Opened {
        id,
        was_format_1: found == 1,
    })
}

/// The first stores of this format had no such column; hosts that do not know it leave it alone.
fn add_result_rows(transaction: &Transaction<'_>) -> Result<(), StoreError> {
    let mut known = transaction
        .prepare("SELECT 1 FROM pragma_table_info('jobs') WHERE name = 'result_rows'")?;
    if !known.exists([])? {
        transaction.execute_batch("ALTER TABLE jobs ADD COLUMN result_rows INTEGER")?;
    }
    Ok(())
}

/// Copies the jobs into a table with the columns in this order.
fn from_format_1(transaction: &Transaction<'_>) -> Result<(), StoreError> {
    transaction.execute_batch(
        "ALTER TABLE jobs RENAME TO jobs_1;
         ALTER TABLE jobs_1 ADD COLUMN traceparent TEXT;
         ALTER TABLE jobs_1 ADD COLUMN result_rows INTEGER;
         ALTER TABLE payloads ADD COLUMN about TEXT;
         DROP INDEX IF EXISTS jobs_by_status; DROP INDEX IF EXISTS jobs_by_user;
         DROP INDEX IF EXISTS jobs_by_created_at; DROP INDEX IF EXISTS jobs_by_updated_at;",
    )?;
    transaction.execute_batch(JOBS)?;
    transaction.execute_batch(&format!(
        "INSERT INTO jobs ({columns}, result_bytes) SELECT {columns}, result_bytes FROM jobs_1; DROP TABLE jobs_1;",
        columns = rows::COLUMNS
    ))?;
    Ok(())
}

fn index_tags(transaction: &Transaction<'_>) -> Result<(), StoreError> {
    transaction.execute_batch(
        "INSERT OR IGNORE INTO job_tags (tag, created_at, seq)
         SELECT json_each.value, jobs.created_at, jobs.seq FROM jobs, json_each(jobs.tags)
         WHERE substr(json_each.value, 1, 4) <> '_id:' AND substr(json_each.value, 1, 6) <> '_name:'
           AND substr(json_each.value, 1, 9) <> '_version:'",
    )?;
    Ok(())
}
