//! The parts of torture that are runs of a tool: model checker, random histories, Miri, ThreadSanitizer, fuzzers.

use std::{env, process::Command};

use crate::workspace::{cargo, root, run, target, without_account};

/// One tool's run.
pub(super) struct Tool {
    /// What `--only` calls it.
    pub(super) name: &'static str,
    pub(super) what: &'static str,
    run: fn(minutes: u64) -> anyhow::Result<()>,
}

/// How long each fuzz target runs where nobody says.
const FUZZ_MINUTES: u64 = 30;

pub(super) const TOOLS: &[Tool] = &[
    Tool {
        name: "models",
        what: "jobs, cancels, opens and closes of a plugin's slot in thousands of orders (shuttle; SHUTTLE_ROUNDS=20000)",
        run: |_| {
            let mut test = cargo(&["test", "--package", "plugin-api", "--lib", "slot::model"]);
            test.env("RUSTFLAGS", "--cfg shuttle")
                .env("CARGO_TARGET_DIR", target().join("shuttle"));
            run(with_length(&mut test, "SHUTTLE_ROUNDS", "20000"))
        },
    },
    Tool {
        name: "histories",
        what: "random histories of swaps and of a store that crashes, beside models of both (HISTORIES=2000)",
        run: |_| {
            let mut test = cargo(&["test", "--workspace", "--lib", "over_any_history"]);
            run(with_length(without_account(&mut test), "HISTORIES", "2000"))
        },
    },
    Tool {
        name: "miri",
        what: "the plugin's side of the C interface, every pointer checked (Miri)",
        run: |_| {
            let mut test = nightly(&["miri", "test", "--package", "plugin-api", "--lib"]);
            // The clock of the machine; fork handlers and memory advice are the system's.
            test.env("MIRIFLAGS", "-Zmiri-disable-isolation")
                .env("CARGO_TARGET_DIR", target().join("miri"));
            run(&mut test)
        },
    },
    Tool {
        name: "threads",
        what: "the slot and its callbacks under ThreadSanitizer",
        run: |_| {
            let mut test = nightly(&[
                "test",
                "-Zbuild-std",
                "--target",
                env!("XTASK_TARGET"),
                "--package",
                "plugin-api",
                "--lib",
            ]);
            test.env("RUSTFLAGS", "-Zsanitizer=thread")
                .env("CARGO_TARGET_DIR", target().join("threads"));
            run(&mut test)
        },
    },
    Tool {
        name: "fuzz",
        what: "each target of fuzz/ for half an hour (cargo-fuzz; FUZZ_TARGETS=\"job guard\" for some)",
        run: fuzz,
    },
];

impl Tool {
    /// Runs it, for so many minutes where it has no end of its own.
    pub(super) fn run(&self, minutes: Option<u64>) -> anyhow::Result<()> {
        (self.run)(minutes.unwrap_or(FUZZ_MINUTES))
    }
}

/// A length that the caller has set counts.
fn with_length<'a>(test: &'a mut Command, variable: &str, full: &str) -> &'a mut Command {
    let length = env::var(variable).unwrap_or_else(|_| full.to_owned());
    test.env(variable, length).args(["--", "--nocapture"])
}

/// Cargo of the nightly toolchain, whose components the tools are.
fn nightly(args: &[&str]) -> Command {
    let mut command = Command::new("rustup");
    command
        .args(["run", "nightly", "cargo"])
        .args(args)
        .current_dir(root());
    // Of the toolchain that built this program.
    for variable in ["RUSTUP_TOOLCHAIN", "CARGO", "RUSTC", "RUSTDOC"] {
        command.env_remove(variable);
    }
    command
}

/// Without AddressSanitizer, which doubles the build and looks for faults that safe Rust has not: all `unsafe` of the product lies behind
/// the C interface, and Miri runs its tests.
fn cargo_fuzz(what: &str) -> Command {
    let mut command = nightly(&["fuzz", what, "--dev", "--sanitizer", "none"]);
    command.env("CARGO_TARGET_DIR", target().join("fuzz"));
    command
}

/// Begins with the corpus of the repository, and keeps what it finds beside it, in `target/`.
fn fuzz(minutes: u64) -> anyhow::Result<()> {
    let chosen = env::var("FUZZ_TARGETS").unwrap_or_default();
    let mut targets: Vec<String> = chosen.split_whitespace().map(str::to_owned).collect();
    if targets.is_empty() {
        for entry in std::fs::read_dir(root().join("fuzz/targets"))? {
            let path = entry?.path();
            targets.extend(
                path.file_stem()
                    .map(|name| name.to_string_lossy().into_owned()),
            );
        }
        targets.sort();
    }
    run(&mut cargo_fuzz("build"))?;
    for name in targets {
        eprintln!("torture: fuzz: {name} for {minutes} minutes");
        let found = target().join("fuzz-corpus").join(&name);
        std::fs::create_dir_all(&found)?;
        let seconds = format!("-max_total_time={}", minutes * 60);
        run(cargo_fuzz("run")
            .arg(&name)
            .arg(found)
            .arg(root().join("fuzz/corpus").join(&name))
            .args([
                "--",
                &seconds,
                "-timeout=20",
                "-rss_limit_mb=2048",
                "-print_final_stats=1",
            ]))?;
    }
    Ok(())
}
