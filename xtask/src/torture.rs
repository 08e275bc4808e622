//! `cargo xtask torture`: the tests that try to break the product, at full length.
//!
//! A part is a test of the integration binary, which runs in short form in `cargo xtask test`, and the variable that sets its length.
//! A new part is a line of [`PARTS`] and a test that asks `harness_tests::torture` for its turns. What other tools do is in [`tools`].

mod tools;

use std::{env, str::FromStr, time::Instant};

use anyhow::{Context, bail, ensure};

use self::tools::{TOOLS, Tool};
use crate::workspace::{build, cargo, run, target, without_account};

struct Part {
    /// What `--only` calls it; several lines may have one name.
    name: &'static str,
    what: &'static str,
    /// The test's path in the integration binary, or the beginning of several.
    test: &'static str,
    /// The variable that holds its length, and its full length.
    length: (&'static str, &'static str),
}

const PARTS: &[Part] = &[
    Part {
        name: "soak",
        what: "jobs, faults, cancels, large results and swaps in both isolation modes; memory, threads, handles and disk stay flat",
        test: "soak_mixed::everything_at_once_for_a_long_time_leaves_nothing_behind",
        length: ("SOAK_SECONDS", "1800"),
    },
    Part {
        name: "attacks",
        what: "hostile clients, services and files; time and memory of the host: before, at most, after",
        test: "attacks",
        length: ("ATTACKS", "all"),
    },
    Part {
        name: "faults",
        what: "random orders of every fault over reads of fifty pages; the clean result, or a true error in time",
        test: "schedules::a_job_gives_the_clean_result_or_a_true_error_whatever_fault_it_meets",
        length: ("FAULT_SEEDS", "2000"),
    },
    Part {
        name: "disk",
        what: "a disk that is full, read-only, fails to sync or to write for a while, or writes half; SIGKILL in the middle of it",
        test: "disk::a_disk_that_fails_for_a_while_costs_no_accepted_job_and_tears_no_result",
        length: ("DISK_ROUNDS", "200"),
    },
    Part {
        name: "upgrades",
        what: "the release before this one: its host and plugin with today's, in every combination",
        test: "upgrades::either_host_reads_with_either_plugin_what_the_others_read",
        length: ("UPGRADES", "1"),
    },
    Part {
        name: "upgrades",
        what: "the release before this one: its store under today's host, and back",
        test: "upgrades::a_store_goes_on_under_the_new_host_and_is_refused_whole_by_the_old_one",
        length: ("UPGRADES", "1"),
    },
    Part {
        name: "kill",
        what: "SIGKILL of the host at random moments; what it acknowledged is there afterwards, whole",
        test: "kill::nothing_that_was_acknowledged_is_lost_or_torn_by_sigkill",
        length: ("KILL_ROUNDS", "500"),
    },
    Part {
        name: "isolation",
        what: "jobs in workers that crash, hang, leak and exit at random, 50 a seed; every job ends truthfully",
        test: "isolation_torture::every_job_of_a_library_that_crashes_hangs_leaks_and_exits_at_random_ends_truthfully",
        length: ("ISOLATION_SEEDS", "20"),
    },
    Part {
        name: "isolation",
        what: "swaps of versions in workers; keys, mappings and handles of the host stay as they were",
        test: "isolation_torture::a_swap_starts_a_worker_of_the_new_version_and_ends_the_old_one_without_a_trace",
        length: ("ISOLATION_SWAPS", "500"),
    },
];

#[derive(Default)]
struct Options {
    minutes: Option<u64>,
    only: Option<String>,
    seed: Option<u64>,
    list: bool,
}

impl Options {
    fn read(args: &[String]) -> anyhow::Result<Self> {
        let mut options = Self::default();
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            match arg.as_str() {
                "--minutes" => options.minutes = Some(value(arg, args.next())?),
                "--only" => options.only = Some(value(arg, args.next())?),
                "--seed" => options.seed = Some(value(arg, args.next())?),
                "--list" => options.list = true,
                _ => bail!(
                    "torture takes --minutes N, --only NAME, --seed N and --list, not {arg:?}"
                ),
            }
        }
        ensure!(
            options.seed.is_none() || options.only.is_some(),
            "--seed needs --only: a seed belongs to one part"
        );
        Ok(options)
    }
}

fn value<T: FromStr>(flag: &str, value: Option<&String>) -> anyhow::Result<T> {
    let value = value.with_context(|| format!("{flag} needs a value"))?;
    value
        .parse()
        .ok()
        .with_context(|| format!("{flag} cannot be {value:?}"))
}

pub(crate) fn torture(args: &[String]) -> anyhow::Result<()> {
    let options = Options::read(args)?;
    let is_selected = |name: &str| options.only.as_ref().is_none_or(|only| only == name);
    let parts: Vec<&Part> = PARTS.iter().filter(|part| is_selected(part.name)).collect();
    let tools: Vec<&Tool> = TOOLS.iter().filter(|tool| is_selected(tool.name)).collect();
    if options.list || (parts.is_empty() && tools.is_empty()) {
        for part in PARTS {
            println!(
                "{:<10} {} ({}={})",
                part.name, part.what, part.length.0, part.length.1
            );
        }
        for tool in TOOLS {
            println!("{:<10} {}", tool.name, tool.what);
        }
        ensure!(options.list, "--only names no part of this list");
        return Ok(());
    }
    if !parts.is_empty() {
        build()?;
        run(&mut std::process::Command::new(
            target().join("debug/engines-install"),
        ))?;
    }
    let mut failed = Vec::new();
    for part in parts {
        if !told(part.name, part.what, || one(part, &options)) {
            failed.push(part.test);
        }
    }
    for tool in tools {
        if !told(tool.name, tool.what, || tool.run(options.minutes)) {
            failed.push(tool.name);
        }
    }
    ensure!(failed.is_empty(), "failed: {}", failed.join(", "));
    Ok(())
}

/// Runs a part and says how it went; whether it passed.
fn told(name: &str, what: &str, run: impl FnOnce() -> anyhow::Result<()>) -> bool {
    eprintln!("torture: {name}: {what}");
    let begun = Instant::now();
    let outcome = run();
    let seconds = begun.elapsed().as_secs();
    match &outcome {
        Ok(()) => eprintln!("torture: {name}: passed after {seconds} s"),
        Err(error) => eprintln!("torture: {name}: FAILED after {seconds} s: {error:#}"),
    }
    outcome.is_ok()
}

fn one(part: &Part, options: &Options) -> anyhow::Result<()> {
    let mut test = cargo(&["test", "--workspace", "--quiet", "--test", "it"]);
    let (variable, full) = part.length;
    // A length that the caller has set counts; a script may want another than the full one.
    let length = env::var(variable).unwrap_or_else(|_| full.to_owned());
    without_account(&mut test)
        .env(variable, length)
        .env("TORTURE_PART", part.name)
        .args(["--", part.test, "--include-ignored", "--nocapture"])
        // One after the other, so that each has the machine and the figures are its own.
        .arg("--test-threads=1");
    if let Some(minutes) = options.minutes {
        test.env("TORTURE_MINUTES", minutes.to_string());
    }
    if let Some(seed) = options.seed {
        test.env("TORTURE_SEED", seed.to_string());
    }
    run(&mut test)
}
