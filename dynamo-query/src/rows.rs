//! A job's rows on their way to a caller that takes them as they come.
//!
//! In: a table with a page just committed. Out: calls of the caller's function, one at a time, on threads that may block. The caller
//! decides how fast the job goes: nothing of it happens while a call is under way.

use std::{
    future::poll_fn,
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::ready,
};

use dynamo_decode::Table;
use plugin_api::{Error, ErrorCode, JobCtx};
use tokio::{runtime::Handle, task::JoinHandle};

use crate::{
    job::{DEFAULT_MAX_RESULT_BYTES, Job},
    statement::Statement,
};

/// Where a job's rows go besides its result document; nowhere for a caller that has not asked.
#[derive(Debug)]
pub(crate) struct RowsOut {
    caller: Option<Caller>,
}

#[derive(Debug)]
struct Caller {
    ctx: JobCtx,
    threads: Handle,
    /// The call that is under way or waits for a thread. Kept here and not in the future that awaits it: a call cannot be dropped.
    call: Mutex<Option<Call>>,
    rows: Arc<AtomicU64>,
}

#[derive(Debug)]
struct Call {
    handle: JoinHandle<Option<Called>>,
    /// Set by whoever comes first: the thread that makes the call, or the job that takes it back. A task of a runtime that is aborted
    /// in the queue still ends only when a thread is free.
    is_claimed: Arc<AtomicBool>,
}

/// The lines' memory, to be used again, and what the caller said.
type Called = (Vec<u8>, Result<(), Error>);

impl RowsOut {
    /// `threads`: a runtime whose blocking threads call the caller's function.
    pub(crate) fn new(ctx: &JobCtx, threads: Option<&Handle>) -> Self {
        let threads = threads.filter(|_| ctx.rows_after_bytes().is_some());
        Self {
            caller: threads.map(|threads| Caller {
                ctx: ctx.clone(),
                threads: threads.clone(),
                call: Mutex::default(),
                rows: Arc::default(),
            }),
        }
    }

    /// An empty table for the job's rows.
    pub(crate) fn table(&self, job: &Job, statement: &Statement) -> Table {
        let most = job.max_result_bytes.unwrap_or(DEFAULT_MAX_RESULT_BYTES);
        let table = Table::new(statement.columns.clone(), job.limit, most);
        let after_bytes = self
            .caller
            .as_ref()
            .and_then(|caller| caller.ctx.rows_after_bytes());
        match after_bytes {
            Some(after_bytes) => table.with_lines(after_bytes, job.max_result_bytes),
            None => table,
        }
    }

    /// The most bytes that the job's rows may have, in whatever form.
    pub(crate) fn most_bytes(&self, job: &Job) -> u64 {
        let default = match self.caller {
            None => DEFAULT_MAX_RESULT_BYTES,
            Some(_) => u64::MAX,
        };
        job.max_result_bytes.unwrap_or(default)
    }

    /// Hands over what the last page has brought, once the result is larger than the caller takes in one piece.
    ///
    /// # Errors
    /// `CANCELLED` where the caller wants no more.
    pub(crate) async fn hand_over(&self, table: &Mutex<Table>) -> Result<(), Error> {
        let Some(caller) = &self.caller else {
            return Ok(());
        };
        let mut lines = Vec::new();
        loop {
            let n_rows = lock(table).take_lines(&mut lines);
            if lines.is_empty() {
                return Ok(());
            }
            lines = caller.call(lines, n_rows).await?;
        }
    }

    /// Names the columns to a caller that has got no row. When all pages are read.
    ///
    /// # Errors
    /// As [`RowsOut::hand_over`].
    pub(crate) async fn end(&self, table: &Mutex<Table>) -> Result<(), Error> {
        let Some(caller) = &self.caller else {
            return Ok(());
        };
        let mut line = Vec::new();
        lock(table).take_columns_line(&mut line);
        if !line.is_empty() {
            caller.call(line, 0).await?;
        }
        Ok(())
    }

    /// What became of the job: `outcome`, unless a call is under way that ends with the caller's refusal. To be awaited whatever ended
    /// the job, since the caller's function cannot be stopped; a call that has not begun is taken back.
    ///
    /// # Errors
    /// `CANCELLED` where the caller wants no more, else that of `outcome`.
    pub(crate) async fn settle(&self, outcome: Result<(), Error>) -> Result<(), Error> {
        let call = self
            .caller
            .as_ref()
            .and_then(|caller| lock(&caller.call).take());
        let Some(call) = call else {
            return outcome;
        };
        if !call.is_claimed.swap(true, Ordering::AcqRel) {
            return outcome;
        }
        match call.handle.await {
            Ok(Some((_, Err(refused)))) => Err(refused),
            _ => outcome,
        }
    }

    /// Rows that were handed over; `None` where the caller takes a document.
    pub(crate) fn rows(&self) -> Option<u64> {
        self.caller
            .as_ref()
            .map(|caller| caller.rows.load(Ordering::Relaxed))
    }
}

impl Caller {
    /// Calls the caller's function with these lines and gives their memory back.
    async fn call(&self, lines: Vec<u8>, n_rows: u64) -> Result<Vec<u8>, Error> {
        let (ctx, rows) = (self.ctx.clone(), Arc::clone(&self.rows));
        let is_claimed = Arc::new(AtomicBool::new(false));
        let claimed = Arc::clone(&is_claimed);
        let handle = self.threads.spawn_blocking(move || {
            if claimed.swap(true, Ordering::AcqRel) {
                return None;
            }
            rows.fetch_add(n_rows, Ordering::Relaxed);
            let outcome = ctx.hand_over(&lines);
            Some((lines, outcome))
        });
        *lock(&self.call) = Some(Call { handle, is_claimed });
        let called = poll_fn(|context| {
            let mut call = lock(&self.call);
            let Some(under_way) = call.as_mut() else {
                return Err(lost()).into();
            };
            let called = ready!(Pin::new(&mut under_way.handle).poll(context));
            *call = None;
            called.ok().flatten().ok_or_else(lost).into()
        });
        let (lines, outcome) = called.await?;
        outcome.map(|()| lines)
    }
}

fn lost() -> Error {
    Error::new(
        ErrorCode::INTERNAL,
        "the call that hands rows over was lost",
    )
    .hint("this is a bug in the plugin")
}

fn lock<T>(value: &Mutex<T>) -> MutexGuard<'_, T> {
    value.lock().unwrap_or_else(PoisonError::into_inner)
}
