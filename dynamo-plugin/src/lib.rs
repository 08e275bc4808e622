//! The DynamoDB plugin as a shared library: its threads and its export line. What a job does is `dynamo-query`'s.
//!
//! Jobs run on this library's own threads, never on the caller's, who only waits or does not even do that. Nothing is started before
//! the first job.
#![forbid(unsafe_code)]

mod starts;
mod threads;

use std::{
    future::Future,
    sync::{Arc, mpsc},
    time::Duration,
};

use dynamo_query::{codes, run::Queries, session::Environment};
use plugin_api::{
    Done, Error, ErrorCode, ErrorInfo, Host, JobCtx, NotStarted, Plugin, catch_panics,
};
use serde_json::{Map, Value};

use self::threads::Threads;

struct Dynamo {
    queries: Arc<Queries>,
    threads: Threads,
}

impl Plugin for Dynamo {
    const NAME: &'static str = "dynamo";
    const FEATURES: &'static str = "cancel progress health rows start";
    const ERRORS: &'static [ErrorInfo] = codes::ERRORS;

    fn open(_host: Host, config: &str) -> Result<Self, Error> {
        refuse_unknown(config)?;
        Ok(Self {
            queries: Arc::new(Queries::new(Environment::read())),
            threads: Threads::default(),
        })
    }

    fn run_job(&self, job: &str, ctx: &JobCtx) -> Result<Vec<u8>, Error> {
        self.wait_for(self.job(job.to_owned(), ctx.clone())?)
    }

    fn start_job(&self, job: String, ctx: JobCtx, done: Done) -> Result<(), NotStarted> {
        let started = self
            .job(job, ctx)
            .and_then(|job| Ok((job, self.threads.jobs()?)));
        let (job, jobs) = match started {
            Ok(started) => started,
            Err(error) => return Err(done.refuse(error)),
        };
        jobs.push(async move { done.finish(catch_panics(job).await) });
        Ok(())
    }

    fn check_health(&self, cluster: &str, ctx: &JobCtx) -> Result<Vec<u8>, Error> {
        let (queries, cluster, ctx) = (Arc::clone(&self.queries), cluster.to_owned(), ctx.clone());
        self.wait_for(async move { Box::pin(queries.check_health(&cluster, &ctx)).await })
    }

    fn close(self, within: Duration) -> Result<(), Error> {
        match self.threads.join(within) {
            0 => Ok(()),
            left => Err(Error::new(
                ErrorCode::INTERNAL,
                format!("{left} threads are still looking up a host name"),
            )
            .hint("they end by themselves; the library stays loaded")),
        }
    }
}

impl Dynamo {
    fn job(
        &self,
        job: String,
        ctx: JobCtx,
    ) -> Result<impl Future<Output = Result<Vec<u8>, Error>> + use<>, Error> {
        let rows = ctx
            .rows_after_bytes()
            .map(|_| self.threads.for_rows())
            .transpose()?;
        let queries = Arc::clone(&self.queries);
        Ok(async move {
            // In a box, because it is large, would be moved several times, and is not needed before the job begins.
            Box::pin(queries.run_job(&job, &ctx, rows.as_ref())).await
        })
    }

    /// Runs a job on the plugin's threads and waits for it here.
    fn wait_for(
        &self,
        job: impl Future<Output = Result<Vec<u8>, Error>> + Send + 'static,
    ) -> Result<Vec<u8>, Error> {
        let (answer, answered) = mpsc::sync_channel(1);
        self.threads.jobs()?.push(async move {
            let _ = answer.send(catch_panics(job).await);
        });
        answered.recv().unwrap_or_else(|_| {
            Err(Error::new(ErrorCode::INTERNAL, "the job's task was lost")
                .hint("this is a bug in the plugin"))
        })
    }
}

/// A config is a JSON object; no field is defined yet.
fn refuse_unknown(config: &str) -> Result<(), Error> {
    let invalid = |message: String| {
        Error::new(ErrorCode::INVALID_JOB, message)
            .hint("pass {} or nothing: no field is defined yet")
    };
    let fields: Map<String, Value> = serde_json::from_str(config)
        .map_err(|error| invalid(format!("the plugin's config is not a JSON object: {error}")))?;
    match fields.keys().next() {
        None => Ok(()),
        Some(field) => Err(invalid(format!(
            "the plugin's config has an unknown field '{}'",
            field.escape_debug()
        ))),
    }
}

plugin_api::export_plugin!(Dynamo);
