//! A row's cells into the order of the columns.
//!
//! In: cells in the order of the wire. Out: `[cell,…],` in the order of the result, a missing cell as `null`. The plan of the last
//! row is kept, since rows with the same attributes mostly come one after another.

use crate::decode::{BLOCK, Cell, Row};

/// `null` and the comma beside it.
pub(super) const PADDING: usize = 5;
/// Longer cells are copied exactly.
const FEW_BLOCKS: usize = 5 * BLOCK;
/// Stands for a column that the row lacks.
const MISSING: usize = usize::MAX;

/// How rows with certain attributes are written.
#[derive(Debug, Default)]
pub(super) struct Layout {
    /// Whether there has been a row.
    is_planned: bool,
    /// The columns of the row's cells, in the order of the wire.
    columns: Vec<usize>,
    /// By column: its place in the result.
    places: Vec<usize>,
    /// By place in the result: which of the cells goes there.
    sources: Vec<usize>,
}

impl Layout {
    /// Whether a row like the last one can be written.
    #[inline(always)]
    pub(super) fn fits(&self, row: &Row<'_>) -> bool {
        row.is_like_last && self.is_planned
    }

    /// Plans for rows with these cells in a table whose columns have this order.
    pub(super) fn fit(&mut self, cells: &[Cell], order: &[usize]) {
        let columns = cells.iter().map(|cell| cell.column);
        let is_same = self.sources.len() == order.len();
        self.is_planned = true;
        if is_same && columns.clone().eq(self.columns.iter().copied()) {
            return;
        }
        if !is_same {
            self.places.resize(order.len(), 0);
            for (place, &column) in order.iter().enumerate() {
                self.places[column] = place;
            }
        }
        self.columns.clear();
        self.columns.extend(columns);
        self.sources.clear();
        self.sources.resize(order.len(), MISSING);
        for (index, &column) in self.columns.iter().enumerate() {
            self.sources[self.places[column]] = index;
        }
    }

    /// The bytes that [`Layout::write`] will add.
    #[inline(always)]
    pub(super) fn row_length(&self, row: &Row<'_>) -> usize {
        let n_columns = self.sources.len();
        let n_missing = n_columns - row.cells.len();
        // Each cell has a comma or the closing bracket behind it.
        let cells = row.n_bytes + n_columns.max(1) + n_missing * (PADDING - 1);
        cells + 2
    }

    /// Writes a row to the front of `room`, which must be longer by a [`BLOCK`] at least: what lies behind the row is then anything. Its
    /// length is that of [`Layout::row_length`].
    #[inline(always)]
    pub(super) fn write(&self, row: &Row<'_>, room: &mut [u8], length: usize, separator: u8) {
        if row.is_all_item {
            self.write_cells(row.cells, |cell| &row.item[cell.start..], room);
        } else {
            self.write_cells(row.cells, |cell| row.bytes(cell), room);
        }
        room[length - 2..length].copy_from_slice(&[b']', separator]);
    }

    #[inline(always)]
    fn write_cells<'r>(&self, cells: &[Cell], bytes: impl Fn(&Cell) -> &'r [u8], room: &mut [u8]) {
        let mut rest = room;
        put(&mut rest, b"[");
        for &source in &self.sources {
            match cells.get(source) {
                Some(cell) => copy(&mut rest, bytes(cell), cell.length),
                None => put(&mut rest, b"null,"),
            }
        }
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

/// Copies the cell that `bytes` begin with and puts a comma behind it; all but long ones as one or as a few whole blocks, where there are
/// so many, which is faster than their exact length.
#[inline(always)]
pub(super) fn copy(room: &mut &mut [u8], bytes: &[u8], length: usize) {
    let place = std::mem::take(room);
    if length <= BLOCK
        && let Some(block) = bytes.first_chunk::<BLOCK>()
        && let Some(start) = place.first_chunk_mut::<{ BLOCK + 1 }>()
    {
        start[..BLOCK].copy_from_slice(block);
        start[length] = b',';
        *room = &mut place[length + 1..];
    } else if length <= FEW_BLOCKS
        && let Some(blocks) = bytes.first_chunk::<FEW_BLOCKS>()
        && let Some(start) = place.first_chunk_mut::<{ FEW_BLOCKS + 1 }>()
    {
        start[..FEW_BLOCKS].copy_from_slice(blocks);
        start[length] = b',';
        *room = &mut place[length + 1..];
    } else {
        *room = copy_exactly(place, &bytes[..length]);
    }
}

/// Kept apart, or the compiler makes one copy of any length of this and the whole block.
#[cold]
#[inline(never)]
fn copy_exactly<'r>(place: &'r mut [u8], cell: &[u8]) -> &'r mut [u8] {
    let (start, rest) = place.split_at_mut(cell.len() + 1);
    start[..cell.len()].copy_from_slice(cell);
    start[cell.len()] = b',';
    rest
}
