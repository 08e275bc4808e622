//! The worker's own side: a process that loads one library and runs the jobs that the host sends.
//!
//! In: orders on standard input, which is a socket. Out: reports on the same socket. The process has no other handle of the host's
//! and ignores the signals that are meant for the host; when the socket ends it ends itself at once, whatever the library does.

use std::{
    collections::HashMap,
    io::{self, BufReader},
    ops::ControlFlow,
    os::{fd::OwnedFd, unix::net::UnixStream},
    path::Path,
    sync::{Arc, Mutex, mpsc},
    thread,
    time::Duration,
};

use plugin_api::{Error, ErrorCode, Level};
use rustix::process::{Pid, Resource, Rlimit, Signal, getpid, kill_process, setrlimit};

use super::{
    process::lock,
    wire::{self, Order, Report},
};
use crate::{CallOptions, Document, Library, Progress, RowsSink, ffi::process, load};

/// Runs a worker on the library at `copy`, with at most so much memory for data; `None` is without bound.
///
/// Standard input must be the socket that the host made. Does not return before the host has ended the worker in order; where
/// the host is gone the process is killed.
///
/// # Errors
/// Where the process itself cannot be prepared.
pub(crate) fn run(copy: &Path, memory_bytes: Option<u64>) -> io::Result<()> {
    let socket = prepare(memory_bytes)?;
    let channel = Channel(Arc::new(Mutex::new(socket.try_clone()?)));
    let log = channel.clone();
    let sink = Arc::new(move |level: Level, target: &str, message: &str| {
        let report = Report::Log {
            level: level as u8,
            target: target.to_owned(),
        };
        log.send(&report, message.as_bytes());
    });
    let library = match load::library(copy, Some(sink)) {
        Ok((library, _)) => library,
        Err(refusal) => {
            channel.send(&Report::Refused(refusal), b"");
            return Ok(());
        }
    };
    channel.send(&Report::Loaded, b"");
    Worker {
        library,
        channel,
        verdicts: Arc::default(),
    }
    .serve(socket)
}

/// Leaves the process nothing of the host's but the socket.
fn prepare(memory_bytes: Option<u64>) -> io::Result<UnixStream> {
    process::ignore_signals_of_the_host();
    process::close_inherited_files();
    let socket: OwnedFd = rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdin(), 3)?;
    let null = std::fs::File::open("/dev/null")?;
    rustix::stdio::dup2_stdin(&null)?;
    // What a library writes to standard output is no result: it goes where its complaints go.
    rustix::stdio::dup2_stdout(rustix::stdio::stderr())?;
    load::raise_file_limit();
    if let Some(bytes) = memory_bytes {
        let limit = Rlimit {
            current: Some(bytes),
            maximum: Some(bytes),
        };
        setrlimit(Resource::Data, limit)?;
    }
    Ok(socket.into())
}

/// Where reports go. Whole frames, one at a time.
#[derive(Clone)]
struct Channel(Arc<Mutex<UnixStream>>);

impl Channel {
    /// Sends a report; a host that is gone ends the process from the other side of the socket.
    fn send(&self, report: &Report, payload: &[u8]) {
        let mut socket = lock(&self.0);
        let _ = wire::write(&mut *socket, report, payload);
    }

    fn done(&self, call: u64, outcome: Result<Document, Error>) {
        match outcome {
            Ok(document) => self.send(
                &Report::Done {
                    call,
                    failed: false,
                },
                &document,
            ),
            Err(error) => self.send(&Report::Done { call, failed: true }, &error.to_json()),
        }
    }
}

/// A plugin that the host's orders reach.
#[derive(Clone)]
struct Worker {
    library: Library,
    channel: Channel,
    /// Where jobs wait for the host's word on their rows, by call.
    verdicts: Arc<Mutex<HashMap<u64, mpsc::Sender<bool>>>>,
}

