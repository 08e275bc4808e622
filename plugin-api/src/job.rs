//! What a plugin is handed besides its documents: the host to log to, and one job's context.
//!
//! Both may be cloned and sent to the plugin's own threads. They go silent when their time is over: the host's log when
//! `plugin_close` returns, a job's progress and rows when its call returns.

use std::{
    fmt,
    future::Future,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, RwLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

use event_listener::{Event, Listener};

use crate::{
    Error, ErrorCode, Level,
    ffi::callbacks::{CallerFunctions, LogCallback},
};

/// The host of the library: where log lines go. Cheap to clone.
#[derive(Clone)]
pub struct Host {
    log: Arc<RwLock<Option<LogCallback>>>,
}

impl Host {
    pub(crate) fn new(log: Option<LogCallback>) -> Self {
        Self {
            log: Arc::new(RwLock::new(log)),
        }
    }

    /// Writes one line to the host's log; nothing where the host gave no callback or the library is closed.
    ///
    /// `target` says which part speaks, as in `dynamo::audit`; a NUL in it ends it. Call it without holding a lock: it runs the host's code.
    pub fn log(&self, level: Level, target: &str, message: &str) {
        // The read lock is held during the call, so that `silence` returns only when no callback runs any more.
        if let Some(log) = self
            .log
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .as_ref()
        {
            log.call(level, target, message);
        }
    }

    /// Ends the log: waits for callbacks under way; none comes later.
    pub(crate) fn silence(&self) {
        *self.log.write().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Host")
    }
}

/// One call's context: its deadline, whether it was cancelled, where its progress, its rows and its log lines go. Cheap to clone.
#[derive(Clone, Debug)]
pub struct JobCtx {
    state: Arc<JobState>,
}

struct JobState {
    id: Option<String>,
    started: Instant,
    deadline: Option<Instant>,
    host: Host,
    /// Whether the caller wants progress: spares the lock where not.
    has_progress: bool,
    /// Where the caller takes rows: from how many bytes on.
    rows_after_bytes: Option<u64>,
    /// Held during each call, so that they come one at a time per job.
    functions: Mutex<Option<CallerFunctions>>,
    cancelled: AtomicBool,
    cancel_event: Event,
}

impl fmt::Debug for JobState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JobState")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

impl JobCtx {
    pub(crate) fn new(
        id: Option<String>,
        started: Instant,
        deadline: Option<Instant>,
        host: Host,
        functions: Option<CallerFunctions>,
        rows_after_bytes: u64,
    ) -> Self {
        Self {
            state: Arc::new(JobState {
                id,
                started,
                deadline,
                host,
                has_progress: functions
                    .as_ref()
                    .is_some_and(CallerFunctions::has_progress),
                rows_after_bytes: functions
                    .as_ref()
                    .is_some_and(CallerFunctions::has_rows)
                    .then_some(rows_after_bytes),
                functions: Mutex::new(functions),
                cancelled: AtomicBool::new(false),
                cancel_event: Event::new(),
            }),
        }
    }

    /// The job document's `id`, if it has one.
    #[must_use]
    pub fn id(&self) -> Option<&str> {
        self.state.id.as_deref()
    }

    /// When the call came in.
    #[must_use]
    pub fn started(&self) -> Instant {
        self.state.started
    }

    /// When the caller stops waiting (its `timeout_ms`); `None` where it set no time.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.state.deadline
    }

    /// Whether the job was asked to stop.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.state.cancelled.load(Ordering::Acquire)
    }

    /// Resolves when the job is asked to stop. Works on any executor.
    pub fn cancelled(&self) -> impl Future<Output = ()> + Send + 'static {
        let state = Arc::clone(&self.state);
        async move {
            while !state.cancelled.load(Ordering::Acquire) {
                let listener = state.cancel_event.listen();
                if !state.cancelled.load(Ordering::Acquire) {
                    listener.await;
                }
            }
        }
    }

    /// Waits until the job is asked to stop or `until` has come; whether it was asked. For plugins without an executor.
    #[must_use]
    pub fn wait_cancelled(&self, until: Instant) -> bool {
        while !self.is_cancelled() {
            let listener = self.state.cancel_event.listen();
            if !self.is_cancelled() && listener.wait_deadline(until).is_none() {
                return self.is_cancelled();
            }
        }
        true
    }

    /// Tells the host how far the job is: totals so far. One call at a time runs; after the job's call has returned none does.
    pub fn progress(&self, rows: u64, pages: u64, wire_bytes: u64) {
        if !self.state.has_progress {
            return;
        }
        // Held during the call: `end` waits for the one under way.
        if let Some(functions) = self.functions().as_ref() {
            functions.progress(rows, pages, wire_bytes);
        }
    }

    /// Whether and when the caller takes a result's rows as they come; `None`: it takes one document only.
    ///
    /// With `Some(bytes)`, a result whose `data` has no more bytes than that is given as one document. Of a larger one, all rows go to
    /// [`JobCtx::hand_over`], and the job's answer then is `{"columns":[…],"order":[…],"stats":{…}}`. See `docs/ABI.md`, "Rows".
    #[must_use]
    pub fn rows_after_bytes(&self) -> Option<u64> {
        self.state.rows_after_bytes
    }

    /// Hands lines of the result to the caller: whole lines, each ended by a newline, at most 1 MiB or one line.
    ///
    /// The caller's function may block as long as it likes; so call this on a thread that nothing else needs. A cancel or deadline
    /// that comes meanwhile is for the job to heed afterwards.
    ///
    /// # Errors
    /// `CANCELLED` where the caller wants no more, which is what the job must end with; also where it has not asked for rows.
    pub fn hand_over(&self, lines: &[u8]) -> Result<(), Error> {
        let mut functions = self.functions();
        if functions
            .as_ref()
            .is_some_and(|functions| functions.rows(lines))
        {
            return Ok(());
        }
        // None may come after one that was refused.
        *functions = None;
        Err(Error::new(
            ErrorCode::CANCELLED,
            "the caller took no more rows",
        ))
    }

    fn functions(&self) -> MutexGuard<'_, Option<CallerFunctions>> {
        self.state
            .functions
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes one line to the host's log, led by `job=<id> ` where the job has an id, so that the host can tell jobs apart.
    pub fn log(&self, level: Level, target: &str, message: &str) {
        match &self.state.id {
            Some(id) => self
                .state
                .host
                .log(level, target, &format!("job={id} {message}")),
            None => self.state.host.log(level, target, message),
        }
    }

    /// Whether both are the same job's.
    pub(crate) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.state, &other.state)
    }

    pub(crate) fn cancel(&self) {
        self.state.cancelled.store(true, Ordering::Release);
        self.state.cancel_event.notify(usize::MAX);
    }

    /// Ends the call: waits for a callback under way; none comes later.
    pub(crate) fn end(&self) {
        if self.state.has_progress || self.state.rows_after_bytes.is_some() {
            *self.functions() = None;
        }
    }
}
