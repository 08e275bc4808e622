//! Heimdall's configuration file into checked settings.
//!
//! In: the YAML file and the environment. Out: a [`Config`], or every problem at once with file, line and hint.
//! It opens no plugin and no store: what the file says about them is checked where they are opened.

mod fields;
mod objects;
mod settings;
mod yaml;

use std::{
    fmt,
    path::{Path, PathBuf},
};

pub use self::{
    objects::{ClusterConfig, CommandConfig, Object, Status},
    settings::{Auth, Config, Limits, Retention, Server},
    yaml::Problem,
};

/// Why a configuration cannot be used. Operator: fix the file at the lines named.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the configuration {path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file is read but says something that cannot be meant.
    #[error("{}", Listed(path, problems))]
    Invalid {
        /// The file.
        path: PathBuf,
        /// All of its problems, by line.
        problems: Vec<Problem>,
    },
}

/// `file:line: message (hint)`, one problem a line.
struct Listed<'a>(&'a Path, &'a [Problem]);

impl fmt::Display for Listed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.1.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(
                f,
                "{}:{}: {}",
                self.0.display(),
                problem.line,
                problem.message
            )?;
            if let Some(hint) = &problem.hint {
                write!(f, " ({hint})")?;
            }
        }
        Ok(())
    }
}

impl Config {
    /// Reads and checks a file, with `${VAR}` from the process's environment.
    ///
    /// # Errors
    /// The file is unreadable, not YAML, or says something that cannot be meant.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Read {
            path: path.to_owned(),
            source,
        })?;
        Self::parse(path, &text, &|name| std::env::var(name).ok())
    }

    /// Checks a file's text; `path` is only for messages.
    ///
    /// # Errors
    /// As [`Config::load`], reading aside.
    pub fn parse(
        path: &Path,
        text: &str,
        environment: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, ConfigError> {
        yaml::parse(text, environment)
            .and_then(|root| settings::read(path, &root))
            .map_err(|mut problems| {
                problems.sort_by_key(|problem| problem.line);
                ConfigError::Invalid {
                    path: path.to_owned(),
                    problems,
                }
            })
    }
}

#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
#[cfg(test)]
mod tests;
