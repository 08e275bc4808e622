//! What `run` says on standard error: by default a progress line that disappears and one footer on a terminal, and errors everywhere.

use std::{
    io::{Write, stderr},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use heimdall_server::error::{Code, HostError};
use plugin_api::{Error, Level};
use plugin_host::{LogSink, Progress};
use results::{visible, visible_json, visible_lines};
use serde_json::json;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use super::{
    args::{ErrorFormat, MessageArgs},
    error::RunError,
    fields::Given,
    footer::Footer,
};
use crate::{
    exit::Exit,
    terminal::{Terminal, counted},
};

/// Minimum interval between progress lines: on a terminal, where each replaces the one before, and elsewhere.
const ON_TERMINAL: Duration = Duration::from_millis(100);
const ELSEWHERE: Duration = Duration::from_secs(1);

/// Writes everything that is said while a job runs and when it ended.
#[derive(Clone)]
pub(crate) struct Report {
    terminal: Terminal,
    verbose: u8,
    quiet: bool,
    errors: ErrorFormat,
    /// Whether a progress line stands on the terminal that the next line must wipe.
    on_line: Arc<AtomicBool>,
    /// What the plugin noted about the statement, for the footer.
    notes: Arc<Mutex<Vec<String>>>,
}

impl Report {
    pub(crate) fn new(args: &MessageArgs) -> Self {
        let terminal = Terminal::stderr();
        let errors = if terminal.is_terminal {
            ErrorFormat::Text
        } else {
            ErrorFormat::Json
        };
        Self {
            terminal,
            verbose: args.verbose,
            quiet: args.quiet,
            errors: args.error_format.unwrap_or(errors),
            on_line: Arc::default(),
            notes: Arc::default(),
        }
    }

    /// Whether a person looks on who wants to know more than errors.
    pub(crate) fn is_interactive(&self) -> bool {
        self.terminal.is_terminal && !self.quiet
    }

    /// Takes log lines, of the plugin and of the host.
    pub(super) fn log_sink(&self) -> LogSink {
        let report = self.clone();
        let most = self.most();
        Arc::new(move |level, target, message| {
            if let Some(note) = note(target, message) {
                let mut notes = report.notes.lock().unwrap_or_else(PoisonError::into_inner);
                notes.push(note.to_owned());
            } else if level <= most {
                report.log_line(level, &format!("{target}: {message}"));
            }
        })
    }

    /// The most talkative level that is shown.
    fn most(&self) -> Level {
        match (self.quiet, self.verbose) {
            (true, _) => Level::Error,
            (false, 0) => Level::Warn,
            (false, 1) => Level::Info,
            (false, _) => Level::Trace,
        }
    }

    fn log_line(&self, level: Level, text: &str) {
        let style = if level <= Level::Warn { YELLOW } else { DIM };
        let text = visible(text.into());
        self.line(&format!("{} {text}", self.painted(level.as_str(), style)));
    }

    /// Whether lines of a job's log are shown.
    pub(crate) fn wants_log(&self) -> bool {
        !self.quiet
    }

    /// The lines that a host kept of a job, `LEVEL text`.
    pub(crate) fn job_lines(&self, lines: &str) {
        for line in lines.lines() {
            let (word, text) = line.split_once(' ').unwrap_or((line, ""));
            let level = (1..=5)
                .map(Level::from_number)
                .find(|level| level.as_str() == word);
            if level.is_none_or(|level| level <= self.most()) {
                self.log_line(level.unwrap_or(Level::Info), text);
            }
        }
    }

    /// Whether anybody wants to see how far a job is.
    pub(crate) fn wants_progress(&self) -> bool {
        self.is_interactive() || self.verbose > 0
    }

    /// Takes a job's progress, unless nobody wants to see it.
    pub(crate) fn progress(&self) -> Progress {
        let report = self.clone();
        let every = if self.terminal.is_terminal {
            ON_TERMINAL
        } else {
            ELSEWHERE
        };
        let is_wanted = self.wants_progress();
        let last = Mutex::new(Instant::now());
        Arc::new(move |rows, pages, wire_bytes| {
            let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
            if is_wanted && last.elapsed() >= every {
                *last = Instant::now();
                report.transient(&format!(
                    "{}, {}, {:.1} MB",
                    counted(rows, "row", "rows"),
                    counted(pages, "page", "pages"),
                    wire_bytes as f64 / 1e6
                ));
            }
        })
    }

    /// Takes the progress line away, before rows are written.
    pub(crate) fn clear(&self) {
        if self.on_line.swap(false, Ordering::AcqRel) {
            let _ = write!(stderr(), "\r\x1b[K");
        }
    }

    /// The line below the rows.
    pub(crate) fn finished(&self, footer: &Footer<'_>) {
        self.figures(&footer.line());
        if !self.wants_progress() {
            return;
        }
        let notes = self.notes.lock().unwrap_or_else(PoisonError::into_inner);
        for note in notes.iter() {
            self.note(note);
        }
    }

    /// A line of figures, for those who want to see them.
    pub(crate) fn figures(&self, line: &str) {
        if self.wants_progress() && !line.is_empty() {
            self.line(&self.painted(&self.wrapped("", line), DIM));
        }
    }

    /// A sentence about the job.
    pub(crate) fn said(&self, sentence: &str) {
        self.line(&self.wrapped("", sentence));
    }

    /// How a command ended.
    pub(crate) fn ended(&self, outcome: Result<Exit, RunError>, given: &Given) -> Exit {
        match outcome {
            Ok(exit) => exit,
            Err(RunError::Usage(message)) => self.usage(&message),
            Err(RunError::Failed(error)) => self.failed(&error, given),
            Err(RunError::Refused(error)) => self.refused(&error, given),
            Err(RunError::Interrupted(error)) => {
                self.failed(&error, given);
                Exit::Interrupted
            }
        }
    }

    /// A remark about the job that keeps nothing from running.
    pub(crate) fn note(&self, note: &str) {
        self.labelled("note:", BOLD, note);
    }

    /// A job's error, in the words of the options that were used.
    fn failed(&self, error: &Error, given: &Given) -> Exit {
        let error = given.error_in_options(error);
        let message = match (error.line, error.column) {
            // A message that may not hold the statement has no caret.
            (Some(line), Some(column)) if !error.message.contains('\n') => {
                format!("{} (line {line}, column {column})", error.message)
            }
            _ => error.message.clone(),
        };
        self.error(
            error.code.as_str(),
            &message,
            error.hint.as_deref(),
            &error.to_json(),
        );
        Exit::Failed
    }

    /// A refusal of the host's own, in the shape of every error document.
    fn refused(&self, error: &HostError, given: &Given) -> Exit {
        let message = given.in_options(&error.message);
        let hint = error.hint.as_deref().map(|hint| given.in_options(hint));
        let document = json!({"error": {
            "code": error.code.as_str(), "message": message, "hint": hint, "line": null, "column": null,
            "retryable": matches!(error.code, Code::Busy | Code::PluginUnavailable), "aws_code": null, "request_id": null,
            "field": null, "partial": {"rows": 0, "pages": 0, "next_token": null},
        }});
        self.error(
            error.code.as_str(),
            &message,
            hint.as_deref(),
            document.to_string().as_bytes(),
        );
        Exit::Failed
    }

    /// Wrong usage, an unreadable file or config.
    fn usage(&self, message: &str) -> Exit {
        self.labelled("error:", RED, message);
        Exit::Usage
    }

    /// Once: as text for people, or as the document for programs.
    fn error(&self, code: &str, message: &str, hint: Option<&str>, document: &[u8]) {
        if self.errors == ErrorFormat::Json {
            return self.line(&visible_json(&String::from_utf8_lossy(document)));
        }
        // What follows the first line is the statement with a caret, which must not be wrapped.
        let (first, rest) = message.split_once('\n').unwrap_or((message, ""));
        self.labelled(&format!("error[{code}]:"), RED, first);
        match (rest.split_once('\n'), self.terminal.width) {
            (Some((line, caret)), Some(width)) => self.line(&around_caret(line, caret, width)),
            _ if rest.is_empty() => {}
            _ => self.line(&visible_lines(rest)),
        }
        if let Some(hint) = hint {
            self.labelled("hint:", BOLD, hint);
        }
    }

    /// The text broken between words where the terminal ends; on its first line stands `word` before it.
    fn wrapped(&self, word: &str, text: &str) -> String {
        let Some(width) = self.terminal.width else {
            return text.to_owned();
        };
        let indent = " ".repeat(if word.is_empty() { 0 } else { word.len() + 1 });
        let options = textwrap::Options::new(width.max(20))
            .initial_indent(&indent)
            .break_words(false);
        textwrap::fill(text, options).trim_start().to_owned()
    }

    /// A line, or more where the terminal ends, that begin with a word in colour.
    fn labelled(&self, word: &str, style: &str, text: &str) {
        let text = self.wrapped(word, &visible_lines(text));
        self.line(&format!("{} {text}", self.painted(word, style)));
    }

    fn painted(&self, text: &str, style: &str) -> String {
        if self.terminal.color {
            format!("\x1b[{style}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }

    fn line(&self, text: &str) {
        let wipe = if self.on_line.swap(false, Ordering::AcqRel) {
            "\r\x1b[K"
        } else {
            ""
        };
        // Nobody can be told that standard error is gone.
        let _ = writeln!(stderr(), "{wipe}{text}");
    }

    fn transient(&self, text: &str) {
        if self.terminal.is_terminal {
            self.on_line.store(true, Ordering::Release);
            let _ = write!(stderr(), "\r\x1b[K{text}");
            let _ = stderr().flush();
        } else {
            self.line(text);
        }
    }
}

/// A line of the statement and the line with its caret; cut to what is near the caret where the line is wider than the terminal.
fn around_caret(line: &str, caret: &str, width: usize) -> String {
    let line = visible(line.into());
    if line.width() <= width {
        return format!("{line}\n{caret}");
    }
    let at = caret.width().saturating_sub(1);
    let from = at.saturating_sub(width * 2 / 3);
    // A column at each end is for the sign that there is more.
    let to = from + width.saturating_sub(2);
    let mut column = 0;
    let (mut shown, mut shown_from) = (String::new(), None);
    for c in line.chars() {
        let end = column + c.width().unwrap_or(0);
        if column >= from && end <= to {
            shown_from.get_or_insert(column);
            shown.push(c);
        }
        column = end;
    }
    let before = if from > 0 { "…" } else { "" };
    let after = if column > to { "…" } else { "" };
    let blanks = before.width() + at.saturating_sub(shown_from.unwrap_or(from));
    format!("{before}{shown}{after}\n{:blanks$}^", "")
}

const RED: &str = "1;31";
const YELLOW: &str = "33";
const BOLD: &str = "1";
const DIM: &str = "2";

/// A remark on the statement among the log lines: its target ends in `note`, and its job's id stands before it.
fn note<'m>(target: &str, message: &'m str) -> Option<&'m str> {
    let is_note = target.rsplit("::").next() == Some("note");
    let text = message
        .strip_prefix("job=")
        .and_then(|rest| rest.split_once(' '))
        .map_or(message, |(_, text)| text);
    is_note.then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_wider_than_the_terminal_is_cut_around_its_caret() {
        let line = "SELECT id FROM books WHERE category = 'books' LIMIT 5";
        for (word, width, shown) in [
            ("LIMIT", 80, format!("{line}\n{:46}^", "")),
            (
                "LIMIT",
                30,
                format!("… category = 'books' LIMIT 5\n{:21}^", ""),
            ),
            (
                "FROM",
                30,
                format!("SELECT id FROM books WHERE c…\n{:10}^", ""),
            ),
            ("category", 20, format!("… books WHERE categ…\n{:14}^", "")),
        ] {
            let caret = format!("{:1$}^", "", line.find(word).unwrap());
            let cut = around_caret(line, &caret, width);
            assert!(cut.lines().all(|line| line.width() <= width), "{cut}");
            assert_eq!(cut, shown, "at {width}");
        }
        // Signs that take two columns each: the caret stays below the one it means.
        let wide = around_caret("日本語日本語日本語 = LIMIT", "                     ^", 20);
        assert_eq!(wide, "…本語日本語 = LIMIT\n              ^");
    }
}
