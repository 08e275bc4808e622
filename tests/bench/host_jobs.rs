//! `host-jobs N COMMAND…`: a host that is started by this command, such as `valgrind --tool=callgrind`, takes N tiny sync jobs of one
//! caller, one after the other, and is stopped. The command counts what the host does. Needs gcc.
#![forbid(unsafe_code)]

use std::{
    path::{Path, PathBuf},
    process::{Command, exit},
    time::Duration,
};

use engines::replay::{self, Replay};
use harness_tests::{
    host,
    load::{CONFIG, one_after_the_other},
    serving::TestHost,
};

/// What is loaded before the host's own libraries.
const HOST_PROGRAM: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/c/host_program.c");

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let Some((Ok(n_jobs), command @ [_, ..])) = arguments
        .split_first()
        .map(|(number, command)| (number.parse(), command))
    else {
        eprintln!("usage: host-jobs N COMMAND...");
        exit(2);
    };
    let page = replay::page(&[r#"{"id":{"S":"123"}}"#], None);
    let engine = Replay::start(&[page], Duration::ZERO).expect("the replay server starts");
    let directory = TestHost::new(CONFIG, &engine.url());
    let preload = format!("LD_PRELOAD={}", compiled(directory.path()).display());
    let program = format!("HOST_PROGRAM={}", host().display());
    let mut whole = vec!["env", &program, &preload];
    whole.extend(command.iter().map(String::as_str));
    let mut host = directory.serve_behind(&whole);
    one_after_the_other(&host, "sync", n_jobs);
    host.signal("TERM");
    assert!(host.wait().success(), "{}", host.lines().join("\n"));
}

fn compiled(directory: &Path) -> PathBuf {
    let library = directory.join("host_program.so");
    let compiled = Command::new("gcc")
        .args(["-shared", "-fPIC", "-o"])
        .arg(&library)
        .args([HOST_PROGRAM, "-ldl"])
        .status()
        .expect("gcc is at hand");
    assert!(compiled.success(), "{HOST_PROGRAM}");
    library
}
