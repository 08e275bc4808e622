//! Removes finished jobs that are too old or too many, off the request path.

use std::sync::Arc;
use std::time::Duration;

use plugin_api::Level;
use serde_json::json;

use crate::config::Retention;
use crate::dispatch::blocking;
use crate::error::HostError;
use crate::job::now;
use crate::log::Log;
use crate::store::{Store, StoreError};

/// How often the janitor looks.
const EVERY: Duration = Duration::from_secs(60);

/// Looks once a minute, for as long as the future is polled.
pub async fn run(store: Arc<Store>, retention: Retention, log: Arc<Log>) {
    loop {
        match clean(&store, retention).await {
            Ok(0) => {}
            Ok(removed) => log.event(Level::Info, "old jobs removed", &[("jobs", json!(removed))]),
            Err(error) => log.event(
                Level::Error,
                "old jobs could not be removed",
                &[("error", json!(error.message))],
            ),
        }
        tokio::time::sleep(EVERY).await;
    }
}

/// Removes everything that is to go now; gives how many jobs went.
///
/// # Errors
/// The disk refuses.
pub async fn clean(store: &Arc<Store>, retention: Retention) -> Result<usize, HostError> {
    let cutoff = retention.days.map(|days| {
        now()
            - i64::try_from(days)
                .unwrap_or(i64::MAX / 86_400)
                .saturating_mul(86_400)
    });
    let mut removed = 0;
    while let Some(cutoff) = cutoff {
        match remove(store, move |store| store.outdated(cutoff)).await? {
            0 => break,
            n_jobs => removed += n_jobs,
        }
    }
    let asked = Arc::clone(store);
    let mut surplus = blocking(move || asked.finished())
        .await?
        .saturating_sub(retention.jobs);
    while surplus > 0 {
        match remove(store, move |store| store.oldest(surplus)).await? {
            0 => break,
            n_jobs => {
                removed += n_jobs;
                surplus = surplus.saturating_sub(n_jobs as u64);
            }
        }
    }
    Ok(removed)
}

/// Removes the batch of jobs that `find` finds; gives how many they were.
async fn remove(
    store: &Arc<Store>,
    find: impl FnOnce(&Store) -> Result<Vec<(i64, bool)>, StoreError> + Send + 'static,
) -> Result<usize, HostError> {
    let asked = Arc::clone(store);
    let jobs = blocking(move || find(&asked)).await?;
    let n_jobs = jobs.len();
    if n_jobs > 0 {
        store
            .delete(jobs)
            .await
            .map_err(|error| crate::dispatch::store_failed(&error))?;
    }
    Ok(n_jobs)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::{Job, JobStatus};
    use crate::store::Put;
    use crate::testing::{Host, job_for};

    #[tokio::test]
    async fn only_finished_jobs_beyond_age_or_count_go() {
        let host = Host::new();
        let day = 86_400;
        for (status, age) in [
            (JobStatus::Succeeded, 20),
            (JobStatus::Running, 20),
            (JobStatus::Failed, 10),
            (JobStatus::Succeeded, 1),
            (JobStatus::Canceled, 0),
        ] {
            let job = Job {
                status,
                updated_at: now() - age * day,
                ..job_for(&host.store, "async", "rows")
            };
            host.store.put(Put::record(Arc::new(job))).await.unwrap();
        }
        let keep = |days, jobs| Retention { days, jobs };
        assert_eq!(clean(&host.store, keep(None, 100)).await.unwrap(), 0);
        assert_eq!(clean(&host.store, keep(Some(14), 100)).await.unwrap(), 1);
        assert_eq!(clean(&host.store, keep(Some(14), 1)).await.unwrap(), 2);
        let left: i64 = host
            .store
            .counts()
            .unwrap()
            .iter()
            .map(|(_, count)| count)
            .sum();
        assert_eq!(left, 2, "the running one and the newest finished one");
    }
}
