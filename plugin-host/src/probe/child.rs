//! The side of the probe that runs the library: in a process of its own, which it may take down.
//!
//! Before the library's code runs, standard output is put aside: the probe's lines go to a handle that the library does not know,
//! and what the library writes to standard output is caught and counted.

use std::{
    fs::{self, File},
    io::{self, Write},
    os::fd::OwnedFd,
    path::Path,
    time::Duration,
};

use rustix::{
    fs::MemfdFlags,
    process::{Resource, Rlimit, Signal, setrlimit},
};
use serde_json::Value;

use super::{Line, ProbeReport, Step};
use crate::{
    CallOptions, Library, free_thread_keys, load,
    refusal::{Refusal, RefusalCode},
};

/// The first argument of a process that is to try a library; the library's file follows.
pub(crate) const ARGUMENT: &str = "plugin-host-probe";

/// A job that every plugin answers at once: with a result, or with the error that says what is missing.
const SELF_TEST: &[u8] = br#"{"id":"self-test","context":{}}"#;

/// How long the plugin may take to close.
const CLOSE: Duration = Duration::from_secs(1);

/// More thread keys than a process has.
const ALL_KEYS: usize = 4096;

/// Runs the library at `copy` through its life and writes what happens to standard output, a line each. Whether it passed.
///
/// # Errors
/// Where the process itself cannot be prepared.
pub(crate) fn run(copy: &Path) -> io::Result<bool> {
    let mut out = ProbeOutput::take()?;
    let verdict = try_out(copy, &mut out);
    let passed = verdict.is_ok();
    out.line(&match verdict {
        Ok(report) => Line::Passed(report),
        Err(refusal) => Line::Refused(refusal),
    })?;
    Ok(passed)
}

/// The probe's own standard output, and what the library takes for it.
struct ProbeOutput {
    lines: File,
    caught: File,
}

impl ProbeOutput {
    fn take() -> io::Result<Self> {
        // A crash here is expected: no core files, and no orphan where the host itself dies.
        let none = Rlimit {
            current: Some(0),
            maximum: Some(0),
        };
        setrlimit(Resource::Core, none)?;
        rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
        let lines: OwnedFd = rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdout(), 100)?;
        let caught = rustix::fs::memfd_create("library-stdout", MemfdFlags::CLOEXEC)?;
        rustix::stdio::dup2_stdout(&caught)?;
        Ok(Self {
            lines: lines.into(),
            caught: caught.into(),
        })
    }

    fn line(&mut self, line: &Line) -> io::Result<()> {
        let mut text = serde_json::to_vec(line)?;
        text.push(b'\n');
        self.lines.write_all(&text)
    }

    fn step(&mut self, step: Step) -> Result<(), Refusal> {
        self.line(&Line::Step(step)).map_err(|error| own(&error))
    }
}

fn try_out(copy: &Path, out: &mut ProbeOutput) -> Result<ProbeReport, Refusal> {
    let keys = free_thread_keys(ALL_KEYS);
    let threads = threads();
    out.step(Step::Load)?;
    let (library, version) = load::library(copy, None)?;
    let info = library.info().clone();
    out.line(&Line::Says(info.name.clone(), version.to_string()))
        .map_err(|error| own(&error))?;
    out.step(Step::Open)?;
    library
        .open("{}")
        .map_err(|error| Refusal::does_not_open(&error, "fix the plugin's open"))?;
    out.step(Step::SelfTest)?;
    self_test(&library)?;
    out.step(Step::Close)?;
    library.close(CLOSE).map_err(|error| {
        Refusal::new(
            RefusalCode::CloseFailed,
            format!("the plugin does not close in order: {error}"),
            "fix the plugin: what does not close cannot be swapped",
        )
    })?;
    out.step(Step::Exit)?;
    let written = out.caught.metadata().map_err(|error| own(&error))?.len();
    if written > 0 {
        return Err(Refusal::new(
            RefusalCode::WritesToStdout,
            format!("the library writes to standard output ({written} bytes in the probe)"),
            "standard output belongs to the host's results: let the plugin write to the host's log",
        ));
    }
    Ok(ProbeReport {
        name: info.name,
        version: version.to_string(),
        features: info.features,
        errors: info.errors,
        thread_keys: Some(keys.saturating_sub(free_thread_keys(ALL_KEYS))),
        threads_left: self::threads().saturating_sub(threads),
    })
}

/// A right answer is a JSON object with status 0, or an error document with status 1, whatever its code.
fn self_test(library: &Library) -> Result<(), Refusal> {
    let (status, document) = library.answer(SELF_TEST, &CallOptions::default());
    let parsed = serde_json::from_slice::<Value>(&document);
    let wrong = match (status, parsed) {
        (0, Ok(Value::Object(_))) => return Ok(()),
        (1, Ok(document)) if is_error_document(&document) => return Ok(()),
        (0, Ok(_)) => "status 0 with a document that is no JSON object".to_owned(),
        (0, Err(error)) => format!("status 0 with a document that is no JSON: {error}"),
        (1, _) => "status 1 without an error document".to_owned(),
        (status, _) => format!("status {status}"),
    };
    Err(Refusal::new(
        RefusalCode::WrongAnswer,
        format!("the library answers the self-test job wrongly: {wrong}"),
        "a plugin answers every job with a result document (status 0) or an error document (status 1)",
    ))
}

fn is_error_document(document: &Value) -> bool {
    let error = &document["error"];
    ["code", "message"]
        .iter()
        .all(|key| error[key].as_str().is_some_and(|text| !text.is_empty()))
}

fn own(error: &io::Error) -> Refusal {
    Refusal::new(
        RefusalCode::ProbeUnavailable,
        format!("the process that tries libraries fails itself: {error}"),
        "it is tried again by itself",
    )
}

fn threads() -> usize {
    fs::read_dir("/proc/self/task").map_or(1, Iterator::count)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_error_document_is_told_from_other_json() {
        for (document, expected) in [
            (
                json!({"error": {"code": "INVALID_JOB", "message": "m"}}),
                true,
            ),
            (
                json!({"error": {"code": "A_NEWER_WORD", "message": "m"}}),
                true,
            ),
            (json!({"error": {"code": "", "message": "m"}}), false),
            (json!({"error": {"code": "INVALID_JOB"}}), false),
            (json!({"error": "text"}), false),
            (json!([]), false),
        ] {
            assert_eq!(is_error_document(&document), expected, "{document}");
        }
    }
}
