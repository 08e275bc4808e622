//! What the tests share: where the built host and libraries are.
//!
//! The files are built by the first test that asks, with the one command that demo and tests share, so that plain `cargo test`
//! works and nothing is built twice.
#![forbid(unsafe_code)]

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

/// The folder with the built host and libraries of this profile.
///
/// # Panics
/// Where the workspace does not build.
pub fn built() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"))
            .parent()
            .expect("the tests lie in the workspace");
        // The same packages in every build: another selection would unify features otherwise and build the SDK again.
        let status = Command::new(env!("CARGO"))
            .args(["build", "--workspace", "--quiet"])
            .current_dir(root)
            .status()
            .expect("cargo runs, it has just built this test");
        assert!(status.success(), "the workspace does not build");
        let test_binary = env::current_exe().expect("a running test has a path");
        // target/debug/deps/it-… → target/debug
        test_binary
            .ancestors()
            .nth(2)
            .expect("tests lie in the target folder's deps")
            .to_owned()
    })
}

/// The built library of a workspace crate: `library("dynamo_plugin")`.
pub fn library(crate_name: &str) -> PathBuf {
    built().join(format!("lib{crate_name}.so"))
}

/// The built host.
pub fn host() -> PathBuf {
    built().join("host-harness")
}
