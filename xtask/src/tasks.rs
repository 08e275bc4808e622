//! Build, demo, test, lint: each a few calls of cargo.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, ensure};

/// The workspace's folder.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("xtask lies in the workspace")
}

/// Where this workspace builds to.
pub(crate) fn target() -> PathBuf {
    env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}

/// A cargo command in the workspace.
pub(crate) fn cargo(args: &[&str]) -> Command {
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(args).current_dir(root());
    // What the outer cargo says of this package; build scripts that look at it would run again, and all above them (ring does).
    for (name, _) in env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") {
            cargo.env_remove(name);
        }
    }
    cargo
}

/// Runs a command to its end.
pub(crate) fn run(command: &mut Command) -> anyhow::Result<()> {
    let status = command
        .status()
        .with_context(|| format!("cannot start {}", command.get_program().display()))?;
    ensure!(
        status.success(),
        "{} {:?} ended with {status}",
        command.get_program().display(),
        command.get_args().collect::<Vec<_>>()
    );
    Ok(())
}

/// Builds everything in the one profile that demo and tests share. Always the same packages: another selection would unify
/// features otherwise and build the AWS SDK again.
pub(crate) fn build() -> anyhow::Result<()> {
    run(&mut cargo(&["build", "--workspace"]))
}

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
    without_account(&mut tests).args(args);
    run(&mut tests)?;
    if in_ci { lint() } else { Ok(()) }
}

/// Gives tests of a built workspace credentials that will do for the engines, and hides the caller's account from them.
pub(crate) fn without_account(tests: &mut Command) -> &mut Command {
    for (name, _) in env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("AWS_")) {
        tests.env_remove(name);
    }
    let nowhere = target().join("no-such-file");
    tests
        .env("HARNESS_BUILT", "1")
        .envs([
            ("AWS_ACCESS_KEY_ID", "test"),
            ("AWS_SECRET_ACCESS_KEY", "test"),
            ("AWS_EC2_METADATA_DISABLED", "true"),
        ])
        .env("AWS_CONFIG_FILE", &nowhere)
        .env("AWS_SHARED_CREDENTIALS_FILE", &nowhere)
}

pub(crate) fn lint() -> anyhow::Result<()> {
    run(&mut cargo(&["fmt", "--all", "--check"]))?;
    builds_with_the_minimum_rust_version()?;
    crate::supply::check()?;
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
