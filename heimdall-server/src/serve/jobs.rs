//! The endpoints of jobs.

use std::sync::Arc;

use axum::{Extension, body::Body, extract::State, http::HeaderMap, response::Response};
use bytes::Bytes;
use serde::Serialize;

use super::{
    Shared, answer,
    auth::Caller,
    body, buffers,
    connections::Client,
    query::{Id, Parameters},
    result, visible,
};
use crate::{
    dispatch::Submitted,
    error::HostError,
    job::{JobRecord, JobStatus, Submission, View},
    store::{JobsPage, Pattern},
    trace::traceparent,
};

type Answer = Result<Response, HostError>;

pub(super) async fn submit(
    State(app): State<Shared>,
    Extension(caller): Extension<Caller>,
    client: Client,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    let user = caller.must()?;
    let trace = headers.get("traceparent");
    let trace = trace.and_then(|header| traceparent(header.to_str().ok()?));
    let submission = read_submission(&app, client, body).await?;
    match app.dispatch.submit(submission, &user, trace).await? {
        Submitted::Queued(job) => Ok(answer::json_bytes(job.to_json(View::Submitted, None))),
        Submitted::Stored(job) => result::of_submission(&app, &job).await,
        Submitted::Ended(job, result) => ended(&app, client, &job, result).await,
    }
}

/// Reads a submission; a large one on a thread of its own, so that it holds up no other request.
async fn read_submission(
    app: &Shared,
    client: Client,
    body: Body,
) -> Result<Submission, HostError> {
    let body = body::read(app, client, body).await?;
    if body.bytes.len() as u64 <= buffers::SMALL {
        return Submission::parse(&body.bytes);
    }
    app.concurrency
        .body(move || Submission::parse(&body.bytes))
        .await?
}

/// The answer to a sync job. A large result is sent from memory where there is room for it, else from its file.
async fn ended(app: &Shared, client: Client, job: &JobRecord, result: Option<Bytes>) -> Answer {
    let bytes = result.as_ref().map_or(0, Bytes::len) as u64;
    if bytes <= buffers::SMALL {
        return Ok(answer::job_with_result(job, result));
    }
    if let Some(share) = app.buffers.take_whole(client, bytes) {
        return Ok(answer::counted(answer::job_with_result(job, result), share));
    }
    drop(result);
    let share = app.buffers.take(client, buffers::STREAM).ok_or_else(|| {
        buffers::busy()
            .hint("the job has ended; its result is at /api/v1/job/ID/result")
            .about(job.id.as_str())
    })?;
    let (store, seq) = (Arc::clone(&app.store), job.seq);
    let stored = app.concurrency.question(move || store.result(seq)).await?;
    Ok(answer::counted(answer::job_with_stored(job, stored), share))
}

pub(super) async fn statuses() -> Response {
    answer::json(&JobStatus::ALL)
}

pub(super) async fn record(
    State(app): State<Shared>,
    Extension(caller): Extension<Caller>,
    Id(id): Id,
) -> Answer {
    let job = visible::find(&app, &caller, &id).await?;
    let progress = progress(&app, &job);
    Ok(answer::json_bytes(job.to_json(View::Record, progress)))
}

pub(super) async fn status(
    State(app): State<Shared>,
    Extension(caller): Extension<Caller>,
    Id(id): Id,
) -> Answer {
    #[derive(Serialize)]
    struct StatusBody<'a> {
        updated_at: i64,
        status: JobStatus,
        #[serde(skip_serializing_if = "Option::is_none")]
        error: Option<&'a str>,
    }
    let job = visible::find(&app, &caller, &id).await?;
    Ok(answer::json(&StatusBody {
        updated_at: job.updated_at,
        status: job.status,
        error: job.error.as_deref(),
    }))
}

pub(super) async fn stdout(
    State(app): State<Shared>,
    Extension(caller): Extension<Caller>,
    Id(id): Id,
) -> Answer {
    // Plugins have no standard output of their own; a job without any has an empty one.
    visible::find(&app, &caller, &id)
        .await
        .map(|_| answer::text(""))
}

pub(super) async fn stderr(
    State(app): State<Shared>,
    Extension(caller): Extension<Caller>,
    Id(id): Id,
) -> Answer {
    let job = visible::find(&app, &caller, &id).await?;
    if let Some(lines) = app.log.job_lines(&id) {
        return Ok(answer::text(lines));
    }
    let store = Arc::clone(&app.store);
    app.concurrency
        .question(move || store.stderr(job.seq))
        .await
        .map(answer::text)
}

pub(super) async fn cancel(
    State(app): State<Shared>,
    Extension(caller): Extension<Caller>,
    Id(id): Id,
) -> Answer {
    let user = caller.must()?;
    let isolated = app.authenticator.isolate_users;
    app.dispatch
        .cancel(&id, &user, |owner| !isolated || owner == user)
        .await?;
    Ok(answer::json(
        &serde_json::json!({"status": JobStatus::Cancelling}),
    ))
}

pub(super) async fn list(
    State(app): State<Shared>,
    Extension(caller): Extension<Caller>,
    client: Client,
    parameters: Parameters,
) -> Answer {
    let mut query = parameters.jobs()?;
    if app.authenticator.isolate_users {
        query
            .patterns
            .push(("user", Pattern::Exact(caller.must()?)));
    }
    let asked = Arc::clone(&app);
    // The answer is made and counted before the permit is given back: pages that wait to be written or counted would fill the memory.
    app.concurrency
        .list(move || {
            let page = asked.store.jobs(&query)?;
            let bytes = list_body(&asked, page);
            Ok(answer::json_counted(&asked.buffers, client, bytes))
        })
        .await?
}

/// A page as JSON. Each record is dropped once it is written.
fn list_body(app: &Shared, page: JobsPage) -> Vec<u8> {
    const FRAME: usize = 1024;
    let records = page.jobs.iter().map(|job| job.bytes() + FRAME);
    let mut bytes = Vec::with_capacity(records.sum::<usize>() + FRAME);
    bytes.extend_from_slice(b"{\"data\":[");
    for (index, job) in page.jobs.into_iter().enumerate() {
        if index > 0 {
            bytes.push(b',');
        }
        job.write_json(View::Record, progress(app, &job), &mut bytes);
    }
    bytes.push(b']');
    if let Some(next) = page.next {
        // The alphabet of a cursor needs no escapes.
        bytes.extend_from_slice(
            format!(",\"has_more\":true,\"next_cursor\":\"{}\"", next.encode()).as_bytes(),
        );
    }
    bytes.push(b'}');
    bytes
}

/// How far a job has come, while it runs.
fn progress(app: &Shared, job: &JobRecord) -> Option<[u64; 3]> {
    let runs = matches!(job.status, JobStatus::Running | JobStatus::Cancelling);
    runs.then(|| app.dispatch.progress(&job.id)).flatten()
}
