//! What `run` says on stderr: log lines, progress, and last the outcome.

use std::{
    io::{IsTerminal, Write, stderr},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use plugin_api::{Error, Level};
use plugin_host::{Document, LogSink, Progress};
use serde::Deserialize;
use serde_json::json;

use heimdall_server::error::{Code, HostError};

use crate::cli::Exit;

/// No more often than this is progress told.
const EVERY: Duration = Duration::from_secs(1);

/// The voice of `run`.
#[derive(Clone)]
pub(super) struct Report {
    is_terminal: bool,
    /// Whether a progress line stands on the terminal that the next line must wipe.
    on_line: Arc<AtomicBool>,
}

impl Report {
    pub(super) fn new() -> Self {
        Self {
            is_terminal: stderr().is_terminal(),
            on_line: Arc::default(),
        }
    }

    /// Takes log lines: of plugins all up to `info`, of the host itself (one version comes, runs one job, goes) only troubles.
    pub(super) fn log_sink(&self) -> LogSink {
        let report = self.clone();
        Arc::new(move |level, target, message| {
            let most = if target.starts_with("host::") {
                Level::Warn
            } else {
                Level::Info
            };
            if level <= most {
                report.line(&format!("{} {target}: {message}", name(level)));
            }
        })
    }

    /// Takes a job's progress.
    pub(super) fn progress(&self) -> Progress {
        let report = self.clone();
        let last = Mutex::new(Instant::now());
        Arc::new(move |rows, pages, wire_bytes| {
            let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
            if last.elapsed() >= EVERY {
                *last = Instant::now();
                report.transient(&format!(
                    "{rows} rows, {pages} pages, {:.1} MB",
                    wire_bytes as f64 / 1e6
                ));
            }
        })
    }

    /// One line of figures, where the result has them.
    pub(super) fn finished(&self, result: &Document) {
        #[derive(Deserialize)]
        struct Figures {
            stats: Option<Stats>,
        }
        #[derive(Deserialize)]
        struct Stats {
            rows: Option<u64>,
            pages: Option<u64>,
            requests: Option<u64>,
            elapsed_ms: Option<u64>,
            truncated: Option<bool>,
        }
        let Ok(Figures { stats: Some(stats) }) = serde_json::from_slice(result) else {
            return;
        };
        let figures = [
            ("rows", stats.rows),
            ("pages", stats.pages),
            ("requests", stats.requests),
            ("ms", stats.elapsed_ms),
        ];
        let figures: Vec<String> = figures
            .into_iter()
            .filter_map(|(what, n)| n.map(|n| format!("{n} {what}")))
            .collect();
        let more = if stats.truncated == Some(true) {
            "; there may be more rows"
        } else {
            ""
        };
        self.line(&format!("{}{more}", figures.join(", ")));
    }

    /// The outcome of an interrupted job.
    pub(super) fn interrupted(&self, outcome: &Result<Document, Error>) -> Exit {
        match outcome {
            Ok(_) => self.line("interrupted; the job had just finished, its result is dropped"),
            Err(error) => {
                self.failed(error);
            }
        }
        Exit::Interrupted
    }

    pub(super) fn failed(&self, error: &Error) -> Exit {
        self.error(
            &error.message,
            error.hint.as_deref(),
            error.code.as_str(),
            &error.to_json(),
        );
        Exit::Failed
    }

    /// A refusal of the host's own, in the shape of every error document.
    pub(super) fn refused(&self, error: &HostError) -> Exit {
        let document = json!({"error": {
            "code": error.code.as_str(), "message": error.message, "hint": error.hint, "line": null, "column": null,
            "retryable": matches!(error.code, Code::Busy | Code::PluginUnavailable), "aws_code": null, "request_id": null,
            "partial": {"rows": 0, "pages": 0},
        }});
        self.error(
            &error.message,
            error.hint.as_deref(),
            error.code.as_str(),
            document.to_string().as_bytes(),
        );
        Exit::Failed
    }

    pub(super) fn usage(&self, message: &str) -> Exit {
        self.line(&format!("error: {message}"));
        Exit::Usage
    }

    /// For people first; where nobody looks on, the last line is the document for the program that does.
    fn error(&self, message: &str, hint: Option<&str>, code: &str, document: &[u8]) {
        self.line(&format!("error: {message} ({code})"));
        if let Some(hint) = hint {
            self.line(&format!("hint: {hint}"));
        }
        if !self.is_terminal {
            self.line(&String::from_utf8_lossy(document));
        }
    }

    fn line(&self, text: &str) {
        let wipe = if self.on_line.swap(false, Ordering::AcqRel) {
            "\r\x1b[K"
        } else {
            ""
        };
        // Nobody can be told that stderr is gone.
        let _ = writeln!(stderr(), "{wipe}{text}");
    }

    fn transient(&self, text: &str) {
        if self.is_terminal {
            self.on_line.store(true, Ordering::Release);
            let _ = write!(stderr(), "\r\x1b[K{text}");
            let _ = stderr().flush();
        } else {
            self.line(text);
        }
    }
}

fn name(level: Level) -> &'static str {
    match level {
        Level::Error => "ERROR",
        Level::Warn => "WARN",
        Level::Info => "INFO",
        Level::Debug => "DEBUG",
        Level::Trace => "TRACE",
    }
}
