//! Libraries that are good, but come from another compiler or another day.

use std::{fs, path::Path, process::Command};

use plugin_host::CallOptions;

use crate::chameleon::{Stage, chameleon, version};

/// Rust has no stable ABI, so that a plugin and its host may come from different compilers only because nothing of Rust's own
/// crosses.
#[test]
fn a_plugin_built_with_another_toolchain_answers() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let nightly = Command::new("rustup")
        .args([
            "run",
            "nightly",
            "cargo",
            "build",
            "--quiet",
            "--package",
            "chameleon-plugin",
            "--target-dir",
        ])
        .arg(harness_tests::built().parent().unwrap().join("nightly"))
        .current_dir(root)
        // Of the toolchain that runs this test.
        .env_remove("RUSTUP_TOOLCHAIN")
        .env_remove("CARGO")
        .env_remove("RUSTC")
        .output();
    let built = match nightly {
        Ok(built) if built.status.success() => harness_tests::built()
            .parent()
            .unwrap()
            .join("nightly/debug/libchameleon_plugin.so"),
        Ok(built) if !String::from_utf8_lossy(&built.stderr).contains("is not installed") => {
            panic!("{}", String::from_utf8_lossy(&built.stderr))
        }
        _ => {
            println!(
                "SKIPPED: no nightly toolchain is installed, so no plugin of another compiler was tried"
            );
            return;
        }
    };
    serves_beside_ours(fs::read(built).unwrap());
}

/// Plugins are upgraded before hosts or after them: what the previous commit built is taken today.
#[test]
fn a_plugin_built_at_the_previous_commit_answers() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let target = harness_tests::built().parent().unwrap().join("previous");
    let checkout = target.join("checkout");
    fs::create_dir_all(&checkout).unwrap();
    let archive = Command::new("git")
        .args(["archive", "HEAD~1"])
        .current_dir(root)
        .output();
    let archive = match archive {
        Ok(archive) if archive.status.success() => archive.stdout,
        _ => {
            println!(
                "SKIPPED: the previous commit is not at hand (no git, or a shallow clone), so none of its plugins was tried"
            );
            return;
        }
    };
    let file = target.join("checkout.tar");
    fs::write(&file, archive).unwrap();
    let unpacked = Command::new("tar")
        .arg("xf")
        .arg(&file)
        .arg("-C")
        .arg(&checkout)
        .status();
    assert!(unpacked.unwrap().success());
    if !checkout.join("tests/fixtures/chameleon").exists() {
        println!(
            "SKIPPED: the previous commit has no such fixture, so none of its plugins was tried"
        );
        return;
    }
    let built = Command::new(env!("CARGO"))
        .args([
            "build",
            "--quiet",
            "--package",
            "chameleon-plugin",
            "--target-dir",
        ])
        .arg(&target)
        .current_dir(&checkout)
        .status()
        .unwrap();
    assert!(built.success());
    serves_beside_ours(fs::read(target.join("debug/libchameleon_plugin.so")).unwrap());
}

/// Another build of version 777.0.100 is loaded and serves, first alone and then beside one of today's.
fn serves_beside_ours(theirs: Vec<u8>) {
    let stage = Stage::over(theirs, |_| {});
    assert_eq!(stage.ask(), version(100));
    stage.put("next.so", &chameleon(101, "good"));
    stage.registry.reload().unwrap();
    assert_eq!(stage.ask(), version(101));
    let lease = stage
        .registry
        .lease("chameleon", Some(&"=777.0.100".parse().unwrap()))
        .unwrap();
    lease.run_job(b"{}", &CallOptions::default()).unwrap();
}
