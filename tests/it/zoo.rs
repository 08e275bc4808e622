//! Bad libraries, each a real file: whatever one does, the running version serves on, and the reason is told everywhere.

#![expect(
    clippy::unwrap_used,
    reason = "a helper that fails fails the test that called it"
)]

use std::{
    fs::{self, Permissions},
    os::unix::fs::{PermissionsExt, chown, symlink},
    path::Path,
    process::Command,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use harness_tests::host;
use host_harness::registry::PluginState;
use plugin_api::host::CallOptions;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::chameleon::{Stage, chameleon, overwrite, version};

const BAD: &str = "bad.so";

/// The C library with that fault.
fn animal(defines: &[&str]) -> Vec<u8> {
    let dir = TempDir::new().unwrap();
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("zoo/animal.c");
    let built = dir.path().join("animal.so");
    let status = Command::new("cc")
        .args(["-shared", "-fPIC", "-o"])
        .arg(&built)
        .args(defines.iter().map(|define| format!("-D{define}")))
        .arg(source)
        .status()
        .expect("a C compiler is there");
    assert!(status.success());
    fs::read(built).unwrap()
}

fn cut(percent: usize) -> Vec<u8> {
    let mut bytes = chameleon(900, "good");
    bytes.truncate(bytes.len() * percent / 100);
    bytes
}

fn patched(at: usize, bytes: &[u8]) -> Vec<u8> {
    let mut library = chameleon(901, "good");
    library[at..at + bytes.len()].copy_from_slice(bytes);
    library
}

/// A plugin whose module has a field of another name: what a struct that grew in the middle looks like.
fn other_layout() -> Vec<u8> {
    let mut bytes = chameleon(902, "good");
    overwrite(&mut bytes, b"run_job_typed", "run_job_tuned");
    bytes
}

/// The file is refused with that code and those words, and the version that runs is untouched.
fn refused(stage: &Stage, code: &str, words: &str) {
    let said_before = stage.logged("refused ");
    let report = stage.registry.reload().unwrap();
    let row = report
        .data
        .iter()
        .find(|row| row.state == PluginState::Refused);
    let row = row.unwrap_or_else(|| panic!("{code}: not refused: {:#?}", report.data));
    let error = json!(row.error);
    let message = error["message"].as_str().unwrap();
    assert_eq!(error["code"], code, "{message}");
    assert!(message.contains(words), "{code}: {message}");
    assert!(
        !message.contains('\n') && message.len() < 300,
        "one sentence: {message}"
    );
    assert!(error["hint"].as_str().is_some_and(|hint| !hint.is_empty()));
    assert_eq!(error.as_object().unwrap().len(), 3, "no dump in the answer");
    assert_eq!(report.refused, std::slice::from_ref(&row.file));
    assert_eq!(report.loaded, [""; 0]);
    assert!(
        stage.registry.list().contains(row),
        "the list says the same"
    );
    assert!(stage.logged("refused ") > said_before && stage.logged(message) > 0);
    assert_eq!(
        stage.ask(),
        version(100),
        "{code}: the running version serves on"
    );
}

#[test]
fn a_library_that_is_none_or_not_whole_is_refused_before_it_is_loaded() {
    let stage = Stage::new();
    let script = b"#!/bin/sh\nexit 0\n".to_vec();
    // A program of this machine is an ELF file, but position-independent ones look like libraries: it lacks the symbols.
    let cases: Vec<(&str, Vec<u8>, &str, &str)> = vec![
        ("empty", Vec::new(), "NOT_A_LIBRARY", "empty"),
        (
            "not ELF",
            script,
            "NOT_A_LIBRARY",
            "does not begin as an ELF file does",
        ),
        (
            "only the magic",
            b"\x7fELF".to_vec(),
            "TRUNCATED",
            "less than its own header",
        ),
        ("20 %", cut(20), "TRUNCATED", "cut short"),
        ("60 %", cut(60), "TRUNCATED", "cut short"),
        ("95 %", cut(95), "TRUNCATED", "cut short"),
        (
            "wrong machine",
            patched(18, &[0x28, 0]),
            "WRONG_MACHINE",
            "built for ELF machine 40",
        ),
        (
            "32 bits",
            patched(4, &[1]),
            "WRONG_MACHINE",
            "no 64-bit library",
        ),
        (
            "an object file",
            patched(16, &[1, 0]),
            "NOT_A_LIBRARY",
            "no shared library",
        ),
        (
            "no symbols",
            animal(&["NO_SYMBOLS"]),
            "MISSING_SYMBOL",
            "'run_job' and lacks 4 more",
        ),
    ];
    for (name, bytes, code, words) in cases {
        println!("{name}");
        stage.put(BAD, &bytes);
        refused(&stage, code, words);
    }
}

#[test]
fn a_library_that_misbehaves_does_so_in_the_probe() {
    let stage = Stage::new();
    let cases: Vec<(&str, Vec<u8>, &str, &str)> = vec![
        (
            "an older ABI",
            animal(&["ABI_MAJOR=0"]),
            "ABI_MISMATCH",
            "speaks ABI 0.0, this host speaks ABI 1",
        ),
        (
            "a newer ABI",
            animal(&["ABI_MAJOR=2"]),
            "ABI_MISMATCH",
            "speaks ABI 2.0, this host speaks ABI 1",
        ),
        (
            "no name",
            animal(&["NAME=0"]),
            "BAD_HANDSHAKE",
            "its name is null",
        ),
        (
            "an empty name",
            animal(&["NAME=\"\""]),
            "BAD_HANDSHAKE",
            "its name is empty",
        ),
        ("no module", animal(&[]), "LAYOUT_MISMATCH", "module layout"),
        (
            "another layout",
            other_layout(),
            "LAYOUT_MISMATCH",
            "module layout",
        ),
        (
            "a crash in a constructor",
            animal(&["CRASH_IN_CONSTRUCTOR"]),
            "CRASHED",
            "being loaded, by SIGSEGV",
        ),
        (
            "an exit in a constructor",
            animal(&["EXIT_IN_CONSTRUCTOR"]),
            "ENDED_PROCESS",
            "being loaded, with exit status 0",
        ),
        (
            "an abort at open",
            chameleon(903, "abort-at-open"),
            "CRASHED",
            "in plugin_open, by SIGABRT",
        ),
        (
            "a panic at open",
            chameleon(903, "panic-at-open"),
            "OPEN_FAILED",
            "a panic was caught at",
        ),
        (
            "a wrong answer",
            chameleon(903, "wrong-answer"),
            "WRONG_ANSWER",
            "no JSON",
        ),
        (
            "words on stdout",
            chameleon(903, "print"),
            "WRITES_TO_STDOUT",
            "standard output",
        ),
        (
            "an exit in every job",
            chameleon(903, "exit-in-job"),
            "ENDED_PROCESS",
            "self-test job, with exit status 3",
        ),
    ];
    for (name, bytes, code, words) in cases {
        println!("{name}");
        stage.put(BAD, &bytes);
        refused(&stage, code, words);
    }
    assert!(
        stage.logged("in full: ") >= 2,
        "the dumps are in the debug log"
    );
}

#[test]
fn a_library_that_hangs_is_ended_and_remembered() {
    let limit = Duration::from_millis(1500);
    let stage = Stage::with(|options| options.probe_limit = limit);
    for (bytes, words) in [
        (
            animal(&["HANG_IN_CONSTRUCTOR"]),
            "hung while it was being loaded",
        ),
        (chameleon(903, "hang-at-open"), "hung in plugin_open"),
    ] {
        stage.put(BAD, &bytes);
        refused(&stage, "TIMED_OUT", words);
        // The same bytes under another name are known: nothing is tried again, whatever the time.
        fs::rename(stage.path(BAD), stage.path("worse.so")).unwrap();
        let started = std::time::Instant::now();
        let report = stage.registry.reload().unwrap();
        assert_eq!(report.refused, ["worse.so"]);
        assert!(started.elapsed() < limit, "it was tried again");
        stage.remove("worse.so");
    }
}

#[test]
fn bad_bytes_over_the_running_file_take_nothing_out_of_service() {
    let stage = Stage::new();
    stage.put("first.so", &cut(60));
    refused(&stage, "TRUNCATED", "cut short");
    assert_eq!(stage.state(100), PluginState::Active);
    // It is looked at again as soon as it changes.
    stage.put("first.so", &chameleon(104, "good"));
    assert_eq!(stage.registry.reload().unwrap().refused, [""; 0]);
    assert_eq!(stage.ask(), version(104));
}

#[test]
fn a_file_that_others_may_write_is_refused() {
    let stage = Stage::new();
    stage.put(BAD, &chameleon(900, "good"));
    let chmod = |mode| fs::set_permissions(stage.path(BAD), Permissions::from_mode(mode)).unwrap();
    chmod(0o646);
    refused(&stage, "UNTRUSTED", "everybody may write to it");
    // Only root can give files away.
    if chown(stage.path(BAD), None, Some(1)).is_ok() {
        chmod(0o664);
        refused(
            &stage,
            "UNTRUSTED",
            "its group 1 may write to it and has other members",
        );
        chmod(0o644);
        chown(stage.path(BAD), Some(1), None).unwrap();
        refused(&stage, "UNTRUSTED", "owned by user 1");
        chown(stage.path(BAD), Some(0), Some(0)).unwrap();
    } else {
        println!("SKIPPED: files of other owners (only root can make them)");
    }
    chmod(0o644);
    stage.registry.reload().unwrap();
    assert_eq!(stage.ask(), version(900), "once trusted it is taken");
}

#[test]
fn a_directory_that_others_may_write_is_not_looked_at() {
    let stage = Stage::new();
    let dir = stage.path("");
    stage.put("next.so", &chameleon(101, "good"));
    fs::set_permissions(&dir, Permissions::from_mode(0o777)).unwrap();
    let error = stage.registry.reload().unwrap_err();
    assert!(
        error.to_string().contains("everybody may write to it"),
        "{error}"
    );
    assert_eq!(stage.ask(), version(100), "what runs serves on");
    fs::set_permissions(&dir, Permissions::from_mode(0o755)).unwrap();
    stage.registry.reload().unwrap();
    assert_eq!(stage.ask(), version(101));
}

#[test]
fn where_a_list_of_digests_lies_only_what_it_lists_is_taken() {
    let stage = Stage::new();
    let sums = |lines: &[(&str, &str)]| {
        let text: String = lines
            .iter()
            .map(|(sum, name)| format!("{sum}  {name}\n"))
            .collect();
        stage.put("SHA256SUMS", text.as_bytes());
    };
    let sum = stage.row(100).sha256.unwrap();
    sums(&[(&sum, "first.so")]);
    stage.put(BAD, &chameleon(900, "good"));
    refused(&stage, "NOT_LISTED", "does not list it");
    sums(&[(&sum, "first.so"), (&sum, BAD)]);
    refused(&stage, "WRONG_DIGEST", "but SHA256SUMS lists");
    fs::set_permissions(stage.path("SHA256SUMS"), Permissions::from_mode(0o666)).unwrap();
    let report = stage.registry.reload().unwrap();
    assert_eq!(
        report.refused,
        [BAD, "first.so"],
        "a list that anybody may write lists nothing"
    );
    assert_eq!(stage.ask(), version(100), "what runs serves on");
    let listed = report.data.iter().find(|row| row.file == BAD).unwrap();
    sums(&[(&sum, "first.so"), (listed.sha256.as_ref().unwrap(), BAD)]);
    stage.registry.reload().unwrap();
    assert_eq!(stage.ask(), version(900), "once listed it is taken");
}

#[test]
fn what_is_put_in_a_librarys_place_between_check_and_use_is_never_loaded() {
    let stage = Stage::new();
    stage.put(".good", &chameleon(101, "good"));
    stage.put(".evil", &chameleon(666, "good"));
    let sum = stage.row(100).sha256.unwrap();
    symlink(".good", stage.path("linked.so")).unwrap();
    stage.registry.reload().unwrap();
    let good = stage.row(101).sha256.unwrap();
    stage.remove("linked.so");
    stage.registry.reload().unwrap();
    stage.put(
        "SHA256SUMS",
        format!("{sum}  first.so\n{good}  linked.so\n").as_bytes(),
    );

    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                for target in [".evil", ".good"] {
                    symlink(target, stage.path(".link")).unwrap();
                    fs::rename(stage.path(".link"), stage.path("linked.so")).unwrap();
                }
            }
        });
        for _ in 0..100 {
            stage.registry.reload().unwrap();
            assert!([100, 101].map(version).contains(&stage.ask()));
        }
        over.store(true, Ordering::Relaxed);
    });
    assert_eq!(stage.logged("loaded chameleon 777.0.666"), 0);
    assert!(
        stage.registry.reload().unwrap().refused.is_empty(),
        "the last link leads to the good one"
    );
    assert_eq!(stage.ask(), version(101));
}

