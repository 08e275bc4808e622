//! The rows of a page that was decoded apart, added to the table of the result.

use super::Store;
use crate::decode::{Cell, DecodeError, Row};

/// A column that the table has not been asked for yet.
const UNKNOWN: usize = usize::MAX;

impl Store {
    /// Adds the rows of a page. A column counts from the first row added that has it.
    ///
    /// # Errors
    /// What [`Store::push`] gives; some rows have then been added, which a rollback removes.
    pub(super) fn append(&mut self, page: &mut Self) -> Result<(), DecodeError> {
        let Some(added) = &mut page.page_rows else {
            return Ok(());
        };
        let names = &page.columns;
        added.columns.resize(names.len(), UNKNOWN);
        let (mut start, mut first_cell) = (0, 0);
        let mut cells = Vec::new();
        for &end_of_cells in &added.rows {
            cells.clear();
            let (of_row, mut n_bytes) = (start, 0);
            for cell in &added.cells[first_cell..end_of_cells] {
                let here = cell.column as usize;
                if added.columns[here] == UNKNOWN {
                    added.columns[here] = self.columns.id(names.name(here));
                }
                let length = cell.length as usize;
                cells.push(Cell {
                    column: added.columns[here],
                    start: start - of_row,
                    length,
                    kinds: cell.kinds,
                    is_written: true,
                });
                n_bytes += length;
                start += length + 1;
            }
            self.push(Row {
                item: &[],
                written: &added.bytes[of_row..],
                cells: &cells,
                n_bytes,
                is_all_item: false,
                is_like_last: false,
            })?;
            first_cell = end_of_cells;
        }
        added.clear();
        Ok(())
    }
}
