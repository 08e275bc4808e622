//! One job on its way: its record, and who asked it to stop.
//!
//! In: cancels from any caller, and the one end. Out: the record to be stored after each. The lock decides which came first:
//! a job that was asked to stop before its end is CANCELED, whatever the plugin answers; later it can no longer be cancelled.

use std::sync::{Arc, Mutex, MutexGuard};

use tokio::sync::Notify;

use crate::job::{Job, JobStatus, now};
use crate::plugins::Lease;

/// A running job.
pub(super) struct Active {
    pub(super) id: String,
    pub(super) user: String,
    state: Mutex<State>,
    /// Wakes whoever waits for the end.
    pub(super) ended: Notify,
}

struct State {
    /// `None` for an async job whose record is not read from the store yet.
    job: Option<Job>,
    lease: Option<Arc<dyn Lease>>,
    canceled_by: Option<String>,
    ended: bool,
}

/// What became of a cancel.
pub(super) enum Cancel {
    /// The job is to stop; its record as it now is, where it is read already.
    Asked(Option<Arc<Job>>),
    /// It was asked before.
    Again,
    /// It has ended.
    TooLate,
}

impl Active {
    pub(super) fn new(
        id: String,
        user: String,
        job: Option<Job>,
        lease: Option<Arc<dyn Lease>>,
    ) -> Arc<Self> {
        Arc::new(Self {
            id,
            user,
            state: Mutex::new(State {
                job,
                lease,
                canceled_by: None,
                ended: false,
            }),
            ended: Notify::new(),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state
            .lock()
            .expect("nothing panics while it holds a job's state")
    }

    /// Gives the job its record and the version that runs it. Gives the record as it now is.
    pub(super) fn start(&self, mut job: Job, lease: Option<Arc<dyn Lease>>) -> Arc<Job> {
        let mut state = self.state();
        job.plugin_version = lease.as_ref().map(|lease| lease.version());
        state.lease = lease;
        match &state.canceled_by {
            Some(by) => mark_canceling(&mut job, by),
            None => job.status = JobStatus::Running,
        }
        job.updated_at = now();
        state.job = Some(job.clone());
        Arc::new(job)
    }

    /// Asks the job to stop.
    pub(super) fn cancel(&self, by: &str) -> Cancel {
        let mut state = self.state();
        if state.ended {
            return Cancel::TooLate;
        }
        if state.canceled_by.is_some() {
            return Cancel::Again;
        }
        state.canceled_by = Some(by.to_owned());
        Cancel::Asked(state.job.as_mut().map(|job| {
            mark_canceling(job, by);
            Arc::new(job.clone())
        }))
    }

    pub(super) fn is_cancelled(&self) -> bool {
        self.state().canceled_by.is_some()
    }

    /// The version that runs the job, once one does and until the end.
    pub(super) fn lease(&self) -> Option<Arc<dyn Lease>> {
        self.state().lease.clone()
    }

    /// The job's number in the store, until the end.
    pub(super) fn seq(&self) -> Option<i64> {
        self.state().job.as_ref().map(|job| job.seq)
    }

    /// Whether the end has come.
    pub(super) fn has_ended(&self) -> bool {
        self.state().ended
    }

    /// The job is gone from the host, whether or not its end could be stored.
    pub(super) fn close(&self) {
        let mut state = self.state();
        state.ended = true;
        state.lease = None;
        drop(state);
        self.ended.notify_waiters();
    }

    /// Ends the job: `settle` is told whether it was cancelled and sets the final status. Nothing changes the record after.
    pub(super) fn end(&self, settle: impl FnOnce(&mut Job, bool)) -> Option<Arc<Job>> {
        let mut state = self.state();
        state.ended = true;
        state.lease = None;
        let cancelled = state.canceled_by.is_some();
        let mut job = state.job.take()?;
        job.updated_at = now();
        settle(&mut job, cancelled);
        Some(Arc::new(job))
    }
}

fn mark_canceling(job: &mut Job, by: &str) {
    job.status = JobStatus::Canceling;
    job.canceled_by = Some(by.to_owned());
    job.updated_at = now();
}
