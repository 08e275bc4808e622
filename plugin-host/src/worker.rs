//! A version of a plugin in a process of its own: whatever the library does, the host lives.
//!
//! In: the private copy of a verified file, and calls. Out: what the library answers, or what became of its process. The process is
//! started when the version is opened, and started again by the first call after it died: at once the first time, then after
//! pauses that double. `wire` is what both sides say · `process` one process · `child` its own side · `memory` its bound.

pub(crate) mod child;
mod memory;
mod process;
pub(crate) mod wire;

use std::{
    path::PathBuf,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
        mpsc::{Receiver, RecvTimeoutError},
    },
    time::{Duration, Instant},
};

use plugin_api::{Error, ErrorCode, Level, json};
use serde::Serialize;

use self::{
    process::{Event, Process, lock},
    wire::{Order, Report},
};
use crate::{CallOptions, Document, LogSink};

/// The code of a job whose worker process died under it. The same job may succeed when it is sent again.
pub const PLUGIN_CRASHED: ErrorCode = ErrorCode::retryable("PLUGIN_CRASHED");

/// The code of a job that finds no version to run it.
pub const PLUGIN_UNAVAILABLE: ErrorCode = ErrorCode::retryable("PLUGIN_UNAVAILABLE");

/// How long a worker may take to load and open its library.
const START: Duration = Duration::from_secs(10);
/// How often a waiting call checks whether its job has had more time than it may have.
const POLL_INTERVAL: Duration = Duration::from_millis(500);
/// How long a worker may take to end once its plugin is closed.
const END: Duration = Duration::from_secs(10);
/// The longest pause before a start, in first pauses.
const LONGEST_PAUSE: u32 = 60;
/// A worker that has run for so long starts the count of deaths in a row anew.
const STABLE: Duration = Duration::from_secs(60);

/// How workers are run.
#[derive(Debug, Clone)]
pub struct WorkerOptions {
    /// The program of the worker process: one whose `main` begins with [`crate::child::run_if_asked`].
    pub program: PathBuf,
    /// The most memory that a worker may use for its data; `None`: no bound.
    pub memory_bytes: Option<u64>,
    /// How long a job may go on after its deadline, or after it was asked to stop, before its worker is killed.
    pub overtime: Duration,
    /// The pause before the next start after the second death in a row; doubled for each further one, to at most 60 times.
    pub pause: Duration,
}

impl WorkerOptions {
    /// The defaults: this very program, no bound on memory, ten seconds of overtime, a second's pause.
    #[must_use]
    pub fn new() -> Self {
        Self {
            // Not `current_exe`: this works also after the program's file was replaced.
            program: PathBuf::from("/proc/self/exe"),
            memory_bytes: None,
            overtime: Duration::from_secs(10),
            pause: Duration::from_secs(1),
        }
    }
}

impl Default for WorkerOptions {
    fn default() -> Self {
        Self::new()
    }
}

/// What is shown of a worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct WorkerStatus {
    /// The process's id.
    pub pid: u32,
    /// How often it was started again after it died.
    pub restarts: u64,
}

/// One version's worker.
pub(crate) struct Worker {
    options: WorkerOptions,
    copy: PathBuf,
    label: String,
    log: LogSink,
    /// The process that runs now. It is locked for a moment only, so that a start never holds up a caller that only reads it.
    current: Mutex<Option<Arc<Process>>>,
    /// Locked while a process is started.
    life: Mutex<LifeCycle>,
    restarts: AtomicU64,
    /// Locked while a job runs in a process of its own, of which there is one at a time.
    alone: Mutex<()>,
    running_alone: Mutex<Option<Arc<Process>>>,
}

#[derive(Default)]
struct LifeCycle {
    open: bool,
    config: String,
    /// Deaths in a row.
    deaths: u32,
    not_before: Option<Instant>,
}

impl Worker {
    /// A worker that is not started yet. `label` is name and version, for messages.
    pub(crate) fn new(options: WorkerOptions, copy: PathBuf, label: String, log: LogSink) -> Self {
        Self {
            options,
            copy,
            label,
            log,
            current: Mutex::default(),
            life: Mutex::default(),
            restarts: AtomicU64::new(0),
            alone: Mutex::default(),
            running_alone: Mutex::default(),
        }
    }

