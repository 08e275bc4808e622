//! What is made of the command line's own definitions: shell completions and man pages.

use std::{io, path::PathBuf};

use clap::{Args, Command};
use clap_complete::Shell;

use crate::terminal;

/// What `completions` takes.
#[derive(Debug, Args)]
pub(crate) struct CompletionsArgs {
    /// The shell that they are for
    #[arg(value_enum)]
    shell: Shell,
}

/// What `man` takes.
#[derive(Debug, Args)]
pub(crate) struct ManArgs {
    /// Write one page a command into this folder
    #[arg(long, value_name = "DIR")]
    directory: PathBuf,
}

/// Writes the completions for a shell to standard output.
///
/// # Errors
/// Standard output cannot be written.
pub(crate) fn completions(args: &CompletionsArgs, mut program: Command) -> io::Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut program, "host-harness", &mut script);
    terminal::print(&script)
}

/// Writes the man pages into a folder, which is made where it is not there yet.
///
/// # Errors
/// A page cannot be written.
pub(crate) fn man(args: &ManArgs, program: Command) -> io::Result<()> {
    std::fs::create_dir_all(&args.directory)?;
    clap_mangen::generate_to(program, &args.directory)
}
