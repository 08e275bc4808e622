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
    /// By row: one past its last cell.
    pub(super) rows: Vec<usize>,
    pub(super) cells: Vec<RowCell>,
    /// The bytes of the cells, each with a comma; the last of them are room for a block.
    pub(super) bytes: Vec<u8>,
    n_bytes: usize,
    /// By column of the page: the column of the table that it is added to.
    pub(super) columns: Vec<usize>,
}

/// A [`Cell`](crate::decode::Cell) in half the room: a page of one-letter attributes has hundreds of thousands.
#[derive(Debug, Clone, Copy)]
pub(super) struct RowCell {
    pub(super) column: u32,
    pub(super) length: u32,
    pub(super) kinds: Kinds,
}

impl PageRows {
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
            self.cells.push(RowCell {
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
