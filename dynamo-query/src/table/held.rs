//! The rows of one page as they were decoded, until they are added to a table.
//!
//! In: rows with their cells in the order of the wire. Out: the same rows, one after another, for [`Store::append`]. A reader of one
//! segment of many decodes into such a page, and nothing of it counts before it is added; rows are not decoded again.
//!
//! [`Store::append`]: super::Store::append

use super::Store;
use super::layout::copy;
use crate::decode::{BLOCK, Cell, DecodeError, Kinds, Row};

/// A column that the table has not been asked for yet.
const UNKNOWN: usize = usize::MAX;

/// The rows of a page.
#[derive(Debug, Default)]
pub(super) struct Held {
    /// By row: one past its last cell.
    rows: Vec<usize>,
    cells: Vec<HeldCell>,
    /// The bytes of the cells, each with a comma; the last of them are room for a block.
    bytes: Vec<u8>,
    n_bytes: usize,
    /// By column of the page: the column of the table that it is added to.
    columns: Vec<usize>,
}

/// A [`Cell`] in half the room: a page of one-letter attributes has hundreds of thousands.
#[derive(Debug, Clone, Copy)]
struct HeldCell {
    column: u32,
    length: u32,
    kinds: Kinds,
}

impl Held {
    /// Adds a row.
    ///
    /// # Errors
    /// [`DecodeError::TooLarge`] where the page alone is larger than the result may be.
    pub(super) fn push(&mut self, row: &Row<'_>, max_bytes: u64) -> Result<(), DecodeError> {
        let end = self.n_bytes + row.n_bytes + row.cells.len();
        if end as u64 > max_bytes {
            return Err(DecodeError::TooLarge { limit: max_bytes });
        }
        if self.bytes.len() < end + BLOCK {
            self.bytes
                .resize((2 * self.bytes.len()).max(end + BLOCK), 0);
        }
        let mut room = &mut self.bytes[self.n_bytes..];
        // No item has four billion bytes or attributes: the decoder refuses far smaller ones.
        let narrow = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        for cell in row.cells {
            copy(&mut room, row.bytes(cell), cell.length);
            self.cells.push(HeldCell {
                column: narrow(cell.column),
                length: narrow(cell.length),
                kinds: cell.kinds,
            });
        }
        self.n_bytes = end;
        self.rows.push(self.cells.len());
        Ok(())
    }

    /// Forgets the rows of an attempt.
    pub(super) fn clear(&mut self) {
        self.rows.clear();
        self.n_bytes = 0;
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
        for &end_of_cells in &held.rows {
            cells.clear();
            let (of_row, mut n_bytes) = (start, 0);
            for cell in &held.cells[first_cell..end_of_cells] {
                let here = cell.column as usize;
                if held.columns[here] == UNKNOWN {
                    held.columns[here] = self.columns.id(names.name(here));
                }
                let length = cell.length as usize;
                cells.push(Cell {
                    column: held.columns[here],
                    start: start - of_row,
                    length,
                    kinds: cell.kinds,
                    is_written: true,
                });
                n_bytes += length;
                start += length + 1;
            }
            self.push(&Row {
                item: &[],
                written: &held.bytes[of_row..],
                cells: &cells,
                n_bytes,
                is_all_item: false,
                is_like_last: false,
            })?;
            first_cell = end_of_cells;
        }
        held.clear();
        Ok(())
    }
}
