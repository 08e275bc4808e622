//! What the fuzz target `yaml` calls (`fuzz/`), and nothing else.

use std::path::Path;

use super::{Config, ConfigError};

/// A configuration is read or refused with the line of each mistake.
///
/// # Panics
/// Where a promise is broken.
pub fn yaml(text: &str) {
    let variable = |name: &str| (name.len().is_multiple_of(2)).then(|| "value".to_owned());
    match Config::parse(Path::new("host.yaml"), text, &variable) {
        Ok(config) => {
            let lines = text.lines().count() + 1;
            assert!(config.ignored.iter().all(|(line, _)| *line <= lines));
            assert!(config.fixed_settings_unlike(&config).is_empty());
        }
        Err(ConfigError::Invalid { problems, .. }) => {
            let lines = text
                .split(['\n', '\r', '\u{85}', '\u{2028}', '\u{2029}'])
                .count()
                + 1;
            assert!(!problems.is_empty());
            for problem in problems {
                assert!(
                    (1..=lines).contains(&problem.line),
                    "{problem:?} of {lines} lines"
                );
            }
        }
        Err(other) => panic!("a text is no matter of files: {other}"),
    }
}
