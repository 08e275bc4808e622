//! `host-harness explain`: what an error code means and who can do something about it, or what a statement would read.

use clap::Args;
use plugin_api::ErrorInfo;

use crate::{
    exit::Exit,
    plugin_directory::registry_to_inspect,
    run::{self, JobArgs, RunArgs, statement},
    terminal,
};

/// What `explain` takes.
#[derive(Debug, Args)]
pub struct ExplainArgs {
    /// An error code, such as NOT_READ_ONLY, or a SELECT; without either, all codes are listed
    #[arg(value_name = "CODE|STATEMENT")]
    asked: Option<String>,
    #[command(flatten)]
    job: JobArgs,
}

/// The codes that the plugins of a directory say they have, and the standard ones that none of them mentions.
fn known_codes(job: &JobArgs) -> Result<Vec<ErrorInfo>, String> {
    let target = &job.target;
    let options = registry_to_inspect(target.plugin_dir.as_deref(), target.config.as_deref())?;
    // Without a readable directory the standard codes remain.
    let mut known = plugin_host::inspect::error_codes(&options).unwrap_or_default();
    for info in ErrorInfo::STANDARD {
        if known.iter().all(|known| known.code != info.code) {
            known.push(info.clone());
        }
    }
    Ok(known)
}

/// Explains.
#[must_use]
pub fn run(args: ExplainArgs) -> Exit {
    if let Some(asked) = &args.asked {
        let explained = statement::is_select(asked).then(|| format!("EXPLAIN {asked}"));
        if explained.is_some() || statement::is_statement(asked) {
            let statement = explained.unwrap_or_else(|| asked.clone());
            return run::run(&RunArgs::of_statement(statement, args.job));
        }
    }
    let explained = known_codes(&args.job)
        .and_then(|known| match &args.asked {
            Some(asked) => of_code(asked, &known),
            None => Ok(known
                .iter()
                .map(|info| format!("{:<18} {}\n", info.code.as_str(), info.meaning))
                .collect()),
        })
        .and_then(|text| terminal::print(text.as_bytes()).map_err(|error| error.to_string()));
    match explained {
        Ok(()) => Exit::Done,
        Err(message) => {
            eprintln!("error: {message}");
            Exit::Usage
        }
    }
}

fn of_code(asked: &str, known: &[ErrorInfo]) -> Result<String, String> {
    let code = asked.to_ascii_uppercase().replace('-', "_");
    match known.iter().find(|info| info.code == *code) {
        Some(info) => {
            let again = if info.retryable {
                "The same job may succeed when sent again."
            } else {
                "Sending the same job again gives the same answer."
            };
            Ok(format!(
                "{}: {}\n{}\n{again}\n",
                info.code, info.meaning, info.remedy
            ))
        }
        None => {
            let nearest = plugin_api::nearest(&code, known.iter().map(|info| info.code.as_str()));
            Err(format!(
                "there is no error code '{code}'; did you mean {}?",
                nearest.unwrap_or("INVALID_JOB")
            ))
        }
    }
}
