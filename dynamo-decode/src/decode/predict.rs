//! The predicting decoder: items of a table look alike, so each attribute is expected to be the one that came next last time.
//!
//! In: bytes that begin with an item. Out: its row, exactly as the plain decoder would write it, or `None`: the item is unlike the
//! others, not written as DynamoDB writes it, or not all there. It never adds a column and never has the last word.
//!
//! Once some items had the same attributes, the next ones are expected to have just these: [`Predictor::usual`] compares and scans, and
//! that is all. From the first attribute that differs on, [`Predictor::unusual`] reads the rest of the item, attribute by attribute.

use std::hint::cold_path;

use super::{
    BLOCK, Cell, Kinds, Row,
    block::Blocks,
    expected::{Expected, Type},
    nested::{self, Nested, Shapes},
    scan,
};
use crate::table::Columns;

/// Values that are written anew have so much room for an item; larger ones are few and go to the plain decoder.
const MAX_ROOM: usize = 1 << 20;
const MIN_ROOM: usize = 16 << 10;
/// The room begins with this, which is the cell of every NULL.
const NULL: &[u8] = b"null";
/// No column is expected.
const NONE: usize = usize::MAX;
/// So many attributes after the expected one are looked at before the names of all are.
const LOOK_AHEAD: usize = 2;
/// Attributes are usual once so many items in a row had them…
const MIN_ALIKE: u32 = 4;
/// …and until so many in a row have others.
const MAX_UNUSUAL: u32 = 16;

/// What is remembered of a column.
#[derive(Debug)]
struct Attribute {
    expected: Expected,
    /// The column that followed last time.
    next: usize,
    /// The place of the maps in its values.
    inner: usize,
    /// What its values have been in this attempt.
    kinds: Kinds,
    /// The count of unlike items when it last came in one.
    seen: u64,
}

/// An attribute of the usual items, which come in this order.
#[derive(Debug)]
struct Usual {
    expected: Expected,
    column: usize,
    inner: usize,
}

/// How far an item has been read.
struct Progress<'i> {
    rest: &'i [u8],
    n_cells: usize,
    n_bytes: usize,
    /// Whether a column or a kind of value is not as in the row before.
    is_unlike: bool,
}

/// The predicting decoder, with the row that it decoded last.
#[derive(Debug)]
pub(super) struct Predictor {
    /// By column.
    attributes: Vec<Attribute>,
    /// The column that an item began with last time.
    first: usize,
    usual: Vec<Usual>,
    /// Whether the row decoded last has the usual columns.
    is_usual: bool,
    /// Items in a row with the same attributes, where none are usual; with others than usual, where some are.
    n_in_a_row: u32,
    /// Items whose attributes were not those of the item before.
    n_unlike: u64,
    values: Values,
    /// As many as there are columns, of which the first `n_cells` are the row's.
    cells: Vec<Cell>,
    /// None if the last row that went to the table is not this one.
    n_cells: usize,
    n_bytes: usize,
    is_like_last: bool,
}

/// Values that a result does not have as they came.
#[derive(Debug, Default)]
struct Values {
    room: Vec<u8>,
    n_written: usize,
    /// Whether some value of the item is here.
    is_used: bool,
    shapes: Shapes,
}

