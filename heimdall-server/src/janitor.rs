//! Removes finished jobs that are too old or too many, off the request path.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use plugin_api::Level;
use serde_json::json;

use crate::{
    config::Retention,
    dispatch::blocking,
    error::HostError,
    job::now,
    log::Log,
    store::{Store, StoreError},
};

/// How often the janitor looks for jobs that are too old or too many.
const EVERY: Duration = Duration::from_secs(60);
/// How often it compares what results take with what they may; that costs nothing.
const OFTEN: Duration = Duration::from_secs(1);

/// Looks again and again, for as long as the future is polled.
pub async fn run(store: Arc<Store>, retention: Retention, log: Arc<Log>) {
    let mut looked: Option<Instant> = None;
    loop {
        if looked.is_none_or(|looked| looked.elapsed() >= EVERY) {
            looked = Some(Instant::now());
            let removed = clean(&store, retention).await;
            tell(&log, "old jobs removed", removed);
        }
        let removed = shrink(&store, retention).await;
        tell(
            &log,
            "the oldest jobs removed: results take more than janitor.max_stored_bytes",
            removed,
        );
        tokio::time::sleep(OFTEN).await;
    }
}

fn tell(log: &Log, message: &str, removed: Result<usize, HostError>) {
    match removed {
        Ok(0) => {}
        Ok(removed) => log.event(Level::Info, message, &[("jobs", json!(removed))]),
        Err(error) => log.event(
            Level::Error,
            "old jobs could not be removed",
            &[("error", json!(error.message))],
        ),
    }
}

/// Removes the oldest finished jobs until their results take no more than they may; gives how many jobs went.
///
/// # Errors
/// The store cannot be read or written.
pub async fn shrink(store: &Arc<Store>, retention: Retention) -> Result<usize, HostError> {
    let most = retention.bytes.unwrap_or(u64::MAX);
    let mut removed = 0;
    loop {
        let surplus = store.result_bytes().saturating_sub(most);
        if surplus == 0 {
            return Ok(removed);
        }
        match remove(store, move |store| store.oldest_with_bytes(surplus)).await? {
            0 => return Ok(removed),
            n_jobs => removed += n_jobs,
        }
    }
}

/// Removes everything that is to go now; gives how many jobs went.
///
/// # Errors
/// The store cannot be read or written.
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
    use crate::{
        job::{JobRecord, JobStatus},
        store::Put,
        testing::{Host, job_for},
    };

    #[tokio::test]
    async fn only_finished_jobs_beyond_age_or_count_go() {
        let host = Host::new();
        let day = 86_400;
        for (status, age) in [
            (JobStatus::Succeeded, 20),
            (JobStatus::Running, 20),
            (JobStatus::Failed, 10),
            (JobStatus::Succeeded, 1),
            (JobStatus::Cancelled, 0),
        ] {
            let job = JobRecord {
                status,
                updated_at: now() - age * day,
                ..job_for(&host.store, "async", "rows")
            };
            host.store.put(Put::record(Arc::new(job))).await.unwrap();
        }
        let keep = |days, jobs| Retention {
            days,
            jobs,
            bytes: None,
        };
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

    #[tokio::test]
    async fn the_oldest_results_go_until_the_rest_fits() {
        let host = Host::new();
        let mut ids = Vec::new();
        for query in ["large 200000", "large 100000", "large 1000", "rows"] {
            let Ok(crate::dispatch::Submitted::Ended(job, _)) =
                host.submit("sync", query, "alice").await
            else {
                panic!("the job is sync");
            };
            ids.push(job.id.clone());
        }
        let keep = |bytes| Retention {
            days: None,
            jobs: 100,
            bytes,
        };
        let all = host.store.result_bytes();
        assert!(all > 301_000, "{all}");
        for (most, removed) in [
            (None, 0),
            (Some(all), 0),
            (Some(150_000), 1),
            (Some(1), 3),
            (Some(1), 0),
        ] {
            assert_eq!(
                shrink(&host.store, keep(most)).await.unwrap(),
                removed,
                "{most:?}"
            );
        }
        assert_eq!(host.store.result_bytes(), 0);
        for id in ids {
            assert!(host.store.job(&id).unwrap().is_none());
        }
    }
}
