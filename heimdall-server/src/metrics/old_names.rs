//! The names that metrics had before they were put under one prefix, for one release more.

use prometheus::proto::MetricFamily;

const PREFIX: &str = "heimdall_host_";
const OLD_PREFIX: &str = "host_";

/// The metrics that were there before, by their names without a prefix.
const RENAMED: [&str; 15] = [
    "consumed_capacity_units_total",
    "job_duration_seconds",
    "jobs_queued",
    "jobs_running",
    "jobs_total",
    "plugin_jobs_running",
    "plugin_residue_bytes",
    "plugin_state",
    "requests_refused_total",
    "result_bytes_total",
    "result_rows_total",
    "service_requests_total",
    "service_retries_total",
    "store_commit_seconds",
    "wire_bytes_total",
];

/// The same figures under the old names.
pub(super) fn old(families: &[MetricFamily]) -> Vec<MetricFamily> {
    let renamed = families.iter().filter_map(|family| {
        let name = family.name().strip_prefix(PREFIX)?;
        let mut old = RENAMED.contains(&name).then(|| family.clone())?;
        old.set_name(format!("{OLD_PREFIX}{name}"));
        Some(old)
    });
    renamed.collect()
}
