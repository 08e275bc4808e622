//! How one job is run: it is given to the plugin, ends, and is stored.

use std::{
    pin::Pin,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use plugin_api::{Error, ErrorCode};
use plugin_host::Lease;
use serde_json::json;

use super::{
    Dispatch, Submitted, WaitingJob,
    active::{Active, CancelRequestedBy},
    rows::FinishedResult,
    storage::may_pass,
};
use crate::{
    catalog::LiveCommand,
    error::{Code, HostError},
    job::{JobRecord, JobStatus},
    log::first_line,
    metrics::ResultStats,
    plugins::Unavailable,
    route::ResolvedRoute,
    store::{Put, Store, StoreError},
    trace::trace_id,
};

/// How often an async job is started at most, where the host dies each time while the job runs.
pub(crate) const ATTEMPTS: i64 = 2;

/// A job that has ended and is on disk.
pub(super) struct FinishedJob {
    pub(super) job: Arc<JobRecord>,
    pub(super) result: Option<Bytes>,
    /// Whether the result is in the store only.
    pub(super) is_large: bool,
    pub(super) error: Option<HostError>,
    stats: ResultStats,
    bytes: Option<u64>,
}

impl FinishedJob {
    /// Makes a success that cannot be kept the failure that its caller is told.
    fn fail(&mut self, error: &HostError) {
        if self.job.status != JobStatus::Succeeded {
            return;
        }
        let mut job = JobRecord::clone(&self.job);
        fail(&mut job, error);
        self.job = Arc::new(job);
        (self.result, self.bytes) = (None, None);
        self.error = Some(error.clone());
    }
}

/// A job that has ended and is on its way to the disk.
pub(super) struct FinishingJob {
    ended: FinishedJob,
    put: Arc<Put>,
    stored: Pin<Box<dyn Future<Output = Result<(), StoreError>> + Send>>,
    began: Instant,
}

/// What the plugin, or the host in its place, made of a job.
pub(super) type Outcome = Result<FinishedResult, HostError>;

impl Dispatch {
    /// Runs a sync job, whose slot is taken, to its end.
    pub(super) async fn run_sync(
        self: &Arc<Self>,
        job: JobRecord,
        route: ResolvedRoute,
    ) -> Result<Submitted, HostError> {
        let active = Active::new(job.id.clone(), job.user.clone(), None, None);
        self.jobs()
            .active
            .insert(job.id.clone(), Arc::clone(&active));
        // The run is a task of its own: it ends as it should, also where the caller goes away and drops this future.
        let mut caller = Caller {
            dispatch: Arc::clone(self),
            active: Arc::clone(&active),
            waits: true,
        };
        let (dispatch, running) = (Arc::clone(self), Arc::clone(&active));
        let task = tokio::spawn(async move {
            let active = running;
            // The lease is taken now: the version that is active at acceptance runs the job.
            let lease = dispatch.lease(&route.0);
            let job = active.start(job, lease.as_ref().ok().cloned());
            dispatch.store.put_lazily(Arc::clone(&job));
            let timeout = dispatch.sync_deadline;
            let ending = dispatch.call(&active, job, route, lease, timeout).await;
            dispatch.finish(&active, ending, true).await
        });
        let ended = tokio::select! {
            ended = task => ended,
            () = active.given_up.notified() => {
                caller.waits = false;
                return Err(host_stopped().about(active.id.as_str()));
            }
        };
        caller.waits = false;
        let ended = ended.map_err(|_| {
            self.leave(&caller.active, true);
            HostError::internal("the job's task panicked").about(caller.active.id.as_str())
        })??;
        match ended.error {
            Some(error) => Err(error.about(ended.job.id.as_str())),
            None if ended.is_large => Ok(Submitted::Stored(ended.job)),
            None => Ok(Submitted::Ended(ended.job, ended.result)),
        }
    }

    /// Starts as many waiting jobs as there are workers.
    pub(super) fn start_waiting(self: &Arc<Self>) {
        while !self.is_stopping() {
            let mut jobs = self.jobs();
            let Some(WaitingJob { id, user }) = jobs.queue.pop() else {
                return;
            };
            let active = Active::new(id.clone(), user, None, None);
            jobs.active.insert(id, Arc::clone(&active));
            drop(jobs);
            let dispatch = Arc::clone(self);
            tokio::spawn(async move {
                if let Err(error) = dispatch.run_async(&active).await {
                    dispatch.log.event(
                        plugin_api::Level::Error,
                        "a job could not be run or stored",
                        &[("id", json!(active.id)), ("error", json!(error.message))],
                    );
                }
                dispatch.leave(&active, false);
            });
        }
    }

    async fn run_async(self: &Arc<Self>, active: &Arc<Active>) -> Result<(), HostError> {
        let read = self.until_disk(&active.id, || self.read(&active.id));
        let found = match read.await {
            Err(error) if !may_pass(&error) => {
                self.keep_as_failed(&active.id, &error).await;
                return Ok(());
            }
            read => read?,
        };
        let Some(mut job) = found else {
            return Ok(());
        };
        job.attempts += 1;
        let catalog = self.catalog();
        let found = (
            catalog.command(&job.route.command_id),
            catalog.cluster(&job.route.cluster_id),
        );
        let (Some(command), Some(cluster)) = found else {
            let message = format!(
                "the command '{}' or the cluster '{}' is no longer defined",
                job.route.command_id, job.route.cluster_id
            );
            active.start(job, None);
            let outcome = Err(HostError::new(Code::NoRoute, message).hint("submit the job again"));
            let ending = self.end(active, outcome, ResultStats::default());
            return self.finish(active, ending, false).await.map(drop);
        };
        let lease = self.lease(command);
        let job = active.start(job, lease.as_ref().ok().cloned());
        // On disk before it runs: a host that dies under this job must know that it had begun.
        let begun = self.until_disk(&active.id, || {
            // Somebody may have cancelled it meanwhile.
            let now = active.record().unwrap_or_else(|| Arc::clone(&job));
            self.store_record(Arc::new(Put::record(now)))
        });
        match begun.await {
            Err(error) if !may_pass(&error) => {
                self.keep_as_failed(&active.id, &error).await;
                return Ok(());
            }
            begun => begun?,
        }
        let route = (Arc::clone(command), Arc::clone(cluster));
        let ending = self.call(active, job, route, lease, None).await;
        self.finish(active, ending, false).await.map(drop)
    }

    fn lease(&self, command: &LiveCommand) -> Result<Arc<Lease>, Unavailable> {
        self.plugins.lease(command.command.need())
    }

    /// Ends a job: counts what it asked of services, decides its status and begins to store it. Blocks where its result is large;
    /// `None` where it had ended before.
    pub(super) fn end(
        &self,
        active: &Active,
        outcome: Outcome,
        stats: ResultStats,
    ) -> Option<FinishingJob> {
        // A job that was cancelled, or that waits for the next start, has asked and consumed as well.
        self.metrics.consumed(&stats);
        let stderr = self.log.end_job(&active.id);
        let (outcome, in_file) = self.write_large(active, outcome);
        let mut left = (None, None);
        let job = active.end(|job, asked| {
            left = settle(job, asked, outcome);
            job.rows = left.0.as_ref().and(stats.rows);
        })?;
        let (kept, error) = left;
        if in_file && kept.is_none() {
            self.store.remove_result_file(job.seq);
        }
        let bytes = kept.as_ref().map(|kept| match kept {
            FinishedResult::Document(document) => document.len() as u64,
            FinishedResult::Lines(lines) => lines.bytes,
        });
        let (result, lines) = match kept {
            Some(FinishedResult::Document(document)) => (Some(document), None),
            Some(FinishedResult::Lines(lines)) => (None, Some(lines)),
            None => (None, None),
        };
        let is_large = lines.is_some();
        let put = Arc::new(Put {
            job: Arc::clone(&job),
            stderr,
            result_in_file: in_file && result.is_some(),
            result: result.clone(),
            lines,
        });
        Some(FinishingJob {
            began: Instant::now(),
            stored: Box::pin(self.store.put_shared(Arc::clone(&put))),
            put,
            ended: FinishedJob {
                job,
                result,
                is_large,
                error,
                stats,
                bytes,
            },
        })
    }

    /// Waits until a job's end is on disk, counts it, frees its slot.
    async fn finish(
        self: &Arc<Self>,
        active: &Arc<Active>,
        ending: Option<FinishingJob>,
        is_sync: bool,
    ) -> Result<FinishedJob, HostError> {
        let Some(FinishingJob {
            began,
            put,
            stored,
            mut ended,
        }) = ending
        else {
            return Err(HostError::internal("a job ended twice"));
        };
        let stored = stored.await;
        let mut stored = stored.map_err(|error| self.storage.store_failed(&error));
        if is_sync && let Err(error) = &stored {
            ended.fail(error);
        } else if stored.is_err() {
            let again = || self.store_record(Arc::clone(&put));
            stored = self.until_disk(&active.id, again).await;
        }
        let lost = stored.as_ref().err().filter(|error| !may_pass(error));
        if !is_sync && let Some(error) = lost.cloned() {
            ended.fail(&error);
            self.keep_as_failed(&active.id, &error).await;
            if put.has_file() {
                self.store.remove_result_file(put.job.seq);
            }
            stored = Ok(());
        }
        self.metrics.committed(began.elapsed().as_secs_f64());
        let FinishedJob { job, error, .. } = &ended;
        if job.status == JobStatus::New {
            self.log_put_back(job);
        } else {
            let outcome = error
                .as_ref()
                .map_or(job.status.as_str(), |error| error.code.as_str());
            self.log_end(job, outcome, elapsed(job), ended.bytes, &ended.stats);
        }
        match stored {
            Ok(()) if is_sync => self.leave(active, true),
            Err(_) if is_sync => self.keep_later(active, &ended, &put),
            _ => {}
        }
        stored.map_err(|error| error.about(ended.job.id.as_str()))?;
        Ok(ended)
    }

    /// Puts a record, with the words of the API for a disk that refuses.
    async fn store_record(&self, put: Arc<Put>) -> Result<(), HostError> {
        let stored = self.store.put_shared(put).await;
        stored.map_err(|error| self.storage.store_failed(&error))
    }

    /// Keeps the end of a sync job whose caller has been told that it failed, because the disk refused. Its slot is free only then.
    fn keep_later(self: &Arc<Self>, active: &Arc<Active>, ended: &FinishedJob, refused: &Put) {
        let (dispatch, active) = (Arc::clone(self), Arc::clone(active));
        let (job, has_file) = (Arc::clone(&ended.job), refused.has_file());
        tokio::spawn(async move {
            let record = Arc::new(Put::record(job));
            let keep = || dispatch.store_record(Arc::clone(&record));
            let kept = dispatch.until_disk(&active.id, keep).await;
            if let Err(error) = &kept
                && !may_pass(error)
            {
                dispatch.keep_as_failed(&active.id, error).await;
            }
            // Not before: what the disk refused to confirm may be there all the same. Where the host stops first, the next start settles it.
            if kept.is_ok() && has_file {
                dispatch.store.remove_result_file(record.job.seq);
            }
            dispatch.leave(&active, true);
        });
    }

    /// Brings a large result onto the disk before its record says that it is there.
    fn write_large(&self, active: &Active, outcome: Outcome) -> (Outcome, bool) {
        let result = match &outcome {
            Ok(FinishedResult::Document(result)) => result,
            Ok(FinishedResult::Lines(_)) => return (outcome, true),
            Err(_) => return (outcome, false),
        };
        let Some(seq) = active.seq().filter(|_| Store::wants_file(result)) else {
            return (outcome, false);
        };
        match self.store.write_result_file(seq, result) {
            Ok(()) => (outcome, true),
            Err(error) => (Err(self.storage.store_failed(&error)), false),
        }
    }

    /// Frees a job's slot and starts what waits for one.
    pub(super) fn leave(self: &Arc<Self>, active: &Arc<Active>, is_sync: bool) {
        {
            let mut jobs = self.jobs();
            if jobs.active.remove(&active.id).is_none() {
                return;
            }
            jobs.queue.end(&active.user, is_sync);
        }
        active.close();
        self.start_waiting();
    }

    pub(super) fn log_put_back(&self, job: &JobRecord) {
        self.log.event(
            plugin_api::Level::Info,
            "job stopped with the host; it waits for the next start",
            &[("id", json!(job.id)), ("user", json!(job.user))],
        );
    }

    /// Counts an ended job and writes its line.
    pub(super) fn log_end(
        &self,
        job: &JobRecord,
        outcome: &str,
        seconds: f64,
        bytes: Option<u64>,
        stats: &ResultStats,
    ) {
        self.metrics.job_ended(job, outcome, seconds, bytes, stats);
        self.log.event(
            plugin_api::Level::Info,
            "job ended",
            &[
                ("id", json!(job.id)),
                ("user", json!(job.user)),
                ("command", json!(job.route.command_id)),
                ("cluster", json!(job.route.cluster_id)),
                ("plugin", json!(job.route.plugin)),
                ("plugin_version", json!(job.plugin_version)),
                ("status", json!(job.status)),
                ("outcome", json!(outcome)),
                ("rows", json!(stats.rows)),
                ("bytes", json!(bytes)),
                ("error", json!(job.error.as_deref().map(first_line))),
                (
                    "trace_id",
                    json!(job.traceparent.as_deref().and_then(trace_id)),
                ),
                ("elapsed_ms", json!((seconds * 1e3).round())),
            ],
        );
    }
}

/// The caller of a sync job. Going away before the end cancels the job: nobody would see its result.
struct Caller {
    dispatch: Arc<Dispatch>,
    active: Arc<Active>,
    waits: bool,
}

impl Drop for Caller {
    fn drop(&mut self) {
        if self.waits {
            let (dispatch, active) = (Arc::clone(&self.dispatch), Arc::clone(&self.active));
            tokio::spawn(async move {
                let by = active.user.clone();
                dispatch.cancel_active(&active, &by).await
            });
        }
    }
}

/// Decides what a job's run comes to; gives the result and the error that count.
fn settle(
    job: &mut JobRecord,
    asked: CancelRequestedBy,
    outcome: Outcome,
) -> (Option<FinishedResult>, Option<HostError>) {
    let was_stopped =
        matches!(&outcome, Err(error) if error.code == Code::Plugin(ErrorCode::CANCELLED));
    match (asked, outcome) {
        (CancelRequestedBy::Caller, _) => job.status = JobStatus::Cancelled,
        (CancelRequestedBy::Host, Err(_)) if was_stopped => return stopped_by_host(job),
        (CancelRequestedBy::Nobody, Err(_)) if was_stopped => job.status = JobStatus::Cancelled,
        (_, Ok(result)) => {
            job.status = JobStatus::Succeeded;
            return (Some(result), None);
        }
        (_, Err(error)) => {
            fail(job, &error);
            return (None, Some(error));
        }
    }
    (None, None)
}

/// What a stopping host makes of a job that it did not wait for: an async one waits for the next start, as if this run had not
/// been; a sync one has run out of time.
pub(super) fn stopped_by_host(job: &mut JobRecord) -> (Option<FinishedResult>, Option<HostError>) {
    if job.is_sync {
        let error = host_stopped();
        fail(job, &error);
        return (None, Some(error));
    }
    job.status = JobStatus::New;
    job.attempts -= 1;
    job.plugin_version = None;
    (None, None)
}

fn host_stopped() -> HostError {
    let error = Error::new(
        ErrorCode::TIMEOUT,
        "the host is stopping, and the job had not ended within its grace time",
    );
    error.hint("submit the job again").into()
}

pub(super) fn fail(job: &mut JobRecord, error: &HostError) {
    job.status = JobStatus::Failed;
    job.error = Some(error.message.clone());
    job.error_document = String::from_utf8(error.clone().about(job.id.as_str()).to_json()).ok();
}

fn elapsed(job: &JobRecord) -> f64 {
    age(&job.id).as_secs_f64()
}

/// How long ago a job was accepted. Ids carry their time in milliseconds; records only in seconds.
pub(super) fn age(id: &str) -> Duration {
    let accepted = uuid::Uuid::parse_str(id)
        .ok()
        .and_then(|id| id.get_timestamp());
    let accepted = accepted.map(|time| {
        let (seconds, nanos) = time.to_unix();
        Duration::new(seconds, nanos)
    });
    let now = std::time::SystemTime::UNIX_EPOCH
        .elapsed()
        .unwrap_or_default();
    accepted.map_or(Duration::ZERO, |accepted| now.saturating_sub(accepted))
}
