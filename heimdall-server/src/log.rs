//! The host's log: one line an event, as text or JSON, on one stream; and the lines of each running job, kept for its `stderr`.
//!
//! In: events of the host and lines of plugins. Out: lines. It must never hold a credential, a statement or a parameter: callers
//! pass ids, names, counts and codes.

mod batch;
mod levels;

use std::{
    borrow::Cow,
    collections::HashMap,
    fmt::Write as _,
    io::Write,
    sync::{Arc, Mutex, PoisonError},
    time::SystemTime,
};

use plugin_api::Level;
use plugin_host::LogSink;
use results::{visible, visible_json};
use serde_json::{Map, Value, json};
use time::OffsetDateTime;

pub use self::levels::Levels;

/// How lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// The most that is kept of one job's lines.
const JOB_LINES_BYTES: usize = 64 * 1024;

/// The log.
pub struct Log {
    format: LogFormat,
    levels: Levels,
    /// The stream behind `out`, where lines may be lost on their way to it.
    batch: Option<batch::Batch>,
    out: Mutex<Box<dyn Write + Send>>,
    /// The lines of running jobs, by id.
    jobs: Mutex<HashMap<String, JobLines>>,
}

/// What is kept of a running job.
#[derive(Default)]
struct JobLines {
    text: String,
    /// The id of the trace that its submission belongs to.
    trace_id: Option<String>,
}

impl Log {
    /// A log on a stream.
    #[must_use]
    pub fn new(format: LogFormat, out: Box<dyn Write + Send>) -> Self {
        Self {
            format,
            levels: Levels::default(),
            batch: None,
            out: Mutex::new(out),
            jobs: Mutex::default(),
        }
    }

    /// A log on standard error.
    #[must_use]
    pub fn stderr(format: LogFormat, levels: Levels) -> Self {
        Self {
            levels,
            ..Self::new(format, Box::new(std::io::stderr()))
        }
    }

    /// A log on standard error whose lines are written together, a moment later, and never hold up who writes them: for a host with
    /// many jobs.
    #[must_use]
    pub fn batched(format: LogFormat, levels: Levels) -> Self {
        let batch = batch::Batch::new(std::io::stderr());
        Self {
            levels,
            batch: Some(batch.clone()),
            ..Self::new(format, Box::new(batch))
        }
    }

    /// How many lines were lost because nobody read standard error.
    #[must_use]
    pub fn lost_lines(&self) -> u64 {
        self.batch.as_ref().map_or(0, batch::Batch::lost)
    }

    /// Writes what waits.
    pub fn flush(&self) {
        let mut out = self.out.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = out.flush();
    }

    /// Writes one event of the host: what happened, and its figures.
    pub fn event(&self, level: Level, message: &str, fields: &[(&str, Value)]) {
        if self.levels.include("host", level) {
            self.write(level, message, fields);
        }
    }

    fn write(&self, level: Level, message: &str, fields: &[(&str, Value)]) {
        let time = timestamp(SystemTime::now());
        let mut line = String::with_capacity(160);
        match self.format {
            LogFormat::Json => {
                let mut object = Map::new();
                object.insert("time".into(), time.into());
                object.insert("level".into(), level.as_str().into());
                object.insert("message".into(), message.into());
                object.extend(
                    fields
                        .iter()
                        .map(|(name, value)| ((*name).to_owned(), value.clone())),
                );
                line.push_str(&visible_json(&Value::Object(object).to_string()));
            }
            LogFormat::Text => {
                let _ = write!(line, "{time} {:5} {}", level.as_str(), one_line(message));
                for (name, value) in fields.iter().filter(|(_, value)| !value.is_null()) {
                    let _ = match value {
                        Value::String(text)
                            if text
                                .chars()
                                .all(|c| c.is_alphanumeric() || "-_.:/@".contains(c)) =>
                        {
                            write!(line, " {name}={text}")
                        }
                        Value::String(text) => write!(line, " {name}=\"{}\"", quoted(text)),
                        other => write!(line, " {name}={}", one_line(&other.to_string())),
                    };
                }
            }
        }
        line.push('\n');
        let mut out = self.out.lock().unwrap_or_else(PoisonError::into_inner);
        // There is nowhere to report that the log itself cannot be written.
        let _ = out.write_all(line.as_bytes());
        if matches!(level, Level::Error | Level::Warn) {
            let _ = out.flush();
        }
    }

