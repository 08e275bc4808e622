//! Rows as lines, for a caller that takes them as they come.
//!
//! In: the committed rows of a [`Store`]. Out: `{"columns":[…]}` lines that add columns to the right, and `[cell,…]` lines with a cell
//! for each column known by then. Nothing leaves before the document's `data` has become larger than the caller takes in one piece;
//! from then on every page leaves when it is committed, and the buffer holds no more than that page.
//!
//! Rows that were kept for a document have their cells in its order, which for `SELECT *` is by name. Lines need the order of
//! appearance, so these first rows may have to be put in order; from then on rows are written as lines at once.

use std::ops::Range;

use super::layout::Layout;
use super::store::{LARGE, Segment, Store};
use super::{Columns, Stats};
use crate::decode::{DecodeError, Extent};

/// One call of the caller's function carries so much at most, or one line.
const MAX_LINES: usize = 1 << 20;
/// A buffer that is larger than this is given back once its rows have left.
const KEPT_BUFFER: usize = 4 << 20;

/// How far the lines of a table have come.
#[derive(Debug)]
pub(super) struct Lines {
    /// So many bytes of `data` the caller takes as a document.
    after_bytes: u64,
    /// The most bytes of all lines.
    max_bytes: u64,
    /// Bytes of the lines that have left the buffer.
    gone: u64,
    is_flowing: bool,
    /// Columns that the lines have named; `None` before the first line.
    named: Option<usize>,
    /// The next row to leave, as a place in the rows of the buffer.
    next: usize,
    /// The next segment to begin.
    segment: usize,
    /// The order in which the rows of the buffer have their cells, where they were kept for a document.
    kept_order: Option<Vec<usize>>,
    /// By place in the line: which cell of a kept row goes there. Empty where all stay as they are.
    sources: Vec<usize>,
}

impl Store {
    /// Has rows leave as lines once `data` has more than `after_bytes`; all lines together may have `max_bytes`.
    pub(super) fn give_lines(&mut self, after_bytes: u64, max_bytes: u64) {
        self.lines = Some(Lines {
            after_bytes,
            max_bytes,
            gone: 0,
            is_flowing: false,
            named: None,
            next: 0,
            segment: 0,
            kept_order: None,
            sources: Vec::new(),
        });
        self.begin_to_flow();
    }

    /// Whether rows leave as lines, so that there will be no document.
    pub(super) fn is_flowing(&self) -> bool {
        self.lines.as_ref().is_some_and(|lines| lines.is_flowing)
    }

    /// Whether rows leave as lines, now that `data` has the size that it has.
    fn begin_to_flow(&mut self) -> bool {
        let data_bytes = self.data_bytes();
        let Some(lines) = &mut self.lines else {
            return false;
        };
        if !lines.is_flowing && data_bytes > lines.after_bytes {
            lines.is_flowing = true;
            if self.now.bytes > 0 {
                lines.kept_order = Some(self.columns.order().to_vec());
            }
            let batches = self.segments.iter().map(|segment| segment.n_columns);
            self.columns.order_by_appearance(batches);
            self.layout = Layout::default();
            self.separator = b'\n';
        }
        lines.is_flowing
    }

    /// Counts and orders the columns that an item has brought, before its row begins a new segment.
    pub(super) fn name_columns(&mut self, n_before: usize, n_columns: usize) {
        let Some(lines) = &self.lines else { return };
        let is_first = lines.named.is_none() && self.segments.is_empty();
        let n_before = lines.named.unwrap_or(0).max(n_before);
        if lines.is_flowing {
            self.columns.sort_new(n_before, n_columns);
        }
        if is_first || n_columns > n_before {
            self.now.column_line_bytes += self.columns.line_length(n_before..n_columns) as u64;
        }
    }

    /// Refuses a further row where all lines together are then larger than allowed. Nothing where no lines are wanted.
    pub(super) fn check_line_bytes(&self, length: usize) -> Option<Result<(), DecodeError>> {
        self.lines.as_ref().map(|lines| {
            let in_buffer = (self.now.bytes + length) as u64 + self.now.column_line_bytes;
            if lines.gone.saturating_add(in_buffer) > lines.max_bytes {
                return Err(DecodeError::TooLarge {
                    limit: lines.max_bytes,
                });
            }
            Ok(())
        })
    }

    /// How much room the buffer may get at once: that of a document which the caller takes, and of the page that makes it larger.
    pub(super) fn most_kept(&self) -> usize {
        match &self.lines {
            None => usize::MAX,
            Some(lines) if lines.is_flowing => 0,
            Some(lines) => usize::try_from(lines.after_bytes)
                .unwrap_or(usize::MAX)
                .saturating_add(4 * LARGE),
        }
    }

    /// Fills `into` with up to 1 MiB of lines, or one line; how many of them are rows. Empty where nothing is to leave, or not yet.
    ///
    /// To be called after each commit until it gives nothing. Nothing leaves while rows of an attempt are there.
    pub(super) fn take_lines(&mut self, into: &mut Vec<u8>) -> u64 {
        into.clear();
        if self.has_uncommitted_rows() || !self.begin_to_flow() {
            return 0;
        }
        let Some(lines) = &mut self.lines else {
            return 0;
        };
        let rows = &self.buffer[self.gap.min(self.buffer.len())..][..self.now.bytes];
        let n_rows = lines.take(rows, &self.segments, &self.columns, into);
        if !rows.is_empty() && lines.next == rows.len() {
            self.forget_rows();
        }
        n_rows
    }

    /// The line that names the columns, where no row has come that would have been preceded by it. Only at the end.
    pub(super) fn take_columns_line(&mut self, into: &mut Vec<u8>) {
        into.clear();
        if self.begin_to_flow()
            && let Some(lines) = &mut self.lines
            && lines.named.is_none()
        {
            let n_columns = self.columns.len();
            self.columns.write_line(0..n_columns, into);
            lines.named = Some(n_columns);
        }
    }

    /// Begins with an empty buffer again: all of its rows have left.
    fn forget_rows(&mut self) {
        if let Some(lines) = &mut self.lines {
            lines.gone += self.now.bytes as u64 + self.now.column_line_bytes;
            lines.next = 0;
            lines.segment = 0;
            lines.kept_order = None;
        }
        self.segments.clear();
        self.now.forget_rows();
        self.committed = self.now;
        self.gap = 0;
        if self.buffer.capacity() > KEPT_BUFFER {
            self.buffer = Vec::new();
        }
    }

    /// What a job answers whose rows have left: `{"columns":[…],"order":[…],"stats":{…}}`, columns in the order of the lines.
    pub(super) fn summary(&mut self, stats: &Stats) -> Vec<u8> {
        self.roll_back();
        let mut summary = self.columns.entries();
        summary.extend_from_slice(br#","order":"#);
        write(&self.columns.document_order(), &mut summary);
        summary.extend_from_slice(br#","stats":"#);
        write(stats, &mut summary);
        summary.push(b'}');
        summary
    }
}

fn write(value: &impl serde::Serialize, into: &mut Vec<u8>) {
    serde_json::to_writer(into, value).expect("numbers, texts and booleans always serialize");
}

impl Lines {
    fn take(
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
