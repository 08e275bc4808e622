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
    #[inline(always)]
    pub(super) fn append(&mut self, page: &mut Self) -> Result<(), DecodeError> {
        let Some(added) = &mut page.page_rows else {
            return Ok(());
        };
        let mut in_table = std::mem::take(&mut added.in_table);
        in_table.resize(page.columns.len(), UNKNOWN);
        let (mut start, mut first_length) = (0, 0);
        let mut cells = Vec::new();
        for number in 0..added.runs.len() {
            let (n_rows, columns) = added.run(number);
            cells.clear();
            for &(column, kinds) in columns {
                let column = column as usize;
                if in_table[column] == UNKNOWN {
                    in_table[column] = self.columns.id(page.columns.name(column));
                }
                cells.push(Cell {
                    column: in_table[column],
                    start: 0,
                    length: 0,
                    kinds,
                    is_written: false,
                });
            }
            for row in 0..n_rows {
                let of_row = start;
                let lengths = &added.lengths[first_length..first_length + cells.len()];
                for (cell, &length) in cells.iter_mut().zip(lengths) {
                    cell.start = start - of_row;
                    cell.length = length as usize;
                    start += cell.length + 1;
                }
                self.push(Row {
                    item: &added.bytes[of_row..],
                    written: &[],
                    cells: &cells,
                    n_bytes: start - of_row - cells.len(),
                    is_all_item: true,
                    is_like_last: row > 0,
                })?;
                first_length += cells.len();
            }
        }
        added.in_table = in_table;
        added.clear();
        Ok(())
    }
}
