use std::time::Duration;

use super::*;
use crate::testing::Host;

fn ended(submitted: Result<Submitted, HostError>) -> (Arc<JobRecord>, Option<Bytes>) {
    match submitted.unwrap() {
        Submitted::Ended(job, result) => (job, result),
        Submitted::Queued(_) | Submitted::Stored(_) => panic!("the job is not sync, or large"),
    }
}

fn refused(submitted: Result<Submitted, HostError>) -> HostError {
    submitted.err().expect("the job is refused or fails")
}

async fn stored(host: &Host, id: &str) -> Vec<u8> {
    let seq = host.ended(id).await.seq;
    match host.store.result(seq).unwrap().unwrap() {
        crate::store::StoredResult::Inline(bytes) => bytes,
        crate::store::StoredResult::File(mut file, _) => {
            let mut bytes = Vec::new();
            std::io::Read::read_to_end(&mut file, &mut bytes).unwrap();
            bytes
        }
        crate::store::StoredResult::Lines(_) => panic!("the result is not that large"),
    }
}

#[tokio::test]
async fn a_sync_job_is_answered_with_what_is_then_on_disk() {
    let host = Host::new();
    for query in ["rows", "large 200000"] {
        let (job, result) = ended(host.submit("sync", query, "alice").await);
        assert_eq!(
            (job.status, job.plugin_version.is_some()),
            (JobStatus::Succeeded, true)
        );
        assert_eq!(stored(&host, &job.id).await, result.unwrap());
    }
    assert_eq!(host.dispatch.load(), (0, 0));
}

#[tokio::test]
async fn the_plugin_sees_what_the_user_sent_and_what_the_host_resolved() {
    let host = Host::new();
    let (job, result) = ended(host.submit("sync", "echo", "alice").await);
    let seen: serde_json::Value = serde_json::from_slice(&result.unwrap()).unwrap();
    assert_eq!(
        seen,
        serde_json::json!({"id": job.id, "name": "a-job", "version": "0.0.1", "user": "alice", "context": {"query": "echo"},
                           "command": {"name": "sync"}, "cluster": {"name": "main", "context": {"role_arn": "r", "external_id": "hush"}}}),
    );
}

#[tokio::test]
async fn an_async_job_is_accepted_at_once_and_ends_on_its_own() {
    let host = Host::new();
    let Ok(Submitted::Queued(job)) = host.submit("async", "log page 1", "alice").await else {
        panic!("the job is async");
    };
    assert_eq!(job.status, JobStatus::New);
    let job = host.ended(&job.id).await;
    assert_eq!((job.status, job.attempts), (JobStatus::Succeeded, 1));
    assert_eq!(host.store.stderr(job.seq).unwrap(), "INFO page 1\n");
}

#[tokio::test]
async fn failures_carry_the_plugins_code_and_are_kept() {
    let host = Host::new();
    for (query, code) in [
        ("fail THROTTLED", "THROTTLED"),
        ("fail NOT_FOUND", "NOT_FOUND"),
        ("panic", "INTERNAL"),
    ] {
        let error = refused(host.submit("sync", query, "alice").await);
        assert_eq!(error.code.as_str(), code);
        let job = host.ended(error.id.as_deref().unwrap()).await;
        assert_eq!(
            (job.status, job.error.as_deref()),
            (JobStatus::Failed, Some(error.message.as_str()))
        );
        assert!(job.error_document.unwrap().contains(code));
    }
    ended(host.submit("sync", "rows", "alice").await);
}

#[tokio::test]
async fn refusals_name_their_cause_and_the_job() {
    let host = Host::new();
    for (command, user, code, message) in [
        (
            "syn",
            "alice",
            "NO_ROUTE",
            "no command carries the tag '_name:syn'",
        ),
        (
            "ops",
            "alice",
            "FORBIDDEN",
            "caller is not allowed to run the command 'ops'",
        ),
        (
            "gone",
            "alice",
            "PLUGIN_UNAVAILABLE",
            "no plugin named 'gone' is loaded",
        ),
    ] {
        let error = refused(host.submit(command, "rows", user).await);
        assert_eq!((error.code.as_str(), error.id.is_some()), (code, true));
        assert!(error.message.contains(message), "{error}");
    }
    ended(host.submit("ops", "rows", "ops-1").await);
}