impl Values {
    /// Reads the value that `text` begins with into a cell; gives what follows. `at` is the place of `text` in the item; whether a kind
    /// is new goes to `is_unlike`.
    #[inline(always)]
    fn value<'t>(
        &mut self,
        blocks: impl Blocks,
        (expected, inner): (&Expected, &mut usize),
        (text, at): (&'t [u8], usize),
        cell: &mut Cell,
        is_unlike: &mut bool,
    ) -> Option<&'t [u8]> {
        // The commonest come first, and not in one match, of which the compiler would make a jump.
        if expected.is_text {
            let rest = scan::string(blocks, text)?;
            // With both quotes.
            cell.start = at - 1;
            cell.length = text.len() - rest.len() + 1;
            return Some(rest);
        }
        cell.start = at;
        if expected.is_number {
            let (rest, number) = scan::number(text)?;
            cell.length = text.len() - rest.len() - 1;
            if cell.kinds.with(number) != cell.kinds {
                cold_path();
                *is_unlike |= cell.kinds.add(number);
            }
            return Some(rest);
        }
        if expected.of == Type::Boolean {
            let rest = scan::boolean(text)?;
            cell.length = text.len() - rest.len();
            return Some(rest);
        }
        if matches!(expected.of, Type::Strings | Type::Binaries) {
            let rest = blocks.run(
                #[inline(always)]
                move || scan::strings(blocks, text),
            )?;
            cell.length = text.len() - rest.len();
            return Some(rest);
        }
        self.is_used = true;
        if expected.of == Type::Null {
            cell.start = 0;
            cell.length = NULL.len();
            return Some(text);
        }
        let shapes = &mut self.shapes;
        let inner = shapes.place(inner);
        let room = self.room.get_mut(self.n_written..)?;
        let n_room = room.len();
        let mut nested = Nested { blocks, shapes };
        let (rest, room) = nested.holder((text, room), expected.of, inner, 0)?;
        cell.start = self.n_written;
        cell.length = n_room - room.len();
        self.n_written += cell.length;
        Some(rest)
    }
}

impl Predictor {
    pub(super) fn new() -> Self {
        Self {
            attributes: Vec::new(),
            first: NONE,
            usual: Vec::new(),
            is_usual: false,
            n_in_a_row: 0,
            n_unlike: 0,
            values: Values::default(),
            cells: Vec::new(),
            n_cells: 0,
            n_bytes: 0,
            is_like_last: false,
        }
    }

