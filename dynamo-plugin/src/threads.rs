//! The library's threads: a runtime for jobs, and up to 16 threads that hand rows to callers.
//!
//! All of them have signals blocked, so that a peer that closes its connection cannot kill the host by SIGPIPE. Both are started by
//! the first job that needs them.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use nix::sys::signal::{SigSet, Signal};
use once_cell::sync::OnceCell;
use plugin_api::{Error, ErrorCode, quiet_panics_on_this_thread};
use tokio::runtime::{Builder, Handle, Runtime};

use crate::starts::Starts;

/// How long `close` waits at least for threads that are still in the system's name lookup, which cannot be interrupted.
const JOIN: Duration = Duration::from_secs(30);
/// Threads for name lookups; and as many, apart from them, for callers that take rows, who may keep one for as long as they like.
const BLOCKING: usize = 16;

/// The threads of an open plugin.
#[derive(Default)]
pub(crate) struct Threads {
    jobs: OnceCell<(Runtime, Starts)>,
    /// Runs nothing but blocking calls.
    rows: OnceCell<Runtime>,
    count: Arc<AtomicUsize>,
}

impl Threads {
    /// Where jobs run.
    pub(crate) fn jobs(&self) -> Result<&Starts, Error> {
        let jobs = self.jobs.get_or_try_init(|| {
            let runtime = self.build(Builder::new_multi_thread().enable_all(), "dynamo-plugin")?;
            let starts = Starts::on(&runtime);
            Ok((runtime, starts))
        });
        jobs.map(|(_, starts)| starts)
    }

    /// Where callers get rows: its blocking threads.
    pub(crate) fn for_rows(&self) -> Result<Handle, Error> {
        let rows = self
            .rows
            .get_or_try_init(|| self.build(&mut Builder::new_current_thread(), "dynamo-rows"));
        rows.map(|runtime| runtime.handle().clone())
    }

    /// Ends all threads; how many have not ended in time.
    pub(crate) fn join(self, within: Duration) -> usize {
        let within = within.clamp(JOIN, Duration::from_secs(3600));
        let jobs = self.jobs.into_inner().map(|(runtime, _)| runtime);
        for runtime in [jobs, self.rows.into_inner()].into_iter().flatten() {
            runtime.shutdown_timeout(within);
        }
        self.count.load(Ordering::Acquire)
    }

    fn build(&self, builder: &mut Builder, name: &str) -> Result<Runtime, Error> {
        let (started, stopped) = (Arc::clone(&self.count), Arc::clone(&self.count));
        builder
            .thread_name(name)
            .max_blocking_threads(BLOCKING)
            .on_thread_start(move || {
                started.fetch_add(1, Ordering::AcqRel);
                block_signals();
                quiet_panics_on_this_thread();
            })
            .on_thread_stop(move || {
                stopped.fetch_sub(1, Ordering::AcqRel);
            })
            .build()
            .map_err(|error| {
                Error::new(
                    ErrorCode::INTERNAL,
                    format!("the plugin's threads cannot be started: {error}"),
                )
                .hint("check the process's limits on threads and file handles")
            })
    }
}

/// Leaves signals to the host's threads, all but those that a thread gets for its own fault.
fn block_signals() {
    let mut signals = SigSet::all();
    for own in [
        Signal::SIGSEGV,
        Signal::SIGBUS,
        Signal::SIGFPE,
        Signal::SIGILL,
        Signal::SIGTRAP,
        Signal::SIGABRT,
        Signal::SIGSYS,
    ] {
        signals.remove(own);
    }
    signals
        .thread_block()
        .expect("a set of existing signals can be blocked");
}
