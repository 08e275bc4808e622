//! The one thread that writes: everything that waits is committed together. Another one counts, once, what the results take.
//!
//! In: puts, deletions, statuses, each with a way to answer. Out: an answer once the commit is on disk. While one commit waits for
//! the disk the next group gathers, and a commit waits a moment for the jobs that are about to end; so a busy host pays one `fsync`
//! for many jobs, and a lone caller pays it at once.

use std::{
    collections::{BTreeMap, HashMap},
    path::Path,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicI64, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use bytes::Bytes;
use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};
use tokio::sync::oneshot;

use super::{StoreError, StoredLines, rows};
use crate::{
    catalog::{Kind, Known},
    config::Status,
    job::JobRecord,
    priority::give_way,
};

/// How long the record of a running job may wait for a commit that its end would make needless.
const LAZY: Duration = Duration::from_millis(20);

/// How long a commit waits for other sync jobs under way to end, so that one `fsync` serves them all.
const GATHER: Duration = Duration::from_millis(5);

/// What is answered when the commit is on disk.
type Ack<T> = oneshot::Sender<Result<T, StoreError>>;

/// A record to be put, and with an ended job what it leaves behind.
pub struct Put {
    /// The record as it is to be.
    pub job: Arc<JobRecord>,
    /// The lines that the plugin logged; written with ended jobs.
    pub stderr: String,
    /// The result, with ended jobs that have one.
    pub result: Option<Bytes>,
    /// Whether the result is in its file already.
    pub result_in_file: bool,
    /// The result, where it is lines on disk.
    pub lines: Option<StoredLines>,
}

impl Put {
    /// A record without result or log lines.
    #[must_use]
    pub fn record(job: Arc<JobRecord>) -> Self {
        Self {
            job,
            stderr: String::new(),
            result: None,
            result_in_file: false,
            lines: None,
        }
    }

    /// Whether the result is, or would have been, a file of its own.
    #[must_use]
    pub fn has_file(&self) -> bool {
        self.result_in_file || self.lines.is_some()
    }

    fn result_bytes(&self) -> Option<u64> {
        let lines = self.lines.as_ref().map(|lines| lines.bytes);
        lines.or(self.result.as_ref().map(|result| result.len() as u64))
    }
}

type Objects = HashMap<(Kind, String), Known>;

/// A write that is so rare that it has no name of its own among the orders.
type SeldomWrite = Box<dyn FnOnce(&Connection) -> Result<(), StoreError> + Send>;

enum Order {
    Put(Arc<Put>, Ack<()>),
    Delete(Vec<i64>, Ack<()>),
    SyncObjects(Vec<(Kind, String, Status)>, i64, Ack<Objects>),
    SetStatus(Kind, String, Status, i64, Ack<()>),
    Write(SeldomWrite, Ack<()>),
}

#[derive(Default)]
struct Queue {
    urgent: Vec<Order>,
    /// When the first order of `urgent` came.
    since: Option<Instant>,
    /// By job number: the records that may wait for another commit, and since when they wait. They are those of sync jobs under way.
    lazy: BTreeMap<i64, (Instant, Arc<JobRecord>)>,
    closed: bool,
}

impl Queue {
    /// When the next commit is due; `None` where nothing waits for one.
    fn due(&self) -> Option<Instant> {
        let urgent = self.since.map(|since| {
            let alone = self.closed || self.lazy.is_empty();
            if alone { since } else { since + GATHER }
        });
        let lazy = self.lazy.values().map(
            |(since, _)| {
                if self.closed { *since } else { *since + LAZY }
            },
        );
        urgent.into_iter().chain(lazy).min()
    }

    /// Takes what is to be committed now.
    fn take(&mut self, now: Instant) -> Group {
        let closed = self.closed;
        let (lazy, young) = std::mem::take(&mut self.lazy)
            .into_iter()
            .partition(|(_, (since, _))| closed || *since + LAZY <= now);
        self.lazy = young;
        self.since = None;
        Group {
            urgent: std::mem::take(&mut self.urgent),
            lazy,
        }
    }
}

struct Shared {
    queue: Mutex<Queue>,
    work: Condvar,
    /// Bytes of the results that are kept: what commits have added since the start, and what was there before, once it is counted.
    result_bytes: AtomicI64,
}

