//! Small jobs one after another, of one page of one item each. What one of them costs is the difference of two numbers of them.

use std::path::Path;

use anyhow::anyhow;
use plugin_host::CallOptions;
use serde_json::{Value, json};

use crate::{
    aws::{client, request, runtime},
    plugin::{job, open},
};

/// So many calls of the C function on one library.
pub(crate) fn through_plugin(library: &Path, url: &str, n_jobs: u32) -> anyhow::Result<Value> {
    let library = open(library)?;
    let job = job(url);
    for _ in 0..n_jobs {
        library
            .run_job_by_c(&job, &CallOptions::default())
            .map_err(|error| anyhow!("{:?}: {}", error.code, error.message))?;
    }
    Ok(json!({"jobs": n_jobs}))
}

/// So many requests of one client of the SDK, with typed items.
pub(crate) fn through_sdk(url: &str, n_requests: u32) -> anyhow::Result<Value> {
    let client = client(url);
    runtime()?.block_on(async {
        for _ in 0..n_requests {
            request(&client, None).send().await?;
        }
        Ok(json!({"jobs": n_requests}))
    })
}
