//! The end of a host: no new jobs, time for running ones, then none.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use plugin_api::Level;
use serde_json::json;

use super::{Active, Dispatch, active::CancelRequestedBy, run::stopped_by_host, stop_in_plugin};
use crate::{
    job::{JobRecord, JobStatus},
    store::Put,
};

/// How long plugins have to stop jobs when the grace time is over.
const AFTER_STOP: Duration = Duration::from_secs(3);

/// What became of the jobs at shutdown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Drained {
    /// Jobs that were running.
    pub running: usize,
    /// Of them, those that were stopped after the grace time: async ones wait for the next start, sync ones end as `TIMEOUT`.
    pub stopped: usize,
    /// Jobs that wait; the next start runs them.
    pub queued: usize,
}

impl Dispatch {
    /// Takes no new jobs from now on.
    pub fn stop_taking_jobs(&self) {
        self.stopping.store(true, Ordering::Release);
    }

    /// Waits for running jobs until `grace` is over, stops what is left, and says what it did. Every job that ran is then in the
    /// store as it is to be found by the next start.
    pub async fn drain(self: &Arc<Self>, grace: impl Future<Output = ()>) -> Drained {
        self.stop_taking_jobs();
        let (running, _) = self.load();
        tokio::select! { () = self.all_ended() => {}, () = grace => {} }
        let late = self.active();
        for active in late.iter().filter(|active| active.stop()) {
            tokio::spawn(stop_in_plugin(Arc::clone(active)));
        }
        if !late.is_empty() {
            let _ = tokio::time::timeout(AFTER_STOP, self.all_ended()).await;
        }
        for active in self.active() {
            self.give_up(&active).await;
        }
        let put_back = late.iter().filter(|active| active.was_put_back()).count();
        Drained {
            running,
            stopped: late.len(),
            queued: self.load().1 + put_back,
        }
    }

    /// Settles a job whose plugin does not stop it. Whatever the plugin answers later no longer counts.
    async fn give_up(self: &Arc<Self>, active: &Arc<Active>) {
        let stopped = |job: &mut JobRecord, asked| match asked {
            CancelRequestedBy::Caller => job.status = JobStatus::Cancelled,
            CancelRequestedBy::Host | CancelRequestedBy::Nobody => drop(stopped_by_host(job)),
        };
        // One whose record is still being read has not begun, and one that has ended is being stored by its own task.
        let Some(job) = active.end(stopped) else {
            return;
        };
        if let Err(error) = self.store.put(Put::record(Arc::clone(&job))).await {
            let fields = [("id", json!(job.id)), ("error", json!(error.to_string()))];
            self.log
                .event(Level::Error, "a job's end could not be stored", &fields);
        } else if job.status == JobStatus::New {
            self.log_put_back(&job);
        }
        active.given_up.notify_one();
        self.leave(active, job.is_sync);
    }

    fn active(&self) -> Vec<Arc<Active>> {
        self.jobs().active.values().cloned().collect()
    }

    async fn all_ended(&self) {
        while let Some(active) = self.active().into_iter().next() {
            let ended = active.ended.notified();
            tokio::pin!(ended);
            // Listening begins before the second look, so that an end between the two is not missed.
            ended.as_mut().enable();
            if self.jobs().active.contains_key(&active.id) {
                ended.await;
            }
        }
    }
}