impl Shared {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The writer's threads and the way to them. Dropping it commits what waits and joins them.
pub(super) struct Writer {
    shared: Arc<Shared>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

/// A connection whose commits are on disk when they return.
pub(super) fn open_for_writing(path: &Path) -> Result<Connection, StoreError> {
    let connection = Connection::open(path)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    // Pages of the indices are written again and again: rarer checkpoints copy each of them once, and 8 MB keep them at hand.
    connection.pragma_update(None, "wal_autocheckpoint", 4000)?;
    connection.pragma_update(None, "cache_size", -8000)?;
    connection.busy_timeout(Duration::from_secs(10))?;
    connection.set_prepared_statement_cache_capacity(32);
    Ok(connection)
}

impl Writer {
    /// Starts the threads: the one that writes, and one that counts what `snapshot`, which shows the store as it is now, holds.
    pub(super) fn start(mut connection: Connection, snapshot: Connection) -> Self {
        let shared = Arc::new(Shared {
            queue: Mutex::default(),
            work: Condvar::new(),
            result_bytes: AtomicI64::new(0),
        });
        let counted = Arc::clone(&shared);
        let counter = std::thread::Builder::new()
            .name("job-store-bytes".to_owned())
            .spawn(move || {
                give_way();
                count_result_bytes(&snapshot, &counted);
            })
            .expect("a process that cannot start one thread cannot run jobs");
        let work = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("job-store".to_owned())
            .spawn(move || {
                while let Some(group) = next_group(&work) {
                    commit(&mut connection, group, &work.result_bytes);
                }
                // So that the file alone is the whole store. Where that fails, the log beside it still is the rest of it.
                let _ = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
            })
            .expect("a process that cannot start one thread cannot run jobs");
        Self {
            shared,
            threads: Mutex::new(vec![counter, thread]),
        }
    }

    /// Enters the queue at once, before the answer is awaited, so that puts are written in the order of their calls.
    pub(super) fn put(
        &self,
        put: Arc<Put>,
    ) -> impl Future<Output = Result<(), StoreError>> + use<> {
        self.order(|ack| Order::Put(put, ack))
    }

    pub(super) fn put_lazily(&self, job: Arc<JobRecord>) {
        let mut queue = self.shared.queue();
        queue.lazy.insert(job.seq, (Instant::now(), job));
        // The thread needs to know of the first one only: it then wakes by itself.
        if queue.lazy.len() == 1 {
            self.shared.work.notify_one();
        }
    }

    pub(super) async fn delete(&self, jobs: Vec<i64>) -> Result<(), StoreError> {
        self.order(|ack| Order::Delete(jobs, ack)).await
    }

    pub(super) async fn sync_objects(
        &self,
        objects: Vec<(Kind, String, Status)>,
        now: i64,
    ) -> Result<Objects, StoreError> {
        self.order(|ack| Order::SyncObjects(objects, now, ack))
            .await
    }

    pub(super) async fn set_object_status(
        &self,
        kind: Kind,
        id: String,
        status: Status,
        now: i64,
    ) -> Result<(), StoreError> {
        self.order(|ack| Order::SetStatus(kind, id, status, now, ack))
            .await
    }

    fn order<T, F>(&self, order: F) -> impl Future<Output = Result<T, StoreError>> + use<T, F>
    where
        F: FnOnce(Ack<T>) -> Order,
    {
        let (ack, answer) = oneshot::channel();
        let order = order(ack);
        let mut queue = self.shared.queue();
        // A closed store drops the order, and with it the way to answer.
        if !queue.closed {
            let ended = match &order {
                Order::Put(put, _) => queue.lazy.remove(&put.job.seq).is_some(),
                _ => false,
            };
            queue.urgent.push(order);
            let first = queue.since.is_none();
            queue.since.get_or_insert_with(Instant::now);
            // Between the first order and the last job under way the thread sleeps on.
            if first || (ended && queue.lazy.is_empty()) {
                self.shared.work.notify_one();
            }
        }
        drop(queue);
        async { answer.await.unwrap_or(Err(StoreError::Closed)) }
    }
}

impl Writer {
    /// Bytes of the results that are kept, as far as they have been counted.
    pub(super) fn result_bytes(&self) -> u64 {
        let bytes = self.shared.result_bytes.load(Ordering::Relaxed);
        u64::try_from(bytes).unwrap_or(0)
    }

    /// Carries out a rare write.
    pub(super) async fn write(
        &self,
        write: impl FnOnce(&Connection) -> Result<(), StoreError> + Send + 'static,
    ) -> Result<(), StoreError> {
        self.order(|ack| Order::Write(Box::new(write), ack)).await
    }

