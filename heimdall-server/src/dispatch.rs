//! From a submission to its end: accept, route, run, store.
//!
//! In: checked submissions and the callers' names. Out: ended sync jobs, queued async ones, or refusals. Plugins that
//! can start jobs are asked to and hold no thread; calls of others run on blocking threads. What is answered is on disk first.

mod active;
mod call;
mod queue;
mod rows;
mod run;
mod shutdown;
mod storage;

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, RwLock,
        atomic::{AtomicBool, Ordering},
    },
};

use bytes::Bytes;

pub use self::shutdown::Drained;
use self::{
    active::{Active, Cancel},
    queue::{Bounds, Queue, WaitingJob},
    storage::Storage,
};
pub(crate) use self::{run::ATTEMPTS, storage::store_failed};
use crate::{
    catalog::Catalog,
    config::Limits,
    error::{Code, HostError},
    job::{JobRecord, JobStatus, Route, Submission, new_id, now, raw},
    log::Log,
    metrics::Metrics,
    plugins::Plugins,
    route::{self, ResolvedRoute},
    store::{Put, Store, StoreError},
};

/// Runs jobs. Shared by all requests.
pub struct Dispatch {
    store: Arc<Store>,
    plugins: Arc<Plugins>,
    metrics: Arc<Metrics>,
    log: Arc<Log>,
    catalog: RwLock<Arc<Catalog>>,
    /// The deadline of a sync job, where the operator set one.
    sync_deadline: Option<std::time::Duration>,
    /// What runs and what waits, behind one lock, so that a job is always in one of the two.
    jobs: Mutex<Jobs>,
    stopping: AtomicBool,
    storage: Storage,
    max_result_bytes: u64,
}

struct Jobs {
    queue: Queue,
    active: HashMap<String, Arc<Active>>,
}

/// What a submission comes to.
pub enum Submitted {
    /// An async job, accepted.
    Queued(Arc<JobRecord>),
    /// A sync job that ended with a result, or was cancelled.
    Ended(Arc<JobRecord>, Option<Bytes>),
    /// A sync job whose result is so large that only the store has it.
    Stored(Arc<JobRecord>),
}

/// Commands that cannot run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing {
    /// Their ids.
    pub ids: Vec<String>,
    /// How many commands are active, those included.
    pub active: usize,
}

impl Missing {
    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether every active command can run.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }
}

/// What a dispatcher is made of.
pub struct Parts {
    /// Where jobs are kept.
    pub store: Arc<Store>,
    /// What runs them.
    pub plugins: Arc<Plugins>,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// What is said.
    pub log: Arc<Log>,
    /// The definitions in force.
    pub catalog: Catalog,
    /// How many jobs may run and wait.
    pub limits: Limits,
    /// How many async jobs run at once.
    pub workers: usize,
    /// The deadline of a sync job, where there is one.
    pub sync_deadline: Option<std::time::Duration>,
}

impl Dispatch {
    /// A dispatcher without jobs.
    #[must_use]
    pub fn new(parts: Parts) -> Arc<Self> {
        let bounds = Bounds {
            sync: parts.limits.running,
            workers: parts.workers,
            per_user: parts.limits.running_per_user,
            queued: parts.limits.queued,
        };
        Arc::new(Self {
            storage: Storage::new(parts.limits.min_free, Arc::clone(&parts.log)),
            max_result_bytes: parts.limits.result_bytes,
            store: parts.store,
            plugins: parts.plugins,
            metrics: parts.metrics,
            log: parts.log,
            catalog: RwLock::new(Arc::new(parts.catalog)),
            sync_deadline: parts.sync_deadline,
            jobs: Mutex::new(Jobs {
                queue: Queue::new(bounds),
                active: HashMap::new(),
            }),
            stopping: AtomicBool::new(false),
        })
    }

