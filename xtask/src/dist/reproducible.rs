//! Whether the same sources give the same bytes: two builds from nothing, each in a folder of its own.

use std::{fs, path::Path};

use anyhow::{Context, ensure};

use super::{digest, release_build};
use crate::workspace::{cargo, root, run, target};

/// What users install of a build.
const FILES: [&str; 2] = ["host-harness", "libdynamo_plugin.so"];

/// Builds the commit that is checked out twice and compares. Takes twice a release build.
pub(super) fn check() -> anyhow::Result<()> {
    let base = target().join("reproducible");
    let folders = ["one", "another/folder"].map(|name| base.join(name));
    let mut digests = Vec::new();
    for folder in &folders {
        if folder.exists() {
            fs::remove_dir_all(folder)?;
        }
        fs::create_dir_all(folder)?;
        sources(folder)?;
        run(release_build(folder).env("CARGO_TARGET_DIR", folder.join("target")))?;
        let of_this = FILES.map(|file| digest(&folder.join("target/release").join(file)));
        digests.push(of_this.into_iter().collect::<anyhow::Result<Vec<_>>>()?);
        // A release build has gigabytes.
        fs::remove_dir_all(folder)?;
    }
    for (nth, file) in FILES.iter().enumerate() {
        println!("{}  {file}", digests[0][nth]);
        ensure!(
            digests[0][nth] == digests[1][nth],
            "{file} differs: the second build gave {}",
            digests[1][nth]
        );
    }
    println!("two builds in different folders gave the same bytes");
    Ok(())
}

/// The committed sources, without what lies about beside them.
fn sources(to: &Path) -> anyhow::Result<()> {
    let archive = to.join("sources.tar");
    let mut git = std::process::Command::new("git");
    run(git
        .args(["archive", "--output"])
        .arg(&archive)
        .arg("HEAD")
        .current_dir(root()))
    .context("the sources come from git")?;
    run(std::process::Command::new("tar")
        .arg("-xf")
        .arg(&archive)
        .arg("-C")
        .arg(to))?;
    // The same packages, unpacked before the first compiler starts.
    run(cargo(&["fetch", "--locked", "--quiet"]).current_dir(to))
}
