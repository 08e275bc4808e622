//! `host-harness run`: one job through a loaded plugin; its rows on standard output, everything else on standard error.

pub(crate) mod args;
pub(crate) mod document;
pub(crate) mod error;
pub(crate) mod fields;
pub(crate) mod footer;
mod input;
mod members;
pub(crate) mod output;
pub(crate) mod report;
pub(crate) mod rows;
pub(crate) mod scan;
pub(crate) mod statement;
pub(crate) mod submission;

use std::{
    sync::{Arc, Mutex, PoisonError, mpsc},
    thread,
    time::Duration,
};

use heimdall_server::error::{Code, HostError};
use plugin_api::Error;
use plugin_host::{CallOptions, Document, Lease, Registry, RegistryOptions};

pub(crate) use self::args::JobArgs;
pub use self::args::RunArgs;
use self::{
    document::RoutedJob,
    error::RunError,
    fields::Given,
    footer::Footer,
    output::{Output, UnfinishedFile},
    report::Report,
    rows::{Ended, Rows},
};
use crate::{
    exit::Exit,
    plugin_directory::{registry_options, remembered_probes},
};

/// Runs one job.
#[must_use]
pub fn run(args: &RunArgs) -> Exit {
    let report = Report::new(&args.job.messages);
    let given = Given::of(&args.source, &args.job.fields, &args.job.criteria);
    report.ended(run_job(args, &report), &given)
}

fn run_job(args: &RunArgs, report: &Report) -> Result<Exit, RunError> {
    let output = Output::open(&args.job.output, report).map_err(RunError::Usage)?;
    let job = document::build(args)?;
    let rows = Arc::new(Rows::new(output, job.query.as_deref()));
    let registry = open_registry(args, &job, report)?;
    let lease = lease(&registry, &job)?;
    let writing = Writing::default();
    let ran = interruptible(&lease, &job, report, &rows, &writing);
    // Before the outcome is told: what a plugin says while it closes must not come behind it.
    drop(lease);
    registry.close(Duration::from_secs(1));
    let (outcome, interrupted) = ran.map_err(RunError::Usage)?;
    report.clear();
    if let Some(Ended::ReaderGone) = rows.stopped().map_err(RunError::Usage)? {
        return Ok(Exit::Done);
    }
    match outcome {
        Ok(_) if interrupted => {
            report.said("interrupted; the job had just finished, its result is dropped");
            Ok(Exit::Interrupted)
        }
        Err(error) if interrupted => Err(RunError::Interrupted(error)),
        Err(error) => Err(RunError::Failed(error)),
        Ok(answer) => {
            *writing.lock().unwrap_or_else(PoisonError::into_inner) = Some(rows.unfinished_file());
            let rows = Arc::into_inner(rows).expect("the job has ended, and with it its callbacks");
            if let Ended::Written(written, stats) = rows.finish(&answer).map_err(RunError::Usage)? {
                report.finished(&Footer::new(stats.as_deref(), &written));
            }
            Ok(Exit::Done)
        }
    }
}

fn open_registry(
    args: &RunArgs,
    job: &RoutedJob,
    report: &Report,
) -> Result<Arc<Registry>, RunError> {
    let options = registry_options(
        args.job.target.plugin_dir.as_deref(),
        job.config.as_deref(),
        report.log_sink(),
    );
    Registry::open(RegistryOptions {
        watch: false,
        probed: remembered_probes(&options.probe),
        ..options
    })
    .map_err(|error| RunError::Usage(error.to_string()))
}

fn lease(registry: &Arc<Registry>, job: &RoutedJob) -> Result<Arc<Lease>, RunError> {
    registry
        .lease(&job.plugin, job.plugin_version.as_ref())
        .map(Arc::new)
        .map_err(|unavailable| {
            RunError::Refused(
                HostError::new(Code::PluginUnavailable, unavailable.to_string()).hint(format!(
                    "{}; host-harness plugins shows what lies in the plugin directory",
                    unavailable.hint()
                )),
            )
        })
}

type Outcome = Result<Document, Error>;

/// Set once the job has ended and its rows are written: from then on an interrupt ends the process.
type Writing = Arc<Mutex<Option<UnfinishedFile>>>;

/// Runs the job on a thread of its own and waits for it, or for an interrupt, upon which the job is cancelled and waited for; whether
/// there was one.
fn interruptible(
    lease: &Arc<Lease>,
    job: &RoutedJob,
    report: &Report,
    rows: &Arc<Rows>,
    writing: &Writing,
) -> Result<(Outcome, bool), String> {
    enum Event {
        Interrupt,
        Done(Box<Outcome>),
    }
    let (events, event) = mpsc::channel();
    let interrupts = events.clone();
    let writing = Arc::clone(writing);
    ctrlc::set_handler(move || {
        let unfinished = writing
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(unfinished) = unfinished {
            unfinished.remove_and_exit();
        }
        let _ = interrupts.send(Event::Interrupt);
    })
    .map_err(|error| format!("cannot wait for interrupts: {error}"))?;
    let runner = Arc::clone(lease);
    let document = job.document.clone();
    let explaining = report
        .is_interactive()
        .then(|| scan::explaining(&job.document))
        .flatten();
    let (report, rows) = (report.clone(), Arc::clone(rows));
    thread::spawn(move || {
        if let Some(explaining) = explaining {
            warn_of_scan(&runner, &explaining, &report);
        }
        let outcome = Box::new(runner.run_job(&document, &options(&report, &rows)));
        drop(rows);
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

fn options(report: &Report, rows: &Arc<Rows>) -> CallOptions {
    let taker = Arc::clone(rows);
    CallOptions {
        timeout: None,
        // Rows that appear on the terminal are progress enough.
        progress: (!rows.shows_rows_at_once()).then(|| report.progress()),
        rows: Some(Arc::new(move |lines| taker.take(lines))),
        rows_after_bytes: rows.after_bytes(),
    }
}

/// Tells a person who is about to read a whole table; a plugin that cannot explain says nothing.
fn warn_of_scan(lease: &Lease, explaining: &[u8], report: &Report) {
    if let Ok(answer) = lease.run_job(explaining, &CallOptions::default())
        && let Some(warning) = scan::warning(&answer)
    {
        report.note(&warning);
    }
}
