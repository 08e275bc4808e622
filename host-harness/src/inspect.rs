//! The commands `plugins` and `probe`: what lies in a plugin directory, and whether one file would be accepted.

use std::{
    io::{self, IsTerminal, Write, stdout},
    path::PathBuf,
};

use clap::{Args, ValueEnum};
use plugin_host::{
    inspect::{self, PluginRow},
    refusal::RefusalCode,
};
use results::{visible, visible_lines};

use crate::{exit::Exit, plugin_directory::registry_to_inspect, terminal};

/// `probe FILE`.
#[derive(Debug, Args)]
pub struct ProbeArgs {
    /// The library.
    file: PathBuf,
}

/// Checks one file as if it lay in the plugin directory, in a child process, and prints one line of JSON. Exit status 0 where it
/// would be accepted, 1 where not, 2 where it cannot be read.
///
/// # Errors
/// Where nothing can be printed, or no private copy can be made.
pub fn probe(args: &ProbeArgs) -> io::Result<Exit> {
    let verdict = inspect::file(&args.file)?;
    let mut line = serde_json::to_vec(&verdict)?;
    line.push(b'\n');
    terminal::print(&line)?;
    Ok(match verdict.error {
        None => Exit::Done,
        Some(error) if error.code == RefusalCode::Unreadable => Exit::Usage,
        Some(_) => Exit::Failed,
    })
}

/// What `plugins` takes.
#[derive(Debug, Args)]
pub struct PluginsArgs {
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

/// Lists what lies in the plugin directory.
#[must_use]
pub(crate) fn plugins(args: &PluginsArgs) -> Exit {
    let on_terminal = stdout().is_terminal();
    let written = registry_to_inspect(args.plugin_dir.as_deref(), args.config.as_deref())
        .and_then(|options| {
            inspect::survey(options).map_err(|error| format!("{error}; {}", error.hint()))
        })
        .and_then(|rows| {
            let mut out = Vec::new();
            let written = if args.format.unwrap_or(if on_terminal {
                ListFormat::Table
            } else {
                ListFormat::Json
            }) == ListFormat::Table
            {
                write_table(&rows, &mut out)
            } else {
                serde_json::to_writer(&mut out, &rows)
                    .map_err(Into::into)
                    .and_then(|()| writeln!(out))
            };
            written
                .and_then(|()| terminal::print(&out))
                .map_err(|error| error.to_string())
        });
    match written {
        Ok(()) => Exit::Done,
        Err(message) => {
            eprintln!("error: {}", visible_lines(&message));
            Exit::Usage
        }
    }
}

/// Writes the rows as a table for people.
///
/// # Errors
/// Where `to` does not take it.
fn write_table(rows: &[PluginRow], to: &mut impl Write) -> io::Result<()> {
    writeln!(
        to,
        "{:<12} {:<14} {:<8} {:>12}  {:<28} SHA256",
        "NAME", "VERSION", "STATE", "RESIDUE", "FILE"
    )?;
    for PluginRow { status, residue } in rows {
        let text = |text: &Option<String>| {
            let text = text.as_deref().unwrap_or("-");
            visible(text.into()).into_owned()
        };
        let residue = residue.map_or("-".to_owned(), |residue| {
            format!("{} kB", residue.anonymous_bytes / 1024)
        });
        writeln!(
            to,
            "{:<12} {:<14} {:<8} {residue:>12}  {:<28} {}",
            text(&status.name),
            text(&status.version),
            status.state.as_str(),
            visible(status.file.as_str().into()),
            text(&status.sha256).chars().take(12).collect::<String>(),
        )?;
        if let Some(error) = &status.error {
            let lines = format!("    {}\n    hint: {}", error.message, error.hint);
            writeln!(to, "{}", visible_lines(&lines))?;
        }
    }
    Ok(())
}
