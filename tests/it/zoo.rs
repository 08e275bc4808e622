//! Bad libraries, each a real file: whatever one does, the running version serves on, and the reason is told everywhere.

#![expect(
    clippy::unwrap_used,
    reason = "a helper that fails fails the test that called it"
)]

pub(crate) mod builds;
mod signatures;
mod trust;

use std::{fs, os::unix::fs::PermissionsExt, path::Path, process::Command, time::Duration};

use harness_tests::host;
use plugin_host::registry::PluginState;
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
fn a_library_that_hangs_is_ended() {
    let stage = Stage::with(|options| options.probe_limit = Duration::from_millis(1500));
    for (bytes, words) in [
        (
            animal(&["HANG_IN_CONSTRUCTOR"]),
            "hung while it was being loaded",
        ),
        (chameleon(903, "hang-at-open"), "hung in plugin_open"),
    ] {
        stage.put(BAD, &bytes);
        refused(&stage, "TIMED_OUT", words);
    }
}

#[test]
fn a_library_that_a_busy_machine_did_not_try_in_time_is_tried_again_when_an_operator_asks() {
    let folder = TempDir::new().unwrap();
    let [busy, tries, program] = ["busy", "tries", "program"].map(|name| folder.path().join(name));
    // Where it is busy, the trial has begun and comes no further.
    let script = format!(
        "#!/bin/sh\necho >> {}\n[ -e {} ] && echo '{{\"step\":\"load\"}}' && sleep 1000\nexec {} \"$@\"\n",
        tries.display(),
        busy.display(),
        host().display()
    );
    fs::write(&program, script).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let stage = Stage::with(|options| {
        options.probe = program;
        options.probe_limit = Duration::from_secs(2);
        options.watch = true;
    });
    let until_taken = || while !stage.registry.reload().unwrap().refused.is_empty() {};
    until_taken();
    fs::write(&busy, "").unwrap();
    fs::write(&tries, "").unwrap();
    for (file, number) in [("next.so", 101), ("last.so", 102)] {
        stage.put(file, &chameleon(number, "good"));
        stage.wait_for("the refusal", |stage| {
            let rows = stage.registry.list();
            rows.iter()
                .any(|row| row.file == file && json!(row.error)["code"] == "TIMED_OUT")
        });
    }
    let tried = fs::read_to_string(&tries).unwrap().lines().count();
    assert_eq!(
        tried, 2,
        "a look by itself leaves it alone: its next try may cost as much"
    );
    assert_eq!(stage.ask(), version(100));
    fs::remove_file(busy).unwrap();
    until_taken();
    assert_eq!(stage.ask(), version(102));
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
