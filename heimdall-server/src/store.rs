//! Jobs and their results on disk: what was acknowledged is there after any crash, whole.
//!
//! In: records to put, questions to answer. Out: records, results, pages of a list. One writer thread commits in groups
//! (`writer.rs`), readers have connections of their own, large results are files (`files.rs`). One host at a time may use a
//! store: the lock is the operating system's and ends with the process.

mod error;
mod files;
mod filter;
mod lines;
mod list;
mod page;
mod pins;
mod private;
mod rows;
mod schema;
mod space;
mod writer;

use std::{
    collections::HashMap,
    fs::{File, TryLockError},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicI64, Ordering},
    },
};

use rusqlite::{Connection, OptionalExtension, params};

pub use self::{
    error::StoreError,
    filter::{Pattern, PatternError},
    lines::{Lines, LinesFile, StoredLines},
    list::{Cursor, Direction, JobQuery, JobsPage, OrderBy},
    pins::Pin,
    rows::Recorded,
    writer::Put,
};
use crate::{
    catalog::{Kind, Known},
    config::{Config, Status},
    job::JobRecord,
};

/// Results up to this size lie in the store itself; larger ones would be written twice by its journal.
const INLINE_RESULT_BYTES: usize = 64 * 1024;

/// A stored result.
#[derive(Debug)]
pub enum StoredResult {
    /// From the store itself.
    Inline(Vec<u8>),
    /// A file, open, and its length in bytes.
    File(File, u64),
    /// Rows as they came.
    Lines(Box<Lines>),
}

/// The store. Reading blocks for microseconds to milliseconds: call it from a blocking thread.
pub struct Store {
    database: PathBuf,
    files: files::Files,
    writer: writer::Writer,
    readers: Mutex<Vec<Connection>>,
    next_seq: AtomicI64,
    notes: Vec<String>,
    // Last, so that the lock is given back when everything else is closed.
    _lock: File,
}

impl Store {
    /// Opens the store in `jobs_directory`, making what is missing, and removes files that no job owns. `trusted_directories` are mount
    /// points that are taken as they are.
    ///
    /// # Errors
    /// Another host uses it, or it cannot be read or written.
    pub fn open(
        jobs_directory: &Path,
        result_directory: &Path,
        trusted_directories: &[PathBuf],
    ) -> Result<Self, StoreError> {
        let mut jobs = private::directory(jobs_directory, trusted_directories)?;
        let lock = lock(&jobs.path)?;
        let database = jobs.path.join("jobs.sqlite");
        for name in ["jobs.sqlite-wal", "jobs.sqlite-shm", "jobs.sqlite-journal"] {
            private::check_if_there(&jobs.path.join(name))?;
        }
        // SQLite gives its other files the mode of this one.
        private::file(&database)?;
        let mut connection = writer::open_for_writing(&database)?;
        let opened = schema::open(&mut connection)?;
        let last: Option<i64> =
            connection.query_row("SELECT max(seq) FROM jobs", [], |row| row.get(0))?;
        let results = private::directory(result_directory, trusted_directories)?;
        jobs.notes.extend(results.notes);
        let files = files::Files::new(results.path, opened.id);
        if opened.was_format_1 {
            for seq in list::with_files(&connection)? {
                files.adopt(seq)?;
            }
        }
        files.sweep(|seq| {
            let mut statement = connection
                .prepare_cached("SELECT 1 FROM jobs WHERE seq = ? AND result_bytes IS NOT NULL")?;
            Ok(statement.exists([seq])?)
        })?;
        let snapshot = rows::snapshot(&database)?;
        Ok(Self {
            writer: writer::Writer::start(connection, snapshot),
            database,
            files,
            readers: Mutex::new(Vec::new()),
            next_seq: AtomicI64::new(last.unwrap_or(0) + 1),
            notes: jobs.notes,
            _lock: lock,
        })
    }

    /// What the operator is to be told about the store's directories, one sentence each.
    #[must_use]
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// The number of the next job.
    pub fn next_seq(&self) -> i64 {
        self.next_seq.fetch_add(1, Ordering::Relaxed)
    }

    /// Puts a record; the answer comes when it is on disk. Puts happen in the order of the calls, whenever they are awaited.
    ///
    /// # Errors
    /// The store cannot be written; it is then as if nothing had been asked.
    pub fn put(&self, put: Put) -> impl Future<Output = Result<(), StoreError>> + use<> {
        self.put_shared(Arc::new(put))
    }

    /// As [`Store::put`], for a record that may have to be put again.
    ///
    /// # Errors
    /// As [`Store::put`].
    pub fn put_shared(
        &self,
        put: Arc<Put>,
    ) -> impl Future<Output = Result<(), StoreError>> + use<> {
        self.writer.put(put)
    }

    /// Puts the record of a job that has begun, soon: a later put of the same job makes this one needless.
    pub fn put_lazily(&self, job: Arc<JobRecord>) {
        self.writer.put_lazily(job);
    }

