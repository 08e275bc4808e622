//! What becomes of the jobs of a host that was killed.
//!
//! In: the store's unfinished jobs, before any request is accepted. Out: each in a truthful state again:
//! - a sync job that was running is FAILED: its caller is gone;
//! - an async job that waited waits again, and one that was running runs again, since jobs only read. Only once, though: a job
//!   under which the host died twice is FAILED, so that it cannot take the host down forever;
//! - a job that was asked to stop is CANCELED;
//! - one whose record cannot be read is FAILED and says so.

use std::sync::Arc;

use plugin_api::{Error, ErrorCode};

use crate::{
    dispatch::{ATTEMPTS, Dispatch},
    error::HostError,
    job::{JobRecord, JobStatus, now},
    store::{Put, Recorded, Store, StoreError},
};

/// What was done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Recovered {
    /// Async jobs that wait again.
    pub waiting: usize,
    /// Jobs that failed with the host.
    pub failed: usize,
    /// Jobs that had been asked to stop.
    pub cancelled: usize,
}

/// Settles every unfinished job of the store and queues those that may run again.
///
/// # Errors
/// The store cannot be read or written.
pub async fn recover(
    store: &Arc<Store>,
    dispatch: &Arc<Dispatch>,
) -> Result<Recovered, StoreError> {
    let mut recovered = Recovered::default();
    let mut waiting = Vec::new();
    for job in store.unfinished()? {
        let job = match job {
            Recorded::Whole(job) => job,
            Recorded::Unreadable(job, error) => {
                dispatch.replace_unreadable(job, &error).await?;
                recovered.failed += 1;
                continue;
            }
        };
        let job = Arc::new(settled(job));
        store.put(Put::record(Arc::clone(&job))).await?;
        match job.status {
            JobStatus::Cancelled => recovered.cancelled += 1,
            JobStatus::Failed => recovered.failed += 1,
            _ => {
                recovered.waiting += 1;
                waiting.push(job);
            }
        }
    }
    for job in waiting {
        dispatch.enqueue(&job);
    }
    Ok(recovered)
}

/// An unfinished job as it is to be from now on.
fn settled(mut job: JobRecord) -> JobRecord {
    let reason = match job.status {
        JobStatus::Cancelling => {
            job.status = JobStatus::Cancelled;
            None
        }
        _ if job.is_sync => Some("the host was stopped while the job ran"),
        _ if job.attempts >= ATTEMPTS => Some("the host was stopped twice while the job ran"),
        _ => {
            job.status = JobStatus::New;
            None
        }
    };
    if let Some(reason) = reason {
        let error = HostError::from(
            Error::new(ErrorCode::SHUTTING_DOWN, reason).hint("submit the job again"),
        )
        .about(job.id.as_str());
        job.status = JobStatus::Failed;
        job.error = Some(error.message.clone());
        job.error_document = String::from_utf8(error.to_json()).ok();
    }
    job.updated_at = now();
    job
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Host, job_for};

    #[tokio::test]
    async fn every_unfinished_job_of_a_killed_host_comes_to_a_truthful_end() {
        let mut host = Host::new();
        let mut jobs = Vec::new();
        for (is_sync, status, attempts, expected) in [
            (true, JobStatus::Running, 0, JobStatus::Failed),
            (false, JobStatus::New, 0, JobStatus::Succeeded),
            (false, JobStatus::Running, 1, JobStatus::Succeeded),
            (false, JobStatus::Running, 2, JobStatus::Failed),
            (false, JobStatus::Cancelling, 1, JobStatus::Cancelled),
            (true, JobStatus::Cancelling, 0, JobStatus::Cancelled),
            (true, JobStatus::Succeeded, 0, JobStatus::Succeeded),
        ] {
            let job = JobRecord {
                is_sync,
                status,
                attempts,
                ..job_for(&host.store, "async", "rows")
            };
            host.store
                .put(Put::record(Arc::new(job.clone())))
                .await
                .unwrap();
            jobs.push((job.id, expected));
        }
        host.restart();
        let recovered = recover(&host.store, &host.dispatch).await.unwrap();
        assert_eq!(
            recovered,
            Recovered {
                waiting: 2,
                failed: 2,
                cancelled: 2
            }
        );
        for (id, expected) in jobs {
            let job = host.ended(&id).await;
            assert_eq!(job.status, expected, "{job:?}");
            assert_eq!(job.error.is_some(), expected == JobStatus::Failed);
        }
    }

    #[tokio::test]
    async fn a_record_that_cannot_be_read_is_kept_as_failed_and_the_others_are_settled() {
        let mut host = Host::new();
        let mut ids = Vec::new();
        for damage in [
            "UPDATE jobs SET tags = 'no list' WHERE id = ?",
            "UPDATE jobs SET status = 99 WHERE id = ?",
            "UPDATE jobs SET status = 'running' WHERE id = ?",
            "UPDATE jobs SET user = x'ff00' WHERE id = ?",
            "UPDATE jobs SET attempts = attempts WHERE id = ?",
        ] {
            let job = job_for(&host.store, "async", "rows");
            ids.push(job.id.clone());
            host.store.put(Put::record(Arc::new(job))).await.unwrap();
            let last = &ids[ids.len() - 1];
            host.tables().execute(damage, [last]).unwrap();
        }
        host.restart();
        let recovered = recover(&host.store, &host.dispatch).await.unwrap();
        assert_eq!((recovered.failed, recovered.waiting), (4, 1));
        let whole = host.ended(&ids.pop().unwrap()).await;
        assert_eq!(whole.status, JobStatus::Succeeded);
        for id in ids {
            let job = host.store.job(&id).unwrap().unwrap();
            assert_eq!(job.status, JobStatus::Failed);
            let document = job.error_document.unwrap();
            assert!(document.contains("the job store failed"), "{document}");
        }
    }
}
