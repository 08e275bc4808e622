//! The command line: what can be asked of the host, and what its exit status means.

use std::{
    io::{IsTerminal, Write, stdout},
    path::{Path, PathBuf},
    process::ExitCode,
    sync::{Arc, LazyLock},
};

use clap::{Args, Parser, Subcommand, ValueEnum};

use heimdall_server::{check, serve};

use crate::{explain, inspect, run};

/// Runs jobs through plugins that are loaded at run time.
#[derive(Debug, Parser)]
#[command(name = "host-harness", version = VERSION.as_str(), arg_required_else_help = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run one job: its result on stdout, everything else on stderr
    Run(Box<run::RunArgs>),
    /// Serve Heimdall's HTTP interface
    Serve(serve::ServeOptions),
    /// Say what a configuration would do: routes, plugins, clusters
    Check(check::CheckOptions),
    /// Show what lies in the plugin directory
    Plugins(PluginsArgs),
    /// Try one plugin library in a process of its own
    Probe(inspect::ProbeArgs),
    /// Explain an error code
    Explain(explain::ExplainArgs),
}

/// What `plugins` takes.
#[derive(Debug, Args)]
struct PluginsArgs {
    /// Where the plugin libraries lie
    #[arg(long)]
    plugin_dir: Option<PathBuf>,
    /// How the list is written; on a terminal a table, else JSON
    #[arg(long, value_enum)]
    format: Option<ListFormat>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ListFormat {
    Table,
    Json,
}

/// The exit status of a command that says itself what it found.
fn ended<E: std::fmt::Display>(outcome: Result<ExitCode, E>) -> ExitCode {
    outcome.unwrap_or_else(|error| {
        eprintln!("error: {error}");
        Exit::Usage.into()
    })
}

fn list_plugins(args: &PluginsArgs) -> Exit {
    let directory = args.plugin_dir.clone().unwrap_or_else(default_plugin_dir);
    let on_terminal = stdout().is_terminal();
    let written = plugin_host::inspect::survey(directory, Arc::new(|_, _, _| {}))
        .map_err(|error| format!("{error}; {}", error.hint()))
        .and_then(|rows| {
            let mut out = stdout().lock();
            let written = if args.format.unwrap_or(if on_terminal {
                ListFormat::Table
            } else {
                ListFormat::Json
            }) == ListFormat::Table
            {
                inspect::write_table(&rows, &mut out)
            } else {
                serde_json::to_writer(&mut out, &rows)
                    .map_err(Into::into)
                    .and_then(|()| writeln!(out))
            };
            written.map_err(|error| error.to_string())
        });
    match written {
        Ok(()) => Exit::Done,
        Err(message) => {
            eprintln!("error: {message}");
            Exit::Usage
        }
    }
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
    pub fn run(self) -> ExitCode {
        match self.command {
            Command::Run(args) => run::run(&args).into(),
            Command::Serve(args) => ended(serve::run(&args, &default_plugin_dir())),
            Command::Check(args) => ended(check::run(&args, &default_plugin_dir())),
            Command::Plugins(args) => list_plugins(&args).into(),
            Command::Probe(args) => inspect::probe(&args).unwrap_or_else(|error| {
                eprintln!("error: {error}");
                Exit::Usage.into()
            }),
            Command::Explain(args) => explain::run(&args).into(),
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

/// The host's version, and the plugin interface's.
static VERSION: LazyLock<String> = LazyLock::new(|| {
    format!(
        "{} (plugin ABI {}.{})",
        env!("CARGO_PKG_VERSION"),
        plugin_api::abi::ABI_MAJOR,
        plugin_api::abi::ABI_MINOR
    )
});
