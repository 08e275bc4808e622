//! The plugin's built library, loaded and called as a host does, through either set of entry points.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context, anyhow};
use plugin_api::Error;
use plugin_host::{CallOptions, JobDocument, Library};
use serde_json::{Value, json};

use crate::{
    aws::STATEMENT,
    measure::{Made, cpu_seconds, measured},
};

/// Bytes of a document's end that hold its `stats`.
const STATS_AT_MOST: usize = 1024;

/// The C function, the result read where the plugin put it and freed there, as a host in another language does.
pub(crate) fn through_c(library: &Path, url: &str) -> anyhow::Result<Value> {
    let library = open(library)?;
    let call = |job: &[u8]| {
        let made = library
            .run_job_by_c(job, &CallOptions::default())
            .map(|document| made(&document));
        made.map_err(|error| job_error(&error))?
    };
    call(&first_job(url))?;
    measured(|| call(&job(url)))
}

/// The Rust entry points, as the host calls it.
pub(crate) fn through_typed(library: &Path, url: &str) -> anyhow::Result<Value> {
    let library = open(library)?;
    let call = |job: &[u8]| {
        let document = library.run_job(job, &CallOptions::default());
        made(&document.map_err(|error| job_error(&error))?)
    };
    call(&first_job(url))?;
    measured(|| call(&job(url)))
}

/// The Rust entry points, the table read in so many segments.
pub(crate) fn in_segments(library: &Path, url: &str, n_segments: u32) -> anyhow::Result<Value> {
    let library = open(library)?;
    let call = |job: &[u8]| {
        let document = library.run_job(job, &CallOptions::default());
        made(&document.map_err(|error| job_error(&error))?)
    };
    call(&first_job(url))?;
    let mut job: Value = serde_json::from_slice(&job(url))?;
    job["context"]["total_segments"] = json!(n_segments);
    job["command"]["context"]["max_total_segments"] = json!(n_segments);
    measured(|| call(job.to_string().as_bytes()))
}

/// How long it takes until a library that was never loaded is ready for a job: loader, checks, open, the first (refused) job.
pub(crate) fn load(library: &Path) -> anyhow::Result<Value> {
    let (begun, cpu) = (Instant::now(), cpu_seconds());
    let library = open(library)?;
    let opened = begun.elapsed();
    let refused = library.run_job(b"{}", &CallOptions::default());
    let (ready, cpu) = (begun.elapsed(), cpu_seconds() - cpu);
    let error = refused.err().context("a job without a query was taken")?;
    anyhow::ensure!(
        error.code == plugin_api::ErrorCode::INVALID_JOB,
        "{}",
        error.message
    );
    library
        .close(Duration::from_secs(5))
        .map_err(|error| job_error(&error))?;
    let milliseconds = |time: Duration| time.as_secs_f64() * 1e3;
    Ok(
        json!({"opened_ms": milliseconds(opened), "ready_ms": milliseconds(ready), "cpu_ms": cpu * 1e3}),
    )
}

pub(crate) fn open(path: &Path) -> anyhow::Result<Library> {
    let library = Library::load(path, None)?;
    library.open("{}").map_err(|error| job_error(&error))?;
    Ok(library)
}

/// A job that reads all pages behind `url`.
pub(crate) fn job(url: &str) -> Vec<u8> {
    limited_job(url, None)
}

/// A job that ends at its first page: it starts the library's threads and makes the cluster's client, as the other clients' are made,
/// before anything is measured.
fn first_job(url: &str) -> Vec<u8> {
    limited_job(url, Some(1))
}

fn limited_job(url: &str, limit: Option<u64>) -> Vec<u8> {
    let most_bytes = u64::from(u32::MAX);
    let job = JobDocument {
        context: Some(&json!({"query": STATEMENT, "limit": limit, "max_result_bytes": most_bytes})),
        command: Some(&json!({"context": {"max_result_bytes": most_bytes}})),
        cluster: Some(&json!({"context": {"endpoint_url": url, "region": "us-east-1"}})),
        ..JobDocument::default()
    };
    job.to_json()
}

fn job_error(error: &Error) -> anyhow::Error {
    anyhow!("{:?}: {}", error.code, error.message)
}

/// Reads the `stats` at a document's end; the rows were checked by the tests.
fn made(document: &[u8]) -> anyhow::Result<Made> {
    let end = &document[document.len().saturating_sub(STATS_AT_MOST)..];
    let end = String::from_utf8_lossy(end);
    let (_, stats) = end
        .rsplit_once(r#","stats":"#)
        .context("the result has no stats")?;
    let stats: Value = serde_json::from_str(stats.trim_end().strip_suffix('}').unwrap_or(stats))?;
    let figure = |name: &str| {
        stats[name]
            .as_u64()
            .with_context(|| format!("no {name} in stats"))
    };
    Ok(Made {
        wire_bytes: figure("wire_bytes")?,
        rows: figure("rows")?,
        result_bytes: document.len() as u64,
    })
}