#[tokio::test]
async fn a_running_sync_job_can_be_cancelled_and_its_caller_hears_so() {
    let host = Arc::new(Host::new());
    let caller = tokio::spawn({
        let host = Arc::clone(&host);
        async move { host.submit("sync", "wait", "alice").await }
    });
    let id = host.running().await;
    host.dispatch.cancel(&id, "bob", |_| true).await.unwrap();
    let (job, result) = ended(caller.await.unwrap());
    assert_eq!(
        (job.status, job.cancelled_by.as_deref(), result),
        (JobStatus::Cancelled, Some("bob"), None)
    );
    let again = host
        .dispatch
        .cancel(&id, "bob", |_| true)
        .await
        .unwrap_err();
    assert_eq!(again.code, Code::NotCancellable);
    let unknown = host
        .dispatch
        .cancel("nope", "bob", |_| true)
        .await
        .unwrap_err();
    assert_eq!(unknown.code, Code::NotFound);
}

#[tokio::test]
async fn waiting_and_running_async_jobs_can_be_cancelled() {
    let host = Host::new();
    let mut ids = Vec::new();
    for _ in 0..3 {
        let Ok(Submitted::Queued(job)) = host.submit("async", "wait", "alice").await else {
            panic!("the job is async");
        };
        ids.push(job.id.clone());
    }
    host.reaches(&ids[1], |job| job.status == JobStatus::Running)
        .await;
    assert_eq!(host.dispatch.load(), (2, 1));
    for id in ids.iter().rev() {
        host.dispatch
            .cancel(id, "alice", |user| user == "alice")
            .await
            .unwrap();
        let job = host.ended(id).await;
        assert_eq!(
            (job.status, job.cancelled_by.as_deref()),
            (JobStatus::Cancelled, Some("alice"))
        );
    }
}

#[tokio::test]
async fn a_caller_that_goes_away_cancels_its_job() {
    let host = Arc::new(Host::new());
    let caller = tokio::spawn({
        let host = Arc::clone(&host);
        async move { host.submit("sync", "wait", "alice").await.map(drop) }
    });
    let id = host.running().await;
    caller.abort();
    assert_eq!(host.ended(&id).await.status, JobStatus::Cancelled);
}

#[tokio::test]
async fn beyond_a_limit_the_host_is_busy_and_says_which() {
    let host = Arc::new(Host::new());
    let mut callers = Vec::new();
    for user in ["alice", "alice", "bob"] {
        let host = Arc::clone(&host);
        callers.push(tokio::spawn(async move {
            host.submit("sync", "wait", user).await.map(drop)
        }));
    }
    while host.dispatch.load().0 < 3 {
        tokio::task::yield_now().await;
    }
    let error = refused(host.submit("sync", "rows", "carol").await);
    assert_eq!(
        (error.code.clone(), error.message.contains("3 sync jobs")),
        (Code::Busy, true),
        "{error}"
    );
    callers[2].abort();
    while host.dispatch.load().0 > 2 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let error = refused(host.submit("sync", "rows", "alice").await);
    assert_eq!(
        (error.code.clone(), error.message.contains("of this caller")),
        (Code::Busy, true),
        "{error}"
    );
    for n in 0.. {
        // Alice may not run more, so hers wait until the queue is full.
        if let Err(error) = host.submit("async", "rows", "alice").await {
            assert_eq!((n, error.code), (3, Code::Busy));
            break;
        }
    }
    let drained = host.dispatch.drain(std::future::ready(())).await;
    assert_eq!(
        (drained.running, drained.stopped, drained.queued),
        (2, 2, 3)
    );
    let error = refused(host.submit("sync", "rows", "carol").await);
    assert_eq!(error.code.as_str(), "SHUTTING_DOWN");
}

