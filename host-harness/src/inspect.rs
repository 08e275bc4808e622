//! The commands `plugins` and `probe`: what lies in a plugin directory, and whether one file would be accepted.

use std::{
    io::{self, Write},
    path::PathBuf,
    process::ExitCode,
};

use clap::Args;
use plugin_host::inspect::{self, PluginRow};
use results::{visible, visible_lines};

/// `probe FILE`.
#[derive(Debug, Args)]
pub struct ProbeArgs {
    /// The library.
    file: PathBuf,
}

/// Checks one file as if it lay in the plugin directory, in a child process, and prints one line of JSON. Exit status 0 where it
/// would be accepted, 1 where not.
///
/// # Errors
/// Where nothing can be printed, or no private copy can be made.
pub fn probe(args: &ProbeArgs) -> io::Result<ExitCode> {
    let verdict = inspect::file(&args.file)?;
    let mut line = serde_json::to_vec(&verdict)?;
    line.push(b'\n');
    io::stdout().write_all(&line)?;
    Ok(ExitCode::from(u8::from(!verdict.ok)))
}

/// Writes the rows as a table for people.
///
/// # Errors
/// Where `to` does not take it.
pub fn write_table(rows: &[PluginRow], to: &mut impl Write) -> io::Result<()> {
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
            format!("{:?}", status.state).to_uppercase(),
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