    /// Decodes the item that `input` begins with; gives what follows it. The row is then in [`Predictor::row`].
    #[inline(always)]
    pub(super) fn decode<'i>(
        &mut self,
        blocks: impl Blocks,
        input: &'i [u8],
        columns: &Columns,
    ) -> Option<&'i [u8]> {
        let n_last = std::mem::replace(&mut self.n_cells, 0);
        self.values.n_written = NULL.len();
        self.values.is_used = false;
        let mut item = Progress {
            rest: input,
            n_cells: 0,
            n_bytes: 0,
            is_unlike: false,
        };
        let is_usual = self.usual(blocks, input, &mut item)?;
        if !is_usual {
            cold_path();
            blocks.run(
                #[inline(always)]
                || self.unusual(blocks, input, &mut item, columns),
            )?;
        }
        self.is_like_last = !item.is_unlike && item.n_cells == n_last;
        if !self.is_like_last && self.has_twice(item.n_cells) {
            return None;
        }
        if is_usual {
            self.n_in_a_row = 0;
        } else {
            self.learn_usual(item.n_cells, columns);
        }
        self.n_cells = item.n_cells;
        self.n_bytes = item.n_bytes;
        item.rest.get(2..)
    }

    /// The row decoded last, of the item that `input` begins with.
    #[inline(always)]
    pub(super) fn row<'a>(&'a self, input: &'a [u8]) -> Row<'a> {
        Row {
            item: input,
            written: &self.values.room,
            cells: &self.cells[..self.n_cells],
            n_bytes: self.n_bytes,
            is_all_item: !self.values.is_used,
            is_like_last: self.is_like_last,
        }
    }

    /// Has room for the values of an item that long; they are never longer than on the wire.
    pub(super) fn make_room(&mut self, item: usize) {
        let n_room = (item + 2 * BLOCK).next_multiple_of(MIN_ROOM).min(MAX_ROOM);
        let room = &mut self.values.room;
        if room.len() < n_room {
            *room = vec![0; n_room];
            room[..NULL.len()].copy_from_slice(NULL);
        }
    }

    /// Begins an attempt, with the first `n_columns` columns.
    pub(super) fn begin(&mut self, n_columns: usize) {
        self.n_cells = 0;
        self.is_usual = false;
        if self.attributes.len() > n_columns {
            self.attributes.truncate(n_columns);
            self.usual.clear();
        }
        for attribute in &mut self.attributes {
            attribute.kinds = Kinds::NONE;
        }
        let next = self.attributes.iter_mut().map(|of| &mut of.next);
        for column in next.chain([&mut self.first]) {
            if *column >= n_columns {
                *column = NONE;
            }
        }
    }

    /// Another row went to the table than the one decoded last.
    pub(super) fn forget_row(&mut self) {
        self.n_cells = 0;
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

    #[cold]
    #[inline(never)]
    fn learn_names(&mut self, columns: &Columns) {
        self.make_room(0);
        for id in self.attributes.len()..columns.len() {
            self.attributes.push(Attribute {
                expected: Expected::new("", columns.name(id), Type::String),
                next: NONE,
                inner: nested::NONE,
                kinds: Kinds::NONE,
                seen: 0,
            });
        }
        self.cells.resize(columns.len(), new_cell(NONE, Type::Null));
    }

    /// The column expected after another, or first.
    fn next(&mut self, last: usize) -> &mut usize {
        match self.attributes.get_mut(last) {
            Some(attribute) => &mut attribute.next,
            None => &mut self.first,
        }
    }

    /// Whether a column comes twice among the first cells. One that was checked so has it for all rows that are like it.
    #[cold]
    #[inline(never)]
    fn has_twice(&mut self, n_cells: usize) -> bool {
        self.n_unlike += 1;
        for cell in &self.cells[..n_cells] {
            let seen = &mut self.attributes[cell.column].seen;
            if std::mem::replace(seen, self.n_unlike) == self.n_unlike {
                return true;
            }
        }
        false
    }

    /// Reads the item's attributes as far as they are the usual ones; whether that was all of it.
    #[inline(always)]
    fn usual<'i>(
        &mut self,
        blocks: impl Blocks,
        input: &'i [u8],
        item: &mut Progress<'i>,
    ) -> Option<bool> {
        if self.usual.is_empty() {
            return Some(false);
        }
        if !self.is_usual {
            item.is_unlike = true;
            self.is_usual = true;
            for (cell, usual) in self.cells.iter_mut().zip(&self.usual) {
                *cell = new_cell(usual.column, usual.expected.of);
            }
        }
        let mut rest = input;
        let mut n_bytes = 0;
        let mut is_unlike = item.is_unlike;
        let mut n_cells = 0;
        for (usual, cell) in self.usual.iter_mut().zip(&mut self.cells) {
            if !usual.expected.begins(blocks, rest) {
                cold_path();
                break;
            }
            let text = rest.get(usual.expected.length..)?;
            rest = self.values.value(
                blocks,
                (&usual.expected, &mut usual.inner),
                (text, input.len() - text.len()),
                cell,
                &mut is_unlike,
            )?;
            n_bytes += cell.length;
            n_cells += 1;
        }
        *item = Progress {
            rest,
            n_cells,
            n_bytes,
            is_unlike,
        };
        Some(n_cells == self.usual.len() && rest.starts_with(b"}}"))
    }

    /// Reads the rest of an item whose first attributes have been read.
    #[inline(always)]
    fn unusual<'i>(
        &mut self,
        blocks: impl Blocks,
        input: &'i [u8],
        item: &mut Progress<'i>,
        columns: &Columns,
    ) -> Option<()> {
        if self.attributes.len() < columns.len() {
            self.learn_names(columns);
        }
        let mut last = match item.n_cells.checked_sub(1) {
            Some(last) => self.cells.get(last)?.column,
            None => NONE,
        };
        // Until it is certain that the cells are as `usual` leaves them.
        let mut is_usual = std::mem::take(&mut self.is_usual);
        loop {
            let before = if last == NONE { &b"{"[..] } else { b"}," };
            let Some(rest) = item.rest.strip_prefix(before) else {
                break;
            };
            let mut column = *self.next(last);
            let expected = self.attributes.get(column).map(|known| &known.expected);
            let text = match expected.filter(|expected| expected.begins(blocks, rest)) {
                Some(expected) => rest.get(expected.length..)?,
                None => {
                    let text;
                    (column, text) = self.unexpected(blocks, rest, last, columns)?;
                    text
                }
            };
            let attribute = self.attributes.get_mut(column)?;
            let of = attribute.expected.of;
            let usual = self.usual.get(item.n_cells);
            is_usual &=
                usual.is_some_and(|usual| usual.column == column && usual.expected.of == of);
            let cell = self.cells.get_mut(item.n_cells)?;
            item.is_unlike |= cell.column != column;
            *cell = new_cell(column, of);
            item.rest = self.values.value(
                blocks,
                (&attribute.expected, &mut attribute.inner),
                (text, input.len() - text.len()),
                cell,
                &mut false,
            )?;
            item.is_unlike |= attribute.kinds.add(cell.kinds);
            item.n_bytes += cell.length;
            item.n_cells += 1;
            last = column;
        }
        self.is_usual = is_usual;
        item.rest.starts_with(b"}}").then_some(())
    }

    /// What is usual changes with an item that was not: attributes become usual, or others.
    fn learn_usual(&mut self, n_cells: usize, columns: &Columns) {
        if !self.usual.is_empty() {
            self.n_in_a_row += 1;
            if self.n_in_a_row == MAX_UNUSUAL {
                self.usual.clear();
                self.n_in_a_row = 0;
            }
            return;
        }
        self.n_in_a_row = if self.is_like_last {
            self.n_in_a_row + 1
        } else {
            0
        };
        if self.n_in_a_row == MIN_ALIKE {
            self.n_in_a_row = 0;
            self.is_usual = true;
            self.usual.extend(
                self.cells[..n_cells]
                    .iter()
                    .enumerate()
                    .map(|(place, cell)| {
                        let before = if place == 0 { "{" } else { "}," };
                        let attribute = &self.attributes[cell.column];
                        Usual {
                            expected: Expected::new(
                                before,
                                columns.name(cell.column),
                                attribute.expected.of,
                            ),
                            column: cell.column,
                            inner: attribute.inner,
                        }
                    }),
            );
        }
    }

    /// The attribute that comes where another was expected: one of those after it, or any, and that with a value of another type.
    #[inline(always)]
    fn unexpected<'i>(
        &mut self,
        blocks: impl Blocks,
        rest: &'i [u8],
        last: usize,
        columns: &Columns,
    ) -> Option<(usize, &'i [u8])> {
        // One that is often absent must not be forgotten when it is: what follows it is expected next.
        let mut column = *self.next(last);
        for _ in 0..LOOK_AHEAD {
            let Some(absent) = self.attributes.get(column) else {
                break;
            };
            column = absent.next;
            if let Some(Attribute { expected, .. }) = self.attributes.get(column)
                && expected.begins(blocks, rest)
            {
                return Some((column, rest.get(expected.length..)?));
            }
        }
        self.any(rest, last, columns)
    }

    /// The attribute whatever it is, which is then the one expected here.
    #[inline(never)]
    fn any<'i>(
        &mut self,
        rest: &'i [u8],
        last: usize,
        columns: &Columns,
    ) -> Option<(usize, &'i [u8])> {
        let name = rest.strip_prefix(b"\"")?;
        let column = columns.find(&name[..memchr::memchr(b'"', name)?])?;
        *self.next(last) = column;
        let value = self
            .attributes
            .get_mut(column)?
            .expected
            .strip_any_type(rest)?;
        Some((column, value))
    }
}

/// The cell of a value that is still to be read.
fn new_cell(column: usize, of: Type) -> Cell {
    Cell {
        column,
        start: 0,
        length: 0,
        kinds: of.kinds(),
        is_written: of.is_written(),
    }
}