    /// The running process; `None` while there is none.
    pub(crate) fn status(&self) -> Option<WorkerStatus> {
        Some(WorkerStatus {
            pid: self.living()?.pid(),
            restarts: self.restarts.load(Ordering::Relaxed),
        })
    }

    /// Starts the process and opens the plugin in it.
    ///
    /// # Errors
    /// The plugin's own error, or `PLUGIN_CRASHED` where the process died.
    pub(crate) fn open(&self, config: &str) -> Result<(), Error> {
        let mut life = lock(&self.life);
        let process = self.start(config)?;
        *lock(&self.current) = Some(process);
        life.open = true;
        life.deaths = 0;
        life.not_before = None;
        config.clone_into(&mut life.config);
        Ok(())
    }

    /// Runs a job and waits for it.
    ///
    /// # Errors
    /// The job's own; `PLUGIN_CRASHED` where the process died under it; `PLUGIN_UNAVAILABLE` while it keeps dying.
    pub(crate) fn run_job(&self, job: &[u8], options: &CallOptions) -> Result<Document, Error> {
        let process = self.process()?;
        self.run_on(&process, job, options)
    }

    /// Runs a job in a process that is started for it and ends with it, one such job at a time: for one whose neighbours must not
    /// suffer if it ends its process again.
    ///
    /// # Errors
    /// As [`Worker::run_job`].
    pub(crate) fn run_alone(&self, job: &[u8], options: &CallOptions) -> Result<Document, Error> {
        let _one_at_a_time = lock(&self.alone);
        let config = lock(&self.life).config.clone();
        let process = self.start(&config)?;
        *lock(&self.running_alone) = Some(Arc::clone(&process));
        let outcome = self.run_on(&process, job, options);
        *lock(&self.running_alone) = None;
        let _ = end(&process, Duration::ZERO);
        outcome
    }

    /// Asks every job under that id to stop; whether there was one.
    pub(crate) fn cancel_job(&self, id: &str) -> bool {
        let alone = lock(&self.running_alone).clone();
        let processes = [lock(&self.current).clone(), alone];
        processes
            .into_iter()
            .flatten()
            .fold(false, |found, process| {
                process.note_cancel(id);
                cancel_in(&process, id) || found
            })
    }

    fn living(&self) -> Option<Arc<Process>> {
        let current = lock(&self.current);
        current.clone().filter(|process| process.end().is_none())
    }

    /// Asks whether a cluster can be worked with.
    ///
    /// # Errors
    /// As [`Worker::run_job`].
    pub(crate) fn check_health(
        &self,
        cluster: &[u8],
        options: &CallOptions,
    ) -> Result<Document, Error> {
        let process = self.process()?;
        let (call, events) = process.begin(None).ok_or_else(|| self.crashed(&process))?;
        let timeout_ms = timeout_ms(options);
        process.send(&Order::Health { call, timeout_ms }, cluster);
        self.wait(&process, call, &events, options)
    }

    /// Closes the plugin and ends its process: jobs have `within` to finish.
    ///
    /// # Errors
    /// The plugin's own; the process is gone all the same.
    pub(crate) fn close(&self, within: Duration) -> Result<(), Error> {
        lock(&self.life).open = false;
        let process = lock(&self.current).take();
        process.map_or(Ok(()), |process| end(&process, within))
    }

