//! The commands `plugins` and `probe`: what lies in a plugin directory, and whether one file would be taken.

use std::{
    io::{self, Write},
    path::PathBuf,
    process::ExitCode,
    time::Duration,
};

use clap::Args;
use plugin_api::host::LogSink;
use serde::Serialize;

use crate::{
    probe::{self, ProbeReport},
    refusal::Refusal,
    registry::{PluginState, PluginStatus, Registry, RegistryError, RegistryOptions},
    residue::Residue,
    verify::{self, Copies, elf},
};

/// `probe FILE`.
#[derive(Debug, Args)]
pub struct ProbeArgs {
    /// The library.
    file: PathBuf,
    /// Run the library in this very process: what the probe itself calls.
    #[arg(long, hide = true)]
    child: bool,
}

/// The one line that `probe` prints.
#[derive(Serialize)]
struct Verdict<'a> {
    ok: bool,
    file: &'a std::path::Path,
    sha256: Option<String>,
    #[serde(flatten)]
    report: Option<ProbeReport>,
    error: Option<Refusal>,
}

/// Checks one file as if it lay in the plugin directory, in a child process, and prints one line of JSON. Exit status 0 where it
/// would be taken, 1 where not.
///
/// # Errors
/// Where nothing can be printed, or no private copy can be made.
pub fn probe(args: &ProbeArgs) -> io::Result<ExitCode> {
    if args.child {
        let passed = probe::child::run(&args.file)?;
        return Ok(ExitCode::from(u8::from(!passed)));
    }
    let options = RegistryOptions::new("", std::sync::Arc::new(|_, _, _| {}));
    let copies = Copies::make(&options.copies_in)?;
    let mut sha256 = None;
    let outcome = (|| {
        let taken = verify::take(&args.file, &copies)?;
        sha256 = Some(taken.digest.to_string());
        elf::check(&taken.copy)?;
        probe::run(&options.probe, &taken.copy, options.probe_limit)
            .map_err(|failure| failure.refusal)
    })();
    copies.remove();
    let ok = outcome.is_ok();
    let (report, error) = match outcome {
        Ok(report) => (Some(report), None),
        Err(refusal) => (None, Some(refusal)),
    };
    let verdict = Verdict {
        ok,
        file: &args.file,
        sha256,
        report,
        error,
    };
    let mut line = serde_json::to_vec(&verdict)?;
    line.push(b'\n');
    io::stdout().write_all(&line)?;
    Ok(ExitCode::from(u8::from(!ok)))
}

/// A row of `plugins`: the row of `/api/v1/plugins`, and what the version would leave behind if it were retired now.
#[derive(Debug, Serialize)]
pub struct PluginRow {
    /// The row.
    #[serde(flatten)]
    pub status: PluginStatus,
    /// What stayed when it was closed; `None` for a refused file and for a version that was never opened.
    pub residue: Option<Residue>,
}

/// Loads what lies in the directory, closes it again, and says what each version is and what it leaves behind.
///
/// # Errors
/// See [`Registry::open`].
pub fn survey(plugin_dir: PathBuf, log: LogSink) -> Result<Vec<PluginRow>, RegistryError> {
    let registry = Registry::open(RegistryOptions {
        watch: false,
        ..RegistryOptions::new(plugin_dir, log)
    })?;
    let rows = registry.list();
    registry.close(Duration::ZERO);
    let residues = registry.residues();
    Ok(rows
        .into_iter()
        .map(|status| {
            let residue = residues
                .iter()
                .find(|kept| {
                    status.state != PluginState::Refused
                        && status.sha256.as_ref() == Some(&kept.sha256)
                })
                .map(|kept| kept.residue);
            PluginRow { status, residue }
        })
        .collect())
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
        let text = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
        let residue = residue.map_or("-".to_owned(), |residue| {
            format!("{} kB", residue.anonymous_bytes / 1024)
        });
        writeln!(
            to,
            "{:<12} {:<14} {:<8} {residue:>12}  {:<28} {}",
            text(&status.name),
            text(&status.version),
            format!("{:?}", status.state).to_uppercase(),
            status.file,
            text(&status.sha256).chars().take(12).collect::<String>(),
        )?;
        if let Some(error) = &status.error {
            writeln!(to, "    {}\n    hint: {}", error.message, error.hint)?;
        }
    }
    Ok(())
}