    /// Commits what waits and ends the threads.
    pub(super) fn close(&self) {
        self.shared.queue().closed = true;
        self.shared.work.notify_one();
        let mut threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        for thread in threads.drain(..) {
            // A writer that panicked has dropped its acks, which told every waiter already.
            let _ = thread.join();
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.close();
    }
}

/// Adds the bytes of the results that were there at the start. Among ten million jobs this takes half a minute, so that nobody waits for it,
/// and it ends early where the store closes. It rests for most of that: the threads that make lists have the same
/// priority and would otherwise get only half of a processor.
fn count_result_bytes(snapshot: &Connection, shared: &Shared) {
    const SOME_JOBS: &str = "SELECT coalesce(sum(result_bytes), 0), max(seq) FROM
        (SELECT seq, result_bytes FROM jobs WHERE seq > ? ORDER BY seq LIMIT 1000)";
    const RESTS: u32 = 2;
    const LONGEST_REST: Duration = Duration::from_millis(100);
    let (mut bytes, mut last) = (0_i64, Some(i64::MIN));
    let mut pause = LAZY;
    while let Some(seq) = last
        && !shared.queue().closed
    {
        let began = Instant::now();
        let some: rusqlite::Result<(i64, Option<i64>)> = snapshot
            .prepare_cached(SOME_JOBS)
            .and_then(|mut some| some.query_row([seq], |row| Ok((row.get(0)?, row.get(1)?))));
        match some {
            Ok((more, end)) => {
                bytes += more;
                last = end;
                std::thread::sleep((RESTS * began.elapsed()).min(LONGEST_REST));
            }
            // The disk does not answer for a while, or the store is damaged, which ends no host but is not asked for often.
            Err(_) => {
                std::thread::sleep(pause);
                pause = (2 * pause).min(Duration::from_secs(1));
            }
        }
    }
    if last.is_none() {
        shared.result_bytes.fetch_add(bytes, Ordering::Relaxed);
    }
}

struct Group {
    urgent: Vec<Order>,
    lazy: BTreeMap<i64, (Instant, Arc<JobRecord>)>,
}

/// Waits for work; `None` when the store is closed and nothing is left.
fn next_group(shared: &Shared) -> Option<Group> {
    let mut queue = shared.queue();
    loop {
        let now = Instant::now();
        let wait = match queue.due() {
            Some(due) if due <= now => return Some(queue.take(now)),
            Some(due) => due - now,
            None if queue.closed => return None,
            None => Duration::from_secs(3600),
        };
        let woken = shared.work.wait_timeout(queue, wait);
        queue = woken.unwrap_or_else(PoisonError::into_inner).0;
    }
}

/// An order that is carried out but not yet on disk: what to answer once it is, or once it is not.
type Pending = Box<dyn FnOnce(Result<(), StoreError>)>;

/// Carries out a group in one transaction. Where the transaction fails, nothing of it is there and every caller is told so.
fn commit(connection: &mut Connection, group: Group, result_bytes: &AtomicI64) {
    let mut pending: Vec<Pending> = Vec::with_capacity(group.urgent.len());
    let mut more_bytes = 0;
    let outcome = (|| {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        for (_, job) in group.lazy.values() {
            rows::write(&transaction, job, None)?;
        }
        let mut orders = group.urgent.into_iter();
        let failed = orders
            .by_ref()
            .find_map(|order| carry_out(&transaction, order, &mut pending, &mut more_bytes).err());
        if let Some(error) = failed {
            // Dropping the orders that are left tells their callers; see `order`.
            return Err(error);
        }
        Ok(transaction.commit()?)
    })();
    if outcome.is_ok() {
        result_bytes.fetch_add(more_bytes, Ordering::Relaxed);
    }
    for answer in pending {
        answer(outcome.clone());
    }
}

fn carry_out(
    connection: &Connection,
    order: Order,
    pending: &mut Vec<Pending>,
    more_bytes: &mut i64,
) -> Result<(), StoreError> {
    match order {
        Order::Put(put, ack) => {
            let bytes = put.result_bytes().unwrap_or(0);
            *more_bytes += i64::try_from(bytes).unwrap_or(i64::MAX);
            later(write_put(connection, &put), ack, pending)
        }
        Order::Delete(jobs, ack) => {
            let deleted = delete(connection, &jobs).map(|bytes| *more_bytes -= bytes);
            later(deleted, ack, pending)
        }
        Order::SyncObjects(objects, now, ack) => {
            later(sync_objects(connection, objects, now), ack, pending)
        }
        Order::SetStatus(kind, id, status, now, ack) => {
            later(set_status(connection, kind, &id, status, now), ack, pending)
        }
        Order::Write(write, ack) => later(write(connection), ack, pending),
    }
}

/// Keeps an answer until the commit; passes a failure on, which rolls the whole group back.
fn later<T: 'static>(
    outcome: Result<T, StoreError>,
    ack: Ack<T>,
    pending: &mut Vec<Pending>,
) -> Result<(), StoreError> {
    let (value, error) = match outcome {
        Ok(value) => (Some(value), None),
        Err(error) => (None, Some(error)),
    };
    let own = error.clone();
    pending.push(Box::new(move |committed| {
        let answer = match (value, own, committed) {
            (Some(value), _, Ok(())) => Ok(value),
            (_, Some(error), _) | (_, None, Err(error)) => Err(error),
            (None, None, Ok(())) => Err(StoreError::Closed),
        };
        // A caller that went away needs no answer.
        let _ = ack.send(answer);
    }));
    error.map_or(Ok(()), Err)
}

fn write_put(connection: &Connection, put: &Put) -> Result<(), StoreError> {
    rows::write(connection, &put.job, put.result_bytes())?;
    let has_result = put.result.is_some() || put.lines.is_some();
    if put.job.status.is_final() && (has_result || !put.stderr.is_empty()) {
        let inline = put
            .result
            .as_ref()
            .filter(|_| !put.result_in_file)
            .map(|bytes| bytes.as_ref());
        let mut statement = connection.prepare_cached(
            "INSERT OR REPLACE INTO payloads (seq, stderr, result, about) VALUES (?, ?, ?, ?)",
        )?;
        let about = put.lines.as_ref().map(|lines| &lines.about);
        statement.execute(params![put.job.seq, put.stderr, inline, about])?;
    }
    Ok(())
}

/// Deletes jobs; gives how many bytes their results had.
fn delete(connection: &Connection, jobs: &[i64]) -> Result<i64, StoreError> {
    let mut bytes = 0;
    for seq in jobs {
        rows::delete_tags(connection, *seq)?;
        let deleted: Option<Option<i64>> = connection
            .prepare_cached("DELETE FROM jobs WHERE seq = ? RETURNING result_bytes")?
            .query_row([seq], |row| row.get(0))
            .optional()?;
        bytes += deleted.flatten().unwrap_or(0);
        connection
            .prepare_cached("DELETE FROM payloads WHERE seq = ?")?
            .execute([seq])?;
    }
    Ok(bytes)
}

fn sync_objects(
    connection: &Connection,
    objects: Vec<(Kind, String, Status)>,
    now: i64,
) -> Result<Objects, StoreError> {
    let mut known = HashMap::new();
    for (kind, id, file_status) in objects {
        // A status in the file that differs from the one seen last is the operator's newest word.
        let sql = "
            INSERT INTO objects (kind, id, created_at, updated_at, file_status, status) VALUES (?1, ?2, ?3, ?3, ?4, ?4)
            ON CONFLICT (kind, id) DO UPDATE SET
                updated_at = iif(file_status = ?4, updated_at, ?3), status = iif(file_status = ?4, status, ?4), file_status = ?4
            RETURNING created_at, updated_at, status";
        let row = connection.prepare_cached(sql)?.query_row(
            params![kind.as_str(), id, now, file_status.as_str()],
            |row| {
                let word: String = row.get(2)?;
                Ok(Known {
                    created_at: row.get(0)?,
                    updated_at: row.get(1)?,
                    status: Status::from_word(&word).unwrap_or(file_status),
                })
            },
        )?;
        known.insert((kind, id), row);
    }
    Ok(known)
}

fn set_status(
    connection: &Connection,
    kind: Kind,
    id: &str,
    status: Status,
    now: i64,
) -> Result<(), StoreError> {
    let sql = "UPDATE objects SET status = ?3, updated_at = ?4 WHERE kind = ?1 AND id = ?2";
    connection
        .prepare_cached(sql)?
        .execute(params![kind.as_str(), id, status.as_str(), now])?;
    Ok(())
}
