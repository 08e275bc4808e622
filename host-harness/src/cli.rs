//! The command line: what can be asked of the host, and what its exit status means.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::{Parser, Subcommand};

use crate::{demo, explain, run};

/// Runs jobs through plugins that are loaded at run time.
#[derive(Debug, Parser)]
#[command(name = "host-harness", version = version(), arg_required_else_help = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run one job: its result on stdout, everything else on stderr
    Run(run::RunArgs),
    /// Explain an error code, or what would become of a job
    Explain(explain::ExplainArgs),
    /// Show it all on an embedded DynamoDB
    Demo(demo::DemoArgs),
}

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Done.
    Done,
    /// The job failed, or a health check did.
    Failed,
    /// An unreadable file, wrong usage, or a wrong config.
    Usage,
    /// Interrupted; the job was cancelled first.
    Interrupted,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Done => 0,
            Exit::Failed => 1,
            Exit::Usage => 2,
            Exit::Interrupted => 130,
        })
    }
}

impl Cli {
    /// Runs the command.
    #[must_use]
    pub fn run(self) -> Exit {
        match self.command {
            Command::Run(args) => run::run(&args),
            Command::Explain(args) => explain::run(&args),
            Command::Demo(args) => demo::run(&args),
        }
    }
}

/// Where plugins lie if nobody says: `plugins/` beside the executable, else the executable's own folder.
#[must_use]
pub fn default_plugin_dir() -> PathBuf {
    let executable = std::env::current_exe().unwrap_or_default();
    let folder = executable.parent().unwrap_or(Path::new(".")).to_owned();
    let plugins = folder.join("plugins");
    if plugins.is_dir() { plugins } else { folder }
}

fn version() -> String {
    format!(
        "{} (plugin ABI {}.{})",
        env!("CARGO_PKG_VERSION"),
        plugin_api::host::ABI_MAJOR,
        plugin_api::host::ABI_MINOR
    )
}