    /// The process that takes calls now, started again where it died.
    fn process(&self) -> Result<Arc<Process>, Error> {
        if let Some(process) = self.living() {
            return Ok(process);
        }
        let mut life = lock(&self.life);
        if !life.open {
            return Err(Error::new(
                ErrorCode::SHUTTING_DOWN,
                format!("the worker of {} is closed", self.label),
            )
            .hint("send the job again: another version may take it"));
        }
        let dead = {
            let mut current = lock(&self.current);
            match current.take() {
                // Somebody else has started it while this call waited for the lock.
                Some(process) if process.end().is_none() => {
                    *current = Some(Arc::clone(&process));
                    return Ok(process);
                }
                dead => dead,
            }
        };
        if let Some(process) = dead {
            let end = process.end().unwrap_or_default();
            (self.log)(
                Level::Error,
                "host::worker",
                &format!("the worker of {} {end}", self.label),
            );
            life.died(process.age() >= STABLE, self.options.pause);
        }
        if let Some(left) = life
            .not_before
            .and_then(|at| at.checked_duration_since(Instant::now()))
        {
            return Err(self.pausing(life.deaths, left));
        }
        self.restarts.fetch_add(1, Ordering::Relaxed);
        match self.start(&life.config) {
            Ok(process) => {
                *lock(&self.current) = Some(Arc::clone(&process));
                Ok(process)
            }
            Err(error) => {
                life.died(false, self.options.pause);
                Err(error)
            }
        }
    }

    /// A process with the library loaded and the plugin open.
    fn start(&self, config: &str) -> Result<Arc<Process>, Error> {
        let process = Process::start(&self.options, &self.copy, &self.log).map_err(|error| {
            Error::new(
                PLUGIN_UNAVAILABLE,
                format!("the worker of {} cannot be started: {error}", self.label),
            )
            .hint("check the limits on processes and open files of the host's user")
        })?;
        let opened = self.opened(&process, config);
        if opened.is_err() {
            process.kill("did not open its plugin");
            process.join();
        }
        opened.map(|()| process)
    }

    fn opened(&self, process: &Process, config: &str) -> Result<(), Error> {
        let until = Instant::now() + START;
        process.send(&Order::Open, config.as_bytes());
        loop {
            let left = until.saturating_duration_since(Instant::now());
            match process.control(left) {
                Some((Report::Loaded, _)) => {}
                Some((Report::Opened { failed: false }, _)) => return Ok(()),
                Some((Report::Opened { failed: true }, document)) => {
                    return Err(error_of(&document));
                }
                Some((Report::Refused(refusal), _)) => {
                    return Err(Error::new(PLUGIN_UNAVAILABLE, refusal.message).hint(refusal.hint));
                }
                _ if left.is_zero() => {
                    process.kill("took too long to load and open its plugin");
                    process.join();
                    return Err(self.crashed(process));
                }
                _ => {
                    process.join();
                    return Err(self.crashed(process));
                }
            }
        }
    }

    fn run_on(
        &self,
        process: &Process,
        job: &[u8],
        options: &CallOptions,
    ) -> Result<Document, Error> {
        let (call, events) = process
            .begin(id_of(job))
            .ok_or_else(|| self.crashed(process))?;
        let order = Order::Run {
            call,
            timeout_ms: timeout_ms(options),
            progress: options.progress.is_some(),
            rows_after_bytes: options.rows.as_ref().map(|_| options.rows_after_bytes),
        };
        process.send(&order, job);
        self.wait(process, call, &events, options)
    }

    /// Reads what the worker says of a call until the call has ended. Its callbacks run here, on the caller's thread.
    fn wait(
        &self,
        process: &Process,
        call: u64,
        events: &Receiver<Event>,
        options: &CallOptions,
    ) -> Result<Document, Error> {
        let deadline = options
            .timeout
            .and_then(|timeout| Instant::now().checked_add(timeout));
        loop {
            match events.recv_timeout(POLL_INTERVAL) {
                Ok(Event::Progress(rows, pages, wire_bytes)) => {
                    if let Some(progress) = &options.progress {
                        progress(rows, pages, wire_bytes);
                    }
                }
                Ok(Event::Rows(lines)) => {
                    let go_on = options
                        .rows
                        .as_ref()
                        .is_some_and(|rows| rows(&lines).is_continue());
                    process.send(&Order::Verdict { call, go_on }, b"");
                }
                Ok(Event::Done { failed, document }) => {
                    return if failed {
                        Err(error_of(&document))
                    } else {
                        Ok(document.into())
                    };
                }
                Err(RecvTimeoutError::Disconnected) => return Err(self.crashed(process)),
                Err(RecvTimeoutError::Timeout) => {
                    if let Some(error) = overtime(process, call, deadline, self.options.overtime) {
                        process.kill("was ended because a job in it did not stop");
                        return Err(error);
                    }
                }
            }
        }
    }

