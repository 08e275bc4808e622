//! Libraries that are good, but come from another compiler or another day.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::{Arc, mpsc},
    time::Duration,
};

use plugin_host::{CallOptions, Library};

use crate::{
    chameleon::{Stage, chameleon, version},
    hosts::{skipped, succeeds},
};

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

/// The last commit of the release with ABI 1.0.
pub(crate) const ABI_1_0: &str = "cd38c7f";

/// The sources of a commit, and where they are built; `None` where they are not at hand (no git, or a shallow clone).
pub(crate) fn sources(commit: &str, folder: &str) -> Option<(PathBuf, PathBuf)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let target = harness_tests::built().parent().unwrap().join(folder);
    let checkout = target.join("checkout");
    fs::create_dir_all(&checkout).unwrap();
    let archive = Command::new("git")
        .args(["archive", commit])
        .current_dir(root)
        .output();
    let archive = match archive {
        Ok(archive) if archive.status.success() => archive.stdout,
        _ => {
            skipped(&format!("the commit {commit} is not at hand"));
            return None;
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
    Some((checkout, target))
}

/// Builds packages there, all in one call: each call for itself would choose the features of what they share anew, and build that again.
pub(crate) fn build(folder: &Path, packages: &[&str], target: &Path) {
    let built = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--target-dir"])
        .arg(target)
        .args(packages.iter().flat_map(|package| ["--package", package]))
        .current_dir(folder)
        .status()
        .unwrap();
    assert!(built.success());
}

/// Plugins are upgraded before hosts or after them: what the previous commit built is taken today.
#[test]
fn a_plugin_built_at_the_previous_commit_answers() {
    let Some((checkout, target)) = sources("HEAD~1", "previous") else {
        return;
    };
    build(&checkout, &["chameleon-plugin"], &target);
    serves_beside_ours(fs::read(target.join("debug/libchameleon_plugin.so")).unwrap());
}

/// Hosts and libraries of ABI 1.0 and of today work together, whichever is older.
#[test]
fn libraries_and_hosts_of_abi_1_0_work_with_those_of_today() {
    let Some((checkout, target)) = sources(ABI_1_0, "abi-1.0") else {
        return;
    };
    build(&checkout, &["chameleon-plugin"], &target);
    let theirs = target.join("debug/libchameleon_plugin.so");
    let old = Library::load(&theirs, None).unwrap();
    assert_eq!((old.info().abi_minor, old.info().errors.len()), (0, 0));
    assert!(!old.info().has("rows") && !old.info().has("start"));
    serves_beside_ours(fs::read(&theirs).unwrap());

    // What came with 1.1 is there in its old form: one document, on a thread.
    let (end, told) = mpsc::channel();
    let options = CallOptions {
        rows: Some(Arc::new(|_: &[u8]| {
            panic!("a library of 1.0 knows no rows")
        })),
        ..CallOptions::default()
    };
    old.start_job(b"{}", options, move |outcome| {
        end.send(outcome.map(|document| document.to_vec())).unwrap();
    })
    .unwrap();
    let document = told.recv().unwrap().unwrap();
    assert!(document.starts_with(b"{"), "{document:?}");
    old.close(Duration::ZERO).unwrap();

    let host = old_host(&checkout, &target);
    for (library, job, parts) in [
        (
            "echo_plugin",
            r#"{"context":{"x":1}}"#,
            ["echo 1.0.0 ", r#""data":[["1.0.0",{"x":1}]]"#],
        ),
        (
            "chameleon_plugin",
            "{}",
            ["chameleon 777.0.100 cancel", r#""version":"777.0.100""#],
        ),
    ] {
        let said = succeeds(
            Command::new(&host)
                .arg(harness_tests::library(library))
                .arg(job),
        );
        assert_eq!(said.lines().count(), 3, "{said}");
        for part in parts {
            assert!(said.contains(part), "{said}");
        }
    }
}

/// A host of that release, built against its `plugin-api`.
fn old_host(checkout: &Path, target: &Path) -> PathBuf {
    let folder = checkout.join("old-host");
    fs::create_dir_all(folder.join("src")).unwrap();
    fs::write(
        folder.join("Cargo.toml"),
        "[package]\nname = \"old-host\"\nedition = \"2024\"\n\n[dependencies]\nplugin-api = { path = \"../plugin-api\" }\n\n[workspace]\n",
    )
    .unwrap();
    fs::write(
        folder.join("src/main.rs"),
        include_str!("../../abi_1_0/host.rs"),
    )
    .unwrap();
    // The same versions of everything that it depends on.
    fs::copy(checkout.join("Cargo.lock"), folder.join("Cargo.lock")).unwrap();
    build(&folder, &["old-host"], target);
    target.join("debug/old-host")
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
