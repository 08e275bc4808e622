//! One worker process from its start to its end, as the host sees it.
//!
//! In: orders. Out: the reports of each call, and once the process is gone the reason. A thread reads the socket for as long as
//! the process lives and reaps it afterwards.

use std::{
    collections::HashMap,
    io::{self, BufRead, BufReader, Read},
    os::{
        fd::OwnedFd,
        unix::{net::UnixStream, process::CommandExt},
    },
    path::Path,
    process::{Child, Command, Stdio},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};

use plugin_api::Level;
use rustix::process::{Pid, Signal, kill_process_group};

use super::{
    WorkerOptions, memory,
    wire::{self, Order, Report},
};
use crate::{LogSink, probe::end_of};

/// No line of a worker's standard error is kept longer.
const MAX_LINE: u64 = 4096;

/// What a waiting call hears.
#[derive(Debug)]
pub(super) enum Event {
    Progress(u64, u64, u64),
    Rows(Vec<u8>),
    Done { failed: bool, document: Vec<u8> },
}

/// A call under way.
struct OpenCall {
    events: mpsc::Sender<Event>,
    /// The job's id, where it has one.
    job: Option<String>,
    /// When somebody asked it to stop.
    cancelled: Option<Instant>,
}

#[derive(Default)]
struct Calls {
    open: HashMap<u64, OpenCall>,
    /// Why the process is gone.
    end: Option<String>,
}

/// A running worker.
pub(super) struct Process {
    pid: Pid,
    orders: Mutex<UnixStream>,
    calls: Mutex<Calls>,
    next_call: AtomicU64,
    started: Instant,
    /// Reports that belong to no call.
    control: Mutex<mpsc::Receiver<(Report, Vec<u8>)>>,
    reader: Mutex<Option<thread::JoinHandle<()>>>,
    /// Why the host itself killed the process.
    killed: Mutex<Option<String>>,
}

impl Process {
    /// Starts a worker on the library at `copy`. What it reports first must be read with [`Process::control`].
    pub(super) fn start(
        options: &WorkerOptions,
        copy: &Path,
        log: &LogSink,
    ) -> io::Result<Arc<Self>> {
        let (ours, theirs) = UnixStream::pair()?;
        let mut command = Command::new(&options.program);
        command.arg(super::wire::ARGUMENT).arg(copy);
        let group = options.memory_bytes.and_then(memory::Group::make);
        if let (Some(bytes), None) = (options.memory_bytes, &group) {
            command.arg(bytes.to_string());
        }
        let mut child = command
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            // Signals from a terminal are meant for the host, which then ends its workers in order.
            .process_group(0)
            .spawn()?;
        drop(command);
        let pid = Pid::from_child(&child);
        if let Some(group) = &group
            && let Err(error) = group.add(pid)
        {
            log(
                Level::Warn,
                "host::worker",
                &format!("the worker's memory is not bounded by a control group: {error}"),
            );
        }
        let (said, control) = mpsc::channel();
        let process = Arc::new(Self {
            pid,
            orders: Mutex::new(ours.try_clone()?),
            calls: Mutex::default(),
            next_call: AtomicU64::new(1),
            started: Instant::now(),
            control: Mutex::new(control),
            reader: Mutex::new(None),
            killed: Mutex::new(None),
        });
        if let Some(stderr) = child.stderr.take() {
            let log = Arc::clone(log);
            spawn("worker-stderr", move || forward(stderr, pid, &log))?;
        }
        let reader = {
            let process = Arc::clone(&process);
            let (log, limit) = (Arc::clone(log), options.memory_bytes);
            spawn("worker-reports", move || {
                process.read(ours, &said, &log);
                process.reap(child, limit);
                drop(group);
            })?
        };
        *lock(&process.reader) = Some(reader);
        Ok(process)
    }

    pub(super) fn pid(&self) -> u32 {
        self.pid.as_raw_nonzero().get().unsigned_abs()
    }

    /// How long it has been running.
    pub(super) fn age(&self) -> Duration {
        self.started.elapsed()
    }

    /// Why the process is gone; `None` while it lives.
    pub(super) fn end(&self) -> Option<String> {
        lock(&self.calls).end.clone()
    }

    /// The next report that belongs to no call; `None` where the process is gone or silent for so long.
    pub(super) fn control(&self, within: Duration) -> Option<(Report, Vec<u8>)> {
        lock(&self.control).recv_timeout(within).ok()
    }

