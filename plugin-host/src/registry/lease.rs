//! A job's hold on one version: whatever changes meanwhile, the job runs where it was accepted.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Instant,
};

use plugin_api::{Error, ErrorCode};

use super::{
    Unavailable,
    state::{Core, Phase, ServiceRole, State, Version},
};
use crate::{CallOptions, Document, Library, ffi::start::on_a_thread};

/// Pins one version until it is dropped.
pub struct Lease {
    core: Arc<Core>,
    version: Arc<Version>,
    index: usize,
    /// Whether the plugin was open when the lease was taken; one that stands by is opened by the first call.
    open: bool,
}

impl Lease {
    pub(super) fn take(
        core: &Arc<Core>,
        plugin: &str,
        requirement: Option<&semver::VersionReq>,
    ) -> Result<Self, Unavailable> {
        let mut state = core.lock();
        if state.closed {
            return Err(Unavailable::ShuttingDown);
        }
        let index = choose(&state, plugin, requirement)?;
        let loaded = &mut state.loaded[index];
        loaded.leases += 1;
        Ok(Self {
            core: Arc::clone(core),
            version: Arc::clone(&loaded.version),
            index,
            open: loaded.phase == Phase::Open,
        })
    }

    pub(super) fn available(
        core: &Core,
        plugin: &str,
        requirement: Option<&semver::VersionReq>,
    ) -> Result<(), Unavailable> {
        let state = core.lock();
        if state.closed {
            return Err(Unavailable::ShuttingDown);
        }
        choose(&state, plugin, requirement).map(drop)
    }

    /// The plugin's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.version.name
    }

    /// The version that is pinned.
    #[must_use]
    pub fn version(&self) -> &semver::Version {
        &self.version.version
    }

    /// Runs one job and waits for it. Blocks: never call it from an async worker.
    ///
    /// # Errors
    /// The job's own error; `SHUTTING_DOWN` where the version was closed, its grace being over.
    pub fn run_job(&self, job: &[u8], call: &CallOptions) -> Result<Document, Error> {
        self.call(|| self.version.instance.run_job(job, call))
    }

    /// Runs one job as [`Lease::run_job`] does, but where the version runs in a worker process, in one that is started for this job
    /// and ends with it; one such job at a time. For a job whose worker died under it: if it was the cause, it harms no other.
    ///
    /// # Errors
    /// As [`Lease::run_job`].
    pub fn run_job_alone(&self, job: &[u8], call: &CallOptions) -> Result<Document, Error> {
        self.call(|| self.version.instance.run_alone(job, call))
    }

    /// Whether [`Lease::start_job`] returns at once and the job then costs no thread while it waits: the version is open in this
    /// process, and its library starts jobs.
    #[must_use]
    pub fn can_start(&self) -> bool {
        self.open
            && self
                .version
                .instance
                .library()
                .is_some_and(Library::can_start)
    }

    /// Starts one job and returns at once: [`Library::start_job`]. The lease is held until `done` is told.
    ///
    /// Where [`Lease::can_start`] is false, the version may have to be opened, which takes a moment, and the job takes a thread of its
    /// own: do not call it from an async worker then.
    ///
    /// # Errors
    /// The version could not be opened, or was closed, its grace being over; `done` is then never called.
    pub fn start_job(
        self: &Arc<Self>,
        job: &[u8],
        call: CallOptions,
        done: impl FnOnce(Result<Document, Error>) + Send + 'static,
    ) -> Result<(), Error> {
        self.open()?;
        let version = Arc::clone(&self.version);
        version.running.fetch_add(1, Ordering::Relaxed);
        let lease = Arc::clone(self);
        let done = move |outcome| {
            lease.version.running.fetch_sub(1, Ordering::Relaxed);
            drop(lease);
            done(outcome);
        };
        let outcome = match version.instance.library() {
            Some(library) => library.start_job(job, call, done),
            None => {
                let (version, job) = (Arc::clone(&version), job.to_vec());
                on_a_thread(move || done(version.instance.run_job(&job, &call)))
            }
        };
        if outcome.is_err() {
            version.running.fetch_sub(1, Ordering::Relaxed);
        }
        outcome
    }

    /// Asks every job under that id on this version to stop; whether there was one.
    pub fn cancel_job(&self, id: &str) -> bool {
        self.version.instance.cancel_job(id)
    }

    /// Asks whether a cluster can be worked with: the job document's `cluster` object. Blocks.
    ///
    /// # Errors
    /// What a job on that cluster would fail with.
    pub fn check_health(&self, cluster: &[u8], call: &CallOptions) -> Result<Document, Error> {
        self.call(|| self.version.instance.check_health(cluster, call))
    }

    fn call(&self, call: impl FnOnce() -> Result<Document, Error>) -> Result<Document, Error> {
        self.open()?;
        self.version.running.fetch_add(1, Ordering::Relaxed);
        let outcome = call();
        self.version.running.fetch_sub(1, Ordering::Relaxed);
        outcome
    }

    /// Opens a version that stood by when the lease was taken.
    fn open(&self) -> Result<(), Error> {
        if self.open {
            return Ok(());
        }
        self.core.ensure_open(self.index).map_err(|refusal| {
            Error::new(ErrorCode::UNAVAILABLE, refusal.message).hint(refusal.hint)
        })
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        // Nobody waits for the active version to become idle, so that the common case wakes nobody.
        if self.core.lock().release(self.index) {
            self.core.changed.notify_all();
        }
    }
}

impl State {
    /// Ends one lease; whether somebody may be waiting for that.
    pub(super) fn release(&mut self, index: usize) -> bool {
        let loaded = &mut self.loaded[index];
        loaded.leases -= 1;
        if loaded.role == ServiceRole::Standby {
            loaded.since = Instant::now();
        }
        loaded.leases == 0 && loaded.role != ServiceRole::Active
    }
}

fn choose(
    state: &State,
    plugin: &str,
    requirement: Option<&semver::VersionReq>,
) -> Result<usize, Unavailable> {
    let serving = state
        .serving
        .get(plugin)
        .ok_or_else(|| Unavailable::NotLoaded {
            plugin: plugin.to_owned(),
            known: state.serving.keys().cloned().collect(),
        })?;
    let allowed = |index: &&usize| {
        requirement
            .is_none_or(|requirement| requirement.matches(&state.loaded[**index].version.version))
    };
    serving
        .iter()
        .find(allowed)
        .copied()
        .ok_or_else(|| Unavailable::NoSuchVersion {
            plugin: plugin.to_owned(),
            requirement: requirement.map(ToString::to_string).unwrap_or_default(),
            known: serving
                .iter()
                .map(|&index| state.loaded[index].version.version.to_string())
                .collect(),
        })
}
