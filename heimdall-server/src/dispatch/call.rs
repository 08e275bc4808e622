//! One job's call: from its document to the plugin's answer.
//!
//! In: an accepted job and a lease on the version that runs it. Out: the job's end. A version that can start jobs is asked to, so that a
//! job that waits costs no thread; any other is called on a blocking thread.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::Duration,
};

use plugin_api::{Error, ErrorCode};
use plugin_host::{
    CallOptions, JobDocument, Lease,
    worker::{PLUGIN_CRASHED, PLUGIN_UNAVAILABLE},
};
use tokio::sync::oneshot;

use super::{
    Dispatch,
    active::Active,
    rows::{AFTER_BYTES, Rows},
    run::FinishingJob,
};
use crate::{
    error::{Code, HostError},
    job::JobRecord,
    metrics::ResultStats,
    plugins::Unavailable,
    route::ResolvedRoute,
    store::Store,
    trace::trace_id,
};

/// How often an async job looks whether the worker of its version is running again.
const PAUSE: Duration = Duration::from_millis(200);

impl Dispatch {
    /// Has the plugin run a job, and ends it. A job that waits costs no thread where its version can start jobs.
    pub(super) async fn call(
        self: &Arc<Self>,
        active: &Arc<Active>,
        job: Arc<JobRecord>,
        route: ResolvedRoute,
        lease: Result<Arc<Lease>, Unavailable>,
        timeout: Option<Duration>,
    ) -> Option<FinishingJob> {
        let lease = match lease {
            Ok(lease) => lease,
            Err(unavailable) => {
                let error = HostError {
                    hint: unavailable.hint,
                    ..HostError::new(Code::PluginUnavailable, unavailable.message)
                };
                return self.end(active, Err(error), ResultStats::default());
            }
        };
        let rows = Rows::new(Arc::clone(&self.store), job.seq, self.max_result_bytes);
        let called = JobCall {
            dispatch: Arc::clone(self),
            active: Arc::clone(active),
            options: call_options(timeout, active, &rows),
            rows,
            job,
            route,
            lease,
        };
        let panicked = |Panicked| {
            let error = HostError::internal("the call into the plugin panicked");
            self.end(active, Err(error), ResultStats::default())
        };
        let ended = if called.lease.can_start() {
            called.start().await
        } else {
            blocking(move || called.run()).await
        };
        ended.unwrap_or_else(panicked)
    }
}

/// A job with all that its call needs.
struct JobCall {
    dispatch: Arc<Dispatch>,
    active: Arc<Active>,
    job: Arc<JobRecord>,
    route: ResolvedRoute,
    lease: Arc<Lease>,
    options: CallOptions,
    rows: Arc<Rows>,
}

impl JobCall {
    /// Starts the job, waits for its end without a thread, and ends it: on a blocking thread only where its result goes to a file.
    async fn start(self) -> Result<Option<FinishingJob>, Panicked> {
        let answer = match self.begin() {
            Err(error) => Err(error),
            Ok(document) => {
                let (tell, told) = oneshot::channel();
                let done = move |answer| {
                    // The host may have given the job up.
                    let _ = tell.send(answer);
                };
                let lease = Arc::clone(&self.lease);
                match lease.start_job(&document, self.options.clone(), done) {
                    Err(error) => Err(error),
                    Ok(()) => {
                        drop(document);
                        told.await.unwrap_or_else(|_| Err(lost()))
                    }
                }
            }
        };
        let is_large = |answer: &plugin_host::Document| Store::wants_file(answer);
        if self.rows.has_begun() || answer.as_ref().is_ok_and(is_large) {
            return blocking(move || self.end(answer)).await;
        }
        catch_unwind(AssertUnwindSafe(|| self.end(answer))).map_err(|_| Panicked)
    }

    /// Runs the job and ends it. Blocks.
    fn run(self) -> Option<FinishingJob> {
        let answer = self.begin().and_then(|document| self.run_on(&document));
        self.end(answer)
    }

    /// The job's document, where nobody has asked it to stop yet. Its log lines are kept from here on.
    fn begin(&self) -> Result<Vec<u8>, Error> {
        let trace = self.job.traceparent.as_deref().and_then(trace_id);
        self.dispatch.log.begin_job(&self.job.id, trace);
        if self.active.is_asked_to_stop() {
            return Err(Error::new(
                ErrorCode::CANCELLED,
                "the job was cancelled before it began",
            ));
        }
        Ok(document(&self.job, &self.route))
    }

    /// Runs a job on its version. An async job waits while the worker of its version pauses, and where a worker died under it, it
    /// runs again, once, in a worker for itself: jobs only read.
    fn run_on(&self, document: &[u8]) -> Result<plugin_host::Document, Error> {
        loop {
            match self.lease.run_job(document, &self.options) {
                Err(error) if self.job.is_sync || self.active.is_asked_to_stop() => {
                    return Err(error);
                }
                Err(error) if error.code == PLUGIN_UNAVAILABLE => std::thread::sleep(PAUSE),
                Err(error) if error.code == PLUGIN_CRASHED => {
                    return self.lease.run_job_alone(document, &self.options);
                }
                outcome => return outcome,
            }
        }
    }

    fn end(&self, answer: Result<plugin_host::Document, Error>) -> Option<FinishingJob> {
        let stats = ResultStats::of(&answer);
        let outcome = self.rows.settle(answer);
        self.dispatch.end(&self.active, outcome, stats)
    }
}

/// The host's own part of a call panicked.
struct Panicked;

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Panicked> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|_| Panicked)
}

/// What the plugin gets of an accepted job.
fn document(job: &JobRecord, (command, cluster): &ResolvedRoute) -> Vec<u8> {
    fn filled(text: &str) -> Option<&str> {
        Some(text).filter(|text| !text.is_empty())
    }
    JobDocument {
        id: Some(&job.id),
        name: filled(&job.name),
        version: filled(&job.version),
        user: Some(&job.user),
        traceparent: job.traceparent.as_deref(),
        context: job.context.as_deref(),
        command: Some(&*command.document),
        cluster: Some(&*cluster.document),
    }
    .to_json()
}

fn lost() -> Error {
    Error::new(ErrorCode::INTERNAL, "the plugin never told the job's end")
        .hint("this is a bug in the plugin")
}

/// What the plugin is offered: where its progress and its rows go.
fn call_options(timeout: Option<Duration>, active: &Active, rows: &Arc<Rows>) -> CallOptions {
    let (progress, rows) = (Arc::clone(&active.progress), Arc::clone(rows));
    CallOptions {
        timeout,
        progress: Some(Arc::new(move |rows, pages, wire_bytes| {
            progress.set(rows, pages, wire_bytes);
        })),
        rows: Some(Arc::new(move |lines: &[u8]| rows.take(lines))),
        rows_after_bytes: AFTER_BYTES,
    }
}
