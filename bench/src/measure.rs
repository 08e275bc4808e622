//! What a piece of work cost this process.

use std::{
    fs,
    time::{Duration, Instant},
};

use anyhow::Context;
use nix::time::{ClockId, clock_gettime};
use serde_json::{Value, json};

/// What a client made of the pages.
pub(crate) struct Made {
    /// Bytes of page bodies read.
    pub(crate) wire_bytes: u64,
    /// Rows in the result; 0 where none were decoded.
    pub(crate) rows: u64,
    /// Bytes of the finished result; 0 where there is none.
    pub(crate) result_bytes: u64,
}

/// Processor time of the whole process so far, user and system, in seconds.
///
/// By the C library's call: `rustix` reads the clock through the kernel's vDSO, which valgrind takes away.
pub(crate) fn cpu_seconds() -> f64 {
    let clock = ClockId::CLOCK_PROCESS_CPUTIME_ID;
    Duration::from(clock_gettime(clock).expect("every Linux has this clock")).as_secs_f64()
}

/// The process's peak memory in bytes (VmHWM).
fn peak_bytes() -> anyhow::Result<u64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .context("no VmHWM in /proc/self/status")?;
    let kibibytes: u64 = line.trim().trim_end_matches(" kB").parse()?;
    Ok(kibibytes * 1024)
}

/// Does the work and says what it cost, as the JSON that every client prints.
pub(crate) fn measured(work: impl FnOnce() -> anyhow::Result<Made>) -> anyhow::Result<Value> {
    let (cpu, wall) = (cpu_seconds(), Instant::now());
    let made = work()?;
    let (cpu, wall) = (cpu_seconds() - cpu, wall.elapsed());
    Ok(json!({
        "cpu_s": cpu,
        "wall_s": wall.as_secs_f64(),
        "peak_bytes": peak_bytes()?,
        "wire_bytes": made.wire_bytes,
        "rows": made.rows,
        "result_bytes": made.result_bytes,
    }))
}
