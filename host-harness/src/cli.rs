//! The command line: what can be asked of the host, and what its exit status means.

use std::{
    ffi::OsString,
    io::{IsTerminal, Write, stdout},
    path::{Path, PathBuf},
    process::ExitCode,
    sync::{Arc, LazyLock},
};

use clap::{Args, Parser, Subcommand, ValueEnum};

use heimdall_server::{check, config::Config, serve};
use plugin_host::{LogSink, RegistryOptions};
use results::visible_lines;

use crate::{client, explain, help, inspect, lift, pages, run};

/// Runs jobs through plugins that are loaded at run time.
#[derive(Debug, Parser)]
#[command(name = "host-harness", version = VERSION.as_str(), arg_required_else_help = true, max_term_width = 120)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run one job: its rows on standard output, everything else on standard error
    #[command(after_help = help::RUN)]
    Run(Box<run::RunArgs>),
    /// Submit one job to a running host and wait for its rows
    #[command(after_help = help::SUBMIT)]
    Submit(Box<client::SubmitArgs>),
    /// List the jobs of a running host
    #[command(after_help = help::JOBS)]
    Jobs(Box<client::JobsArgs>),
    /// Show a job of a running host, its rows or its log
    #[command(after_help = help::JOB)]
    Job(Box<client::JobArgs>),
    /// Ask a job of a running host to stop
    #[command(after_help = help::CANCEL)]
    Cancel(client::CancelArgs),
    /// Serve Heimdall's HTTP interface
    #[command(after_help = help::SERVE)]
    Serve(serve::ServeOptions),
    /// Say what a configuration would do: routes, plugins, clusters
    #[command(after_help = help::CHECK)]
    Check(check::CheckOptions),
    /// Show what lies in the plugin directory
    #[command(after_help = help::PLUGINS)]
    Plugins(PluginsArgs),
    /// Try one plugin library in a process of its own
    #[command(after_help = help::PROBE)]
    Probe(inspect::ProbeArgs),
    /// Explain an error code, or what a statement would read
    #[command(after_help = help::EXPLAIN)]
    Explain(Box<explain::ExplainArgs>),
    /// Print the completions for a shell
    #[command(after_help = help::COMPLETIONS)]
    Completions(pages::CompletionsArgs),
    /// Write the man pages
    #[command(hide = true)]
    Man(pages::ManArgs),
}

/// What `plugins` takes.
#[derive(Debug, Args)]
struct PluginsArgs {
    /// Where the plugin libraries lie [default: plugins/ beside the executable, else its own folder]
    #[arg(long, value_name = "DIR")]
    plugin_dir: Option<PathBuf>,
    /// The host's YAML config: its plugin_directory, trusted_directories and plugin_public_key hold
    #[arg(short = 'c', long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// How the list is written [default: a table on a terminal, else JSON]
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
        eprintln!("error: {}", visible_lines(&error.to_string()));
        Exit::Usage.into()
    })
}

fn list_plugins(args: &PluginsArgs) -> Exit {
    let on_terminal = stdout().is_terminal();
    let written = asked_registry(args.plugin_dir.as_deref(), args.config.as_deref())
        .and_then(|options| {
            plugin_host::inspect::survey(options)
                .map_err(|error| format!("{error}; {}", error.hint()))
        })
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
            eprintln!("error: {}", visible_lines(&message));
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
    /// Reads the arguments of a process, the program's name first. Wrong usage, help and version end the process, as clap does it.
    #[must_use]
    pub fn of(arguments: impl IntoIterator<Item = OsString>) -> Self {
        Self::parse_from(lift::lifted(arguments))
    }

    /// Runs the command.
    #[must_use]
    pub fn run(self) -> ExitCode {
        match self.command {
            Command::Run(args) => run::run(&args).into(),
            Command::Submit(args) => client::submit(&args).into(),
            Command::Jobs(args) => client::jobs(&args).into(),
            Command::Job(args) => client::job(&args).into(),
            Command::Cancel(args) => client::cancel(&args).into(),
            Command::Serve(args) => ended(serve::run(&args, &default_plugin_dir())),
            Command::Check(args) => ended(check::run(&args, &default_plugin_dir())),
            Command::Plugins(args) => list_plugins(&args).into(),
            Command::Probe(args) => inspect::probe(&args).unwrap_or_else(|error| {
                eprintln!("error: {error}");
                Exit::Usage.into()
            }),
            Command::Explain(args) => explain::run(*args).into(),
            Command::Completions(args) => {
                ended(pages::completions(&args).map(|()| Exit::Done.into()))
            }
            Command::Man(args) => ended(pages::man(&args).map(|()| Exit::Done.into())),
        }
    }
}

/// How the plugin directory is opened, by a config where there is one.
pub(crate) fn registry_options(
    plugin_dir: Option<&Path>,
    config: Option<&Config>,
    log: LogSink,
) -> RegistryOptions {
    match config {
        Some(config) => config.registry_options(plugin_dir, &default_plugin_dir(), log),
        None => RegistryOptions::new(
            plugin_dir.map_or_else(default_plugin_dir, Path::to_owned),
            log,
        ),
    }
}

/// The same for a command that only looks: the config is read, and nothing is logged.
pub(crate) fn asked_registry(
    plugin_dir: Option<&Path>,
    config: Option<&Path>,
) -> Result<RegistryOptions, String> {
    let config = config.map(Config::load).transpose();
    let config = config.map_err(|error| error.to_string())?;
    let silent = Arc::new(|_, _: &str, _: &str| {});
    Ok(registry_options(plugin_dir, config.as_ref(), silent))
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
