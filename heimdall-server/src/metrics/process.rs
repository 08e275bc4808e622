//! What the system knows of this process, under the names that every Prometheus client uses.

use procfs::process::{LimitValue, Process as Proc};
use prometheus::{Counter, Gauge, IntGauge, Registry};

use super::{gauge, registered};

/// See the file's head.
pub(super) struct Process {
    cpu: Counter,
    threads: IntGauge,
    open_files: IntGauge,
    most_files: IntGauge,
    virtual_memory: IntGauge,
    resident_memory: IntGauge,
    start: Gauge,
}

impl Process {
    pub(super) fn register(registry: &Registry) -> Self {
        Self {
            cpu: registered(
                registry,
                Counter::new(
                    "process_cpu_seconds_total",
                    "Total user and system CPU time spent in seconds.",
                ),
            ),
            threads: gauge(
                registry,
                "process_threads",
                "Number of OS threads in the process.",
            ),
            open_files: gauge(
                registry,
                "process_open_fds",
                "Number of open file descriptors.",
            ),
            most_files: gauge(
                registry,
                "process_max_fds",
                "Maximum number of open file descriptors.",
            ),
            virtual_memory: gauge(
                registry,
                "process_virtual_memory_bytes",
                "Virtual memory size in bytes.",
            ),
            resident_memory: gauge(
                registry,
                "process_resident_memory_bytes",
                "Resident memory size in bytes.",
            ),
            start: registered(
                registry,
                Gauge::new(
                    "process_start_time_seconds",
                    "Start time of the process since unix epoch in seconds.",
                ),
            ),
        }
    }

    /// Asks the system; where it does not tell, the figures stay as they were.
    pub(super) fn set(&self) {
        let Ok(process) = Proc::myself() else { return };
        if let Ok(stat) = process.stat() {
            #[expect(clippy::cast_precision_loss, reason = "seconds of a process's life")]
            let seconds = |ticks: u64| ticks as f64 / procfs::ticks_per_second() as f64;
            self.cpu.reset();
            self.cpu.inc_by(seconds(stat.utime + stat.stime));
            self.threads.set(stat.num_threads);
            self.virtual_memory.set(signed(stat.vsize));
            self.resident_memory
                .set(signed(stat.rss.saturating_mul(procfs::page_size())));
            if let Ok(boot) = procfs::boot_time_secs() {
                #[expect(clippy::cast_precision_loss, reason = "seconds since 1970")]
                self.start.set(boot as f64 + seconds(stat.starttime));
            }
        }
        if let Ok(files) = process.fd_count() {
            self.open_files
                .set(i64::try_from(files).unwrap_or(i64::MAX));
        }
        if let Ok(limits) = process.limits()
            && let LimitValue::Value(most) = limits.max_open_files.soft_limit
        {
            self.most_files.set(signed(most));
        }
    }
}

fn signed(figure: u64) -> i64 {
    i64::try_from(figure).unwrap_or(i64::MAX)
}
