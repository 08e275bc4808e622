//! What lies in a plugin directory, and whether one file would be accepted: for a person who asks, not for a host that serves.

use std::{
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use plugin_api::ErrorInfo;
use serde::Serialize;

use crate::{
    probe::{self, ProbeReport},
    refusal::Refusal,
    registry::{PluginState, PluginStatus, Registry, RegistryError, RegistryOptions},
    residue::Residue,
    verify::{self, Copies, Sums, VerifiedCopy, elf},
};

/// Whether one file would be accepted as a plugin, as one JSON object says it.
#[derive(Debug, Serialize)]
pub struct Verdict {
    /// Whether it would be accepted.
    pub ok: bool,
    /// The file.
    pub file: PathBuf,
    /// The digest of its bytes; `None` if they could not be read.
    pub sha256: Option<String>,
    /// What the library says and does; `None` for a rejected one.
    #[serde(flatten)]
    pub report: Option<ProbeReport>,
    /// Why it is rejected.
    pub error: Option<Refusal>,
}

/// Checks one file as if it lay in the plugin directory, in a child process.
///
/// # Errors
/// If no private copy can be made.
pub fn file(file: &Path) -> io::Result<Verdict> {
    let options = RegistryOptions::new("", std::sync::Arc::new(|_, _, _| {}));
    let copies = Copies::make(&options.copies_in)?;
    let mut sha256 = None;
    let outcome = (|| {
        let taken = verify::take(file, &copies, &options.trusted_directories)?;
        sha256 = Some(taken.digest.to_string());
        try_out(&taken, &options)
    })();
    copies.remove();
    let ok = outcome.is_ok();
    let (report, error) = match outcome {
        Ok(report) => (Some(report), None),
        Err(refusal) => (None, Some(refusal)),
    };
    Ok(Verdict {
        ok,
        file: file.to_owned(),
        sha256,
        report,
        error,
    })
}

fn try_out(taken: &VerifiedCopy, options: &RegistryOptions) -> Result<ProbeReport, Refusal> {
    elf::check(&taken.copy)?;
    probe::run(&options.probe, &taken.copy, options.probe_limit).map_err(|failure| failure.refusal)
}

/// What the accepted libraries of a directory say of their error codes, each code once. A library that is rejected is left out.
///
/// # Errors
/// If the directory cannot be read or trusted, or no private copy can be made.
pub fn error_codes(options: &RegistryOptions) -> io::Result<Vec<ErrorInfo>> {
    let trusted = &options.trusted_directories;
    let dir = verify::directory(&options.plugin_dir, trusted).map_err(io::Error::other)?;
    let sums = Sums::read(&dir, trusted, options.public_key.as_ref());
    let copies = Copies::make(&options.copies_in)?;
    let mut known: Vec<ErrorInfo> = Vec::new();
    for entry in std::fs::read_dir(&dir)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with('.') || !name.ends_with(".so") {
            continue;
        }
        let report = verify::take(&path, &copies, trusted).and_then(|taken| {
            sums.check(&name, &taken.digest)?;
            try_out(&taken, options)
        });
        for info in report.into_iter().flat_map(|report| report.errors) {
            if known.iter().all(|known| known.code != info.code) {
                known.push(info);
            }
        }
    }
    copies.remove();
    Ok(known)
}

/// A row of [`survey`]: the version's row, and what it would leave behind if it were retired now.
#[derive(Debug, Serialize)]
pub struct PluginRow {
    /// The row.
    #[serde(flatten)]
    pub status: PluginStatus,
    /// What stayed when it was closed; `None` for a rejected file and for a version that was never opened.
    pub residue: Option<Residue>,
}

/// Loads what lies in the directory, closes it again, and says what each version is and what it leaves behind.
///
/// # Errors
/// See [`Registry::open`].
pub fn survey(options: RegistryOptions) -> Result<Vec<PluginRow>, RegistryError> {
    let registry = Registry::open(RegistryOptions {
        watch: false,
        ..options
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
