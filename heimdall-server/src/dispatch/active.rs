//! One job that is under way: its record, and who asked it to stop.
//!
//! In: cancels from any caller, and the one end. Out: the record to be stored after each. The lock decides which came first:
//! a job that was asked to stop before its end is CANCELED, whatever the plugin answers; later it can no longer be cancelled.

use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicU64, Ordering},
};

use plugin_host::Lease;
use tokio::sync::Notify;

use crate::job::{JobRecord, JobStatus, now};

/// A running job.
pub(super) struct Active {
    pub(super) id: String,
    pub(super) user: String,
    /// How far it has come.
    pub(super) progress: Arc<Progress>,
    state: Mutex<State>,
    /// Wakes whoever waits for the end.
    pub(super) ended: Notify,
    /// Wakes the caller of a sync job that the host no longer waits for.
    pub(super) given_up: Notify,
}

/// A job's totals, as its plugin tells them after each page.
#[derive(Debug, Default)]
pub(super) struct Progress {
    rows: AtomicU64,
    pages: AtomicU64,
    wire_bytes: AtomicU64,
}

impl Progress {
    pub(super) fn set(&self, rows: u64, pages: u64, wire_bytes: u64) {
        self.rows.store(rows, Ordering::Relaxed);
        self.pages.store(pages, Ordering::Relaxed);
        self.wire_bytes.store(wire_bytes, Ordering::Relaxed);
    }

    /// Rows, pages, wire bytes.
    pub(super) fn totals(&self) -> [u64; 3] {
        [&self.rows, &self.pages, &self.wire_bytes].map(|total| total.load(Ordering::Relaxed))
    }
}

struct State {
    /// `None` for an async job whose record is not read from the store yet.
    job: Option<JobRecord>,
    lease: Option<Arc<Lease>>,
    cancelled_by: Option<String>,
    /// Whether the host, which is stopping, has asked the job to stop.
    stopped: bool,
    ended: bool,
    /// Whether the job's run ended without an end of the job.
    put_back: bool,
}

/// Who asked a job to stop before it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CancelRequestedBy {
    Nobody,
    /// A caller: the job is cancelled, whatever the plugin answers.
    Caller,
    /// The host, which is stopping. A job that ended all the same has ended.
    Host,
}

/// What became of a cancel.
pub(super) enum Cancel<S> {
    /// The job is to stop; what storing its record as it now is comes to, where it is read already.
    Asked(Option<S>),
    /// It was asked before.
    Again,
    /// It has ended.
    TooLate,
}

impl Active {
    pub(super) fn new(
        id: String,
        user: String,
        job: Option<JobRecord>,
        lease: Option<Arc<Lease>>,
    ) -> Arc<Self> {
        Arc::new(Self {
            id,
            user,
            progress: Arc::default(),
            state: Mutex::new(State {
                job,
                lease,
                cancelled_by: None,
                stopped: false,
                ended: false,
                put_back: false,
            }),
            ended: Notify::new(),
            given_up: Notify::new(),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives the job its record and the version that runs it. Gives the record as it now is.
    pub(super) fn start(&self, mut job: JobRecord, lease: Option<Arc<Lease>>) -> Arc<JobRecord> {
        let mut state = self.state();
        job.plugin_version = lease.as_ref().map(|lease| lease.version().to_string());
        state.lease = lease;
        match &state.cancelled_by {
            Some(by) => mark_cancelling(&mut job, by),
            None => job.status = JobStatus::Running,
        }
        job.updated_at = now();
        state.job = Some(job.clone());
        Arc::new(job)
    }

    /// Asks the job to stop. `store` queues its record as it now is; the end cannot come before, or the record that says so would be
    /// followed, for good, by one that says that the job is about to stop.
    pub(super) fn cancel<S>(&self, by: &str, store: impl FnOnce(Arc<JobRecord>) -> S) -> Cancel<S> {
        let mut state = self.state();
        if state.ended {
            return Cancel::TooLate;
        }
        if state.cancelled_by.is_some() {
            return Cancel::Again;
        }
        state.cancelled_by = Some(by.to_owned());
        Cancel::Asked(state.job.as_mut().map(|job| {
            mark_cancelling(job, by);
            store(Arc::new(job.clone()))
        }))
    }

    /// Asks the job to stop because the host stops. False: it has ended.
    pub(super) fn stop(&self) -> bool {
        let mut state = self.state();
        state.stopped = true;
        !state.ended
    }

    /// Whether anybody has asked the job to stop.
    pub(super) fn is_asked_to_stop(&self) -> bool {
        let state = self.state();
        state.stopped || state.cancelled_by.is_some()
    }

    /// The version that runs the job, once one does and until the end.
    pub(super) fn lease(&self) -> Option<Arc<Lease>> {
        self.state().lease.clone()
    }

    /// The job's record as it now is, once it is read and until the end.
    pub(super) fn record(&self) -> Option<Arc<JobRecord>> {
        self.state().job.clone().map(Arc::new)
    }

    /// The job's number in the store, until the end.
    pub(super) fn seq(&self) -> Option<i64> {
        self.state().job.as_ref().map(|job| job.seq)
    }

    /// Whether the end has come.
    pub(super) fn has_ended(&self) -> bool {
        self.state().ended
    }

    /// Whether the job waits for the host's next start.
    pub(super) fn was_put_back(&self) -> bool {
        self.state().put_back
    }

    /// The job is gone from the host, whether or not its end could be stored.
    pub(super) fn close(&self) {
        let mut state = self.state();
        state.ended = true;
        state.lease = None;
        drop(state);
        self.ended.notify_waiters();
    }

    /// Ends the job's run: `settle` is told who asked it to stop and sets the status. Nothing changes the record after.
    pub(super) fn end(
        &self,
        settle: impl FnOnce(&mut JobRecord, CancelRequestedBy),
    ) -> Option<Arc<JobRecord>> {
        let mut state = self.state();
        state.ended = true;
        state.lease = None;
        let asked = match (&state.cancelled_by, state.stopped) {
            (Some(_), _) => CancelRequestedBy::Caller,
            (None, true) => CancelRequestedBy::Host,
            (None, false) => CancelRequestedBy::Nobody,
        };
        let mut job = state.job.take()?;
        job.updated_at = now();
        settle(&mut job, asked);
        state.put_back = job.status == JobStatus::New;
        Some(Arc::new(job))
    }
}

fn mark_cancelling(job: &mut JobRecord, by: &str) {
    job.status = JobStatus::Cancelling;
    job.cancelled_by = Some(by.to_owned());
    job.updated_at = now();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Host, job_for};

    #[tokio::test]
    async fn the_record_of_a_cancel_is_queued_before_the_end_can_come() {
        let host = Host::new();
        let job = job_for(&host.store, "sync", "ok");
        let active = Active::new(job.id.clone(), job.user.clone(), Some(job), None);
        let cancelled = active.cancel("alice", |record| {
            assert!(active.state.try_lock().is_err(), "the end could come now");
            record.status
        });
        assert!(matches!(
            cancelled,
            Cancel::Asked(Some(JobStatus::Cancelling))
        ));
        active.end(|job, _| job.status = JobStatus::Cancelled);
        let late = active.cancel("alice", |_| {
            panic!("a job that has ended is not stored again")
        });
        assert!(matches!(late, Cancel::TooLate));
    }
}
