//! The command line: the commands that the host has.

use std::{ffi::OsString, process::ExitCode, sync::LazyLock};

use clap::{CommandFactory, Parser, Subcommand};
use heimdall_server::{check, serve};
use results::visible_lines;

use crate::{
    client, exit::Exit, explain, help, inspect, lift, pages, plugin_directory::default_plugin_dir,
    run,
};

/// Runs jobs through plugins that are loaded at run time.
#[derive(Debug, Parser)]
#[command(name = "host-harness", version = VERSION.as_str(), arg_required_else_help = true, max_term_width = 120, after_help = help::HOST)]
pub struct Cli {
    #[command(subcommand)]
    command: HostCommand,
}

#[derive(Debug, Subcommand)]
enum HostCommand {
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
    Plugins(inspect::PluginsArgs),
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

/// The exit status of a command that says itself what it found.
fn ended<E: std::fmt::Display>(outcome: Result<ExitCode, E>) -> ExitCode {
    outcome.unwrap_or_else(|error| {
        eprintln!("error: {}", visible_lines(&error.to_string()));
        Exit::Usage.into()
    })
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
            HostCommand::Run(args) => run::run(&args).into(),
            HostCommand::Submit(args) => client::submit(&args).into(),
            HostCommand::Jobs(args) => client::jobs(&args).into(),
            HostCommand::Job(args) => client::job(&args).into(),
            HostCommand::Cancel(args) => client::cancel(&args).into(),
            HostCommand::Serve(args) => ended(serve::run(&args, &default_plugin_dir())),
            HostCommand::Check(args) => ended(check::run(&args, &default_plugin_dir())),
            HostCommand::Plugins(args) => inspect::plugins(&args).into(),
            HostCommand::Probe(args) => ended(inspect::probe(&args).map(Into::into)),
            HostCommand::Explain(args) => explain::run(*args).into(),
            HostCommand::Completions(args) => {
                ended(pages::completions(&args, Self::command()).map(|()| Exit::Done.into()))
            }
            HostCommand::Man(args) => {
                ended(pages::man(&args, Self::command()).map(|()| Exit::Done.into()))
            }
        }
    }
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
