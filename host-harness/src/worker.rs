//! `worker --child FILE`: the process in which a plugin of a command with `isolation: process` runs. Only the host starts it.

use std::{io, path::PathBuf, process::ExitCode};

use clap::Args;
use plugin_host::worker::child;

/// What `worker` takes.
#[derive(Debug, Args)]
pub struct WorkerArgs {
    /// The private copy of the library
    #[arg(long, value_name = "FILE")]
    child: PathBuf,
    /// The most memory for data
    #[arg(long)]
    memory_bytes: Option<u64>,
}

/// Serves the host until it closes its end of the socket on standard input.
///
/// # Errors
/// Where the process cannot be prepared.
pub fn run(args: &WorkerArgs) -> io::Result<ExitCode> {
    child::run(&args.child, args.memory_bytes).map(|()| ExitCode::SUCCESS)
}
