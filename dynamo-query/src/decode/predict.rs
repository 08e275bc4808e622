//! The predicting decoder: items of a table look alike, so each attribute is expected to be the one that came next last time.
//!
//! In: bytes that begin with an item. Out: its row, exactly as the plain decoder would write it, or `None`: the item is unlike the
//! others, not written as DynamoDB writes it, or not all there. It never adds a column and never has the last word.

use super::Cell;
use super::block::{self, BLOCK};
use super::cursor::Cursor;
use crate::table::Columns;

/// Rows up to this size; larger ones are few and go to the plain decoder.
const MAX_ROW: usize = 1 << 20;
/// Stands for the beginning of an item among the columns that may come before another.
const BEGINNING: usize = 0;
/// No column has come here yet.
const NONE: usize = usize::MAX;

/// What a column's attribute begins with: `"name":{"`.
#[derive(Debug)]
struct Template {
    /// Its first bytes.
    block: [u8; BLOCK],
    /// One bit for each of them.
    mask: u32,
    /// All of it. Empty where the name needs escapes: such a name is never expected.
    text: Box<[u8]>,
}

impl Template {
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
        }
    }

    /// Whether the attribute at `at` is this one.
    #[inline(always)]
    fn matches(&self, input: &[u8], at: usize) -> bool {
        let Some(block) = block::load(input, at) else {
            return false;
        };
        if block::equal(block, self.block) & self.mask != self.mask {
            return false;
        }
        match self.text.get(BLOCK..) {
            None => !self.text.is_empty(),
            Some(rest) => input[at + BLOCK..].starts_with(rest),
        }
    }
}

/// The predicting decoder, with the row that it decoded last.
#[derive(Debug, Default)]
pub(super) struct Predictor {
    /// By column.
    templates: Vec<Template>,
    /// By column + 1, and [`BEGINNING`]: the column that followed last time.
    after: Vec<usize>,
    /// By column: the count of items when it last came.
    seen: Vec<u64>,
    n_items: u64,
    output: Vec<u8>,
    cells: Vec<Cell>,
}

impl Predictor {
    /// Decodes the item that `input` begins with; gives its length. The row is then in [`Predictor::row`].
    #[inline]
    pub(super) fn decode(&mut self, input: &[u8], columns: &Columns) -> Option<usize> {
        self.learn_names(columns);
        let room = (input.len() + 2 * BLOCK).min(MAX_ROW);
        if self.output.len() < room {
            self.output.resize(room, 0);
        }
        let mut output = std::mem::take(&mut self.output);
        let mut cursor = Cursor {
            input,
            at: 0,
            output: &mut output,
            to: 0,
            non_ascii: 0,
        };
        let done = self.item(&mut cursor, columns);
        let Cursor {
            at, to, non_ascii, ..
        } = cursor;
        self.output = output;
        done?;
        if non_ascii != 0 {
            std::str::from_utf8(&self.output[..to]).ok()?;
        }
        Some(at)
    }

    /// The bytes that begin with the row decoded last, `[cell,cell],`, and its cells.
    pub(super) fn row(&self) -> (&[u8], &[Cell]) {
        (&self.output, &self.cells)
    }

    /// Forgets the columns beyond the first `n_columns`.
    pub(super) fn forget(&mut self, n_columns: usize) {
        self.templates.truncate(n_columns);
        self.seen.truncate(n_columns);
        self.after.truncate(n_columns + 1);
        for next in &mut self.after {
            if *next >= n_columns {
                *next = NONE;
            }
        }
    }

    /// Expects the attributes in the order of these cells from now on.
    pub(super) fn learn_order(&mut self, cells: &[Cell], columns: &Columns) {
        self.learn_names(columns);
        let mut last = BEGINNING;
        for cell in cells {
            self.after[last] = cell.column;
            last = cell.column + 1;
        }
    }

    #[inline(always)]
    fn learn_names(&mut self, columns: &Columns) {
        if self.after.len() <= columns.len() {
            for id in self.templates.len()..columns.len() {
                self.templates.push(Template::new(columns.name(id)));
            }
            self.seen.resize(columns.len(), 0);
            self.after.resize(columns.len() + 1, NONE);
        }
    }

    #[inline(always)]
    fn item(&mut self, cursor: &mut Cursor<'_>, columns: &Columns) -> Option<()> {
        self.cells.clear();
        self.n_items += 1;
        cursor.expect(b'{')?;
        cursor.put(b"[")?;
        let mut last = BEGINNING;
        loop {
            let column = self.attribute(cursor.input, cursor.at, last, columns)?;
            if std::mem::replace(&mut self.seen[column], self.n_items) == self.n_items {
                return None;
            }
            cursor.at += self.templates[column].text.len();
            let start = cursor.to;
            let kinds = cursor.value(0)?;
            self.cells.push(Cell {
                column,
                start,
                end: cursor.to,
                kinds,
            });
            if cursor.expect(b',').is_none() {
                break;
            }
            cursor.put(b",")?;
            last = column + 1;
        }
        cursor.expect(b'}')?;
        cursor.put(b"],")
    }

    /// The column of the attribute at `at`: the one that came after `last` last time, or the one after that, or any.
    #[inline(always)]
    fn attribute(
        &mut self,
        input: &[u8],
        at: usize,
        last: usize,
        columns: &Columns,
    ) -> Option<usize> {
        let expected = self.after[last];
        if self.is_at(expected, input, at) {
            return Some(expected);
        }
        self.unexpected_attribute(input, at, last, columns)
    }

    #[inline(always)]
    fn is_at(&self, column: usize, input: &[u8], at: usize) -> bool {
        let template = self.templates.get(column);
        template.is_some_and(|template| template.matches(input, at))
    }

    #[inline(never)]
    fn unexpected_attribute(
        &mut self,
        input: &[u8],
        at: usize,
        last: usize,
        columns: &Columns,
    ) -> Option<usize> {
        // One that is often absent must not be forgotten when it is: what follows it is expected next.
        let skipped = self.after.get(self.after[last].wrapping_add(1)).copied();
        if let Some(column) = skipped.filter(|&column| self.is_at(column, input, at)) {
            return Some(column);
        }
        let name = input.get(at..)?.strip_prefix(b"\"")?;
        let name = &name[..memchr::memchr(b'"', name)?];
        let column = columns.find(name)?;
        if !self.is_at(column, input, at) {
            return None;
        }
        self.after[last] = column;
        Some(column)
    }
}
