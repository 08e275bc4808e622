//! The DynamoDB plugin as a shared library: its runtime and its export line. What a job does is `dynamo-query`'s.
//!
//! Jobs run on this library's own threads, never on the caller's, who only waits: those threads have signals blocked, so that a peer
//! that closes its connection cannot kill the host by SIGPIPE. Nothing is started before the first job.
#![forbid(unsafe_code)]

use std::{
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    time::Duration,
};

use dynamo_query::{run::Queries, session::Environment};
use nix::sys::signal::{SigSet, Signal};
use once_cell::sync::OnceCell;
use plugin_api::{
    Error, ErrorCode, Host, JobCtx, Plugin, catch_panics, quiet_panics_on_this_thread,
};
use serde_json::{Map, Value};
use tokio::runtime::{Builder, Runtime};

/// How long `close` waits at least for threads that are still in the system's name lookup, which cannot be interrupted.
const JOIN: Duration = Duration::from_secs(30);

struct Dynamo {
    queries: Arc<Queries>,
    runtime: OnceCell<Runtime>,
    threads: Arc<AtomicUsize>,
}

impl Plugin for Dynamo {
    const NAME: &'static str = "dynamo";
    const FEATURES: &'static str = "cancel progress health";

    fn open(_host: Host, config: &str) -> Result<Self, Error> {
        refuse_unknown(config)?;
        Ok(Self {
            queries: Arc::new(Queries::new(Environment::read())),
            runtime: OnceCell::new(),
            threads: Arc::default(),
        })
    }

    fn run_job(&self, job: &str, ctx: &JobCtx) -> Result<Vec<u8>, Error> {
        let (queries, job, ctx) = (Arc::clone(&self.queries), job.to_owned(), ctx.clone());
        self.wait_for(Box::pin(async move { queries.run_job(&job, &ctx).await }))
    }

    fn check_health(&self, cluster: &str, ctx: &JobCtx) -> Result<Vec<u8>, Error> {
        let (queries, cluster, ctx) = (Arc::clone(&self.queries), cluster.to_owned(), ctx.clone());
        self.wait_for(Box::pin(async move {
            queries.check_health(&cluster, &ctx).await
        }))
    }

    fn close(self, within: Duration) -> Result<(), Error> {
        if let Some(runtime) = self.runtime.into_inner() {
            runtime.shutdown_timeout(within.clamp(JOIN, Duration::from_secs(3600)));
        }
        match self.threads.load(Ordering::Acquire) {
            0 => Ok(()),
            left => Err(Error::new(
                ErrorCode::INTERNAL,
                format!("{left} threads are still looking up a host name"),
            )
            .hint("they end by themselves; the library stays loaded")),
        }
    }
}

impl Dynamo {
    /// Runs a job on the plugin's threads and waits for it here. In a box, because it is large and would be moved several times.
    fn wait_for(
        &self,
        job: Pin<Box<dyn Future<Output = Result<Vec<u8>, Error>> + Send>>,
    ) -> Result<Vec<u8>, Error> {
        let (answer, answered) = mpsc::sync_channel(1);
        let runtime = self.runtime.get_or_try_init(|| start(&self.threads))?;
        runtime.spawn(async move {
            let _ = answer.send(catch_panics(job).await);
        });
        answered.recv().unwrap_or_else(|_| {
            Err(Error::new(ErrorCode::INTERNAL, "the job's task was lost")
                .hint("this is a bug in the plugin"))
        })
    }
}

fn start(threads: &Arc<AtomicUsize>) -> Result<Runtime, Error> {
    let (started, stopped) = (Arc::clone(threads), Arc::clone(threads));
    Builder::new_multi_thread()
        .thread_name("dynamo-plugin")
        .enable_all()
        // Only name lookups block.
        .max_blocking_threads(16)
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

/// A config is a JSON object; no field is defined yet.
fn refuse_unknown(config: &str) -> Result<(), Error> {
    let invalid = |message: String| {
        Error::new(ErrorCode::INVALID_JOB, message)
            .hint("pass {} or nothing: no field is defined yet")
    };
    let fields: Map<String, Value> = serde_json::from_str(config)
        .map_err(|error| invalid(format!("the plugin's config is not a JSON object: {error}")))?;
    match fields.keys().next() {
        None => Ok(()),
        Some(field) => Err(invalid(format!(
            "the plugin's config has an unknown field '{}'",
            field.escape_debug()
        ))),
    }
}

plugin_api::export_plugin!(Dynamo);