    /// The definitions in force.
    #[must_use]
    pub fn catalog(&self) -> Arc<Catalog> {
        Arc::clone(&self.catalog.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Puts other definitions in force; jobs under way keep theirs.
    pub fn set_catalog(&self, catalog: Catalog) {
        *self.catalog.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(catalog);
    }

    /// How many jobs run and how many wait.
    #[must_use]
    pub fn load(&self) -> (usize, usize) {
        let jobs = self.jobs();
        (jobs.active.len(), jobs.queue.queued())
    }

    /// How long the oldest async job has waited for a worker; `None` where none waits.
    #[must_use]
    pub fn oldest_queued(&self) -> Option<std::time::Duration> {
        self.jobs().queue.first_of_each().map(run::age).max()
    }

    /// The active commands whose plugin is not loaded in a version that they allow.
    #[must_use]
    pub fn commands_without_plugin(&self) -> Missing {
        let catalog = self.catalog();
        let active: Vec<_> = catalog.commands().filter(|live| live.is_active()).collect();
        let missing = active
            .iter()
            .filter(|live| self.plugins.available(live.command.need()).is_err());
        Missing {
            ids: missing.map(|live| live.command.object.id.clone()).collect(),
            active: active.len(),
        }
    }

    /// Takes a job. A sync one is answered when it has ended; dropping the future cancels it.
    ///
    /// # Errors
    /// The job is refused or fails; the error carries its id.
    pub async fn submit(
        self: &Arc<Self>,
        submission: Submission,
        user: &str,
        traceparent: Option<String>,
    ) -> Result<Submitted, HostError> {
        let id = new_id().to_string();
        let about = |error: HostError| error.about(id.as_str());
        if self.is_stopping() {
            return Err(about(stopping()));
        }
        let (command, cluster) = self.route(&submission).map_err(about)?;
        if !command.allows(user) {
            let message = format!(
                "caller is not allowed to run the command '{}'",
                command.command.object.id
            );
            return Err(about(
                HostError::new(Code::Forbidden, message)
                    .hint("the command's allowed_callers names who may"),
            ));
        }
        self.has_space().map_err(about)?;
        let busy = |message| {
            HostError::new(Code::Busy, message)
                .hint("try again when some have ended")
                .about(id.as_str())
        };
        let pair = (command, cluster);
        if pair.0.command.is_sync {
            self.jobs().queue.start_sync(user).map_err(busy)?;
            let job = JobRecord {
                traceparent,
                ..self.record(&submission, &id, user, &pair)
            };
            self.run_sync(job, pair).await
        } else {
            self.jobs().queue.has_room().map_err(busy)?;
            let job = Arc::new(JobRecord {
                traceparent,
                ..self.record(&submission, &id, user, &pair)
            });
            // A task of its own: what is on disk waits for a worker, also where the caller hangs up meanwhile and drops this future.
            let (dispatch, accepted) = (Arc::clone(self), Arc::clone(&job));
            let accepting = tokio::spawn(async move {
                let stored = dispatch.store.put(Put::record(Arc::clone(&accepted)));
                stored.await.map(|()| dispatch.enqueue(&accepted))
            });
            match accepting.await {
                Ok(stored) => stored.map_err(|error| about(self.storage.store_failed(&error)))?,
                Err(_) => return Err(about(HostError::internal("the job's task panicked"))),
            }
            Ok(Submitted::Queued(job))
        }
    }

    /// Lets an accepted async job wait for a worker.
    pub fn enqueue(self: &Arc<Self>, job: &JobRecord) {
        self.jobs().queue.push(WaitingJob {
            id: job.id.clone(),
            user: job.user.clone(),
        });
        self.start_waiting();
    }

    /// Asks a job to stop. `may` says whether the caller may touch the jobs of a user.
    ///
    /// # Errors
    /// There is no such job, or it has ended.
    pub async fn cancel(
        self: &Arc<Self>,
        id: &str,
        by: &str,
        may: impl Fn(&str) -> bool,
    ) -> Result<(), HostError> {
        let unknown = || HostError::unknown_job(id);
        let active = self.jobs().active.get(id).cloned();
        if let Some(active) = active {
            if !may(&active.user) {
                return Err(unknown());
            }
            return match self.cancel_active(&active, by).await? {
                true => Ok(()),
                false => Err(not_cancellable(id, None)),
            };
        }
        let job = self
            .read(id)
            .await?
            .filter(|job| may(&job.user))
            .ok_or_else(unknown)?;
        if job.status.is_final() {
            return Err(not_cancellable(id, Some(job.status)));
        }
        if self.jobs().queue.remove(&job.user, id) {
            let cancelled = Arc::new(JobRecord {
                status: JobStatus::Cancelled,
                cancelled_by: Some(by.to_owned()),
                updated_at: now(),
                ..job.clone()
            });
            let put = self.store.put(Put::record(Arc::clone(&cancelled)));
            if let Err(error) = put.await {
                // It still waits, as its record says.
                self.enqueue(&job);
                return Err(self.storage.store_failed(&error));
            }
            self.log_end(&cancelled, "CANCELED", 0.0, None, &Default::default());
            return Ok(());
        }
        // It went from waiting to running, or from running to its end, between the two looks.
        let active = self.jobs().active.get(id).cloned();
        match active {
            Some(active) if self.cancel_active(&active, by).await? => Ok(()),
            _ => Err(not_cancellable(id, None)),
        }
    }

    /// Marks a running job, on disk before it is answered, and has the plugin stop it. False: too late.
    async fn cancel_active(
        self: &Arc<Self>,
        active: &Arc<Active>,
        by: &str,
    ) -> Result<bool, HostError> {
        let store = |job| self.store.put(Put::record(job));
        let stored = match active.cancel(by, store) {
            Cancel::TooLate => return Ok(false),
            Cancel::Again => None,
            Cancel::Asked(stored) => stored,
        };
        tokio::spawn(stop_in_plugin(Arc::clone(active)));
        if let Some(stored) = stored {
            stored.await.map_err(|error| store_failed(&error))?;
        }
        Ok(true)
    }

    fn route(&self, submission: &Submission) -> Result<ResolvedRoute, HostError> {
        let none = Default::default();
        let commands = submission.command_criteria.as_ref().unwrap_or(&none);
        let clusters = submission.cluster_criteria.as_ref().unwrap_or(&none);
        // The random half of a fresh id is as even as a choice needs to be.
        let choose = |n| usize::try_from(new_id().as_u128() % n as u128).unwrap_or(0);
        route::resolve(&self.catalog(), commands, clusters, choose)
    }

    fn record(
        &self,
        submission: &Submission,
        id: &str,
        user: &str,
        (command, cluster): &ResolvedRoute,
    ) -> JobRecord {
        let now = now();
        let (command, cluster) = (&command.command, &cluster.cluster.object);
        JobRecord {
            seq: self.store.next_seq(),
            id: id.to_owned(),
            name: submission.name.clone().unwrap_or_default(),
            version: submission.version.clone().unwrap_or_default(),
            description: submission
                .description
                .clone()
                .filter(|text| !text.is_empty()),
            user: user.to_owned(),
            tags: raw(&submission.tags_with_system(id)),
            context: submission.context.clone(),
            command_criteria: raw(&submission.command_criteria),
            cluster_criteria: raw(&submission.cluster_criteria),
            is_sync: command.is_sync,
            route: Route {
                command_id: command.object.id.clone(),
                command_name: command.object.name.clone(),
                cluster_id: cluster.id.clone(),
                cluster_name: cluster.name.clone(),
                plugin: command.plugin.clone(),
            },
            status: JobStatus::New,
            error: None,
            error_document: None,
            plugin_version: None,
            cancelled_by: None,
            created_at: now,
            updated_at: now,
            attempts: 0,
            traceparent: None,
            rows: None,
        }
    }

    async fn read(self: &Arc<Self>, id: &str) -> Result<Option<JobRecord>, HostError> {
        let (store, id) = (Arc::clone(&self.store), id.to_owned());
        blocking(move || store.job(&id)).await
    }

    fn jobs(&self) -> MutexGuard<'_, Jobs> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }
}

/// Tells the plugin until it knows: a job may have been asked to stop before it reached the plugin.
async fn stop_in_plugin(active: Arc<Active>) {
    while !active.has_ended() {
        if active
            .lease()
            .is_some_and(|lease| lease.cancel_job(&active.id))
        {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
}

/// Runs a question to the store on a blocking thread.
///
/// # Errors
/// The store cannot be read or written.
pub async fn blocking<T: Send + 'static>(
    question: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, HostError> {
    match tokio::task::spawn_blocking(question).await {
        Ok(answer) => answer.map_err(|error| store_failed(&error)),
        Err(_) => Err(HostError::internal("a question to the job store panicked")),
    }
}

fn stopping() -> HostError {
    HostError::new(
        Code::Plugin(plugin_api::ErrorCode::SHUTTING_DOWN),
        "the host is shutting down and takes no new job",
    )
    .hint("try again when it is back")
}

fn not_cancellable(id: &str, status: Option<JobStatus>) -> HostError {
    let ended = status.map_or("has ended", JobStatus::as_str);
    HostError::new(
        Code::NotCancellable,
        format!("the job '{id}' can no longer be cancelled: it {ended}"),
    )
    .hint("only jobs that wait or run can be")
    .about(id)
}

#[cfg(test)]
mod tests;