/// What the host cannot do anything about: a library that behaves until it gets a real job, and then ends the process.
/// This is why `docs/ABI.md` begins with trust.
#[test]
fn a_library_that_exits_in_a_real_job_takes_its_process_along() {
    let dir = TempDir::new().unwrap();
    fs::write(
        dir.path().join("sleeper.so"),
        chameleon(903, "exit-in-real-job"),
    )
    .unwrap();
    let probe = Command::new(host())
        .arg("probe")
        .arg(dir.path().join("sleeper.so"))
        .output()
        .unwrap();
    let verdict: Value = serde_json::from_slice(&probe.stdout).unwrap();
    assert_eq!(
        (probe.status.code(), &verdict["ok"]),
        (Some(0), &json!(true)),
        "the probe cannot know"
    );
    let job = dir.path().join("job.json");
    fs::write(
        &job,
        r#"{"id":"real","context":{"query":"SELECT * FROM t"}}"#,
    )
    .unwrap();
    let run = Command::new(host())
        .args(["run", "--plugin", "chameleon", "--plugin-dir"])
        .args([dir.path(), &job])
        .output()
        .unwrap();
    assert_eq!(
        run.status.code(),
        Some(3),
        "{}",
        String::from_utf8_lossy(&run.stderr)
    );
}

#[test]
fn the_probe_command_prints_one_line_and_says_why() {
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("library.so");
    for (bytes, status, code) in [
        (chameleon(100, "good"), 0, Value::Null),
        (chameleon(100, "print"), 1, json!("WRITES_TO_STDOUT")),
        (animal(&["CRASH_IN_CONSTRUCTOR"]), 1, json!("CRASHED")),
        (cut(60), 1, json!("TRUNCATED")),
    ] {
        fs::write(&file, bytes).unwrap();
        let probe = Command::new(host())
            .arg("probe")
            .arg(&file)
            .output()
            .unwrap();
        assert_eq!(probe.status.code(), Some(status));
        assert_eq!(
            probe.stdout.iter().filter(|&&byte| byte == b'\n').count(),
            1
        );
        let verdict: Value = serde_json::from_slice(&probe.stdout).unwrap();
        assert_eq!(verdict["ok"], json!(status == 0));
        assert_eq!(
            verdict["error"].get("code").cloned().unwrap_or_default(),
            code
        );
    }
}

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
