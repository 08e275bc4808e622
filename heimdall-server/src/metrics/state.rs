//! What the host finds when it is asked: jobs, plugins, the disk, the configuration in force.

use plugin_host::registry::PluginStatus;
use prometheus::{Gauge, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Registry};

use super::{counter, counters, gauge, gauges, registered};
use crate::job::now;

/// The host at the moment of asking.
#[derive(Debug, Clone, Copy)]
pub struct Snapshot<'a> {
    /// Jobs with a plugin.
    pub running: usize,
    /// Async jobs that wait for a worker.
    pub queued: usize,
    /// How long the oldest of them has waited; 0 where none waits.
    pub oldest_queued_seconds: f64,
    /// Active commands whose plugin is not loaded in a version that they allow.
    pub commands_without_plugin: usize,
    /// Bytes of the results that are kept.
    pub result_bytes: u64,
    /// Bytes of the job store's own files.
    pub store_bytes: u64,
    /// Bytes that may still be written; `None` where the system does not tell.
    pub free_bytes: Option<u64>,
    /// Log lines that were lost since the start.
    pub lost_log_lines: u64,
    /// The rows of the plugins' list.
    pub plugins: &'a [PluginStatus],
}

/// See the file's head.
pub(super) struct State {
    running: IntGauge,
    queued: IntGauge,
    oldest_queued: Gauge,
    commands_without_plugin: IntGauge,
    result_bytes: IntGauge,
    store_bytes: IntGauge,
    free_bytes: IntGauge,
    lost_log_lines: IntCounter,
    reload_successful: IntGauge,
    reload_time: IntGauge,
    versions: IntGaugeVec,
    residue: IntGaugeVec,
    plugin_jobs: IntGaugeVec,
    pinned: IntGaugeVec,
    crashes: IntCounterVec,
}

impl State {
    pub(super) fn register(registry: &Registry) -> Self {
        let build = gauges(
            registry,
            "heimdall_host_build_info",
            "1, with the version of the host and of the plugin interface.",
            &["version", "abi"],
        );
        let abi = format!(
            "{}.{}",
            plugin_api::abi::ABI_MAJOR,
            plugin_api::abi::ABI_MINOR
        );
        build
            .with_label_values(&[env!("CARGO_PKG_VERSION"), &abi])
            .set(1);
        let version = ["plugin", "version"];
        let state = Self {
            running: gauge(
                registry,
                "heimdall_host_jobs_running",
                "Jobs with a plugin now.",
            ),
            queued: gauge(
                registry,
                "heimdall_host_jobs_queued",
                "Async jobs that wait for a worker.",
            ),
            oldest_queued: registered(
                registry,
                Gauge::new(
                    "heimdall_host_oldest_queued_job_age_seconds",
                    "How long the oldest waiting job has waited.",
                ),
            ),
            commands_without_plugin: gauge(
                registry,
                "heimdall_host_commands_without_plugin",
                "Active commands whose plugin is not loaded in a version that they allow.",
            ),
            result_bytes: gauge(
                registry,
                "heimdall_host_stored_result_bytes",
                "Bytes of the results that are kept.",
            ),
            store_bytes: gauge(
                registry,
                "heimdall_host_store_size_bytes",
                "Bytes of the job store's own files.",
            ),
            free_bytes: gauge(
                registry,
                "heimdall_host_disk_free_bytes",
                "Bytes that may still be written, on the fuller disk of jobs and results.",
            ),
            lost_log_lines: counter(
                registry,
                "heimdall_host_log_lines_lost_total",
                "Log lines that were dropped because nobody read standard error.",
            ),
            reload_successful: gauge(
                registry,
                "heimdall_host_config_last_reload_successful",
                "Whether the configuration that was read last is in force.",
            ),
            reload_time: gauge(
                registry,
                "heimdall_host_config_last_reload_success_timestamp_seconds",
                "When the configuration in force was read.",
            ),
            versions: gauges(
                registry,
                "heimdall_host_plugin_state",
                "1 for the state that a plugin version is in.",
                &["plugin", "version", "state"],
            ),
            residue: gauges(
                registry,
                "heimdall_host_plugin_residue_bytes",
                "Memory that a retired version keeps.",
                &version,
            ),
            plugin_jobs: gauges(
                registry,
                "heimdall_host_plugin_jobs_running",
                "Jobs with a plugin version now.",
                &version,
            ),
            pinned: gauges(
                registry,
                "heimdall_host_plugin_pinned",
                "1 where an operator chose this version.",
                &version,
            ),
            crashes: counters(
                registry,
                "heimdall_host_plugin_crashes_total",
                "Worker processes of a plugin version that died and were started again.",
                &version,
            ),
        };
        state.reloaded(true);
        state
    }

    pub(super) fn reloaded(&self, is_in_force: bool) {
        self.reload_successful.set(i64::from(is_in_force));
        if is_in_force {
            self.reload_time.set(now());
        }
    }

    pub(super) fn set(&self, now: &Snapshot<'_>) {
        self.running.set(size(now.running));
        self.queued.set(size(now.queued));
        self.oldest_queued.set(now.oldest_queued_seconds);
        self.commands_without_plugin
            .set(size(now.commands_without_plugin));
        self.result_bytes.set(bytes(now.result_bytes));
        self.store_bytes.set(bytes(now.store_bytes));
        if let Some(free) = now.free_bytes {
            self.free_bytes.set(bytes(free));
        }
        let told = self.lost_log_lines.get();
        self.lost_log_lines
            .inc_by(now.lost_log_lines.saturating_sub(told));
        self.set_plugins(now.plugins);
    }

    fn set_plugins(&self, plugins: &[PluginStatus]) {
        for family in [
            &self.versions,
            &self.residue,
            &self.plugin_jobs,
            &self.pinned,
        ] {
            family.reset();
        }
        self.crashes.reset();
        for row in plugins {
            let text = |text: &Option<String>| text.clone().unwrap_or_else(|| "unknown".to_owned());
            let (name, version) = (text(&row.name), text(&row.version));
            let version = [name.as_str(), version.as_str()];
            self.versions
                .with_label_values(&[version[0], version[1], row.state.as_str()])
                .set(1);
            if let Some(residue) = row.residue_bytes {
                self.residue.with_label_values(&version).add(bytes(residue));
            }
            self.plugin_jobs
                .with_label_values(&version)
                .add(bytes(row.jobs_running));
            self.pinned
                .with_label_values(&version)
                .add(i64::from(row.pinned));
            if let Some(worker) = &row.worker {
                self.crashes
                    .with_label_values(&version)
                    .inc_by(worker.restarts);
            }
        }
    }
}

fn size(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn bytes(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
