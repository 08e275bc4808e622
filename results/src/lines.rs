//! The lines of rows as they come.
//!
//! `{"columns":["id"]}` adds columns to the right, `["123",12.99]` is a row with a cell for each column known by then.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::WriteError;

/// One line, read.
pub(crate) enum Line<'a> {
    /// Names of further columns.
    Columns(Vec<String>),
    /// A row's cells, as JSON.
    Row(Vec<&'a RawValue>),
}

/// Knows how many columns there are by now, and so whether a line is allowed to come next.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    columns: usize,
    has_begun: bool,
}

impl Reader {
    /// Reads the next line, with or without its newline.
    ///
    /// # Errors
    /// It is neither of the two, comes before any columns, or has not one cell for each column.
    pub(crate) fn read<'a>(&mut self, line: &'a [u8]) -> Result<Line<'a>, WriteError> {
        #[derive(Deserialize)]
        struct Columns {
            columns: Vec<String>,
        }
        if line.starts_with(b"{") {
            let Columns { columns } = serde_json::from_slice(line)
                .map_err(|error| WriteError::json("a line of columns", &error))?;
            self.has_begun = true;
            self.columns += columns.len();
            return Ok(Line::Columns(columns));
        }
        let row: Vec<&RawValue> =
            serde_json::from_slice(line).map_err(|error| WriteError::json("a row", &error))?;
        if !self.has_begun {
            return Err(WriteError::malformed("a row comes before any columns"));
        }
        if row.len() != self.columns {
            return Err(WriteError::malformed(format_args!(
                "a row has {} cells for {} columns",
                row.len(),
                self.columns
            )));
        }
        Ok(Line::Row(row))
    }
}

/// The lines of a piece that was handed over.
///
/// # Errors
/// The last one is not whole.
pub(crate) fn split(lines: &[u8]) -> Result<impl Iterator<Item = &[u8]>, WriteError> {
    match lines.last() {
        None | Some(b'\n') => Ok(lines.split_inclusive(|&byte| byte == b'\n')),
        Some(_) => Err(WriteError::malformed("a line has no end")),
    }
}