    /// Writes one event at level info.
    pub fn info(&self, message: &str) {
        self.event(Level::Info, message, &[]);
    }

    /// Where the lines of plugins go: into the log, and those of a job also into its `stderr`.
    #[must_use]
    pub fn sink(self: &Arc<Self>) -> LogSink {
        let log = Arc::clone(self);
        Arc::new(move |level, target, message| log.plugin_line(level, target, message))
    }

    fn plugin_line(&self, level: Level, target: &str, message: &str) {
        let of_job = message
            .strip_prefix("job=")
            .and_then(|rest| rest.split_once(' '));
        let trace_id = of_job.and_then(|(id, rest)| self.record(id, level, rest));
        if self.levels.include(target, level) {
            let mut fields = vec![("target", json!(target))];
            if self.format == LogFormat::Json
                && let Some(figures) = figures(message)
            {
                fields.push(("fields", Value::Object(figures)));
            }
            fields.extend(trace_id.map(|trace_id| ("trace_id", json!(trace_id))));
            self.write(level, message, &fields);
        }
    }

    /// Keeps a line of a job, where it runs and has room; gives the id of its trace.
    fn record(&self, id: &str, level: Level, line: &str) -> Option<String> {
        let mut jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        let lines = jobs.get_mut(id)?;
        if lines.text.len() + line.len() < JOB_LINES_BYTES {
            let _ = writeln!(lines.text, "{} {}", level.as_str(), one_line(line));
        }
        lines.trace_id.clone()
    }

    /// Begins to keep a job's lines.
    pub fn begin_job(&self, id: &str, trace_id: Option<&str>) {
        let mut jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        let lines = JobLines {
            text: String::new(),
            trace_id: trace_id.map(str::to_owned),
        };
        jobs.insert(id.to_owned(), lines);
    }

    /// A job's lines, which are then kept no more.
    pub fn end_job(&self, id: &str) -> String {
        let mut jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        jobs.remove(id).unwrap_or_default().text
    }

    /// The lines of a job that runs; `None` where none does under this id.
    pub fn job_lines(&self, id: &str) -> Option<String> {
        let jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        jobs.get(id).map(|lines| lines.text.clone())
    }
}

/// The fields of a plugin's line that is nothing but `name=value` pairs, as an audit line is: a number where it reads as one, null for `-`.
fn figures(message: &str) -> Option<Map<String, Value>> {
    let mut figures = Map::new();
    for pair in message.split_ascii_whitespace() {
        let (name, text) = pair.split_once('=')?;
        let is_name = |c: char| c.is_ascii_lowercase() || c == '_';
        if name.is_empty() || !name.chars().all(is_name) {
            return None;
        }
        let number = serde_json::from_str(text).ok().filter(Value::is_number);
        let value = match number {
            Some(number) => number,
            None if text == "-" => Value::Null,
            None => text.into(),
        };
        figures.insert(name.to_owned(), value);
    }
    (figures.len() > 1).then_some(figures)
}

/// What of an error's message may stand in a log line: the first line, since the lines below it show the statement.
pub(crate) fn first_line(message: &str) -> &str {
    message.lines().next().unwrap_or_default()
}

/// A line break inside a message would let a client write log lines of its own, and an escape sequence or a turned reading direction
/// would show an operator something else than what is there.
fn one_line(text: &str) -> Cow<'_, str> {
    visible(text.into())
}

/// A text between quotation marks.
fn quoted(text: &str) -> String {
    one_line(&text.replace('\\', "\\\\").replace('"', "\\\"")).into_owned()
}

