//! The Rust host of `plugin-host/examples`: loads the built plugin, runs a job, swaps the plugin, runs the job on the new version.

use std::{fs, path::PathBuf, process::Command};

use harness_tests::built;
use serde_json::json;

use crate::{
    chameleon::{chameleon, version},
    hosts::{Bench, root, succeeds},
};

/// The example's program. `cargo build --workspace` leaves examples out; the same packages and their libraries are named so that nothing
/// is built twice: without cbindgen, which is one of the tests' libraries, cargo would compile what derive macros are made of otherwise.
fn program() -> PathBuf {
    succeeds(
        Command::new(env!("CARGO"))
            .args([
                "build",
                "--quiet",
                "--workspace",
                "--lib",
                "--example",
                "swap",
            ])
            .current_dir(root()),
    );
    built().join("examples/swap")
}

#[test]
fn the_example_runs_a_job_swaps_the_plugin_and_runs_it_again() {
    let source = fs::read_to_string(root().join("plugin-host/examples/swap.rs")).unwrap();
    assert!(
        source.lines().count() <= 60,
        "a host is to stay within 60 lines"
    );
    let bench = Bench::new();
    let plugins = bench.path("plugins");
    fs::create_dir(&plugins).unwrap();
    let first = chameleon(100, "good");
    let second = chameleon(200, "good");
    fs::write(plugins.join("first.so"), first).unwrap();
    fs::write(bench.path("second.so"), second).unwrap();
    let job = bench.job("job.json", &json!({"id": "a"}));
    let said = succeeds(
        Command::new(program())
            .arg(&plugins)
            .arg("chameleon")
            .arg(job)
            .arg(bench.path("second.so")),
    );
    let (one, two) = (version(100), version(200));
    for part in [
        format!(r#"chameleon {one}: {{"id":"a","version":"{one}"}}"#),
        r#"loaded ["new.so"]"#.to_owned(),
        format!(r#"chameleon {two}: {{"id":"a","version":"{two}"}}"#),
    ] {
        assert!(said.contains(&part), "{part} is not in: {said}");
    }
}
