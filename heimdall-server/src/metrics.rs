//! What the host counts, in Prometheus' text format.
//!
//! In: ended jobs, and the state at the moment of asking. Out: the text. Labels come from the configuration and from plugins,
//! never from callers, so that their number stays small. `state` is what the host finds at the moment of asking, `process` what the
//! system knows of it, `names` what metrics were called before.

mod old_names;
mod process;
mod state;

use plugin_api::Partial;
use prometheus::{
    Encoder, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge,
    IntGaugeVec, Opts, Registry, TextEncoder, core::Collector,
};

pub use self::state::Snapshot;
use self::{process::Process, state::State};
use crate::job::JobRecord;

/// The host's metrics.
pub struct Metrics {
    registry: Registry,
    jobs: IntCounterVec,
    seconds: HistogramVec,
    rows: IntCounter,
    result_bytes: IntCounter,
    wire_bytes: IntCounter,
    requests: IntCounter,
    retries: IntCounter,
    capacity: prometheus::Counter,
    refused: IntCounterVec,
    commit_seconds: Histogram,
    state: State,
    process: Process,
    old_names: bool,
}

/// The end of a document in which `stats` is looked for: its figures, and a `next_token` of 65,536 characters.
const MAX_STATS: usize = 68 << 10;

/// What a result's `stats` say; unknown figures count as nothing.
#[derive(Debug, Default, PartialEq, serde::Deserialize)]
pub struct ResultStats {
    /// Rows in the result.
    #[serde(default)]
    pub rows: Option<u64>,
    /// Bytes of the answers' bodies.
    #[serde(default)]
    pub wire_bytes: Option<u64>,
    /// Requests sent.
    #[serde(default)]
    pub requests: Option<u64>,
    /// Retried requests.
    #[serde(default)]
    pub retries: Option<u64>,
    /// As the service reports it.
    #[serde(default)]
    pub consumed_capacity_units: Option<f64>,
}

impl ResultStats {
    /// The figures of what a plugin answered.
    #[must_use]
    pub fn of<D: AsRef<[u8]>>(answer: &Result<D, plugin_api::Error>) -> Self {
        match answer {
            Ok(result) => Self::of_result(result.as_ref()),
            Err(error) => Self::of_failure(&error.partial),
        }
    }

    /// Reads the figures at the end of a result document, without reading the rows before them. A document that ends
    /// otherwise has none.
    fn of_result(result: &[u8]) -> Self {
        const KEY: &[u8] = b"\"stats\":";
        let tail = &result[result.len().saturating_sub(MAX_STATS)..];
        let Some(at) = tail.windows(KEY.len()).rposition(|window| window == KEY) else {
            return Self::default();
        };
        let stats = tail[at + KEY.len()..].trim_ascii_end();
        let stats = stats.strip_suffix(b"}").unwrap_or(stats);
        serde_json::from_slice(stats).unwrap_or_default()
    }

    /// The figures of a job that failed, as far as its error document has them.
    fn of_failure(partial: &Partial) -> Self {
        let cost = partial.cost.as_deref();
        Self {
            rows: Some(partial.rows),
            wire_bytes: cost.map(|cost| cost.wire_bytes),
            requests: cost.map(|cost| cost.requests),
            retries: cost.map(|cost| cost.retries),
            consumed_capacity_units: cost.and_then(|cost| cost.consumed_capacity_units),
        }
    }
}

