//! The author's template: what `cargo xtask new-plugin` makes builds, and passes its own tests linked in and loaded.

use std::{fs, process::Command};

use harness_tests::built;

use crate::hosts::{Bench, root, succeeds};

#[test]
fn a_new_plugin_builds_loads_and_answers() {
    let bench = Bench::new();
    succeeds(
        Command::new(built().join("xtask"))
            .args(["new-plugin", "five-minutes"])
            .current_dir(bench.dir.path()),
    );
    let folder = bench.path("five-minutes");
    // The versions that the workspace has, so that nothing is fetched.
    fs::copy(root().join("Cargo.lock"), folder.join("Cargo.lock")).unwrap();
    let target = built().with_file_name("template");
    succeeds(
        Command::new(env!("CARGO"))
            .args(["test", "--quiet"])
            .env("CARGO_TARGET_DIR", target)
            .current_dir(folder),
    );
}
