//! Where a version's code runs: in this process, or in a worker process of its own. Both take the same calls.

use std::time::Duration;

use plugin_api::Error;

use crate::{
    CallOptions, Document, Library,
    worker::{Worker, WorkerStatus},
};

/// A version that can be called.
pub(crate) enum Instance {
    InProcess(Library),
    /// A plugin that is linked into this program, which has opened it. It is not closed here: several registries may have it.
    Linked(Library),
    Worker(Worker),
}

impl Instance {
    pub(crate) fn open(&self, config: &str) -> Result<(), Error> {
        match self {
            Self::InProcess(library) => library.open(config),
            Self::Linked(_) => Ok(()),
            Self::Worker(worker) => worker.open(config),
        }
    }

    pub(crate) fn run_job(&self, job: &[u8], options: &CallOptions) -> Result<Document, Error> {
        match self {
            Self::InProcess(library) | Self::Linked(library) => library.run_job(job, options),
            Self::Worker(worker) => worker.run_job(job, options),
        }
    }

    /// The library, where its code is mapped into this process.
    pub(crate) fn library(&self) -> Option<&Library> {
        match self {
            Self::InProcess(library) | Self::Linked(library) => Some(library),
            Self::Worker(_) => None,
        }
    }

    /// Runs a job where it cannot harm another: in a worker for itself, where there are workers.
    pub(crate) fn run_alone(&self, job: &[u8], options: &CallOptions) -> Result<Document, Error> {
        match self {
            Self::InProcess(library) | Self::Linked(library) => library.run_job(job, options),
            Self::Worker(worker) => worker.run_alone(job, options),
        }
    }

    pub(crate) fn cancel_job(&self, id: &str) -> bool {
        match self {
            Self::InProcess(library) | Self::Linked(library) => library.cancel_job(id),
            Self::Worker(worker) => worker.cancel_job(id),
        }
    }

    pub(crate) fn check_health(
        &self,
        cluster: &[u8],
        options: &CallOptions,
    ) -> Result<Document, Error> {
        match self {
            Self::InProcess(library) | Self::Linked(library) => {
                library.check_health(cluster, options)
            }
            Self::Worker(worker) => worker.check_health(cluster, options),
        }
    }

    pub(crate) fn close(&self, within: Duration) -> Result<(), Error> {
        match self {
            Self::InProcess(library) => library.close(within),
            Self::Linked(_) => Ok(()),
            Self::Worker(worker) => worker.close(within),
        }
    }

    /// The worker process, where there is one.
    pub(crate) fn worker(&self) -> Option<WorkerStatus> {
        match self {
            Self::InProcess(_) | Self::Linked(_) => None,
            Self::Worker(worker) => worker.status(),
        }
    }

    /// Whether it is part of this program and has no file.
    pub(crate) fn is_linked(&self) -> bool {
        matches!(self, Self::Linked(_))
    }

    /// Whether the code was loaded into this process.
    pub(crate) fn is_in_process(&self) -> bool {
        matches!(self, Self::InProcess(_))
    }
}
