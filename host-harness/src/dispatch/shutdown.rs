//! The end of a host: no new jobs, time for running ones, then none.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::{Active, Dispatch};

/// How long cancelled jobs have to end.
const AFTER_CANCEL: Duration = Duration::from_secs(5);
/// What a job's record names as its canceller when the host stops.
const HOST: &str = "host-harness (shutting down)";

/// What became of the jobs at shutdown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Drained {
    /// Jobs that were running.
    pub running: usize,
    /// Of them, those that were cancelled after the grace time.
    pub cancelled: usize,
    /// Of them, those that did not end even then; the next start settles them.
    pub left: usize,
    /// Jobs that wait; the next start runs them.
    pub queued: usize,
}

impl Dispatch {
    /// Takes no new jobs from now on.
    pub fn stop_taking_jobs(&self) {
        self.stopping.store(true, Ordering::Release);
    }

    /// Waits for running jobs, cancels what is left after `grace`, and says what it did.
    pub async fn drain(self: &Arc<Self>, grace: Duration) -> Drained {
        self.stop_taking_jobs();
        let running = self.active();
        self.wait_until(Instant::now() + grace).await;
        let late = self.active();
        for active in &late {
            // Where the disk refuses the mark, the job is still stopped.
            let _ = self.cancel_active(active, HOST).await;
        }
        if !late.is_empty() {
            self.wait_until(Instant::now() + AFTER_CANCEL).await;
        }
        let (left, queued) = self.load();
        Drained {
            running: running.len(),
            cancelled: late.len(),
            left,
            queued,
        }
    }

    fn active(&self) -> Vec<Arc<Active>> {
        self.jobs().active.values().cloned().collect()
    }

    async fn wait_until(&self, deadline: Instant) {
        while let Some(active) = self.active().into_iter().next() {
            let ended = active.ended.notified();
            tokio::pin!(ended);
            // Listening begins before the second look, so that an end between the two is not missed.
            ended.as_mut().enable();
            if self.jobs().active.contains_key(&active.id)
                && timeout_at(deadline, ended).await.is_err()
            {
                return;
            }
        }
    }
}
