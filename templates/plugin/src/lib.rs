//! A Heimdall plugin: takes a job with a text, gives its words as rows.
#![forbid(unsafe_code)]

use std::time::{Duration, Instant};

use plugin_api::{Error, ErrorCode, Host, JobCtx, Level, Plugin};
use serde::Deserialize;
use serde_json::json;

struct ThisPlugin;

/// The job document; the host adds fields of its own beside these.
#[derive(Deserialize)]
struct JobInput {
    context: Context,
}

/// What the user writes. An unknown field is an error, so that a misspelt one is not ignored.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Context {
    text: String,
    /// Waits so long before each word.
    #[serde(default)]
    pause_ms: u64,
}

impl Plugin for ThisPlugin {
    const NAME: &'static str = "{{project-name}}";
    const FEATURES: &'static str = "cancel progress health";

    fn open(_host: Host, _config: &str) -> Result<Self, Error> {
        Ok(Self)
    }

    fn run_job(&self, job: &str, ctx: &JobCtx) -> Result<Vec<u8>, Error> {
        let started = Instant::now();
        let JobInput { context } = serde_json::from_str(job).map_err(|error| {
            Error::new(ErrorCode::INVALID_JOB, error.to_string())
                .hint(r#"the job's context is {"text": "…"}"#)
        })?;
        let mut data = Vec::new();
        for word in context.text.split_whitespace() {
            wait(ctx, Duration::from_millis(context.pause_ms))?;
            data.push(json!([word, word.chars().count()]));
            ctx.progress(data.len() as u64, 1, 0);
        }
        ctx.log(Level::Info, Self::NAME, &format!("{} words", data.len()));
        let columns =
            json!([{"name": "word", "type": "string"}, {"name": "length", "type": "long"}]);
        let stats = json!({"rows": data.len(), "elapsed_ms": started.elapsed().as_millis() as u64});
        Ok(json!({"columns": columns, "data": data, "stats": stats})
            .to_string()
            .into_bytes())
    }

    fn check_health(&self, _cluster: &str, _ctx: &JobCtx) -> Result<Vec<u8>, Error> {
        Ok(json!({"status": "ok", "latency_ms": 0})
            .to_string()
            .into_bytes())
    }

    fn close(self, _within: Duration) -> Result<(), Error> {
        Ok(())
    }
}

/// Waits, but not past the job's deadline, nor once it is cancelled.
fn wait(ctx: &JobCtx, pause: Duration) -> Result<(), Error> {
    let until = Instant::now() + pause;
    let end = ctx.deadline().map_or(until, |deadline| deadline.min(until));
    if ctx.wait_cancelled(end) {
        return Err(Error::new(ErrorCode::CANCELLED, "the job was cancelled"));
    }
    if end < until {
        return Err(Error::new(ErrorCode::TIMEOUT, "the job's deadline passed"));
    }
    Ok(())
}

plugin_api::export_plugin!(ThisPlugin);

#[cfg(test)]
mod tests;
