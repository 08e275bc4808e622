//! A row's cells into the order of the columns.
//!
//! In: cells in the order of the wire. Out: `[cell,…],` in the order of the result, a missing cell as `null`. The plan of the last
//! row is kept, since rows with the same attributes mostly come one after another.

use crate::decode::{BLOCK, Cell, copy_block};

/// `null` and the comma beside it.
pub(super) const PADDING: usize = 5;
/// Stands for a column that the row lacks.
const MISSING: usize = usize::MAX;

/// How rows with certain attributes are written.
#[derive(Debug)]
pub(super) struct Layout {
    /// The columns of the row's cells, in the order of the wire.
    columns: Vec<usize>,
    /// By place in the result: which of the cells goes there.
    sources: Vec<usize>,
    /// The wire has the very order of the result, and nothing is missing.
    is_same: bool,
}

impl Layout {
    /// The plan for no cells in no columns.
    pub(super) fn new() -> Self {
        Self {
            columns: Vec::new(),
            sources: Vec::new(),
            is_same: true,
        }
    }

    /// Plans for rows with these cells in a table whose columns have this order.
    #[inline]
    pub(super) fn fit(&mut self, cells: &[Cell], order: &[usize]) {
        let same_columns = || {
            cells
                .iter()
                .map(|cell| cell.column)
                .eq(self.columns.iter().copied())
        };
        if self.sources.len() != order.len() || !same_columns() {
            self.plan(cells, order);
        }
    }

    #[inline(never)]
    fn plan(&mut self, cells: &[Cell], order: &[usize]) {
        self.columns.clear();
        self.columns.extend(cells.iter().map(|cell| cell.column));
        let mut source_of = vec![MISSING; order.len()];
        for (index, &column) in self.columns.iter().enumerate() {
            source_of[column] = index;
        }
        self.sources.clear();
        self.sources
            .extend(order.iter().map(|&column| source_of[column]));
        self.is_same = self.sources.iter().copied().eq(0..cells.len());
    }

    /// The bytes that [`Layout::write`] will add.
    #[inline]
    pub(super) fn row_length(&self, cells: &[Cell]) -> usize {
        let n_missing = self.sources.len() - cells.len();
        match cells.last() {
            // The closing bracket and the comma follow the last cell.
            Some(last) => last.end + 2 + n_missing * PADDING,
            // No comma between nothing and the first null.
            None => (3 + n_missing * PADDING) - usize::from(n_missing > 0),
        }
    }

    /// Writes the row that the bytes of `row` begin with to the front of `room`, which must be longer by a [`BLOCK`] at least: what
    /// lies behind the row is then anything.
    #[inline]
    pub(super) fn write(&self, row: &[u8], cells: &[Cell], room: &mut [u8]) {
        let length = self.row_length(cells);
        if self.is_same {
            room[..length].copy_from_slice(&row[..length]);
            return;
        }
        let mut rest = &mut *room;
        put(&mut rest, b"[");
        for &source in &self.sources {
            match cells.get(source) {
                Some(cell) => copy(&mut rest, row, cell),
                None => put(&mut rest, b"null,"),
            }
        }
        room[length - 2] = b']';
        room[length - 1] = b',';
    }
}

/// Writes some text, for which there must be room.
#[inline(always)]
fn put<const N: usize>(room: &mut &mut [u8], text: &[u8; N]) {
    if let Some((place, rest)) = std::mem::take(room).split_first_chunk_mut() {
        *place = *text;
        *room = rest;
    }
}

/// Copies a cell and puts a comma behind it; a short cell as a whole block, where there is one, which is faster than its exact length.
#[inline(always)]
fn copy(room: &mut &mut [u8], row: &[u8], cell: &Cell) {
    let length = cell.end - cell.start;
    let place = std::mem::take(room);
    if length >= BLOCK || !copy_block(place, &row[cell.start..]) {
        copy_exactly(place, &row[cell.start..cell.end]);
    }
    place[length] = b',';
    *room = &mut place[length + 1..];
}

/// Kept apart, or the compiler makes one copy of any length of this and the whole block.
#[inline(never)]
fn copy_exactly(place: &mut [u8], cell: &[u8]) {
    place[..cell.len()].copy_from_slice(cell);
}
