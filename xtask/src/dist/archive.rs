//! An archive and a Debian package from a laid out folder.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::ensure;

use super::{copy, copy_tree};
use crate::workspace::{root, run};

/// The version of what is packed.
pub(super) const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Packs `dist` as `heimdall-host-VERSION-TARGET.tar.gz` beside it. The same files give the same bytes.
pub(super) fn archive(dist: &Path, out: &Path) -> anyhow::Result<PathBuf> {
    let name = format!("heimdall-host-{VERSION}-{}", env!("XTASK_TARGET"));
    let file = out.join(format!("{name}.tar.gz"));
    run(Command::new("tar")
        .args([
            "--sort=name",
            "--mtime=@0",
            "--owner=0",
            "--group=0",
            "--numeric-owner",
        ])
        .arg(format!("--transform=s,^\\.,{name},"))
        .args(["--use-compress-program", "gzip -n -9", "-cf"])
        .arg(&file)
        .arg("-C")
        .arg(dist)
        .arg("."))?;
    Ok(file)
}

/// Builds a Debian package, or says why not: `None` where `dpkg-deb` is missing.
pub(super) fn debian(dist: &Path, out: &Path) -> anyhow::Result<Option<PathBuf>> {
    let have = Command::new("dpkg-deb")
        .arg("--version")
        .stdout(Stdio::null())
        .status();
    if !have.is_ok_and(|status| status.success()) {
        println!("SKIPPED the Debian package: there is no dpkg-deb");
        return Ok(None);
    }
    let tree = fresh_tree(out)?;
    lay_out(dist, &tree)?;
    let architecture = if env!("XTASK_TARGET").starts_with("aarch64") {
        "arm64"
    } else {
        "amd64"
    };
    control(&tree, architecture)?;
    let file = out.join(format!("heimdall-host_{VERSION}_{architecture}.deb"));
    run(Command::new("dpkg-deb")
        .env("SOURCE_DATE_EPOCH", "0")
        .args(["--root-owner-group", "-Zxz", "--build"])
        .arg(&tree)
        .arg(&file)
        .stdout(Stdio::null()))?;
    fs::remove_dir_all(&tree)?;
    Ok(Some(file))
}

fn fresh_tree(out: &Path) -> anyhow::Result<PathBuf> {
    let tree = out.join("debian-tree");
    if tree.exists() {
        fs::remove_dir_all(&tree)?;
    }
    fs::create_dir_all(&tree)?;
    Ok(tree)
}

/// Where Debian's policy puts what.
fn lay_out(dist: &Path, tree: &Path) -> anyhow::Result<()> {
    let packaging = root().join("packaging");
    for (from, to) in [
        (dist.join("host-harness"), "usr/bin/host-harness"),
        (
            dist.join("plugins/libdynamo_plugin.so"),
            "usr/lib/heimdall/plugins/libdynamo_plugin.so",
        ),
        (
            dist.join("plugins/SHA256SUMS"),
            "usr/lib/heimdall/plugins/SHA256SUMS",
        ),
        (
            dist.join("include/heimdall_plugin.h"),
            "usr/include/heimdall_plugin.h",
        ),
        (
            packaging.join("heimdall-host.service"),
            "usr/lib/systemd/system/heimdall-host.service",
        ),
        (
            packaging.join("heimdall.sysusers"),
            "usr/lib/sysusers.d/heimdall.conf",
        ),
        (packaging.join("host.yaml"), "etc/heimdall/host.yaml"),
        (
            dist.join("LICENSE"),
            "usr/share/doc/heimdall-host/copyright",
        ),
        (
            dist.join("sbom.cdx.json"),
            "usr/share/doc/heimdall-host/sbom.cdx.json",
        ),
    ] {
        copy(&from, &tree.join(to))?;
    }
    let signature = "SHA256SUMS.minisig";
    let signed = dist.join("plugins").join(signature);
    if signed.exists() {
        copy(
            &signed,
            &tree.join("usr/lib/heimdall/plugins").join(signature),
        )?;
    }
    copy_tree(
        &dist.join("docs"),
        &tree.join("usr/share/doc/heimdall-host/docs"),
    )?;
    copy_tree(
        &dist.join("licences"),
        &tree.join("usr/share/doc/heimdall-host/licences"),
    )?;
    for (from, to) in [
        ("man", "usr/share/man/man1"),
        ("completions/bash", "usr/share/bash-completion/completions"),
        ("completions/zsh", "usr/share/zsh/vendor-completions"),
        ("completions/fish", "usr/share/fish/vendor_completions.d"),
    ] {
        copy_tree(&dist.join(from), &tree.join(to))?;
    }
    set_modes(tree, &tree.join("usr/bin/host-harness"))
}

/// Everybody may run the program and read everything else, whatever the modes of the files that were copied.
pub(super) fn set_modes(folder: &Path, program: &Path) -> anyhow::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let runs = path.is_dir() || path == program;
        fs::set_permissions(
            &path,
            fs::Permissions::from_mode(if runs { 0o755 } else { 0o644 }),
        )?;
        if path.is_dir() {
            set_modes(&path, program)?;
        }
    }
    Ok(())
}

fn control(tree: &Path, architecture: &str) -> anyhow::Result<()> {
    let folder = tree.join("DEBIAN");
    fs::create_dir_all(&folder)?;
    fs::write(
        folder.join("control"),
        format!(
            "Package: heimdall-host\nVersion: {VERSION}\nArchitecture: {architecture}\nSection: database\nPriority: optional\n\
             Maintainer: The Heimdall host's authors <heimdall@example.com>\nDepends: libc6 (>= 2.36), ca-certificates\n\
             Description: Job host with a DynamoDB plugin that speaks PartiQL\n \
             Runs read-only PartiQL queries against Amazon DynamoDB as Heimdall jobs, on the\n \
             command line or behind Heimdall's HTTP interface.\n"
        ),
    )?;
    fs::write(folder.join("conffiles"), "/etc/heimdall/host.yaml\n")?;
    for script in ["postinst", "prerm", "postrm"] {
        let to = folder.join(script);
        copy(&root().join("packaging/debian").join(script), &to)?;
        fs::set_permissions(&to, fs::Permissions::from_mode(0o755))?;
    }
    ensure!(
        folder.join("control").is_file(),
        "the control file was not written"
    );
    Ok(())
}
