//! The predicting decoder: items of a table look alike, so each attribute is expected to be the one that came next last time.
//!
//! In: bytes that begin with an item. Out: its row, exactly as the plain decoder would write it, or `None`: the item is unlike the
//! others, not written as DynamoDB writes it, or not all there. It never adds a column and never has the last word.

use super::block::{self, BLOCK};
use super::cursor::Cursor;
use super::{Cell, Kinds};
use crate::table::Columns;

/// Rows up to this size; larger ones are few and go to the plain decoder.
const MAX_ROW: usize = 1 << 20;
const MIN_ROOM: usize = 16 << 10;
/// No column is expected.
const NONE: usize = usize::MAX;

/// A column as its attributes look on the wire.
#[derive(Debug)]
struct Expected {
    /// How it begins: the first bytes of `text`…
    block: [u8; BLOCK],
    /// …one bit for each of them.
    mask: u32,
    /// `"name":{"`. Empty where the name needs escapes: such a name is never expected.
    text: Box<[u8]>,
    /// The column that followed last time.
    next: usize,
    /// The count of items when it last came.
    seen: u64,
}

impl Expected {
    fn new(name: &str) -> Self {
        let is_plain = !name
            .bytes()
            .any(|byte| matches!(byte, b'"' | b'\\' | 0..=0x1f));
        let text = if is_plain {
            format!("\"{name}\":{{\"").into_bytes()
        } else {
            Vec::new()
        };
        let mut block = [0; BLOCK];
        let n_first = text.len().min(BLOCK);
        block[..n_first].copy_from_slice(&text[..n_first]);
        Self {
            block,
            mask: u32::try_from((1_u64 << n_first) - 1).expect("a block has 32 bytes"),
            text: text.into(),
            next: NONE,
            seen: 0,
        }
    }

    /// Whether the attribute that comes next is this one; gives what follows its beginning.
    #[inline(always)]
    fn strip<'i>(&self, rest: &'i [u8]) -> Option<&'i [u8]> {
        let block = *rest.first_chunk()?;
        if block::equal(block, self.block) & self.mask != self.mask {
            return None;
        }
        if self.text.len() > BLOCK || self.text.is_empty() {
            return self.strip_long(rest);
        }
        rest.get(self.text.len()..)
    }

    #[inline(never)]
    fn strip_long<'i>(&self, rest: &'i [u8]) -> Option<&'i [u8]> {
        rest.strip_prefix(&*self.text)
            .filter(|_| !self.text.is_empty())
    }
}

/// The predicting decoder, with the row that it decoded last.
#[derive(Debug)]
pub(super) struct Predictor {
    /// By column.
    expected: Vec<Expected>,
    /// The column that an item began with last time.
    first: usize,
    n_items: u64,
    row: Vec<u8>,
    /// As many as there are columns, of which the first `n_cells` are the row's.
    cells: Vec<Cell>,
    n_cells: usize,
}

impl Predictor {
    pub(super) fn new() -> Self {
        Self {
            expected: Vec::new(),
            first: NONE,
            n_items: 0,
            row: Vec::new(),
            cells: Vec::new(),
            n_cells: 0,
        }
    }

    /// Decodes the item that `input` begins with; gives its length. The row is then in [`Predictor::row`].
    #[inline]
    pub(super) fn decode(&mut self, input: &[u8], columns: &Columns) -> Option<usize> {
        if self.expected.len() < columns.len() {
            self.learn_names(columns);
        }
        let mut row = std::mem::take(&mut self.row);
        let cursor = Cursor {
            rest: input,
            room: &mut row,
        };
        let done = self.item(cursor, columns);
        self.row = row;
        let (n_left, n_row) = done?;
        // Whole blocks are checked much faster than the bytes of a last one; what lies behind the row can only cost a second look.
        let blocks = self.row.get(..n_row.next_multiple_of(2 * BLOCK))?;
        if !blocks.is_ascii() {
            std::str::from_utf8(&blocks[..n_row]).ok()?;
        }
        Some(input.len() - n_left)
    }

