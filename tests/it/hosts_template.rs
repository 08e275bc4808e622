//! The author's template: what `cargo xtask new-plugin` makes builds, and passes its own tests linked in and loaded.

use std::{fs, process::Command};

use harness_tests::{built, host};

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
            .env("CARGO_TARGET_DIR", &target)
            .current_dir(&folder),
    );
    let toml = fs::read_to_string(folder.join("Cargo.toml")).unwrap();
    assert!(toml.contains(r#"plugin-api = { path = "../"#), "{toml}");
    // Its first job, as docs/PLUGIN_AUTHORS.md has it.
    let plugins = bench.path("plugins");
    fs::create_dir(&plugins).unwrap();
    let built = target.join("debug/libfive_minutes.so");
    fs::copy(built, plugins.join("libfive_minutes.so")).unwrap();
    let job = bench.text("job.json", r#"{"context": {"text": "a first job"}}"#);
    let said = succeeds(
        Command::new(host())
            .args([
                "run",
                "--plugin",
                "five-minutes",
                "--format",
                "csv",
                "--plugin-dir",
            ])
            .args([&plugins, &job]),
    );
    assert_eq!(said, "word,length\na,1\nfirst,5\njob,3\n");
}
