//! The rows of one page as they were decoded, until they are added to a table.
//!
//! In: rows with their cells in the order of the wire. Out: the same rows, one after another, for [`Store::append`]. A reader of one
//! segment of many decodes into such a page, and nothing of it counts before it is added; rows are not decoded again.
//!
//! [`Store::append`]: super::Store::append

use super::Store;
use crate::decode::{Cell, DecodeError, Kinds};

/// A column that the table has not been asked for yet.
const UNKNOWN: usize = usize::MAX;
/// What a row without cells looks like.
const EMPTY_ROW: &[u8] = b"[],";

/// The rows of a page.
#[derive(Debug, Default)]
pub(super) struct Held {
    rows: Vec<Row>,
    bytes: Vec<u8>,
    cells: Vec<HeldCell>,
    /// By column of the page: the column of the table that it is added to.
    columns: Vec<usize>,
}

/// Where a row ends.
#[derive(Debug, Clone, Copy)]
struct Row {
    end: usize,
    end_of_cells: usize,
}

/// A [`Cell`] in half the room: a page of one-letter attributes has hundreds of thousands.
#[derive(Debug, Clone, Copy)]
struct HeldCell {
    column: u32,
    start: u32,
    end: u32,
    kinds: Kinds,
}

impl Held {
    /// Adds a row: `row` begins with `[cell,…],`.
    ///
    /// # Errors
    /// [`DecodeError::TooLarge`] where the page alone is larger than the result may be.
    pub(super) fn push(
        &mut self,
        row: &[u8],
        cells: &[Cell],
        max_bytes: u64,
    ) -> Result<(), DecodeError> {
        let row = match cells.last() {
            Some(last) => &row[..last.end + 2],
            None => EMPTY_ROW,
        };
        if (self.bytes.len() + row.len()) as u64 > max_bytes {
            return Err(DecodeError::TooLarge { limit: max_bytes });
        }
        self.bytes.extend_from_slice(row);
        // No item has four billion bytes or attributes: the decoder refuses far smaller ones.
        let narrow = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        self.cells.extend(cells.iter().map(|cell| HeldCell {
            column: narrow(cell.column),
            start: narrow(cell.start),
            end: narrow(cell.end),
            kinds: cell.kinds,
        }));
        self.rows.push(Row {
            end: self.bytes.len(),
            end_of_cells: self.cells.len(),
        });
        Ok(())
    }

    /// Forgets the rows of an attempt.
    pub(super) fn clear(&mut self) {
        self.rows.clear();
        self.bytes.clear();
        self.cells.clear();
    }
}

impl Store {
    /// Adds the rows of a page. A column counts from the first row added that has it.
    ///
    /// # Errors
    /// What [`Store::push`] gives; some rows have then been added, which a rollback removes.
    pub(super) fn append(&mut self, page: &mut Self) -> Result<(), DecodeError> {
        let Some(held) = &mut page.held else {
            return Ok(());
        };
        let names = &page.columns;
        held.columns.resize(names.len(), UNKNOWN);
        let (mut start, mut first_cell) = (0, 0);
        let mut cells = Vec::new();
        for row in &held.rows {
            cells.clear();
            for cell in &held.cells[first_cell..row.end_of_cells] {
                let here = cell.column as usize;
                if held.columns[here] == UNKNOWN {
                    held.columns[here] = self.columns.id(names.name(here));
                }
                cells.push(Cell {
                    column: held.columns[here],
                    start: cell.start as usize,
                    end: cell.end as usize,
                    kinds: cell.kinds,
                });
            }
            self.push(&held.bytes[start..row.end], &cells)?;
            (start, first_cell) = (row.end, row.end_of_cells);
        }
        held.clear();
        Ok(())
    }
}
