//! Rows as lines, for a caller that takes them as they come.
//!
//! In: the committed rows of a [`Store`](super::Store). Out: `{"columns":[…]}` lines that add columns to the right, and `[cell,…]` lines with a cell
//! for each column known by then. Nothing leaves before the document's `data` has become larger than the caller takes in one piece;
//! from then on every page leaves when it is committed, and the buffer holds no more than that page.
//!
//! Rows that were kept for a document have their cells in its order, which for `SELECT *` is by name. Lines need the order of
//! appearance, so these first rows may have to be put in order; from then on rows are written as lines at once.

use std::ops::Range;

use super::{Columns, counts::Segment};
use crate::decode::{DecodeError, Extent};

/// One call of the caller's function carries so much at most, or one line.
const MAX_LINES: usize = 1 << 20;

/// How far the lines of a table have come.
#[derive(Debug)]
pub(super) struct Lines {
    /// The caller takes a document whose `data` has at most this many bytes.
    pub(super) after_bytes: u64,
    /// The most bytes of all lines.
    max_bytes: u64,
    /// Bytes of the lines that have left the buffer.
    bytes_taken: u64,
    /// Whether rows leave as lines, so that there will be no document.
    pub(super) is_flowing: bool,
    /// How many columns the lines have named; `None` before the first line.
    pub(super) named: Option<usize>,
    /// The next row to leave, as a place in the rows of the buffer.
    next: usize,
    /// The next segment to begin.
    segment: usize,
    /// The order in which the rows of the buffer have their cells, where they were kept for a document.
    pub(super) kept_order: Option<Vec<usize>>,
    /// By place in the line: which cell of a kept row goes there. Empty where all stay as they are.
    sources: Vec<usize>,
}

impl Lines {
    pub(super) fn new(after_bytes: u64, max_bytes: u64) -> Self {
        Self {
            after_bytes,
            max_bytes,
            bytes_taken: 0,
            is_flowing: false,
            named: None,
            next: 0,
            segment: 0,
            kept_order: None,
            sources: Vec::new(),
        }
    }

    /// Refuses lines of so many bytes in the buffer where all lines together would be larger than allowed.
    pub(super) fn check(&self, bytes_in_buffer: u64) -> Result<(), DecodeError> {
        if self.bytes_taken.saturating_add(bytes_in_buffer) > self.max_bytes {
            return Err(DecodeError::TooLarge {
                limit: self.max_bytes,
            });
        }
        Ok(())
    }

    /// Whether all rows of the buffer have been taken.
    pub(super) fn has_taken(&self, rows: &[u8]) -> bool {
        !rows.is_empty() && self.next == rows.len()
    }

    /// Begins with an empty buffer again, from which lines of so many bytes were taken.
    pub(super) fn begin_buffer(&mut self, bytes_taken: u64) {
        self.bytes_taken += bytes_taken;
        self.next = 0;
        self.segment = 0;
        self.kept_order = None;
    }

    /// Copies lines of the rows in the buffer, up to [`MAX_LINES`] bytes, or one line: how many of them are rows.
    pub(super) fn take(
        &mut self,
        rows: &[u8],
        segments: &[Segment],
        columns: &Columns,
        into: &mut Vec<u8>,
    ) -> u64 {
        let mut n_rows = 0;
        while self.next < rows.len() {
            if let Some(segment) = segments.get(self.segment)
                && segment.start == self.next
            {
                if !self.name(segment.n_columns, columns, into) {
                    break;
                }
                self.sources = match &self.kept_order {
                    Some(kept) => sources(kept, columns.order(), segment.n_columns),
                    None => Vec::new(),
                };
                self.segment += 1;
            }
            let end = segments
                .get(self.segment)
                .map_or(rows.len(), |segment| segment.start);
            let rows = &rows[self.next..end];
            let (length, taken) = match self.kept_order {
                None => whole_lines(rows, into),
                Some(_) => self.kept_row(rows, into),
            };
            if length == 0 {
                break;
            }
            self.next += length;
            n_rows += taken;
        }
        n_rows
    }

    /// Names the columns that are new with a segment; false where the line has no room.
    fn name(&mut self, n_columns: usize, columns: &Columns, into: &mut Vec<u8>) -> bool {
        if self.named == Some(n_columns) {
            return true;
        }
        let new = self.named.unwrap_or(0)..n_columns;
        if !has_room(into, columns.line_length(new.clone())) {
            return false;
        }
        columns.write_line(new, into);
        self.named = Some(n_columns);
        true
    }

    /// Takes one row that was kept for a document: its length there, comma included, and how many rows were taken.
    fn kept_row(&self, rows: &[u8], into: &mut Vec<u8>) -> (usize, u64) {
        let length = Extent::default()
            .advance(rows)
            .expect("every row of our own ends");
        if !has_room(into, length + 1) {
            return (0, 0);
        }
        let row = &rows[..length];
        if self.sources.is_empty() {
            into.extend_from_slice(row);
        } else {
            let cells: Vec<Range<usize>> = cells(row).collect();
            for (place, &source) in self.sources.iter().enumerate() {
                into.push(if place == 0 { b'[' } else { b',' });
                into.extend_from_slice(&row[cells[source].clone()]);
            }
            into.push(b']');
        }
        into.push(b'\n');
        (length + 1, 1)
    }
}

/// Whether so many bytes more are within what one call may carry. One line always is.
fn has_room(lines: &[u8], more: usize) -> bool {
    lines.is_empty() || lines.len() + more <= MAX_LINES
}

/// Copies as many whole lines as there is room for: their bytes, and how many they are. A newline stands nowhere inside a line.
fn whole_lines(lines: &[u8], into: &mut Vec<u8>) -> (usize, u64) {
    let room = MAX_LINES.saturating_sub(into.len()).min(lines.len());
    let fitting = memchr::memrchr(b'\n', &lines[..room]).map_or(0, |at| at + 1);
    let length = if fitting == 0 && into.is_empty() {
        memchr::memchr(b'\n', lines).map_or(lines.len(), |at| at + 1)
    } else {
        fitting
    };
    let taken = &lines[..length];
    into.extend_from_slice(taken);
    (length, memchr::memchr_iter(b'\n', taken).count() as u64)
}

/// By place in a line: which cell of a kept row of a segment goes there; nothing where that is the same order.
fn sources(kept: &[usize], order: &[usize], n_columns: usize) -> Vec<usize> {
    let mut cell_of = vec![0; n_columns];
    let known = kept.iter().filter(|&&id| id < n_columns);
    for (cell, &id) in known.enumerate() {
        cell_of[id] = cell;
    }
    let sources: Vec<usize> = order[..n_columns].iter().map(|&id| cell_of[id]).collect();
    if sources.iter().copied().eq(0..n_columns) {
        return Vec::new();
    }
    sources
}

/// Where the cells of a row lie in it.
fn cells(row: &[u8]) -> impl Iterator<Item = Range<usize>> {
    let mut start = 1;
    std::iter::from_fn(move || {
        let rest = row.get(start..)?;
        let length = match rest.first()? {
            b'"' | b'[' | b'{' => Extent::default().advance(rest),
            b']' => return None,
            _ => memchr::memchr2(b',', b']', rest),
        };
        let end = start + length.expect("every cell of our own rows ends");
        let cell = start..end;
        start = end + 1;
        Some(cell)
    })
}