#[tokio::test]
async fn draining_lets_running_jobs_finish_in_their_grace_time() {
    let host = Arc::new(Host::with(
        &crate::testing::CONFIG.replace("pool:", "server: {write_timeout: 1}\npool:"),
    ));
    let caller = tokio::spawn({
        let host = Arc::clone(&host);
        async move { host.submit("sync", "wait", "alice").await.map(drop) }
    });
    host.running().await;
    // The job ends by its own deadline of a second.
    let drained = host.dispatch.drain(std::future::pending()).await;
    assert_eq!((drained.running, drained.stopped), (1, 0));
    assert_eq!(caller.await.unwrap().unwrap_err().code.as_str(), "TIMEOUT");
}

#[tokio::test]
async fn a_stopping_host_puts_async_jobs_back_and_sync_ones_have_run_out_of_time() {
    let mut host = Host::new();
    let Ok(Submitted::Queued(waiting)) = host.submit("async", "wait", "alice").await else {
        panic!("the job is async");
    };
    let running = |job: &JobRecord| job.status == JobStatus::Running;
    assert_eq!(host.reaches(&waiting.id, running).await.attempts, 1);
    let (dispatch, submission) = (
        Arc::clone(&host.dispatch),
        crate::testing::submission("sync", "wait"),
    );
    let caller =
        tokio::spawn(async move { dispatch.submit(submission, "bob", None).await.map(drop) });
    while host.dispatch.load().0 < 2 {
        tokio::task::yield_now().await;
    }
    let drained = host.dispatch.drain(std::future::ready(())).await;
    assert_eq!(
        (drained.running, drained.stopped, drained.queued),
        (2, 2, 1)
    );
    let error = caller.await.unwrap().unwrap_err();
    assert_eq!(error.code.as_str(), "TIMEOUT");
    let sync = host.ended(error.id.as_deref().unwrap()).await;
    assert_eq!((sync.status, sync.cancelled_by), (JobStatus::Failed, None));
    let stored = host.store.job(&waiting.id).unwrap().unwrap();
    assert_eq!(
        (stored.status, stored.attempts, stored.plugin_version),
        (JobStatus::New, 0, None)
    );

    host.restart();
    let recovered = crate::recover::recover(&host.store, &host.dispatch)
        .await
        .unwrap();
    assert_eq!((recovered.waiting, recovered.failed), (1, 0));
    assert_eq!(host.reaches(&waiting.id, running).await.attempts, 1);
    host.dispatch.drain(std::future::ready(())).await;
}

#[tokio::test]
async fn a_job_that_a_caller_cancelled_is_cancelled_also_while_the_host_stops() {
    let host = Host::new();
    let Ok(Submitted::Queued(job)) = host.submit("async", "wait", "alice").await else {
        panic!("the job is async");
    };
    host.reaches(&job.id, |job| job.status == JobStatus::Running)
        .await;
    host.dispatch
        .cancel(&job.id, "bob", |_| true)
        .await
        .unwrap();
    host.dispatch.drain(std::future::ready(())).await;
    let job = host.ended(&job.id).await;
    assert_eq!(
        (job.status, job.cancelled_by.as_deref()),
        (JobStatus::Cancelled, Some("bob"))
    );
}

#[tokio::test]
async fn a_job_whose_plugin_does_not_stop_is_given_up_and_its_record_says_what_happens_next() {
    let host = Host::new();
    let Ok(Submitted::Queued(deaf)) = host.submit("async", "deaf 4", "alice").await else {
        panic!("the job is async");
    };
    host.reaches(&deaf.id, |job| job.status == JobStatus::Running)
        .await;
    let dispatch = Arc::clone(&host.dispatch);
    let submission = crate::testing::submission("sync", "deaf 4");
    let caller =
        tokio::spawn(async move { dispatch.submit(submission, "bob", None).await.map(drop) });
    while host.dispatch.load().0 < 2 {
        tokio::task::yield_now().await;
    }
    let drained = host.dispatch.drain(std::future::ready(())).await;
    assert_eq!((drained.stopped, drained.queued), (2, 1));
    assert_eq!(caller.await.unwrap().unwrap_err().code.as_str(), "TIMEOUT");
    let stored = host.store.job(&deaf.id).unwrap().unwrap();
    assert_eq!((stored.status, stored.attempts), (JobStatus::New, 0));
}