/// `2026-11-23T19:44:13.123Z`.
fn timestamp(time: SystemTime) -> String {
    let time = OffsetDateTime::from(time);
    let (year, month, day) = time.to_calendar_date();
    let (hour, minute, second, millisecond) = time.to_hms_milli();
    let month = u8::from(month);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millisecond:03}Z")
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn written(format: LogFormat, act: impl FnOnce(&Arc<Log>)) -> String {
        let lines = Lines::default();
        act(&Arc::new(Log::new(format, Box::new(lines.clone()))));
        let bytes = lines.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn times_are_civil_dates() {
        for (seconds, expected) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_400, "2000-02-29T00:00:00.000Z"),
            (1_795_417_608, "2026-11-23T07:06:48.000Z"),
            (4_107_542_399, "2100-02-28T23:59:59.000Z"),
        ] {
            assert_eq!(
                timestamp(UNIX_EPOCH + Duration::from_secs(seconds)),
                expected
            );
        }
    }

    #[test]
    fn an_event_is_one_line_in_either_format() {
        let event = |log: &Arc<Log>| {
            log.event(
                Level::Info,
                "job\nended",
                &[
                    ("id", json!("a-1")),
                    ("user", json!("x y")),
                    ("rows", json!(2)),
                ],
            )
        };
        let text = written(LogFormat::Text, event);
        assert!(
            text.ends_with("INFO  job\\nended id=a-1 user=\"x y\" rows=2\n"),
            "{text}"
        );
        let line: Value = serde_json::from_str(&written(LogFormat::Json, event)).unwrap();
        assert_eq!(
            (line["message"].as_str(), line["rows"].as_i64()),
            (Some("job\nended"), Some(2))
        );
    }

    #[test]
    fn what_a_client_wrote_moves_no_cursor_and_turns_no_direction() {
        let hostile = "a\u{1b}[2J\u{9b}1m\u{202e}b\u{2066}\r\n\"c";
        let text = written(LogFormat::Text, |log| {
            log.event(
                Level::Info,
                hostile,
                &[("user", json!(hostile)), ("list", json!([hostile]))],
            );
            log.begin_job("x", None);
            log.sink()(Level::Debug, "t", &format!("job=x {hostile}"));
            let lines = log.end_job("x");
            assert_eq!(lines.matches(harmful).count(), 1, "{lines:?}");
        });
        assert_eq!(text.matches(harmful).count(), 1, "{text:?}");
        assert!(
            text.contains(r#"user="a\u{1b}[2J\u{9b}1m\u{202e}b\u{2066}\r\n\"c""#),
            "{text}"
        );
    }

    #[test]
    fn a_line_of_json_is_as_harmless_on_a_terminal_and_keeps_its_values() {
        let hostile = "a\u{1b}[2J\u{9b}1m\u{202e}b\u{2066}\r\n\"c";
        let text = written(LogFormat::Json, |log| {
            log.event(Level::Info, hostile, &[("user", json!(hostile))]);
        });
        assert_eq!(text.matches(harmful).count(), 1, "{text:?}");
        assert!(text.contains(r"\u009b1m\u202eb\u2066"), "{text}");
        let line: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(
            (&line["message"], &line["user"]),
            (&json!(hostile), &json!(hostile))
        );
    }

    /// Whatever is no plain character; a line's own end is one as well.
    fn harmful(c: char) -> bool {
        c.is_control()
            || ('\u{2028}'..='\u{202e}').contains(&c)
            || ('\u{2066}'..='\u{2069}').contains(&c)
    }

    #[test]
    fn an_audit_line_is_fields_in_json() {
        let line = written(LogFormat::Json, |log| {
            let message = "job=a user=alice role=- rows=2 capacity=0.5 outcome=DONE";
            log.sink()(Level::Info, "dynamo::audit", message);
        });
        let line: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(line["target"], "dynamo::audit");
        assert_eq!(
            line["fields"],
            json!({"job": "a", "user": "alice", "role": null, "rows": 2, "capacity": 0.5, "outcome": "DONE"})
        );
        assert_eq!(figures("retrying after code=THROTTLED"), None);
    }

    #[test]
    fn the_lines_of_a_job_are_kept_while_it_runs_and_bounded() {
        written(LogFormat::Text, |log| {
            let sink = log.sink();
            log.begin_job("a", Some("7f"));
            sink(Level::Debug, "dynamo", "job=a page 1");
            sink(Level::Info, "dynamo", "job=b not ours");
            assert_eq!(log.job_lines("a").unwrap(), "DEBUG page 1\n");
            for _ in 0..2_000 {
                sink(
                    Level::Debug,
                    "dynamo",
                    &format!("job=a {}", "x".repeat(100)),
                );
            }
            assert!(log.end_job("a").len() <= JOB_LINES_BYTES);
            assert_eq!(log.job_lines("a"), None);
        });
    }
}