    /// Registers a call; `None` where the process is gone.
    pub(super) fn begin(&self, job: Option<String>) -> Option<(u64, mpsc::Receiver<Event>)> {
        let mut calls = lock(&self.calls);
        if calls.end.is_some() {
            return None;
        }
        let call = self.next_call.fetch_add(1, Ordering::Relaxed);
        let (events, received) = mpsc::channel();
        calls.open.insert(
            call,
            OpenCall {
                events,
                job,
                cancelled: None,
            },
        );
        Some((call, received))
    }

    /// Forgets a call that nobody waits for any more.
    pub(super) fn forget(&self, call: u64) {
        lock(&self.calls).open.remove(&call);
    }

    /// Sends an order. A process that is gone is found by its reader.
    pub(super) fn send(&self, order: &Order, payload: &[u8]) {
        let _ = wire::write(&mut *lock(&self.orders), order, payload);
    }

    /// Notes that the jobs under an id were asked to stop.
    pub(super) fn note_cancel(&self, id: &str) {
        for call in lock(&self.calls).open.values_mut() {
            if call.job.as_deref() == Some(id) {
                call.cancelled.get_or_insert_with(Instant::now);
            }
        }
    }

    /// How long ago a call was asked to stop.
    pub(super) fn cancelled_for(&self, call: u64) -> Option<Duration> {
        let calls = lock(&self.calls);
        calls.open.get(&call)?.cancelled.map(|at| at.elapsed())
    }

    /// Kills the process and all that it started.
    pub(super) fn kill(&self, why: &str) {
        if self.end().is_none() {
            lock(&self.killed).get_or_insert_with(|| why.to_owned());
            // Not reaped while its reader runs, so that the group is still its own.
            let _ = kill_process_group(self.pid, Signal::KILL);
        }
    }

    /// Waits until the process is reaped.
    pub(super) fn join(&self) {
        let reader = lock(&self.reader).take();
        if let Some(reader) = reader {
            let _ = reader.join();
        }
    }

    fn read(&self, socket: UnixStream, control: &mpsc::Sender<(Report, Vec<u8>)>, log: &LogSink) {
        let mut reports = BufReader::new(socket);
        while let Ok(Some((report, payload))) = wire::read::<Report>(&mut reports) {
            match report {
                Report::Progress {
                    call,
                    rows,
                    pages,
                    wire_bytes,
                } => self.tell(call, Event::Progress(rows, pages, wire_bytes)),
                Report::Rows { call } => self.tell(call, Event::Rows(payload)),
                Report::Done { call, failed } => {
                    let open = lock(&self.calls).open.remove(&call);
                    if let Some(open) = open {
                        let _ = open.events.send(Event::Done {
                            failed,
                            document: payload,
                        });
                    }
                }
                Report::Log { level, target } => {
                    log(level_of(level), &target, &String::from_utf8_lossy(&payload));
                }
                other => {
                    let _ = control.send((other, payload));
                }
            }
        }
    }

    fn tell(&self, call: u64, event: Event) {
        if let Some(open) = lock(&self.calls).open.get(&call) {
            let _ = open.events.send(event);
        }
    }

    /// Ends what is left of the process, and tells every call that it is over.
    fn reap(&self, mut child: Child, limit: Option<u64>) {
        let _ = kill_process_group(self.pid, Signal::KILL);
        let end = match child.wait() {
            Ok(status) => end_of(status),
            Err(error) => format!("cannot be waited for: {error}"),
        };
        let killed = lock(&self.killed).take();
        let limit = limit
            .filter(|_| killed.is_none())
            .map_or(String::new(), |bytes| {
                format!("; its memory is limited to {bytes} bytes (limits.worker_memory_bytes)")
            });
        let mut calls = lock(&self.calls);
        calls.end = Some(format!("{}{limit}", killed.unwrap_or(end)));
        // Each waiting call finds its channel closed.
        calls.open.clear();
    }
}

/// Writes the worker's complaints into the host's log, a line each.
fn forward(stderr: impl Read, pid: Pid, log: &LogSink) {
    let mut lines = BufReader::new(stderr);
    let mut line = Vec::new();
    loop {
        line.clear();
        match (&mut lines).take(MAX_LINE).read_until(b'\n', &mut line) {
            Ok(0) | Err(_) => return,
            Ok(_) => log(
                Level::Warn,
                "host::worker",
                &format!(
                    "worker {}: {}",
                    pid.as_raw_nonzero(),
                    String::from_utf8_lossy(&line).trim_end()
                ),
            ),
        }
    }
}

fn level_of(number: u8) -> Level {
    match number {
        1 => Level::Error,
        2 => Level::Warn,
        3 => Level::Info,
        4 => Level::Debug,
        _ => Level::Trace,
    }
}

fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> io::Result<thread::JoinHandle<()>> {
    thread::Builder::new().name(name.to_owned()).spawn(run)
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