/// Ways to damage a record so that no waiting makes it readable.
const DAMAGES: [&str; 3] = [
    "UPDATE jobs SET tags = 'no list' WHERE id = ?",
    "UPDATE jobs SET context = x'ff00' WHERE id = ?",
    "UPDATE jobs SET user = x'ff00' WHERE id = ?",
];

#[tokio::test]
async fn a_waiting_job_whose_record_is_damaged_fails_at_once_and_the_others_go_on() {
    for damage in DAMAGES {
        let host = Host::new();
        let mut ids = Vec::new();
        for query in ["wait", "wait", "rows", "rows"] {
            let user = if query == "wait" { "alice" } else { "bob" };
            let Ok(Submitted::Queued(job)) = host.submit("async", query, user).await else {
                panic!("the job is async");
            };
            ids.push(job.id.clone());
        }
        host.tables().execute(damage, [&ids[2]]).unwrap();
        host.dispatch
            .cancel(&ids[0], "alice", |_| true)
            .await
            .unwrap();
        assert_eq!(host.ended(&ids[3]).await.status, JobStatus::Succeeded);
        let job = host.replaced(&ids[2]).await;
        assert_eq!(job.status, JobStatus::Failed, "{damage}");
        let document = job.error_document.unwrap();
        assert!(document.contains("INTERNAL"), "{document}");
        assert!(document.contains("damaged"), "{document}");
        host.dispatch
            .cancel(&ids[1], "alice", |_| true)
            .await
            .unwrap();
        host.ended(&ids[1]).await;
    }
}

/// A store that refuses, for good, to say that a job has come to a status.
fn refuse(host: &Host, status: JobStatus) {
    let trigger = format!(
        "CREATE TRIGGER refuse BEFORE UPDATE ON jobs WHEN new.status = {}
         BEGIN SELECT raise(ABORT, 'it is refused'); END",
        status.number()
    );
    host.tables().execute_batch(&trigger).unwrap();
}

#[tokio::test]
async fn an_async_job_whose_start_or_end_the_store_refuses_for_good_fails_and_says_why() {
    for status in [JobStatus::Running, JobStatus::Succeeded] {
        for query in ["rows", "large 100000", "lines 10"] {
            let host = Host::new();
            refuse(&host, status);
            let Ok(Submitted::Queued(job)) = host.submit("async", query, "alice").await else {
                panic!("the job is async");
            };
            let job = host.ended(&job.id).await;
            assert_eq!(job.status, JobStatus::Failed);
            let error = job.error.unwrap();
            assert!(error.contains("it is refused"), "{error}");
            while host.dispatch.load() != (0, 0) {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
            let left = std::fs::read_dir(host.results()).unwrap().count();
            assert_eq!(left, 0, "a result that does not count leaves no file");
        }
    }
}

#[tokio::test]
async fn a_sync_job_whose_end_the_store_refuses_for_good_fails_and_frees_its_slot() {
    let host = Host::new();
    refuse(&host, JobStatus::Succeeded);
    // The record of a job that ends at once is written but once, and then is no update.
    let running = host.submit("sync", "deaf 2", "alice");
    let error = refused(running.await);
    assert_eq!(error.code, Code::Plugin(plugin_api::ErrorCode::INTERNAL));
    let job = host.ended(&error.id.unwrap()).await;
    assert_eq!(job.status, JobStatus::Failed);
    while host.dispatch.load() != (0, 0) {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}
