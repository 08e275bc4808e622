//! What Linux says of another process.

use std::fs;

/// Linux counts processor time in hundredths of a second.
const TICKS: f64 = 100.0;

/// A number of the process's status, such as `VmRSS`, of memory in kB; `None` where the process is gone.
pub fn status(process: u32, name: &str) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    let number = line.strip_prefix(':')?.split_whitespace().next()?;
    number.parse().ok()
}

/// Seconds of processor time that the process has used.
///
/// # Panics
/// Where the process is gone.
pub fn cpu_seconds(process: u32) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).expect("the process runs");
    // The name in brackets may hold spaces; user and system time are the 12th and 13th fields after it.
    let fields = stat.rsplit(')').next().unwrap_or_default();
    let ticks = fields.split_whitespace().skip(11).take(2);
    ticks
        .filter_map(|ticks| ticks.parse::<f64>().ok())
        .sum::<f64>()
        / TICKS
}