impl Metrics {
    /// All metrics at zero. `old_names`: those of the release before are there as well.
    #[must_use]
    pub fn new(old_names: bool) -> Self {
        let seconds = [
            0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
            60.0, 300.0,
        ];
        let job_labels = ["command", "cluster", "plugin_version", "outcome"];
        let registry = Registry::new();
        Self {
            jobs: counters(
                &registry,
                "heimdall_host_jobs_total",
                "Jobs that ended, by what ran them and how they ended.",
                &job_labels,
            ),
            seconds: registered(
                &registry,
                HistogramVec::new(
                    HistogramOpts::new(
                        "heimdall_host_job_duration_seconds",
                        "From acceptance to the stored end.",
                    )
                    .buckets(seconds.to_vec()),
                    &["command"],
                ),
            ),
            rows: counter(
                &registry,
                "heimdall_host_result_rows_total",
                "Rows in results.",
            ),
            result_bytes: counter(
                &registry,
                "heimdall_host_result_bytes_total",
                "Bytes of result documents.",
            ),
            wire_bytes: counter(
                &registry,
                "heimdall_host_wire_bytes_total",
                "Bytes that plugins read from services.",
            ),
            requests: counter(
                &registry,
                "heimdall_host_service_requests_total",
                "Requests that plugins sent to services.",
            ),
            retries: counter(
                &registry,
                "heimdall_host_service_retries_total",
                "Retried requests to services.",
            ),
            capacity: registered(
                &registry,
                prometheus::Counter::new(
                    "heimdall_host_consumed_capacity_units_total",
                    "Capacity units that services reported as consumed.",
                ),
            ),
            refused: counters(
                &registry,
                "heimdall_host_requests_refused_total",
                "Requests answered with an error, by code.",
                &["code"],
            ),
            commit_seconds: registered(
                &registry,
                Histogram::with_opts(
                    HistogramOpts::new(
                        "heimdall_host_store_commit_seconds",
                        "Time a finished job waits to be on disk.",
                    )
                    .buckets(seconds.to_vec()),
                ),
            ),
            state: State::register(&registry),
            process: Process::register(&registry),
            old_names,
            registry,
        }
    }

    /// Counts a job that ended. `outcome` is its status, or the code of its error.
    pub fn job_ended(
        &self,
        job: &JobRecord,
        outcome: &str,
        seconds: f64,
        bytes: Option<u64>,
        stats: &ResultStats,
    ) {
        let version = job.plugin_version.as_deref().unwrap_or_default();
        self.jobs
            .with_label_values(&[
                &job.route.command_name,
                &job.route.cluster_name,
                version,
                outcome,
            ])
            .inc();
        self.seconds
            .with_label_values(&[&job.route.command_name])
            .observe(seconds);
        if let Some(bytes) = bytes {
            self.result_bytes.inc_by(bytes);
            self.rows.inc_by(stats.rows.unwrap_or(0));
        }
    }

    /// Counts what a job's run asked of services, however it ended.
    pub fn consumed(&self, stats: &ResultStats) {
        self.wire_bytes.inc_by(stats.wire_bytes.unwrap_or(0));
        self.requests.inc_by(stats.requests.unwrap_or(0));
        self.retries.inc_by(stats.retries.unwrap_or(0));
        self.capacity
            .inc_by(stats.consumed_capacity_units.unwrap_or(0.0).max(0.0));
    }

    /// Counts a request that was refused.
    pub fn refused(&self, code: &str) {
        self.refused.with_label_values(&[code]).inc();
    }

    /// Counts how long a finished job waited for the disk.
    pub fn committed(&self, seconds: f64) {
        self.commit_seconds.observe(seconds);
    }

    /// Notes whether a configuration that was read again is in force.
    pub fn reloaded(&self, is_in_force: bool) {
        self.state.reloaded(is_in_force);
    }

    /// The text of `/metrics`.
    #[must_use]
    pub fn text(&self, now: &Snapshot<'_>) -> Vec<u8> {
        self.state.set(now);
        self.process.set();
        let mut families = self.registry.gather();
        if self.old_names {
            families.extend(old_names::old(&families));
        }
        let mut text = Vec::new();
        // Writing to memory cannot fail, and every family has a name.
        let _ = TextEncoder::new().encode(&families, &mut text);
        text
    }
}

/// Makes a metric known under its name.
fn registered<C: Collector + Clone + 'static>(
    registry: &Registry,
    collector: prometheus::Result<C>,
) -> C {
    let collector = collector.expect("the name and labels are valid");
    registry
        .register(Box::new(collector.clone()))
        .expect("each name is registered once");
    collector
}

fn counter(registry: &Registry, name: &str, help: &str) -> IntCounter {
    registered(registry, IntCounter::new(name, help))
}

fn counters(registry: &Registry, name: &str, help: &str, labels: &[&str]) -> IntCounterVec {
    registered(registry, IntCounterVec::new(Opts::new(name, help), labels))
}

fn gauge(registry: &Registry, name: &str, help: &str) -> IntGauge {
    registered(registry, IntGauge::new(name, help))
}

fn gauges(registry: &Registry, name: &str, help: &str, labels: &[&str]) -> IntGaugeVec {
    registered(registry, IntGaugeVec::new(Opts::new(name, help), labels))
}

#[cfg(test)]
mod tests {
    use plugin_host::{
        registry::{PluginState, PluginStatus},
        worker::WorkerStatus,
    };

    use super::*;