    /// Writes a large result to its file, on disk when this returns; the finishing [`Put`] makes it count. Blocks.
    ///
    /// # Errors
    /// The store cannot be read or written.
    pub fn write_result_file(&self, seq: i64, result: &[u8]) -> Result<(), StoreError> {
        self.files.write(seq, result)
    }

    /// Begins the file of a result that comes as rows; the finishing [`Put`] makes it count. Blocks.
    ///
    /// # Errors
    /// The store cannot be read or written.
    pub fn begin_lines(&self, seq: i64) -> Result<LinesFile, StoreError> {
        self.files.begin_lines(seq)
    }

    /// Removes a result's file whose job ended without one.
    pub fn remove_result_file(&self, seq: i64) {
        self.files.remove(seq);
    }

    /// Whether a result of this size is to be a file.
    #[must_use]
    pub fn wants_file(result: &[u8]) -> bool {
        result.len() > INLINE_RESULT_BYTES
    }

    /// A job's record.
    ///
    /// # Errors
    /// The store cannot be read or written.
    pub fn job(&self, id: &str) -> Result<Option<JobRecord>, StoreError> {
        self.read(|connection| {
            let mut statement = connection
                .prepare_cached(&format!("SELECT {} FROM jobs WHERE id = ?", rows::COLUMNS))?;
            Ok(statement.query_row([id], rows::read).optional()?)
        })
    }

    /// The records of all jobs that have not ended, oldest first.
    ///
    /// # Errors
    /// The store cannot be read or written.
    pub fn unfinished(&self) -> Result<Vec<Recorded>, StoreError> {
        self.read(|connection| {
            let mut statement = connection.prepare_cached(&unfinished_sql())?;
            let mut found = statement.query([])?;
            let mut jobs = Vec::new();
            while let Some(row) = found.next()? {
                jobs.push(rows::recorded(row)?);
            }
            Ok(jobs)
        })
    }

    /// Writes a record anew, with nothing left of what it was: for one that cannot be read.
    ///
    /// # Errors
    /// The store cannot be read or written.
    pub async fn replace(&self, job: JobRecord) -> Result<(), StoreError> {
        self.writer
            .write(move |connection| rows::replace(connection, &job))
            .await
    }

    /// A job's record, or what can be read of it.
    ///
    /// # Errors
    /// The store cannot be read or written.
    pub fn recorded(&self, id: &str) -> Result<Option<Recorded>, StoreError> {
        self.read(|connection| {
            let mut statement = connection
                .prepare_cached(&format!("SELECT {} FROM jobs WHERE id = ?", rows::COLUMNS))?;
            let mut found = statement.query([id])?;
            Ok(found.next()?.map(rows::recorded).transpose()?)
        })
    }