impl Worker {
    fn serve(self, socket: UnixStream) -> io::Result<()> {
        let mut orders = BufReader::new(socket);
        loop {
            match wire::read(&mut orders) {
                Ok(Some((Order::Close { within_ms }, _))) => {
                    let closed = self.library.close(Duration::from_millis(within_ms));
                    let failed = closed.is_err();
                    let payload = closed.err().map(|error| error.to_json());
                    self.channel
                        .send(&Report::Closed { failed }, &payload.unwrap_or_default());
                    return Ok(());
                }
                Ok(Some((order, payload))) => self.take(order, payload),
                // The host is gone, or the stream is damaged: nobody waits for any result of this process.
                Ok(None) | Err(_) => end_at_once(),
            }
        }
    }

    fn take(&self, order: Order, payload: Vec<u8>) {
        match order {
            Order::Open => {
                let opened = self.library.open(&String::from_utf8_lossy(&payload));
                let failed = opened.is_err();
                let error = opened.err().map(|error| error.to_json());
                self.channel
                    .send(&Report::Opened { failed }, &error.unwrap_or_default());
            }
            Order::Run {
                call,
                timeout_ms,
                progress,
                rows_after_bytes,
            } => {
                let options = self.options(call, timeout_ms, progress, rows_after_bytes);
                self.spawn(call, move |library| library.run_job(&payload, &options));
            }
            Order::Health { call, timeout_ms } => {
                let options = self.options(call, timeout_ms, false, None);
                self.spawn(call, move |library| {
                    library.check_health(&payload, &options)
                });
            }
            Order::Cancel { call } => {
                let found = self.library.cancel_job(&String::from_utf8_lossy(&payload));
                self.channel.send(
                    &Report::Done {
                        call,
                        failed: !found,
                    },
                    b"",
                );
            }
            Order::Verdict { call, go_on } => {
                if let Some(waiting) = lock(&self.verdicts).get(&call) {
                    let _ = waiting.send(go_on);
                }
            }
            Order::Close { .. } => {}
        }
    }

    /// Runs a call on a thread of its own: it blocks until the plugin answers.
    fn spawn(
        &self,
        call: u64,
        run: impl FnOnce(&Library) -> Result<Document, Error> + Send + 'static,
    ) {
        let worker = self.clone();
        let thread = thread::Builder::new()
            .name("worker-call".to_owned())
            .spawn(move || {
                let outcome = run(&worker.library);
                lock(&worker.verdicts).remove(&call);
                worker.channel.done(call, outcome);
            });
        if let Err(error) = thread {
            let refused = Error::new(
                ErrorCode::UNAVAILABLE,
                format!("the worker process cannot start a thread: {error}"),
            )
            .hint("raise the limit on threads of the host's user, or send the job again later");
            self.channel.done(call, Err(refused));
        }
    }

    fn options(
        &self,
        call: u64,
        timeout_ms: u64,
        progress: bool,
        rows_after_bytes: Option<u64>,
    ) -> CallOptions {
        let progress = progress.then(|| {
            let channel = self.channel.clone();
            let told: Progress = Arc::new(move |rows, pages, wire_bytes| {
                let report = Report::Progress {
                    call,
                    rows,
                    pages,
                    wire_bytes,
                };
                channel.send(&report, b"");
            });
            told
        });
        let rows = rows_after_bytes.map(|_| {
            let (sender, verdict) = mpsc::channel();
            lock(&self.verdicts).insert(call, sender);
            let (channel, verdict) = (self.channel.clone(), Mutex::new(verdict));
            let taken: RowsSink = Arc::new(move |lines| {
                channel.send(&Report::Rows { call }, lines);
                // One batch at a time is on its way: the host's answer is what holds the job up.
                match lock(&verdict).recv() {
                    Ok(true) => ControlFlow::Continue(()),
                    _ => ControlFlow::Break(()),
                }
            });
            taken
        });
        CallOptions {
            timeout: (timeout_ms > 0).then(|| Duration::from_millis(timeout_ms)),
            progress,
            rows,
            rows_after_bytes: rows_after_bytes.unwrap_or(0),
        }
    }
}

/// Ends the process without running anything more of it: threads of a library may hang.
fn end_at_once() -> ! {
    let own: Pid = getpid();
    let _ = kill_process(own, Signal::KILL);
    std::process::abort()
}
