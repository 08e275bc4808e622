//! `host-harness explain`: what an error code means and who can do something about it.

use clap::Args;
use plugin_api::ErrorCode;

use crate::cli::Exit;

/// What `explain` takes.
#[derive(Debug, Args)]
pub struct ExplainArgs {
    /// An error code, such as NOT_READ_ONLY; without one, all are listed
    code: Option<String>,
}

/// Explains.
#[must_use]
pub fn run(args: &ExplainArgs) -> Exit {
    let Some(wanted) = &args.code else {
        for code in ErrorCode::ALL {
            println!("{:<18} {}", code.as_str(), code.meaning());
        }
        return Exit::Done;
    };
    let wanted = wanted.to_ascii_uppercase().replace('-', "_");
    match ErrorCode::ALL
        .into_iter()
        .find(|code| code.as_str() == wanted)
    {
        Some(code) => {
            let again = if code.retryable() {
                "The same job may succeed when sent again."
            } else {
                "Sending the same job again gives the same answer."
            };
            println!("{code}: {}\n{}\n{again}", code.meaning(), code.remedy());
            Exit::Done
        }
        None => {
            let known = ErrorCode::ALL.map(ErrorCode::as_str);
            let nearest = known.iter().max_by(|a, b| {
                strsim::jaro_winkler(a, &wanted).total_cmp(&strsim::jaro_winkler(b, &wanted))
            });
            eprintln!(
                "error: there is no error code '{wanted}'; did you mean {}?",
                nearest.unwrap_or(&"INVALID_JOB")
            );
            Exit::Usage
        }
    }
}
