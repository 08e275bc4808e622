//! The workspace's folders, its cargo, and the environment of its tests: what every command here is made of.

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

/// What `cargo metadata` says of the packages of this platform, as JSON; features are all on, so that libFuzzer is among them.
pub(crate) fn metadata() -> anyhow::Result<Vec<u8>> {
    let output = cargo(&[
        "metadata",
        "--locked",
        "--all-features",
        "--format-version",
        "1",
        "--filter-platform",
        env!("XTASK_TARGET"),
    ])
    .output()?;
    ensure!(
        output.status.success(),
        "cargo metadata failed: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(output.stdout)
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
