//! `host-harness run`: one job through a loaded plugin; its result on stdout, everything else on stderr.

pub(crate) mod document;
mod output;
mod report;

use std::{
    path::PathBuf,
    sync::{Arc, mpsc},
    thread,
    time::Duration,
};

use clap::Args;
use plugin_api::Error;
use plugin_host::{CallOptions, Document, Lease, Registry, RegistryOptions};

use heimdall_server::error::{Code, HostError};

use crate::cli::{Exit, default_plugin_dir};
use document::Routed;
pub use output::Format;
use report::Report;

/// What `run` takes.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// The job as users submit it, a JSON file; `-`: standard input
    #[arg(required_unless_present = "query", conflicts_with = "query")]
    pub(crate) job: Option<PathBuf>,
    /// Instead of a file: one PartiQL SELECT
    #[arg(long)]
    pub(crate) query: Option<String>,
    /// With --query: the most rows
    #[arg(long, requires = "query", allow_negative_numbers = true)]
    pub(crate) limit: Option<u64>,
    /// With --query: the value of the next `?`, as JSON
    #[arg(long = "param", requires = "query", value_name = "JSON")]
    pub(crate) params: Vec<String>,
    /// Heimdall's YAML config: the job is routed to its commands and clusters
    #[arg(long)]
    pub(crate) config: Option<PathBuf>,
    /// Where the plugin libraries lie
    #[arg(long)]
    pub(crate) plugin_dir: Option<PathBuf>,
    /// Without --config: the plugin that runs the job
    #[arg(long, default_value = "dynamo", conflicts_with = "config")]
    pub(crate) plugin: String,
    /// Who submits the job; else the USER variable
    #[arg(long)]
    pub(crate) user: Option<String>,
    /// Without --config: the IAM role to assume
    #[arg(long, conflicts_with = "config")]
    pub(crate) role_arn: Option<String>,
    /// Without --config: the AWS region
    #[arg(long, conflicts_with = "config")]
    pub(crate) region: Option<String>,
    /// Without --config: DynamoDB's endpoint
    #[arg(long, conflicts_with = "config")]
    pub(crate) endpoint_url: Option<String>,
    /// Without --config: the AWS profile
    #[arg(long, conflicts_with = "config")]
    pub(crate) profile: Option<String>,
    /// How the rows are written; on a terminal a table, else the result document as it is
    #[arg(long, value_enum)]
    pub(crate) format: Option<Format>,
    /// Write the rows to this file, whole or not at all
    #[arg(long)]
    pub(crate) output: Option<PathBuf>,
}

/// What kept a job from being run at all.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RunError {
    /// Wrong usage, an unreadable file or config: exit status 2.
    #[error("{0}")]
    Usage(String),
    /// An error document's worth: exit status 1.
    #[error("{0}")]
    Failed(Error),
    /// A host's refusal, such as `NO_ROUTE`: exit status 1.
    #[error("{0}")]
    Refused(HostError),
}

/// Runs one job.
#[must_use]
pub fn run(args: &RunArgs) -> Exit {
    let report = Report::new();
    match run_job(args, &report) {
        Ok(exit) => exit,
        Err(RunError::Usage(message)) => report.usage(&message),
        Err(RunError::Failed(error)) => report.failed(&error),
        Err(RunError::Refused(error)) => report.refused(&error),
    }
}

fn run_job(args: &RunArgs, report: &Report) -> Result<Exit, RunError> {
    let job = document::build(args)?;
    let registry = open_registry(args, &job, report)?;
    let lease = registry
        .lease(&job.plugin, job.plugin_version.as_ref())
        .map_err(|unavailable| {
            RunError::Refused(
                HostError::new(Code::PluginUnavailable, unavailable.to_string()).hint(format!(
                    "{}; host-harness plugins shows what lies in the plugin directory",
                    unavailable.hint()
                )),
            )
        })?;
    let lease = Arc::new(lease);
    let ran = interruptible(&lease, &job, report);
    // Before the outcome is told: what a plugin says while it closes must not come behind it.
    drop(lease);
    registry.close(Duration::from_secs(1));
    let (outcome, interrupted) = ran.map_err(RunError::Usage)?;
    match outcome {
        outcome if interrupted => Ok(report.interrupted(&outcome)),
        Ok(result) => {
            report.finished(&result);
            output::write(&result, args.format, args.output.as_deref())
                .map_err(RunError::Usage)
                .map(|()| Exit::Done)
        }
        Err(error) => Ok(report.failed(&error)),
    }
}

fn open_registry(args: &RunArgs, job: &Routed, report: &Report) -> Result<Arc<Registry>, RunError> {
    let directory = args
        .plugin_dir
        .clone()
        .or_else(|| job.plugin_directory.clone())
        .unwrap_or_else(default_plugin_dir);
    let options = RegistryOptions {
        watch: false,
        ..RegistryOptions::new(directory, report.log_sink())
    };
    Registry::open(options).map_err(|error| RunError::Usage(error.to_string()))
}

type Outcome = Result<Document, Error>;

/// Runs the job on a thread of its own and waits for it, or for an interrupt, upon which the job is cancelled and waited for; whether
/// there was one.
fn interruptible(
    lease: &Arc<Lease>,
    job: &Routed,
    report: &Report,
) -> Result<(Outcome, bool), String> {
    enum Event {
        Interrupt,
        Done(Box<Outcome>),
    }
    let (events, event) = mpsc::channel();
    let interrupts = events.clone();
    ctrlc::set_handler(move || {
        let _ = interrupts.send(Event::Interrupt);
    })
    .map_err(|error| format!("cannot wait for interrupts: {error}"))?;
    let (runner, document, progress) = (Arc::clone(lease), job.document.clone(), report.progress());
    thread::spawn(move || {
        let options = CallOptions {
            progress: Some(progress),
            ..CallOptions::default()
        };
        let outcome = Box::new(runner.run_job(&document, &options));
        let _ = events.send(Event::Done(outcome));
    });
    let mut interrupted = false;
    loop {
        // A job can only be cancelled once the plugin has begun it, so an interrupt is repeated until the job has ended.
        let next = if interrupted {
            event.recv_timeout(Duration::from_millis(20)).ok()
        } else {
            event.recv().ok()
        };
        match next {
            Some(Event::Done(outcome)) => return Ok((*outcome, interrupted)),
            Some(Event::Interrupt) | None => {
                interrupted = true;
                let _ = lease.cancel_job(&job.id);
            }
        }
    }
}
