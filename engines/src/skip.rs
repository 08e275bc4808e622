//! What cannot be had on this machine, said out loud.
//!
//! A test that needs an engine of other people's making is skipped where it cannot be had, and never silently; on
//! the CI machine, where everything is there, a skip is a failure.

use std::{fmt, io::Write};

/// Why an engine cannot be had: a program is missing, the registry does not answer, it does not start.
#[derive(Debug, Clone, PartialEq)]
pub struct Skip {
    /// What was wanted.
    pub engine: &'static str,
    /// Why it cannot be had.
    pub reason: String,
}

impl Skip {
    pub(crate) fn new(engine: &'static str, reason: impl fmt::Display) -> Skip {
        Skip {
            engine,
            reason: reason.to_string(),
        }
    }
}

impl fmt::Display for Skip {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.engine, self.reason)
    }
}

impl std::error::Error for Skip {}

/// Says on stderr, past the test harness's capture, that something is left out; the test then returns.
///
/// # Panics
/// Where `CI` is `true`: there nothing may be left out.
pub fn skip_or_fail(skip: &Skip) {
    // The harness captures what the print macros write, and shows it only of tests that fail.
    let _ = writeln!(std::io::stderr(), "SKIPPED: {skip}");
    let in_ci = std::env::var("CI").is_ok_and(|value| value == "true");
    assert!(!in_ci, "CI=true and yet skipped: {skip}");
}
