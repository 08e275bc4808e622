//! The one place of a library that holds its plugin: fresh → open ⇄ closed, and the jobs under way.
//!
//! In: the calls of the entry points, already checked. Out: the plugin's answers. Jobs hold the plugin by `Arc`, so a call after close can
//! only find an empty slot, never freed memory.

use std::{
    sync::{Arc, PoisonError},
    time::{Duration, Instant},
};

use crate::{
    Error, ErrorCode, Host, JobCtx, Plugin,
    ffi::{callbacks::CallerFunctions, fork::InUse},
    json::{self, OutOfTime},
    panic::guard,
    start::Done,
    sync::{Condvar, Mutex, MutexGuard},
};

/// How long `plugin_close` waits for jobs that it has cancelled before it reports them instead of hanging the host.
const AFTER_CANCEL: Duration = Duration::from_secs(30);

/// Why a call did not give its answer: the job's failure (status 1) or the caller's misuse (status 2).
pub(crate) enum Refusal {
    Failed(Error),
    Misuse(Error),
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

/// What the entry points know about one call besides its document.
pub(crate) struct CallInfo {
    pub(crate) started: Instant,
    pub(crate) deadline: Option<Instant>,
    pub(crate) functions: Option<CallerFunctions>,
    pub(crate) rows_after_bytes: u64,
}

/// The library's one plugin. [`crate::export_plugin!`] makes it a static.
pub struct Slot<P> {
    life: Mutex<LifeCycle<P>>,
    /// Notified when `phase` changes and when a job ends.
    changed: Condvar,
    /// [`AFTER_CANCEL`], shorter in tests.
    after_cancel: Duration,
}

struct LifeCycle<P> {
    phase: Phase<P>,
    /// Jobs under way, in no order.
    jobs: Vec<JobCtx>,
}

enum Phase<P> {
    /// Never opened, never closed: the first job opens it.
    Fresh,
    /// Somebody is opening it; others wait.
    Opening,
    Open(Arc<Instance<P>>),
    Closing(Arc<Instance<P>>),
    /// A close gave up on jobs that did not stop; the next close tries again.
    Stuck(Arc<Instance<P>>),
    /// No job is left and the plugin's own `close` runs.
    Ending,
    Closed,
}

struct Instance<P> {
    plugin: P,
    host: Host,
    in_use: InUse,
}

impl<P: Plugin> Slot<P> {
    /// An empty slot.
    #[expect(clippy::new_without_default, reason = "made once, as a static")]
    #[must_use]
    pub const fn new() -> Self {
        Self {
            life: Mutex::new(LifeCycle {
                phase: Phase::Fresh,
                jobs: Vec::new(),
            }),
            changed: Condvar::new(),
            after_cancel: AFTER_CANCEL,
        }
    }

    pub(crate) fn open(&self, host: Host, config: &str) -> Result<(), Refusal> {
        let mut life = self.lock();
        loop {
            match &life.phase {
                Phase::Fresh | Phase::Closed => break,
                Phase::Opening | Phase::Closing(_) | Phase::Ending => life = self.wait(life),
                Phase::Open(_) => {
                    return Err(Refusal::Misuse(misuse("the plugin is already open")));
                }
                Phase::Stuck(_) => {
                    return Err(Refusal::Misuse(misuse(
                        "the plugin is still closing: jobs of it have not stopped",
                    )));
                }
            }
        }
        self.open_locked(life, host, config)
            .map(drop)
            .map_err(Refusal::from)
    }

