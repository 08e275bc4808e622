//! A client for a running host: `submit`, `jobs`, `job ID` and `cancel ID`.

mod args;
mod connection;
mod failure;
mod fetch;
mod host;
mod interrupts;
mod list;
mod record;
mod show;
mod submit;
mod waiting;

pub use self::args::{CancelArgs, JobArgs, JobsArgs, SubmitArgs};
use crate::{
    exit::Exit,
    run::{error::RunError, fields::Given, report::Report},
};

/// `submit`: a job for the host, and its rows.
#[must_use]
pub fn submit(args: &SubmitArgs) -> Exit {
    let report = Report::new(&args.messages);
    let given = Given::of(&args.source, &args.fields, &args.criteria);
    finished(&report, &given, submit::run(args, &report))
}

/// `jobs`: what the host has been given.
#[must_use]
pub fn jobs(args: &JobsArgs) -> Exit {
    let report = Report::new(&args.messages);
    finished(&report, &Given::default(), list::run(args, &report))
}

/// `job ID`: one of them.
#[must_use]
pub fn job(args: &JobArgs) -> Exit {
    let report = Report::new(&args.messages);
    finished(&report, &Given::default(), show::run(args, &report))
}

/// `cancel ID`: one that shall stop.
#[must_use]
pub fn cancel(args: &CancelArgs) -> Exit {
    let report = Report::new(&args.messages);
    finished(&report, &Given::default(), show::cancel(args))
}

fn finished<F>(report: &Report, given: &Given, command: F) -> Exit
where
    F: Future<Output = Result<Exit, RunError>>,
{
    // One thread beside this one: signals are heard also while this one writes to a pipe that nobody reads.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build();
    let outcome = match runtime {
        Err(error) => Err(RunError::Usage(format!("cannot start a thread: {error}"))),
        Ok(runtime) => {
            let outcome = runtime.block_on(command);
            runtime.shutdown_background();
            outcome
        }
    };
    report.clear();
    report.ended(outcome, given)
}