    /// Has room for the row of an item that long; a row is never longer than its item.
    pub(super) fn make_room(&mut self, item: usize) {
        let n_room = (item + 2 * BLOCK).next_multiple_of(MIN_ROOM).min(MAX_ROW);
        if self.row.len() < n_room {
            self.row = vec![0; n_room];
        }
    }

    /// The bytes that begin with the row decoded last, `[cell,cell],`, and its cells.
    pub(super) fn row(&self) -> (&[u8], &[Cell]) {
        (&self.row, &self.cells[..self.n_cells])
    }

    /// Forgets the columns beyond the first `n_columns`.
    pub(super) fn forget(&mut self, n_columns: usize) {
        self.expected.truncate(n_columns);
        let next = self.expected.iter_mut().map(|expected| &mut expected.next);
        for column in next.chain([&mut self.first]) {
            if *column >= n_columns {
                *column = NONE;
            }
        }
    }

    /// Expects the attributes in the order of these cells from now on.
    pub(super) fn learn_order(&mut self, cells: &[Cell], columns: &Columns) {
        self.learn_names(columns);
        let mut last = NONE;
        for cell in cells {
            *self.next(last) = cell.column;
            last = cell.column;
        }
    }

    #[inline(never)]
    fn learn_names(&mut self, columns: &Columns) {
        for id in self.expected.len()..columns.len() {
            self.expected.push(Expected::new(columns.name(id)));
        }
        let none = Cell {
            column: 0,
            start: 0,
            end: 0,
            kinds: Kinds::NONE,
        };
        self.cells.resize(columns.len(), none);
    }

    /// The column expected after another, or first.
    fn next(&mut self, last: usize) -> &mut usize {
        match self.expected.get_mut(last) {
            Some(expected) => &mut expected.next,
            None => &mut self.first,
        }
    }

    /// Reads an item; gives the number of bytes behind it and the row's length.
    #[inline(always)]
    fn item(&mut self, mut cursor: Cursor<'_, '_>, columns: &Columns) -> Option<(usize, usize)> {
        let n_room = cursor.room.len();
        self.n_items += 1;
        cursor.expect(b"{")?;
        cursor.put(b"[")?;
        let mut last = NONE;
        let mut column = self.first;
        let mut n_cells = 0;
        loop {
            let mut rest = self
                .expected
                .get(column)
                .and_then(|expected| expected.strip(cursor.rest));
            if rest.is_none() {
                column = self.unexpected(cursor.rest, last, columns)?;
                rest = self.expected[column].strip(cursor.rest);
            }
            cursor.rest = rest?;
            let start = n_room - cursor.room.len();
            let kinds = cursor.value(0)?;
            let end = n_room - cursor.room.len();
            *self.cells.get_mut(n_cells)? = Cell {
                column,
                start,
                end,
                kinds,
            };
            n_cells += 1;
            let expected = self.expected.get_mut(column)?;
            if std::mem::replace(&mut expected.seen, self.n_items) == self.n_items {
                return None;
            }
            if cursor.expect(b"},").is_none() {
                break;
            }
            cursor.put(b",")?;
            last = column;
            column = expected.next;
        }
        cursor.expect(b"}}")?;
        cursor.put(b"],")?;
        self.n_cells = n_cells;
        Some((cursor.rest.len(), n_room - cursor.room.len()))
    }

    /// The column of an attribute that is not the expected one: the one expected after that, or any.
    #[inline(never)]
    fn unexpected(&mut self, rest: &[u8], last: usize, columns: &Columns) -> Option<usize> {
        // One that is often absent must not be forgotten when it is: what follows it is expected next.
        let absent = *self.next(last);
        let after = self.expected.get(absent).map_or(NONE, |absent| absent.next);
        if self
            .expected
            .get(after)
            .is_some_and(|after| after.strip(rest).is_some())
        {
            return Some(after);
        }
        let name = rest.strip_prefix(b"\"")?;
        let column = columns.find(&name[..memchr::memchr(b'"', name)?])?;
        *self.next(last) = column;
        Some(column)
    }
}
