//! Whether a laid out folder is what was promised: symbols, glibc, a host that takes the library, and files that everybody may read.

use std::{collections::BTreeSet, fs, os::unix::fs::PermissionsExt, path::Path, process::Command};

use anyhow::{Context, ensure};

use crate::workspace::run;

/// The one list of names. The file itself, so that `cargo xtask` need not build the crate that it belongs to.
#[allow(dead_code, unreachable_pub)]
#[path = "../../../plugin-api/src/ffi/symbols.rs"]
mod symbols;

use self::symbols::{EXPORTED, NEWEST_GLIBC};

/// Whether what lies there is what was promised: the files' modes, the library's symbols, its glibc, and that the host takes it.
pub(super) fn check(dist: &Path) -> anyhow::Result<()> {
    everybody_may_read(dist)?;
    let library = dist.join("plugins/libdynamo_plugin.so");
    let symbols = nm(&library, "--defined-only")?;
    let exported: BTreeSet<&str> = symbols
        .lines()
        .filter_map(|line| line.split_whitespace().nth(2))
        .collect();
    ensure!(
        exported == BTreeSet::from(EXPORTED),
        "the library exports {exported:?}, not {EXPORTED:?}"
    );
    let needed = glibc(&library)?;
    ensure!(
        needed <= NEWEST_GLIBC,
        "the library needs glibc {needed:?}, newer than {NEWEST_GLIBC:?}"
    );
    run(Command::new(dist.join("host-harness"))
        .arg("probe")
        .arg(&library))
}

/// Whoever installs from the folder need not be the user who built it.
fn everybody_may_read(folder: &Path) -> anyhow::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let mode = fs::metadata(&path)?.permissions().mode();
        let needed = if path.is_dir() { 0o555 } else { 0o444 };
        ensure!(
            mode & needed == needed,
            "not everybody may read {}",
            path.display()
        );
        if path.is_dir() {
            everybody_may_read(&path)?;
        }
    }
    Ok(())
}

/// The oldest glibc that has every symbol that this file asks for.
pub(super) fn glibc(file: &Path) -> anyhow::Result<(u32, u32)> {
    nm(file, "--undefined-only")?
        .lines()
        .filter_map(|line| {
            let mut parts = line.split_once("@GLIBC_")?.1.split('.');
            Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
        })
        .max()
        .with_context(|| format!("{} asks for no version of glibc", file.display()))
}

/// Dynamic symbols, as the C toolchain's `nm` prints them.
fn nm(file: &Path, which: &str) -> anyhow::Result<String> {
    let output = Command::new("nm")
        .args(["-D", which])
        .arg(file)
        .output()
        .context("cannot start nm")?;
    ensure!(output.status.success(), "nm cannot read {}", file.display());
    Ok(String::from_utf8(output.stdout)?)
}