    /// Opens; on failure the phase is what it was.
    fn open_locked<'a>(
        &'a self,
        mut life: MutexGuard<'a, LifeCycle<P>>,
        host: Host,
        config: &str,
    ) -> Result<MutexGuard<'a, LifeCycle<P>>, Error> {
        let before = std::mem::replace(&mut life.phase, Phase::Opening);
        drop(life);
        let in_use = InUse::new();
        let opened = guard(|| P::open(host.clone(), config));
        let mut life = self.lock();
        self.changed.notify_all();
        match opened {
            Ok(plugin) => {
                life.phase = Phase::Open(Arc::new(Instance {
                    plugin,
                    host,
                    in_use,
                }));
                Ok(life)
            }
            Err(error) => {
                host.silence();
                life.phase = before;
                Err(error)
            }
        }
    }

    pub(crate) fn run_job(&self, job: &str, call: CallInfo) -> Result<Vec<u8>, Error> {
        let id = job_id(job, &call)?;
        self.call(id, call, |plugin, ctx| plugin.run_job(job, ctx))
    }

    /// Starts one job. `finish` is told its end, once, and may be told before this returns; never where this is an error.
    pub(crate) fn start_job(
        &'static self,
        job: String,
        call: CallInfo,
        finish: impl FnOnce(Result<Vec<u8>, Error>) + Send + 'static,
    ) -> Result<(), Error> {
        // Where the deadline passes meanwhile, the plugin meets it on a thread of its own: `finish` must not run on the caller's.
        let id = job_id(&job, &call).unwrap_or(None);
        // Shared, so that the job is under way until both its end has been told and the plugin's `start_job` has returned.
        let under_way = Arc::new(self.begin(id, call)?);
        let for_end = Arc::clone(&under_way);
        let done = Done::new(move |outcome| {
            for_end.ctx.end();
            finish(outcome);
        });
        let mut refused = None;
        // A panic drops `done`, which tells the end.
        let _ = guard(|| {
            let plugin = &under_way.instance().plugin;
            refused = plugin.start_job(job, under_way.ctx.clone(), done).err();
            Ok(())
        });
        refused.map_or(Ok(()), |refused| Err(refused.into_error()))
    }

    pub(crate) fn check_health(&self, cluster: &str, call: CallInfo) -> Result<Vec<u8>, Error> {
        self.call(None, call, |plugin, ctx| plugin.check_health(cluster, ctx))
    }

    fn call(
        &self,
        id: Option<String>,
        call: CallInfo,
        f: impl FnOnce(&P, &JobCtx) -> Result<Vec<u8>, Error>,
    ) -> Result<Vec<u8>, Error> {
        // A panic in `f` passes through here, removes the job from the running jobs on its way, and is caught by the entry point.
        let under_way = self.begin(id, call)?;
        f(&under_way.instance().plugin, &under_way.ctx)
    }

    /// Notes a job as under way, opening the plugin with defaults where nobody has yet.
    fn begin(&self, id: Option<String>, call: CallInfo) -> Result<RunningJob<'_, P>, Error> {
        let mut life = self.lock();
        loop {
            match &life.phase {
                Phase::Open(instance) => {
                    let instance = Arc::clone(instance);
                    let ctx = JobCtx::new(
                        id,
                        call.started,
                        call.deadline,
                        instance.host.clone(),
                        call.functions,
                        call.rows_after_bytes,
                    );
                    life.jobs.push(ctx.clone());
                    return Ok(RunningJob {
                        slot: self,
                        instance: Some(instance),
                        ctx,
                    });
                }
                Phase::Fresh => life = self.open_locked(life, Host::new(None), "{}")?,
                Phase::Opening => life = self.wait(life),
                Phase::Closing(_) | Phase::Stuck(_) | Phase::Ending | Phase::Closed => {
                    return Err(shutting_down());
                }
            }
        }
    }

    /// Asks every job under that id to stop; whether there was one.
    pub(crate) fn cancel(&self, id: &str) -> bool {
        let jobs: Vec<JobCtx> = self
            .lock()
            .jobs
            .iter()
            .filter(|job| job.id() == Some(id))
            .cloned()
            .collect();
        jobs.iter().for_each(JobCtx::cancel);
        !jobs.is_empty()
    }

    /// Takes no new jobs, waits `within` for those under way, cancels what is left, ends the plugin.
    pub(crate) fn close(&self, within: Duration) -> Result<(), Error> {
        let deadline = Instant::now().checked_add(within);
        let mut life = self.lock();
        let mut waited_for_another = false;
        loop {
            match std::mem::replace(&mut life.phase, Phase::Ending) {
                Phase::Fresh | Phase::Closed => {
                    life.phase = Phase::Closed;
                    return Ok(());
                }
                Phase::Stuck(instance) if waited_for_another => {
                    let left = life.jobs.len();
                    life.phase = Phase::Stuck(instance);
                    return Err(jobs_left(left));
                }
                Phase::Open(instance) | Phase::Stuck(instance) => {
                    life.phase = Phase::Closing(instance);
                    self.changed.notify_all();
                    return self.drain_and_end(life, deadline);
                }
                other => {
                    waited_for_another |= matches!(other, Phase::Closing(_));
                    life.phase = other;
                    life = self.wait(life);
                }
            }
        }
    }

    fn drain_and_end(
        &self,
        life: MutexGuard<'_, LifeCycle<P>>,
        deadline: Option<Instant>,
    ) -> Result<(), Error> {
        let mut life = self.wait_for_jobs(life, deadline);
        if !life.jobs.is_empty() {
            let jobs = life.jobs.clone();
            drop(life);
            jobs.iter().for_each(JobCtx::cancel);
            drop(jobs);
            life = self.wait_for_jobs(self.lock(), Some(Instant::now() + self.after_cancel));
        }
        let left = life.jobs.len();
        let Phase::Closing(instance) = std::mem::replace(&mut life.phase, Phase::Closed) else {
            unreachable!("only the closer leaves the phase Closing");
        };
        if left > 0 {
            life.phase = Phase::Stuck(instance);
            self.changed.notify_all();
            return Err(jobs_left(left));
        }
        // Jobs have dropped their clones, so this is the last.
        life.phase = Phase::Ending;
        drop(life);
        let Instance {
            plugin,
            host,
            in_use,
        } = Arc::into_inner(instance)
            .expect("a job drops its clone before it is removed from the running jobs");
        let within = deadline.map_or(Duration::MAX, |at| {
            at.saturating_duration_since(Instant::now())
        });
        let ended = guard(|| plugin.close(within));
        host.silence();
        drop(in_use);
        self.lock().phase = Phase::Closed;
        self.changed.notify_all();
        ended
    }

    fn wait_for_jobs<'a>(
        &self,
        mut life: MutexGuard<'a, LifeCycle<P>>,
        until: Option<Instant>,
    ) -> MutexGuard<'a, LifeCycle<P>> {
        while !life.jobs.is_empty() {
            let left = until.map_or(self.after_cancel, |at| {
                at.saturating_duration_since(Instant::now())
            });
            if left.is_zero() {
                break;
            }
            life = self
                .changed
                .wait_timeout(life, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
        life
    }

    fn lock(&self) -> MutexGuard<'_, LifeCycle<P>> {
        self.life.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, life: MutexGuard<'a, LifeCycle<P>>) -> MutexGuard<'a, LifeCycle<P>> {
        self.changed
            .wait(life)
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// A job under way; dropping it removes the job from the running jobs.
struct RunningJob<'a, P: Plugin> {
    slot: &'a Slot<P>,
    instance: Option<Arc<Instance<P>>>,
    ctx: JobCtx,
}

impl<P: Plugin> RunningJob<'_, P> {
    fn instance(&self) -> &Instance<P> {
        self.instance.as_ref().expect("only drop takes it")
    }
}