    #[test]
    fn figures_are_read_from_the_end_of_a_result_alone() {
        let stats = br#"{"columns":[],"data":[["\"stats\":{"]],"stats":{"rows":2,"pages":1,"requests":3,"retries":1,"consumed_capacity_units":0.5,"wire_bytes":231}}"#;
        let expected = ResultStats {
            rows: Some(2),
            wire_bytes: Some(231),
            requests: Some(3),
            retries: Some(1),
            consumed_capacity_units: Some(0.5),
        };
        assert_eq!(ResultStats::of_result(stats), expected);
        for other in [&b""[..], b"{}", b"{\"stats\":7}", b"\"stats\":"] {
            assert_eq!(ResultStats::of_result(other), ResultStats::default());
        }
    }

    #[test]
    fn figures_are_found_before_the_longest_token() {
        let token = "A".repeat(65_536);
        let result =
            format!(r#"{{"data":[],"stats":{{"rows":2,"requests":3,"next_token":"{token}"}}}}"#);
        let stats = ResultStats::of_result(result.as_bytes());
        assert_eq!((stats.rows, stats.requests), (Some(2), Some(3)));
    }

    #[test]
    fn failed_jobs_have_consumed_what_their_error_says() {
        let error = plugin_api::Error::new(plugin_api::ErrorCode::TIMEOUT, "late");
        let mut partial = Partial::new(3, 1);
        let mut cost = plugin_api::Cost::new(4, 2, 99);
        cost.consumed_capacity_units = Some(1.5);
        partial.cost = Some(Box::new(cost));
        let expected = ResultStats {
            rows: Some(3),
            wire_bytes: Some(99),
            requests: Some(4),
            retries: Some(2),
            consumed_capacity_units: Some(1.5),
        };
        let answer: Result<Vec<u8>, _> = Err(error.partial(partial));
        assert_eq!(ResultStats::of(&answer), expected);
    }

    #[test]
    fn the_state_at_the_moment_of_asking_appears_and_old_names_where_asked_for() {
        let refused = PluginStatus {
            name: None,
            version: None,
            file: "f.so".to_owned(),
            sha256: None,
            state: PluginState::Refused,
            loaded_at: None,
            pinned: false,
            jobs_running: 0,
            residue_bytes: None,
            worker: None,
            error: None,
        };
        let active = PluginStatus {
            name: Some("dynamo".to_owned()),
            version: Some("1.0.0".to_owned()),
            state: PluginState::Active,
            pinned: true,
            jobs_running: 2,
            residue_bytes: Some(5),
            worker: Some(WorkerStatus {
                pid: 7,
                restarts: 3,
            }),
            ..refused.clone()
        };
        let now = Snapshot {
            running: 1,
            queued: 4,
            oldest_queued_seconds: 2.5,
            commands_without_plugin: 1,
            result_bytes: 1000,
            store_bytes: 4096,
            free_bytes: Some(1 << 30),
            lost_log_lines: 7,
            plugins: &[active, refused],
        };
        let metrics = Metrics::new(true);
        metrics.reloaded(false);
        let text = String::from_utf8(metrics.text(&now)).unwrap();
        for line in [
            "heimdall_host_plugin_state{plugin=\"dynamo\",state=\"ACTIVE\",version=\"1.0.0\"} 1",
            "heimdall_host_plugin_residue_bytes{plugin=\"dynamo\",version=\"1.0.0\"} 5",
            "heimdall_host_plugin_pinned{plugin=\"dynamo\",version=\"1.0.0\"} 1",
            "heimdall_host_plugin_pinned{plugin=\"unknown\",version=\"unknown\"} 0",
            "heimdall_host_plugin_crashes_total{plugin=\"dynamo\",version=\"1.0.0\"} 3",
            "heimdall_host_jobs_running 1",
            "heimdall_host_oldest_queued_job_age_seconds 2.5",
            "heimdall_host_commands_without_plugin 1",
            "heimdall_host_stored_result_bytes 1000",
            "heimdall_host_disk_free_bytes 1073741824",
            "heimdall_host_log_lines_lost_total 7",
            "heimdall_host_config_last_reload_successful 0",
            "host_jobs_running 1",
            "process_open_fds ",
        ] {
            assert!(
                text.lines().any(|found| found.starts_with(line)),
                "{line}\n{text}"
            );
        }
        let text = String::from_utf8(Metrics::new(false).text(&now)).unwrap();
        assert!(!text.contains("\nhost_"), "{text}");
    }
}
