//! The lines of rows as they come.
//!
//! `{"columns":["id"]}` adds columns to the right, `["123",12.99]` is a row with a cell for each column known by then.

use std::{ops::Range, str};

use memchr::memchr_iter;
use serde::{Deserialize, de::IgnoredAny};

use crate::{WriteError, elements::Elements};

/// One line, read.
pub(crate) enum Line<'a> {
    /// Names of further columns.
    Columns(Vec<String>),
    /// A row.
    Row(Row<'a>),
}

/// A row's cells, as JSON.
pub(crate) struct Row<'a> {
    line: &'a str,
    cells: &'a [Range<usize>],
}

impl<'a> Row<'a> {
    pub(crate) fn cells(&self) -> impl Iterator<Item = &'a str> {
        let line = self.line;
        self.cells.iter().map(move |cell| &line[cell.clone()])
    }

    /// A cell by its column's position among the lines' columns.
    pub(crate) fn cell(&self, column: usize) -> Option<&'a str> {
        Some(&self.line[self.cells.get(column)?.clone()])
    }
}

/// Knows how many columns there are by now, and so whether a line is allowed to come next.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    columns: usize,
    has_begun: bool,
    /// Whether rows are known to be JSON, because they were read before.
    is_again: bool,
    /// Where the cells of the last row stand in its line; kept for its memory.
    cells: Vec<Range<usize>>,
}

impl Reader {
    /// A reader of lines that another one has read when they were stored.
    pub(crate) fn again() -> Self {
        Self {
            is_again: true,
            ..Self::default()
        }
    }

    /// Reads the next line, with or without its newline.
    ///
    /// # Errors
    /// It is neither of the two, comes before any columns, or has not one cell for each column.
    pub(crate) fn read<'a>(&'a mut self, line: &'a [u8]) -> Result<Line<'a>, WriteError> {
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
        let line = str::from_utf8(line).map_err(|_| WriteError::malformed("a row is not UTF-8"))?;
        if !self.is_again {
            serde_json::from_str::<IgnoredAny>(line)
                .map_err(|error| WriteError::json("a row", &error))?;
        }
        if !line.starts_with('[') {
            return Err(WriteError::malformed("a row is no list"));
        }
        self.cells.clear();
        self.cells.extend(Elements::of(line));
        if !self.has_begun {
            return Err(WriteError::malformed("a row comes before any columns"));
        }
        if self.cells.len() != self.columns {
            return Err(WriteError::malformed(format_args!(
                "a row has {} cells for {} columns",
                self.cells.len(),
                self.columns
            )));
        }
        Ok(Line::Row(Row {
            line,
            cells: &self.cells,
        }))
    }
}

/// The lines of a piece that was handed over.
///
/// # Errors
/// The last one is not whole.
pub(crate) fn split(lines: &[u8]) -> Result<impl Iterator<Item = &[u8]>, WriteError> {
    match lines.last() {
        None | Some(b'\n') => {
            let mut begin = 0;
            Ok(memchr_iter(b'\n', lines)
                .map(move |end| &lines[std::mem::replace(&mut begin, end + 1)..=end]))
        }
        Some(_) => Err(WriteError::malformed("a line has no end")),
    }
}
