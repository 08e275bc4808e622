//! Why a result cannot be written.

use std::io;

/// Why a result cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// Readers of Parquet refuse a file without columns.
    #[error("a result without columns cannot be written as Parquet")]
    NoColumns,
    /// The plugin's result breaks its own rules: it is no JSON, a row has too few cells, a value is not of its column's type.
    /// The message never repeats a value.
    #[error("the result is malformed: {0}")]
    Malformed(String),
    /// The output cannot be written, or the stored rows cannot be read.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl WriteError {
    pub(crate) fn malformed(reason: impl std::fmt::Display) -> Self {
        Self::Malformed(reason.to_string())
    }

    /// What serde_json could not read, by line and column only: its own message may repeat a value.
    pub(crate) fn json(what: &str, error: &serde_json::Error) -> Self {
        Self::Malformed(format!(
            "{what} cannot be read at line {}, column {}",
            error.line(),
            error.column()
        ))
    }
}