    /// A job's result; `None` where it has none.
    ///
    /// # Errors
    /// The store cannot be read or written.
    pub fn result(&self, seq: i64) -> Result<Option<StoredResult>, StoreError> {
        type Row = (Option<i64>, Option<Vec<u8>>, Option<String>);
        let stored: Option<Row> = self.read(|connection| {
            let sql = "SELECT result_bytes, result, about FROM jobs LEFT JOIN payloads USING (seq) WHERE seq = ?";
            let mut statement = connection.prepare_cached(sql)?;
            let row = statement.query_row([seq], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)));
            Ok(row.optional()?)
        })?;
        match stored {
            Some((Some(_), Some(bytes), _)) => Ok(Some(StoredResult::Inline(bytes))),
            Some((Some(_), None, Some(about))) => {
                let lines = self.files.read_lines(seq, &about)?;
                Ok(Some(StoredResult::Lines(Box::new(lines))))
            }
            Some((Some(bytes), None, None)) => self.files.read(seq, bytes).map(Some),
            _ => Ok(None),
        }
    }

    /// The lines that the plugin logged about a job.
    ///
    /// # Errors
    /// The store cannot be read or written.
    pub fn stderr(&self, seq: i64) -> Result<String, StoreError> {
        self.read(|connection| {
            let mut statement =
                connection.prepare_cached("SELECT stderr FROM payloads WHERE seq = ?")?;
            let text = statement.query_row([seq], |row| row.get(0)).optional()?;
            Ok(text.unwrap_or_default())
        })
    }

    /// One page of jobs.
    ///
    /// # Errors
    /// The store cannot be read or written.
    pub fn jobs(&self, query: &JobQuery) -> Result<JobsPage, StoreError> {
        self.read(|connection| page::page(connection, query, &page::TIMES))
    }

    /// Some of the finished jobs that ended before `cutoff`, with whether each has a result file. This question and the next two run
    /// beside the writer, however long they take.
    ///
    /// # Errors
    /// The store cannot be read or written.
    pub fn outdated(&self, cutoff: i64) -> Result<Vec<(i64, bool)>, StoreError> {
        self.read(|connection| list::outdated(connection, cutoff))
    }

    /// How many jobs have ended and are kept. It counts them one by one: not a question for every batch.
    ///
    /// # Errors
    /// The store cannot be read or written.
    pub fn finished(&self) -> Result<u64, StoreError> {
        self.read(list::finished)
    }

    /// Some of the oldest finished jobs, but not more than `at_most`, with whether each has a result file.
    ///
    /// # Errors
    /// The store cannot be read or written.
    pub fn oldest(&self, at_most: u64) -> Result<Vec<(i64, bool)>, StoreError> {
        self.read(|connection| list::oldest(connection, at_most))
    }

    /// Some of the oldest finished jobs with results, as many as it takes to free so many bytes of results.
    ///
    /// # Errors
    /// The store cannot be read or written.
    pub fn oldest_with_bytes(&self, bytes: u64) -> Result<Vec<(i64, bool)>, StoreError> {
        self.read(|connection| list::oldest_with_bytes(connection, bytes))
    }

    /// Removes jobs, and then their result files.
    ///
    /// # Errors
    /// The store cannot be read or written.
    pub async fn delete(&self, jobs: Vec<(i64, bool)>) -> Result<(), StoreError> {
        self.writer
            .delete(jobs.iter().map(|(seq, _)| *seq).collect())
            .await?;
        for (seq, has_file) in jobs {
            if has_file {
                self.files.remove(seq);
            }
        }
        Ok(())
    }

    /// Records the definitions of a file, and gives the times and statuses in force. A status set at run time holds until
    /// the file's own changes.
    ///
    /// # Errors
    /// The store cannot be read or written.
    pub async fn sync_objects(
        &self,
        config: &Config,
        now: i64,
    ) -> Result<HashMap<(Kind, String), Known>, StoreError> {
        let commands = config
            .commands
            .iter()
            .map(|command| (Kind::Command, &command.object));
        let clusters = config
            .clusters
            .iter()
            .map(|cluster| (Kind::Cluster, &cluster.object));
        let objects = commands.chain(clusters);
        let objects = objects
            .map(|(kind, object)| (kind, object.id.clone(), object.status))
            .collect();
        self.writer.sync_objects(objects, now).await
    }

    /// Sets the status of a command or cluster, for good.
    ///
    /// # Errors
    /// The store cannot be read or written.
    pub async fn set_object_status(
        &self,
        kind: Kind,
        id: &str,
        status: Status,
        now: i64,
    ) -> Result<(), StoreError> {
        self.writer
            .set_object_status(kind, id.to_owned(), status, now)
            .await
    }

    /// How many jobs there are, by status number.
    ///
    /// # Errors
    /// The store cannot be read or written.
    pub fn counts(&self) -> Result<Vec<(i64, i64)>, StoreError> {
        self.read(|connection| {
            let mut statement =
                connection.prepare_cached("SELECT status, count(*) FROM jobs GROUP BY status")?;
            let rows = statement.query_map(params![], |row| Ok((row.get(0)?, row.get(1)?)))?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }

    /// Writes to the store's disk and waits for it, changing nothing.
    ///
    /// # Errors
    /// The store cannot be read or written.
    pub async fn check_writable(&self) -> Result<(), StoreError> {
        // The number that is there already: a page is written all the same.
        self.writer
            .write(|connection| {
                Ok(connection.pragma_update(None, "user_version", schema::FORMAT)?)
            })
            .await
    }

    /// Writes what waits, moves everything into the database's own file, and takes no more.
    pub fn close(&self) {
        self.readers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
        self.writer.close();
    }

    /// Runs a question on a connection of the pool.
    fn read<T>(
        &self,
        question: impl FnOnce(&Connection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let pooled = self
            .readers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop();
        let connection = match pooled {
            Some(connection) => connection,
            None => rows::open_for_reading(&self.database)?,
        };
        let answer = question(&connection);
        let mut pool = self.readers.lock().unwrap_or_else(PoisonError::into_inner);
        if pool.len() < 8 {
            pool.push(connection);
        }
        answer
    }
}

/// Reads the jobs that have not ended. A number that is no status is above or below all of them, and so is a text. The sign keeps SQLite from
/// walking through all jobs in their order, to spare itself the sorting of the few that it finds by the index.
fn unfinished_sql() -> String {
    format!(
        "SELECT {} FROM jobs WHERE status IN (1, 2, 3, 7) OR status < 1 OR status > 8 ORDER BY +seq",
        rows::COLUMNS
    )
}

fn lock(directory: &Path) -> Result<File, StoreError> {
    let path = directory.join("lock");
    let file = private::file(&path)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StoreError::Locked {
            path: directory.to_owned(),
        }),
        Err(TryLockError::Error(source)) => Err(StoreError::file(&path, source)),
    }
}

#[cfg(test)]
mod tests;
