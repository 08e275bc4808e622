//! `cargo xtask dist`: a folder to install from, each file with its digest.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, ensure};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::tasks::{cargo, root, run, target};

/// What the library exports: the C surface and abi_stable's module header (docs/ABI.md).
const EXPORTS: [&str; 8] = [
    "_1as_0lib_1header_0root_bmodule_bloader",
    "cancel_job",
    "check_health",
    "free_buffer",
    "plugin_close",
    "plugin_info",
    "plugin_open",
    "run_job",
];

/// The newest glibc that the library may need.
const NEWEST_GLIBC: (u32, u32) = (2, 36);

/// Builds for release and lays out `dist/`: host, `plugins/`, header, documents, examples, licences, digests. Then checks it.
pub(crate) fn dist() -> anyhow::Result<()> {
    run(&mut cargo(&["build", "--release"]))?;
    let dist = root().join("dist");
    if dist.exists() {
        fs::remove_dir_all(&dist)?;
    }
    copy(
        &target().join("release/host-harness"),
        &dist.join("host-harness"),
    )?;
    copy(
        &target().join("release/libdynamo_plugin.so"),
        &dist.join("plugins/libdynamo_plugin.so"),
    )?;
    copy(
        &root().join("plugin-api/include/heimdall_plugin.h"),
        &dist.join("include/heimdall_plugin.h"),
    )?;
    copy(
        &root().join("plugin-api/heimdall-plugin.pc"),
        &dist.join("heimdall-plugin.pc"),
    )?;
    for text in ["README.md", "LICENSE"] {
        copy(&root().join(text), &dist.join(text))?;
    }
    copy_tree(&root().join("docs"), &dist.join("docs"))?;
    copy_tree(&root().join("examples"), &dist.join("examples"))?;
    copy_licences(&dist.join("licences"))?;
    // The host refuses a library that this file, where it lies beside it, does not list.
    write_digests(&dist.join("plugins"))?;
    write_digests(&dist)?;
    println!("{}", dist.display());
    for file in ["host-harness", "plugins/libdynamo_plugin.so"] {
        let (major, minor) = glibc(&dist.join(file))?;
        let bytes = fs::metadata(dist.join(file))?.len();
        println!("{bytes:>10} bytes, needs glibc {major}.{minor}  {file}");
    }
    check(&dist)
}

