//! What the host counts, in Prometheus' text format.
//!
//! In: ended jobs, and the state at the moment of asking. Out: the text. Labels come from the configuration and from plugins,
//! never from callers, so that their number stays small.

use prometheus::{
    Encoder, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge,
    IntGaugeVec, Opts, Registry, TextEncoder,
};
use serde_json::Value;

use crate::job::Job;

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
    running: IntGauge,
    queued: IntGauge,
    versions: IntGaugeVec,
    residue: IntGaugeVec,
    plugin_jobs: IntGaugeVec,
}

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
    /// Those that repeated one.
    #[serde(default)]
    pub retries: Option<u64>,
    /// As the service reports it.
    #[serde(default)]
    pub consumed_capacity_units: Option<f64>,
}

impl ResultStats {
    /// Reads the figures at the end of a result document, without reading the rows before them. A document that ends
    /// otherwise has none.
    #[must_use]
    pub fn of(result: &[u8]) -> Self {
        const KEY: &[u8] = b"\"stats\":";
        let tail = &result[result.len().saturating_sub(1024)..];
        let Some(at) = tail.windows(KEY.len()).rposition(|window| window == KEY) else {
            return Self::default();
        };
        let stats = tail[at + KEY.len()..].trim_ascii_end();
        let stats = stats.strip_suffix(b"}").unwrap_or(stats);
        serde_json::from_slice(stats).unwrap_or_default()
    }
}

impl Metrics {
    /// All metrics at zero.
    #[must_use]
    pub fn new() -> Self {
        let seconds = [
            0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
            60.0, 300.0,
        ];
        let job_labels = ["command", "cluster", "plugin_version", "outcome"];
        let metrics = Self {
            registry: Registry::new(),
            jobs: counters(
                "host_jobs_total",
                "Jobs that ended, by what ran them and how they ended.",
                &job_labels,
            ),
            seconds: HistogramVec::new(
                HistogramOpts::new(
                    "host_job_duration_seconds",
                    "From acceptance to the stored end.",
                )
                .buckets(seconds.to_vec()),
                &["command"],
            )
            .expect(VALID),
            rows: counter("host_result_rows_total", "Rows in results."),
            result_bytes: counter("host_result_bytes_total", "Bytes of result documents."),
            wire_bytes: counter(
                "host_wire_bytes_total",
                "Bytes that plugins read from services.",
            ),
            requests: counter(
                "host_service_requests_total",
                "Requests that plugins sent to services.",
            ),
            retries: counter("host_service_retries_total", "Requests that repeated one."),
            capacity: prometheus::Counter::new(
                "host_consumed_capacity_units_total",
                "Capacity as the service reports it.",
            )
            .expect(VALID),
            refused: counters(
                "host_requests_refused_total",
                "Requests answered with an error, by code.",
                &["code"],
            ),
            commit_seconds: Histogram::with_opts(
                HistogramOpts::new(
                    "host_store_commit_seconds",
                    "Time a finished job waits to be on disk.",
                )
                .buckets(seconds.to_vec()),
            )
            .expect(VALID),
            running: gauge("host_jobs_running", "Jobs with a plugin now."),
            queued: gauge("host_jobs_queued", "Async jobs that wait for a worker."),
            versions: gauges(
                "host_plugin_state",
                "1 for the state that a plugin version is in.",
                &["plugin", "version", "state"],
            ),
            residue: gauges(
                "host_plugin_residue_bytes",
                "Memory that a retired version keeps.",
                &["plugin", "version"],
            ),
            plugin_jobs: gauges(
                "host_plugin_jobs_running",
                "Jobs with a plugin version now.",
                &["plugin", "version"],
            ),
        };
        metrics.register();
        metrics
    }

    fn register(&self) {
        let collectors: [Box<dyn prometheus::core::Collector>; 15] = [
            Box::new(self.jobs.clone()),
            Box::new(self.seconds.clone()),
            Box::new(self.rows.clone()),
            Box::new(self.result_bytes.clone()),
            Box::new(self.wire_bytes.clone()),
            Box::new(self.requests.clone()),
            Box::new(self.retries.clone()),
            Box::new(self.capacity.clone()),
            Box::new(self.refused.clone()),
            Box::new(self.commit_seconds.clone()),
            Box::new(self.running.clone()),
            Box::new(self.queued.clone()),
            Box::new(self.versions.clone()),
            Box::new(self.residue.clone()),
            Box::new(self.plugin_jobs.clone()),
        ];
        for collector in collectors {
            self.registry
                .register(collector)
                .expect("each name is registered once");
        }
    }

