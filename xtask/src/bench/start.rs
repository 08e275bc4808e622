//! `host-harness run` from its start to its end: one small job, in a process of its own each time.

use std::fs;

use anyhow::{Context, ensure};

use super::{
    CLIENT_CORE, library, output, pinned, release, report::when_and_where, server::Server,
};
use crate::workspace::target;

/// So many processes of each kind.
const RUNS: u32 = 20;
/// Linux counts a process's time in hundredths of a second wherever it tells it.
const TICKS_PER_SECOND: f64 = 100.0;

pub(super) fn start() -> anyhow::Result<String> {
    let server = Server::start("one", 1)?;
    let folder = target().join("bench-start");
    let plugins = folder.join("plugins");
    fs::create_dir_all(&plugins)?;
    fs::copy(library(), plugins.join("libdynamo_plugin.so"))?;
    let cache = folder.join("cache");
    let run = || {
        output(
            pinned(CLIENT_CORE)
                .arg(release("host-harness"))
                .args(["run", "SELECT * FROM t", "--region", "us-east-1"])
                .args(["--endpoint-url", server.url(), "--plugin-dir"])
                .arg(&plugins)
                .env("XDG_CACHE_HOME", &cache)
                .args(["--quiet"]),
        )
    };
    run()?;
    let known = milliseconds_each(|| run().map(drop))?;
    let first = milliseconds_each(|| {
        fs::remove_dir_all(&cache)?;
        run().map(drop)
    })?;
    fs::remove_dir_all(&folder)?;
    Ok(format!(
        "`cargo xtask bench --start` on {}. Processor time of all processes, mean of {RUNS} runs of one job on one core.\n\n\
         | | ms | target |\n|---|---|---|\n\
         | `run` of a library that it has tried before | {known:.1} | below 30 |\n\
         | the same, with the library tried in a child process first | {first:.1} | below 30 |\n",
        when_and_where()
    ))
}

/// What one of [`RUNS`] child processes costs, with its own children.
fn milliseconds_each(mut run: impl FnMut() -> anyhow::Result<()>) -> anyhow::Result<f64> {
    let before = time_of_children()?;
    for _ in 0..RUNS {
        run()?;
    }
    let ticks = time_of_children()? - before;
    ensure!(ticks > 0.0, "no time was counted");
    Ok(ticks / TICKS_PER_SECOND * 1e3 / f64::from(RUNS))
}

/// Ticks of user and system time of all children that have ended: the fields 16 and 17 of `/proc/self/stat` (proc(5)).
fn time_of_children() -> anyhow::Result<f64> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    let (_, fields) = stat.rsplit_once(')').context("no name in stat")?;
    // The third field is the first behind the name.
    let ticks: Vec<&str> = fields.split_whitespace().skip(16 - 3).take(2).collect();
    ticks
        .iter()
        .map(|ticks| ticks.parse::<f64>().context("a field of stat is no number"))
        .sum()
}