impl<P: Plugin> Drop for RunningJob<'_, P> {
    fn drop(&mut self) {
        self.ctx.end();
        // Before the job leaves the list: close takes an empty list for "no clone is left".
        self.instance = None;
        let mut life = self.slot.lock();
        if let Some(at) = life.jobs.iter().position(|job| job.is(&self.ctx)) {
            life.jobs.swap_remove(at);
        }
        if !matches!(life.phase, Phase::Open(_)) {
            self.slot.changed.notify_all();
        }
    }
}

/// The `id` of a job document, so that it can be cancelled. What else is wrong with the document is the plugin's to say.
///
/// # Errors
/// `TIMEOUT` where the deadline, which covers the reading too, passes before the id is found.
fn job_id(job: &str, call: &CallInfo) -> Result<Option<String>, Error> {
    json::id_of(job, call.deadline).map_err(|OutOfTime| {
        Error::new(
            ErrorCode::TIMEOUT,
            format!(
                "the deadline passed while the id of a job document of {} bytes was looked for",
                job.len()
            ),
        )
        .hint("write the id first, or make the document smaller")
    })
}

pub(crate) fn misuse(message: impl Into<String>) -> Error {
    Error::new(ErrorCode::INVALID_JOB, message).hint("see docs/ABI.md for what may be called when")
}

fn shutting_down() -> Error {
    Error::new(
        ErrorCode::SHUTTING_DOWN,
        "the plugin is closed and takes no new job",
    )
    .hint("send the job again: another version of the plugin may take it")
}

fn jobs_left(left: usize) -> Error {
    Error::new(
        ErrorCode::INTERNAL,
        format!("{left} jobs have not stopped after being cancelled"),
    )
    .hint("the plugin stays loaded and closed to new jobs; close it again later")
}

#[cfg(shuttle)]
#[cfg(test)]
mod model;
#[cfg(not(shuttle))]
#[cfg(test)]
#[expect(unsafe_code, reason = "the callbacks of a host in C")]
mod tests;
