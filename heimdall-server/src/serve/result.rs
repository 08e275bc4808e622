//! `/result`: a stored result in the format that was asked for, made on the way out.
//!
//! In: a job, a format by `?format=` or `Accept`. Out: the plugin's own bytes where they are what was asked for, else bytes that a
//! thread makes row by row as the client reads them. A failure after the status breaks the connection, so that no client takes half
//! a result for a whole one.

use std::{io::Write, sync::Arc};

use axum::{
    Extension,
    body::Body,
    extract::State,
    http::{HeaderMap, HeaderName, HeaderValue, header},
    response::Response,
};
use results::{Format, Options, Source};
use serde_json::json;

use super::{
    Shared, answer,
    auth::Caller,
    body,
    connections::Client,
    format::{ResultFormat, acceptable, format_in},
    links::Link,
    pipe,
    query::{Id, Parameters},
    visible,
};
use crate::{
    dispatch::blocking,
    error::{Code, HostError},
    job::JobRecord,
    store::StoredResult,
};

type Answer = Result<Response, HostError>;

pub(super) async fn result(
    State(app): State<Shared>,
    Extension(caller): Extension<Caller>,
    Id(id): Id,
    headers: HeaderMap,
    parameters: Parameters,
) -> Answer {
    let (named, safe) = parameters.format()?;
    let job = visible::find(&app, &caller, &id).await?;
    let stored = stored(&app, &job).await?;
    let format = named.map_or_else(|| acceptable(&headers), Ok)?;
    send(&app, &job.id, stored, ResultFormat { format, safe }).await
}

pub(super) async fn link(
    State(app): State<Shared>,
    Extension(caller): Extension<Caller>,
    Id(id): Id,
    parameters: Parameters,
    client: Client,
    body: Body,
) -> Answer {
    let (mut named, safe) = parameters.format()?;
    let bytes = body::read(&app, client, body).await?.bytes;
    if !bytes.trim_ascii().is_empty() {
        named = format_in(&bytes)?.or(named);
    }
    let job = visible::find(&app, &caller, &id).await?;
    stored(&app, &job).await?;
    let requested = ResultFormat {
        format: named.unwrap_or(Format::Json),
        safe,
    };
    let token = app.links.make(Link {
        id: job.id,
        seq: job.seq,
        requested,
    })?;
    Ok(answer::json(
        &json!({"url": format!("/api/v1/result/{token}")}),
    ))
}

/// A result by its link: whoever has it was given it by somebody who may read the result.
pub(super) async fn by_link(State(app): State<Shared>, Id(token): Id) -> Answer {
    let link = app.links.take(&token).ok_or_else(|| {
        HostError::new(Code::NotFound, "this link is unknown, used or too old")
            .hint("a link is good once and for 60 s; ask for another one")
    })?;
    let (store, seq) = (Arc::clone(&app.store), link.seq);
    let stored = app
        .concurrency
        .question(move || store.result(seq))
        .await?
        .ok_or_else(|| {
            HostError::new(Code::NotFound, "the result of this link was removed").about(&link.id)
        })?;
    send(&app, &link.id, stored, link.requested).await
}

/// A sync job whose result is in the store only: as every sync job's answer, made on the way out.
pub(super) async fn of_submission(app: &Shared, job: &JobRecord) -> Answer {
    let stored = stored(app, job).await?;
    let mut head = job.to_json(crate::job::View::Submitted, None);
    head.truncate(head.len() - 1);
    head.extend_from_slice(b",\"result\":");
    let requested = ResultFormat {
        format: Format::Json,
        safe: false,
    };
    let body = pipe::body(app, job.id.clone(), move |out| {
        out.write_all(&head)?;
        write(stored, requested, out)?;
        Ok(out.write_all(b"}")?)
    })?;
    Ok(answer::body_as(requested.format.content_type(), body))
}

