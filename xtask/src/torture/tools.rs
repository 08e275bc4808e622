//! The parts of torture that are runs of a tool: model checker, random histories, Miri, ThreadSanitizer, fuzzers.

use std::{env, fs, process::Command};

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
        what: "each target of fuzz/ for half an hour (libFuzzer; FUZZ_TARGETS=\"job guard\" for some)",
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

/// What is built with coverage: our crates, and those that read an input for them. All others are built without, above all the AWS SDK, which
/// would take most of an hour.
const COVERED: &[&str] = &[
    "dynamo-decode",
    "dynamo-query",
    "heimdall-server",
    "hyper",
    "plugin-api",
    "plugin-host",
    "results",
    "saphyr",
    "saphyr-parser",
];

/// As `cargo fuzz` builds, without AddressSanitizer: it looks for faults that safe Rust has not; all `unsafe` of the product lies behind
/// the C interface, and Miri runs its tests.
const COVERAGE: &str = r#"[
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
]"#;

/// Begins with the corpus of the repository; what it finds is kept in `target/`.
fn fuzz(minutes: u64) -> anyhow::Result<()> {
    let chosen = env::var("FUZZ_TARGETS").unwrap_or_default();
    let mut names: Vec<String> = chosen.split_whitespace().map(str::to_owned).collect();
    if names.is_empty() {
        for entry in fs::read_dir(root().join("fuzz/targets"))? {
            let path = entry?.path();
            names.extend(
                path.file_stem()
                    .map(|name| name.to_string_lossy().into_owned()),
            );
        }
        names.sort();
    }
    build_fuzz_targets()?;
    for name in names {
        eprintln!("torture: fuzz: {name} for {minutes} minutes");
        run(&mut fuzz_target(&name, minutes)?)?;
    }
    Ok(())
}

fn build_fuzz_targets() -> anyhow::Result<()> {
    let mut build = nightly(&[
        "-Zprofile-rustflags",
        "build",
        "--locked",
        "--package",
        "fuzz",
        "--features",
        "libfuzzer",
        "--examples",
        "--profile",
        "fuzz",
    ]);
    for name in COVERED {
        let flags = COVERAGE.replace('\n', "");
        build
            .arg("--config")
            .arg(format!("profile.fuzz.package.{name}.rustflags={flags}"));
    }
    run(build.env("CARGO_TARGET_DIR", target().join("fuzz")))
}

fn fuzz_target(name: &str, minutes: u64) -> anyhow::Result<Command> {
    let found = target().join("fuzz-corpus").join(name);
    fs::create_dir_all(&found)?;
    // No seconds would be no end.
    let seconds = (minutes * 60).max(1);
    let mut fuzzer = Command::new(target().join("fuzz/fuzz/examples").join(name));
    fuzzer
        .arg(&found)
        .arg(root().join("fuzz/corpus").join(name))
        .arg(format!("-artifact_prefix={}-", found.display()))
        .arg(format!("-max_total_time={seconds}"))
        .args(["-timeout=20", "-rss_limit_mb=2048", "-print_final_stats=1"]);
    if matches!(name, "guard" | "filter") {
        let words = root().join("fuzz/statements.dict");
        fuzzer.arg(format!("-dict={}", words.display()));
    }
    Ok(fuzzer)
}
