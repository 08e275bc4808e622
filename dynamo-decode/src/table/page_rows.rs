//! The rows of one page as they were decoded, until they are added to a table.
//!
//! In: rows with their cells in the order of the wire. Out: the same rows, one after another, for [`Store::append`]. A reader of one
//! segment of many decodes into such a page, and nothing of it counts before it is added; rows are not decoded again.
//!
//! [`Store::append`]: super::Store::append

use super::layout::copy;
use crate::decode::{BLOCK, DecodeError, Kinds, Row};

/// The rows of a page.
#[derive(Debug, Default)]
pub(super) struct PageRows {
    n_rows: usize,
    /// Rows that follow each other mostly have the same columns; where others begin.
    pub(super) runs: Vec<Run>,
    /// The columns of each run, in the order of its cells, with what their values are.
    pub(super) columns: Vec<(u32, Kinds)>,
    /// The length of each cell of each row.
    pub(super) lengths: Vec<u32>,
    /// The bytes of the cells, each with a comma; the last of them are room for a block.
    pub(super) bytes: Vec<u8>,
    n_bytes: usize,
    /// By column of the page: the column of the table that it is added to.
    pub(super) in_table: Vec<usize>,
}

/// Rows with the same columns.
#[derive(Debug, Clone, Copy)]
pub(super) struct Run {
    first_row: usize,
    /// Where its columns begin in [`PageRows::columns`].
    first_column: usize,
}

impl PageRows {
    /// Adds a row.
    ///
    /// # Errors
    /// [`DecodeError::TooLarge`] where the page alone is larger than the result may be.
    #[inline(always)]
    pub(super) fn push(&mut self, row: &Row<'_>, max_bytes: u64) -> Result<(), DecodeError> {
        let end = self.n_bytes + row.n_bytes + row.cells.len();
        if end as u64 > max_bytes {
            return Err(DecodeError::TooLarge { limit: max_bytes });
        }
        if self.bytes.len() < end + BLOCK {
            self.make_room(end + BLOCK);
        }
        if !row.is_like_last || self.runs.is_empty() {
            self.begin_run(row);
        }
        let mut room = &mut self.bytes[self.n_bytes..];
        if row.is_all_item {
            for cell in row.cells {
                copy(&mut room, &row.item[cell.start..], cell.length);
            }
        } else {
            for cell in row.cells {
                copy(&mut room, row.bytes(cell), cell.length);
            }
        }
        self.lengths
            .extend(row.cells.iter().map(|cell| narrow(cell.length)));
        self.n_bytes = end;
        self.n_rows += 1;
        Ok(())
    }

    #[cold]
    #[inline(never)]
    fn make_room(&mut self, end: usize) {
        self.bytes.resize((2 * self.bytes.len()).max(end), 0);
    }

    #[cold]
    #[inline(never)]
    fn begin_run(&mut self, row: &Row<'_>) {
        self.runs.push(Run {
            first_row: self.n_rows,
            first_column: self.columns.len(),
        });
        let cells = row.cells.iter();
        self.columns
            .extend(cells.map(|cell| (narrow(cell.column), cell.kinds)));
    }

    /// How many rows a run has, and its columns.
    pub(super) fn run(&self, number: usize) -> (usize, &[(u32, Kinds)]) {
        let run = self.runs[number];
        let (end_row, end_column) = match self.runs.get(number + 1) {
            Some(next) => (next.first_row, next.first_column),
            None => (self.n_rows, self.columns.len()),
        };
        (
            end_row - run.first_row,
            &self.columns[run.first_column..end_column],
        )
    }

    /// Forgets the rows of an attempt.
    pub(super) fn clear(&mut self) {
        self.n_rows = 0;
        self.n_bytes = 0;
        self.runs.clear();
        self.columns.clear();
        self.lengths.clear();
    }
}

/// No item has four billion bytes or attributes: the decoder refuses far smaller ones.
fn narrow(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