/// The result of a job that has ended with one.
async fn stored(app: &Shared, job: &JobRecord) -> Result<StoredResult, HostError> {
    let id = &job.id;
    if !job.status.is_final() {
        let message = format!(
            "the job '{id}' has no result yet: it is {}",
            job.status.as_str()
        );
        return Err(HostError::new(Code::NotFinished, message)
            .hint("ask for its status until it has ended")
            .about(id));
    }
    let (store, seq) = (Arc::clone(&app.store), job.seq);
    if let Some(stored) = app.concurrency.question(move || store.result(seq)).await? {
        return Ok(stored);
    }
    let error = HostError::new(
        Code::NotFound,
        format!(
            "the job '{id}' has no result: it ended {}",
            job.status.as_str()
        ),
    );
    let cause = job.error_document.as_deref();
    Err(HostError {
        details: cause.and_then(|document| serde_json::from_str(document).ok()),
        ..error.hint("its record says why").about(id)
    })
}

async fn send(app: &Shared, id: &str, stored: StoredResult, requested: ResultFormat) -> Answer {
    let as_it_is = requested.format == Format::Json;
    let mut response = match stored {
        StoredResult::Inline(bytes) if as_it_is => answer::json_bytes(bytes),
        StoredResult::File(file, length) if as_it_is => answer::json_file(file, length),
        stored => {
            let about = |error: HostError| error.about(id);
            let stored = blocking_read(stored).await.map_err(about)?;
            check(&stored, requested.format).map_err(about)?;
            let make = move |out: &mut (dyn Write + Send)| write(stored, requested, out);
            let body = pipe::body(app, id.to_owned(), make)?;
            answer::body_as(requested.format.content_type(), body)
        }
    };
    let headers = response.headers_mut();
    headers.append(header::VARY, HeaderValue::from_static("Accept"));
    headers.insert(
        HeaderName::from_static("x-content-type-options"),
        HeaderValue::from_static("nosniff"),
    );
    let name = format!(
        "attachment; filename=\"{id}.{}\"",
        requested.format.ending()
    );
    // An id is a UUID, so that it needs no escapes.
    if let Ok(name) = HeaderValue::try_from(name) {
        headers.insert(header::CONTENT_DISPOSITION, name);
    }
    Ok(response)
}

/// A document in a file is read whole: only a library without rows as they come leaves one, up to its own limit.
async fn blocking_read(stored: StoredResult) -> Result<StoredResult, HostError> {
    let StoredResult::File(mut file, length) = stored else {
        return Ok(stored);
    };
    blocking(move || {
        let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or(0));
        std::io::Read::read_to_end(&mut file, &mut bytes)?;
        Ok(StoredResult::Inline(bytes))
    })
    .await
}

/// What can be known to be impossible before the status is sent.
fn check(stored: &StoredResult, format: Format) -> Result<(), HostError> {
    let source = source(stored).map_err(|_| {
        HostError::new(
            Code::NotAcceptable,
            "this result has no columns and rows, so that it can only be had as it is",
        )
        .hint("ask for it as application/json")
    })?;
    if format == Format::Parquet && source.columns().is_empty() {
        return Err(HostError::new(
            Code::NoColumns,
            "a result without columns cannot be written as Parquet",
        )
        .hint("ask for another format"));
    }
    Ok(())
}

fn source(stored: &StoredResult) -> Result<Source<'_>, results::WriteError> {
    match stored {
        StoredResult::Inline(document) => Source::document(document),
        StoredResult::Lines(lines) => Ok(Source::lines(&lines.file, &lines.answer, &lines.notes)),
        StoredResult::File(..) => Source::document(b""),
    }
}

fn write(
    stored: StoredResult,
    requested: ResultFormat,
    out: &mut (dyn Write + Send),
) -> Result<(), results::WriteError> {
    let options = Options {
        csv_safe: requested.safe,
        ..Options::default()
    };
    results::write(requested.format, &source(&stored)?, &options, out).map(drop)
}
