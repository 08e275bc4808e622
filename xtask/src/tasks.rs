//! The commands demo, test and lint: each is a few calls of cargo.

use std::{env, path::PathBuf, process::Command};

use anyhow::{Context, ensure};

use crate::{
    supply,
    workspace::{build, cargo, root, run, target, without_account},
};

pub(crate) fn demo(args: &[String]) -> anyhow::Result<()> {
    // `cargo xtask demo -- --keep` hands the two dashes over as well.
    let args: Vec<&String> = args.iter().filter(|arg| *arg != "--").collect();
    ensure!(
        args.iter().all(|arg| *arg == "--keep"),
        "demo takes nothing but --keep"
    );
    build()?;
    run(Command::new(target().join("debug/engines-demo"))
        .arg(target().join("debug/host-harness"))
        .arg(stage_plugin()?)
        .args(args))
}

/// The plugin alone in a folder, as a host has it; the build's folder holds the tests' plugins as well.
fn stage_plugin() -> anyhow::Result<PathBuf> {
    let folder = target().join("debug/demo-plugins");
    std::fs::create_dir_all(&folder)?;
    let (from, to) = (
        target().join("debug/libdynamo_plugin.so"),
        folder.join("libdynamo_plugin.so"),
    );
    // Renamed into place: a library that somebody has loaded must not change under them.
    let fresh = folder.join(".libdynamo_plugin.so");
    std::fs::copy(&from, &fresh).with_context(|| format!("cannot copy {}", from.display()))?;
    std::fs::rename(&fresh, &to)?;
    Ok(folder)
}

pub(crate) fn test(args: &[String]) -> anyhow::Result<()> {
    let in_ci = env::var_os("CI").is_some_and(|value| value == "true");
    run(&mut cargo(&["fmt", "--all", "--check"]))?;
    build()?;
    run(&mut Command::new(target().join("debug/engines-install")))?;
    let mut tests = cargo(&["test", "--workspace", "--no-fail-fast"]);
    // What `run` remembers of the libraries that it tried is not for the user's own cache.
    without_account(&mut tests)
        .env("XDG_CACHE_HOME", target().join("test-cache"))
        .args(args);
    run(&mut tests)?;
    if in_ci { lint() } else { Ok(()) }
}

pub(crate) fn lint() -> anyhow::Result<()> {
    run(&mut cargo(&["fmt", "--all", "--check"]))?;
    builds_with_the_minimum_rust_version()?;
    supply::check()?;
    run(&mut cargo(&[
        "clippy",
        "--workspace",
        "--all-targets",
        "--quiet",
        "--",
        "--deny",
        "warnings",
    ]))?;
    let mut docs = cargo(&["doc", "--workspace", "--no-deps", "--quiet"]);
    run(docs.env("RUSTDOCFLAGS", "--deny warnings"))
}

/// The toolchain that everything here is built with is the oldest one that the packages promise to build with, so that the promise is
/// tested by each build.
fn builds_with_the_minimum_rust_version() -> anyhow::Result<()> {
    let value = |file: &str, key: &str| -> anyhow::Result<String> {
        let text = std::fs::read_to_string(root().join(file))?;
        let found = text.lines().find_map(|line| {
            let (name, value) = line.split_once('=')?;
            (name.trim() == key).then(|| value.trim().trim_matches('"').to_owned())
        });
        found.with_context(|| format!("{file} has no {key}"))
    };
    let (minimum, toolchain) = (
        value("Cargo.toml", "rust-version")?,
        value("rust-toolchain.toml", "channel")?,
    );
    ensure!(
        toolchain == minimum || toolchain.starts_with(&format!("{minimum}.")),
        "Cargo.toml promises Rust {minimum}, but rust-toolchain.toml builds with {toolchain}: raise or lower one of them"
    );
    Ok(())
}