/// Whether what lies there is what was promised: the library's symbols, its glibc, and that the host runs a job on it.
fn check(dist: &Path) -> anyhow::Result<()> {
    let library = dist.join("plugins/libdynamo_plugin.so");
    let symbols = nm(&library, "--defined-only")?;
    let exported: BTreeSet<&str> = symbols
        .lines()
        .filter_map(|line| line.split_whitespace().nth(2))
        .collect();
    ensure!(
        exported == BTreeSet::from(EXPORTS),
        "the library exports {exported:?}, not {EXPORTS:?}"
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

/// The oldest glibc that has every symbol that this file asks for.
fn glibc(file: &Path) -> anyhow::Result<(u32, u32)> {
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

fn copy(from: &Path, to: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(to.parent().context("a file has a folder")?)?;
    fs::copy(from, to)
        .with_context(|| format!("cannot copy {}", from.display()))
        .map(drop)
}

/// Copies a folder, what builds leave behind left out.
fn copy_tree(from: &Path, to: &Path) -> anyhow::Result<()> {
    for entry in fs::read_dir(from).with_context(|| format!("cannot read {}", from.display()))? {
        let entry = entry?;
        let to = to.join(entry.file_name());
        match entry.file_type()? {
            kind if kind.is_dir()
                && ["target", "__pycache__"]
                    .iter()
                    .any(|built| entry.file_name() == *built) => {}
            kind if kind.is_dir() => copy_tree(&entry.path(), &to)?,
            kind if kind.is_file() => copy(&entry.path(), &to)?,
            _ => {}
        }
    }
    Ok(())
}

/// The licence texts of every package that is linked into the host or the plugin, and a list of what each is under.
fn copy_licences(to: &Path) -> anyhow::Result<()> {
    let metadata = cargo(&[
        "metadata",
        "--format-version",
        "1",
        "--filter-platform",
        env!("XTASK_TARGET"),
    ])
    .output()?;
    let metadata: Value =
        serde_json::from_slice(&metadata.stdout).context("cargo metadata gave no JSON")?;
    let linked = linked(&metadata);
    let mut list = String::new();
    for package in metadata["packages"].as_array().into_iter().flatten() {
        let (Some(id), Some(name), Some(version)) = (
            package["id"].as_str(),
            package["name"].as_str(),
            package["version"].as_str(),
        ) else {
            continue;
        };
        if !linked.contains(id) || package["source"].is_null() {
            continue;
        }
        let folder = Path::new(package["manifest_path"].as_str().unwrap_or_default())
            .parent()
            .map(PathBuf::from)
            .unwrap_or_default();
        let mut texts = 0;
        for file in fs::read_dir(&folder).into_iter().flatten().flatten() {
            let upper = file.file_name().to_string_lossy().to_uppercase();
            if file.path().is_file()
                && ["LICEN", "COPYING", "NOTICE", "COPYRIGHT"]
                    .iter()
                    .any(|start| upper.starts_with(start))
            {
                copy(
                    &file.path(),
                    &to.join(format!("{name}-{version}")).join(file.file_name()),
                )?;
                texts += 1;
            }
        }
        let licence = package["license"].as_str().unwrap_or("see its files");
        let note = if texts == 0 {
            " (its package holds no text)"
        } else {
            ""
        };
        list.push_str(&format!("{name} {version}: {licence}{note}\n"));
    }
    fs::create_dir_all(to)?;
    fs::write(to.join("LIST.txt"), list)?;
    Ok(())
}

/// The ids of all packages that the host or the plugin needs at run time.
fn linked(metadata: &Value) -> BTreeSet<String> {
    let nodes = metadata["resolve"]["nodes"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    let name_of = |id: &str| {
        metadata["packages"]
            .as_array()
            .into_iter()
            .flatten()
            .find(|package| package["id"] == id)
            .and_then(|package| package["name"].as_str())
    };
    let mut open: Vec<String> = nodes
        .iter()
        .filter_map(|node| node["id"].as_str())
        .filter(|id| matches!(name_of(id), Some("host-harness" | "dynamo-plugin")))
        .map(str::to_owned)
        .collect();
    let mut linked = BTreeSet::new();
    while let Some(id) = open.pop() {
        if !linked.insert(id.clone()) {
            continue;
        }
        let dependencies = nodes
            .iter()
            .find(|node| node["id"] == id.as_str())
            .and_then(|node| node["deps"].as_array());
        for dependency in dependencies.into_iter().flatten() {
            let normal = dependency["dep_kinds"]
                .as_array()
                .into_iter()
                .flatten()
                .any(|kind| kind["kind"].is_null());
            if let Some(id) = dependency["pkg"].as_str().filter(|_| normal) {
                open.push(id.to_owned());
            }
        }
    }
    linked
}

/// Writes `SHA256SUMS` of every file below a folder, in the form that `sha256sum --check` reads.
fn write_digests(folder: &Path) -> anyhow::Result<()> {
    let mut files = Vec::new();
    collect(folder, &mut files)?;
    files.sort();
    let mut sums = String::new();
    for file in files {
        let name = file.strip_prefix(folder)?.display().to_string();
        if name == "SHA256SUMS" {
            continue;
        }
        let digest: String = Sha256::digest(fs::read(&file)?)
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        sums.push_str(&format!("{digest}  {name}\n"));
    }
    fs::write(folder.join("SHA256SUMS"), sums)?;
    Ok(())
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            collect(&entry.path(), files)?;
        } else {
            files.push(entry.path());
        }
    }
    Ok(())
}