    fn crashed(&self, process: &Process) -> Error {
        let end = process.end().unwrap_or_else(|| "ended".to_owned());
        Error::new(
            PLUGIN_CRASHED,
            format!("the worker process of {} {end}", self.label),
        )
        .hint("send the job again: the worker is started anew; if it keeps dying, the plugin's author needs the host's log")
    }

    fn pausing(&self, deaths: u32, left: Duration) -> Error {
        let seconds = left.as_secs() + 1;
        Error::new(
            PLUGIN_UNAVAILABLE,
            format!(
                "the worker process of {} died {deaths} times in a row and is started again in {seconds} s",
                self.label
            ),
        )
        .hint("send the job again after that; the host's log says how it died")
    }
}

impl LifeCycle {
    fn died(&mut self, stable: bool, pause: Duration) {
        self.deaths = if stable { 1 } else { self.deaths + 1 };
        let doublings = self.deaths.saturating_sub(2).min(16);
        let times = LONGEST_PAUSE.min(1 << doublings);
        self.not_before = (self.deaths > 1).then(|| Instant::now() + pause * times);
    }
}

/// The error of a call that should have ended long ago.
fn overtime(
    process: &Process,
    call: u64,
    deadline: Option<Instant>,
    allowed: Duration,
) -> Option<Error> {
    if process
        .cancelled_for(call)
        .is_some_and(|since| since >= allowed)
    {
        return Some(Error::new(
            ErrorCode::CANCELLED,
            "the job was cancelled; it did not stop, and its worker process was killed",
        ));
    }
    if deadline.is_some_and(|deadline| deadline.elapsed() >= allowed) {
        return Some(
            Error::new(
                ErrorCode::TIMEOUT,
                "the deadline passed; the job did not stop, and its worker process was killed",
            )
            .hint("the plugin's author needs to know which job did not heed its deadline"),
        );
    }
    None
}

/// Closes the plugin of a process and ends it.
fn end(process: &Process, within: Duration) -> Result<(), Error> {
    let within_ms = u64::try_from(within.as_millis()).unwrap_or(u64::MAX);
    process.send(&Order::Close { within_ms }, b"");
    let until = Instant::now() + within.saturating_add(END);
    let mut outcome = Ok(());
    loop {
        match process.control(until.saturating_duration_since(Instant::now())) {
            Some((Report::Closed { failed }, document)) => {
                if failed {
                    outcome = Err(error_of(&document));
                }
                break;
            }
            Some(_) => {}
            // Dead already, or it hangs: then it is killed.
            None => break,
        }
    }
    process.kill("did not end in time");
    process.join();
    outcome
}

/// Asks the jobs of one process under an id to stop; whether there was one.
fn cancel_in(process: &Process, id: &str) -> bool {
    let Some((call, events)) = process.begin(None) else {
        return false;
    };
    process.send(&Order::Cancel { call }, id.as_bytes());
    let answered = events.recv_timeout(POLL_INTERVAL);
    process.forget(call);
    matches!(answered, Ok(Event::Done { failed: false, .. }))
}

fn timeout_ms(options: &CallOptions) -> u64 {
    options.timeout.map_or(0, |timeout| {
        u64::try_from(timeout.as_nanos().div_ceil(1_000_000))
            .unwrap_or(u64::MAX)
            .max(1)
    })
}

fn error_of(document: &[u8]) -> Error {
    Error::from_json(document).unwrap_or_else(|| {
        Error::new(
            ErrorCode::INTERNAL,
            "the worker process failed without an error document",
        )
        .hint("this is a bug in the host")
    })
}

/// The `id` of a job document.
fn id_of(job: &[u8]) -> Option<String> {
    json::id_of(std::str::from_utf8(job).ok()?, None).ok()?
}
