//! Which lines are written: a level for all targets, and others for some.

use std::str::FromStr;

use plugin_api::Level;
use tracing_subscriber::filter::{ParseError, Targets};

/// Levels by target, in the words that Rust's logging has for them: `info`, `warn,dynamo=debug`, `dynamo::audit=off`.
#[derive(Debug, Clone)]
pub struct Levels(Targets);

impl Levels {
    /// Whether a line of that target and level is written.
    #[must_use]
    pub fn include(&self, target: &str, level: Level) -> bool {
        let level = match level {
            Level::Error => tracing::Level::ERROR,
            Level::Warn => tracing::Level::WARN,
            Level::Info => tracing::Level::INFO,
            Level::Debug => tracing::Level::DEBUG,
            Level::Trace => tracing::Level::TRACE,
        };
        self.0.would_enable(target, &level)
    }
}

impl Default for Levels {
    /// Everything from info on.
    fn default() -> Self {
        Self(Targets::new().with_default(tracing::Level::INFO))
    }
}

impl FromStr for Levels {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        text.parse().map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_may_have_a_level_of_its_own() {
        let cases = [
            ("info", "host", Level::Info, true),
            ("info", "host", Level::Debug, false),
            ("warn,dynamo=debug", "dynamo", Level::Debug, true),
            ("warn,dynamo=debug", "dynamo::audit", Level::Debug, true),
            ("warn,dynamo=debug", "host", Level::Info, false),
            (
                "info,dynamo::audit=off",
                "dynamo::audit",
                Level::Error,
                false,
            ),
        ];
        for (text, target, level, expected) in cases {
            let levels: Levels = text.parse().unwrap();
            assert_eq!(
                levels.include(target, level),
                expected,
                "{text}: {target} {level:?}"
            );
        }
        assert!("dynamo=loud".parse::<Levels>().is_err());
        assert!(Levels::default().include("host", Level::Info));
    }
}
