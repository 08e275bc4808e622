//! Asks [`Library`] to open the private copy of what `verify` checked and `probe` tried, and turns its errors into refusals.
//!
//! ``Library`` never uses `abi_stable`'s `load_from_file`: it caches one library per type.

use std::path::Path;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::{
    Library, LoadError, LogSink, free_thread_keys,
    refusal::{Refusal, RefusalCode},
    residue,
};

/// Refuses where fewer than `floor` thread keys of the process are free: each library takes one or two for good, and the
/// process is aborted when there are none.
pub(crate) fn ensure_keys(floor: usize) -> Result<(), Refusal> {
    let free = free_thread_keys(floor);
    if free >= floor {
        return Ok(());
    }
    Err(Refusal::new(
        RefusalCode::OutOfThreadKeys,
        format!("only {free} of the process's thread keys are free, and {floor} must be"),
        "restart the host: every library that it ever loaded keeps keys until then",
    ))
}

/// Takes as many file handles as the process may have, as servers do: the usual limit is meant for programs that use `select`.
pub fn raise_file_limit() {
    let limit = getrlimit(Resource::Nofile);
    // Where that is refused, the limit stays, and `ensure_files` looks at it.
    let _ = setrlimit(
        Resource::Nofile,
        Rlimit {
            current: limit.maximum,
            ..limit
        },
    );
}

/// Refuses where fewer than `floor` more files may be open: a library keeps two handles once it has run a job (docs/ABI.md), and a
/// host without any answers nobody.
pub(crate) fn ensure_files(floor: u64) -> Result<(), Refusal> {
    let Some(limit) = getrlimit(Resource::Nofile).current else {
        return Ok(());
    };
    // Where they cannot be counted, the limit alone counts.
    let open = residue::open_files().map_or(0, |open| open as u64);
    let free = limit.saturating_sub(open);
    if free >= floor {
        return Ok(());
    }
    Err(Refusal::new(
        RefusalCode::OutOfFiles,
        format!("only {free} of the process's {limit} file handles are free, and {floor} must be"),
        "raise the limit on open files, or restart the host: libraries that were closed keep two handles each",
    ))
}

/// Loads the library and reads what it says of itself; with its version.
pub(crate) fn library(
    copy: &Path,
    log: Option<LogSink>,
) -> Result<(Library, semver::Version), Refusal> {
    let library = Library::load(copy, log).map_err(refused)?;
    let info = library.info();
    let version = version(&info.version)?;
    if info.name.chars().any(char::is_control) {
        return Err(Refusal::new(
            RefusalCode::BadHandshake,
            format!("its name {:?} has control characters", info.name),
            "give the plugin a plain name",
        ));
    }
    Ok((library, version))
}

/// The version that a library says of itself.
pub(crate) fn version(text: &str) -> Result<semver::Version, Refusal> {
    semver::Version::parse(text).map_err(|error| {
        Refusal::new(
            RefusalCode::BadHandshake,
            format!("its version '{text}' is no semantic version: {error}"),
            "give the plugin's crate a version such as 1.2.3",
        )
    })
}

fn refused(error: LoadError) -> Refusal {
    let message = error.to_string();
    let rebuild = "build the plugin with the plugin-api that this host was built with";
    match error {
        // The path in the message would be the copy's.
        LoadError::Open { reason, .. } => Refusal::new(
            RefusalCode::LoadFailed,
            format!("the dynamic loader refuses it: {reason}"),
            "install the libraries that it needs; if it says 'failed to map segment', set TMPDIR to a directory that allows execution",
        ),
        LoadError::NoSymbol { symbol, .. } => Refusal::new(
            RefusalCode::MissingSymbol,
            format!("it is no plugin library: it has no symbol '{symbol}'"),
            "build the plugin with plugin-api's export_plugin!, as a cdylib",
        ),
        LoadError::Handshake { .. } => Refusal::new(RefusalCode::BadHandshake, message, rebuild),
        LoadError::AbiVersion { .. } => Refusal::new(RefusalCode::AbiMismatch, message, rebuild),
        LoadError::Layout { dump } => {
            Refusal::new(RefusalCode::LayoutMismatch, message, rebuild).detail(errors_of(&dump))
        }
    }
}

/// Of a layout dump, up to 23 kB long, the blocks that say what differs.
fn errors_of(dump: &str) -> String {
    let blocks: Vec<&str> = dump
        .match_indices("Error:")
        .map(|(at, _)| {
            let block = &dump[at..];
            block.split("\n\n").next().unwrap_or(block).trim_end()
        })
        .collect();
    match blocks.is_empty() {
        true => dump.chars().take(2000).collect(),
        false => blocks.join("\n"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_library_needs_file_handles_to_spare() {
        assert!(ensure_files(1).is_ok());
        let refusal = ensure_files(u64::MAX).unwrap_err();
        assert_eq!(refusal.code, RefusalCode::OutOfFiles);
        assert!(refusal.hint.contains("restart the host"));
    }
}