    /// Counts a job that ended. `outcome` is its status, or the code of its error.
    pub fn job_ended(
        &self,
        job: &Job,
        outcome: &str,
        seconds: f64,
        bytes: Option<usize>,
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
            self.result_bytes.inc_by(bytes as u64);
            self.rows.inc_by(stats.rows.unwrap_or(0));
            self.wire_bytes.inc_by(stats.wire_bytes.unwrap_or(0));
            self.requests.inc_by(stats.requests.unwrap_or(0));
            self.retries.inc_by(stats.retries.unwrap_or(0));
            self.capacity
                .inc_by(stats.consumed_capacity_units.unwrap_or(0.0).max(0.0));
        }
    }

    /// Counts a request that was refused.
    pub fn refused(&self, code: &str) {
        self.refused.with_label_values(&[code]).inc();
    }

    /// Counts how long a finished job waited for the disk.
    pub fn committed(&self, seconds: f64) {
        self.commit_seconds.observe(seconds);
    }

    /// The text of `/metrics`; `plugins` holds the rows of the plugins' list.
    #[must_use]
    pub fn text(&self, running: usize, queued: usize, plugins: &Value) -> Vec<u8> {
        self.running.set(i64::try_from(running).unwrap_or(i64::MAX));
        self.queued.set(i64::try_from(queued).unwrap_or(i64::MAX));
        for family in [&self.versions, &self.residue, &self.plugin_jobs] {
            family.reset();
        }
        for row in plugins.as_array().into_iter().flatten() {
            let text = |key: &str| row[key].as_str().unwrap_or("unknown");
            let version = [text("name"), text("version")];
            self.versions
                .with_label_values(&[version[0], version[1], text("state")])
                .set(1);
            if let Some(bytes) = row["residue_bytes"].as_i64() {
                self.residue.with_label_values(&version).add(bytes);
            }
            if let Some(jobs) = row["jobs_running"].as_i64() {
                self.plugin_jobs.with_label_values(&version).add(jobs);
            }
        }
        let mut text = Vec::new();
        // Writing to memory cannot fail, and every family has a name.
        let _ = TextEncoder::new().encode(&self.registry.gather(), &mut text);
        text
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

const VALID: &str = "the name and labels are valid";

fn counter(name: &str, help: &str) -> IntCounter {
    IntCounter::new(name, help).expect(VALID)
}

fn counters(name: &str, help: &str, labels: &[&str]) -> IntCounterVec {
    IntCounterVec::new(Opts::new(name, help), labels).expect(VALID)
}

fn gauge(name: &str, help: &str) -> IntGauge {
    IntGauge::new(name, help).expect(VALID)
}

fn gauges(name: &str, help: &str, labels: &[&str]) -> IntGaugeVec {
    IntGaugeVec::new(Opts::new(name, help), labels).expect(VALID)
}

#[cfg(test)]
mod tests {
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
        assert_eq!(ResultStats::of(stats), expected);
        for other in [&b""[..], b"{}", b"{\"stats\":7}", b"\"stats\":"] {
            assert_eq!(ResultStats::of(other), ResultStats::default());
        }
    }

    #[test]
    fn plugins_appear_with_state_and_residue() {
        let plugins = serde_json::json!([{"name": "dynamo", "version": "1.0.0", "state": "ACTIVE", "jobs_running": 2, "residue_bytes": 5},
            {"name": null, "version": null, "state": "REFUSED", "jobs_running": 0, "residue_bytes": null}]);
        let text = String::from_utf8(Metrics::new().text(1, 0, &plugins)).unwrap();
        for line in [
            "host_plugin_state{plugin=\"dynamo\",state=\"ACTIVE\",version=\"1.0.0\"} 1",
            "host_plugin_residue_bytes{plugin=\"dynamo\",version=\"1.0.0\"} 5",
            "host_jobs_running 1",
        ] {
            assert!(text.contains(line), "{text}");
        }
    }
}
