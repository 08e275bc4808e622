//! Instructions rather than seconds: what a byte of an answer costs, and what a small job. They are the same on a busy machine.
//!
//! `valgrind` counts those of one process in user space. A cost is the difference of a long and a short run, so that starting the
//! process, the client and the connection is in neither. `memchr`, copies of the C library and the like count as this processor runs
//! them, except that valgrind knows no AVX-512.

use std::{fmt::Write, fs, process::Command};

use anyhow::{Context, ensure};

use super::{
    CLIENT_CORE, Server, library, output,
    peers::{PLUGIN, UNDECODED},
    pinned, release,
    report::when_and_where,
    unpinned,
};
use crate::workspace::target;

/// Pages of a long and a short run.
const PAGES: [u32; 2] = [12, 2];
/// Jobs of a long and a short run.
const JOBS: [u32; 2] = [60, 10];
/// The same for the host, whose threads also do work that belongs to no job.
const HOST_JOBS: [u32; 2] = [250, 50];
/// The sets whose items differ, with the most instructions a byte that are aimed for.
const DATA_SETS: [(&str, &str); 6] = [
    ("flat", "at most 5.0"),
    ("nested", "at most 5.0"),
    ("tiny", ""),
    ("wide", ""),
    ("shuffled", ""),
    ("blanks", ""),
];

/// The table; `None`, with a line that cannot be overlooked, where valgrind is not at hand.
pub(super) fn instructions() -> anyhow::Result<Option<String>> {
    let found = Command::new("valgrind").arg("--version").output();
    let Ok(version) = found else {
        eprintln!("!!!!! LEFT OUT: instructions: there is no valgrind !!!!!");
        return Ok(None);
    };
    let version = String::from_utf8_lossy(&version.stdout);
    let mut text = format!(
        "`cargo xtask bench --instructions` on {}; {}. User space of the client's process, twelve pages less two.\n\n\
         | instructions a byte of the answer | {UNDECODED} | {PLUGIN} | target |\n|---|---|---|---|\n",
        when_and_where(),
        version.trim(),
    );
    for (data_set, target) in DATA_SETS {
        let undecoded = a_byte("sdk-undecoded", data_set)?;
        let plugin = a_byte("plugin-c", data_set)?;
        let _ = writeln!(
            text,
            "| {data_set} | {undecoded:.2} | {plugin:.2} | {target} |"
        );
    }
    small_jobs(&mut text)?;
    Ok(Some(text))
}

/// Instructions of a client for one byte of page bodies.
fn a_byte(client: &str, data_set: &str) -> anyhow::Result<f64> {
    let mut runs = Vec::new();
    for n_pages in PAGES {
        let server = Server::start(data_set, usize::try_from(n_pages)?)?;
        let run = counted(CALLGRIND, client, &server)?;
        eprintln!(
            "{client}, {data_set}, {n_pages} pages: {} instructions",
            run.count
        );
        runs.push(run);
    }
    let [long, short] = &runs[..] else {
        unreachable!("two runs")
    };
    Ok((long.count - short.count) / (long.wire_bytes - short.wire_bytes))
}

/// What one small job costs, beside one request of the SDK.
fn small_jobs(text: &mut String) -> anyhow::Result<()> {
    let server = Server::start("one", 1)?;
    let _ = writeln!(
        text,
        "\n| one page of one item | instructions | allocations |\n|---|---|---|"
    );
    for (client, name) in [
        ("small-plugin", "a job through the C function"),
        ("small-sdk", "a request of the SDK alone, typed items"),
    ] {
        let mut a_job = Vec::new();
        for tool in [CALLGRIND, MEMCHECK] {
            let count = |n_jobs| Ok(counted(tool, &format!("{client}-{n_jobs}"), &server)?.count);
            a_job.push(a_job_of(JOBS, count)?);
        }
        let _ = writeln!(text, "| {name} | {:.0} | {:.0} |", a_job[0], a_job[1]);
    }
    let instructions = a_job_of(HOST_JOBS, |n_jobs| of_the_host(CALLGRIND, n_jobs))?;
    let allocations = a_job_of(HOST_JOBS, |n_jobs| of_the_host(MEMCHECK, n_jobs))?;
    let _ = writeln!(
        text,
        "| a sync job of the host, on disk before its answer | {instructions:.0} | {allocations:.0} |"
    );
    Ok(())
}

/// What is counted for one job: the difference of a long and a short run, shared out.
fn a_job_of(
    [many, few]: [u32; 2],
    count: impl Fn(u32) -> anyhow::Result<f64>,
) -> anyhow::Result<f64> {
    Ok((count(many)? - count(few)?) / f64::from(many - few))
}

/// What a host counts from its start to its end, with so many jobs between.
fn of_the_host((arguments, before): Tool, n_jobs: u32) -> anyhow::Result<f64> {
    let log = target().join("valgrind.log");
    output(
        unpinned("host-jobs")
            .arg(n_jobs.to_string())
            .arg("valgrind")
            .args(arguments)
            .arg(format!("--log-file={}", log.display())),
    )?;
    told(&fs::read_to_string(&log)?, before)
}

/// A tool of valgrind, and what precedes the number that it counts in its log.
type Tool = (&'static [&'static str], &'static str);

const CALLGRIND: Tool = (
    &["--tool=callgrind", "--callgrind-out-file=/dev/null"],
    "Collected :",
);
const MEMCHECK: Tool = (
    &["--tool=memcheck", "--undef-value-errors=no"],
    "total heap usage:",
);

struct Run {
    count: f64,
    /// Zero for a client that does not tell.
    wire_bytes: f64,
}

fn counted((arguments, before): Tool, client: &str, server: &Server) -> anyhow::Result<Run> {
    let log = target().join("valgrind.log");
    let line = output(
        pinned(CLIENT_CORE)
            .arg("valgrind")
            .args(arguments)
            .arg(format!("--log-file={}", log.display()))
            .arg(release("benches"))
            .args([client, server.url()])
            .arg(library()),
    )?;
    let cost: serde_json::Value =
        serde_json::from_str(&line).context("a client prints one JSON object")?;
    Ok(Run {
        count: told(&fs::read_to_string(&log)?, before)?,
        wire_bytes: cost["wire_bytes"].as_f64().unwrap_or(0.0),
    })
}

/// The number that stands behind some words in valgrind's log.
fn told(log: &str, before: &str) -> anyhow::Result<f64> {
    let count = log
        .lines()
        .find_map(|line| line.split_once(before))
        .and_then(|(_, count)| count.split_whitespace().next())
        .with_context(|| format!("valgrind does not tell '{before}'"))?;
    let count: f64 = count.replace(',', "").parse()?;
    ensure!(count > 0.0, "valgrind counted nothing");
    Ok(count)
}
