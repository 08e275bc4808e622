//! The rows, one after another in one buffer.
//!
//! In: a row's cells as the decoders found them. Out: the row in the order of the columns known by then, `[cell,…],`, a missing
//! cell as `null`. A column that appears later is not yet in earlier rows: they lie in an earlier [`Segment`] and get their `null`s
//! when the document is written. The size of the document is known at every moment, those `null`s included.

use std::ops::Range;

use super::{
    Columns,
    counts::{Counts, Segment},
    layout::{Layout, PADDING},
    lines::Lines,
    page_rows::PageRows,
};
use crate::decode::{BLOCK, Cell, DecodeError, Row};

/// No document is smaller around its column entries, each counted with a comma (hence one bracket less here), and its rows.
const MIN_FRAME: u64 = r#"{"columns":],"data":[],"stats":{"rows":0,"pages":0,"items_evaluated":null,"requests":0,"retries":0,"consumed_capacity_units":0.0,"wire_bytes":0,"elapsed_ms":0,"truncated":true,"next_token":null,"segments":0,"waited_ms":0}}"#.len() as u64;
const MIN_CAPACITY: usize = 4 << 10;
/// As long as so little is in the buffer, moving it is cheaper than moving all rows at the end; less yet may move then, too.
const CHEAP_TO_MOVE: Range<usize> = MIN_CAPACITY..4 << 20;
/// So many bytes are made ready at once.
const READY: usize = 64 << 10;
/// From here on a buffer gets all the room that it may ever need…
pub(crate) const LARGE: usize = 1 << 20;
/// …up to this much, which is what a job may have by default.
const MAX_RESERVED: usize = 1 << 30;

/// Rows, columns and sizes of a table.
#[derive(Debug)]
pub(crate) struct Store {
    pub(super) columns: Columns,
    /// Where rows go that are added to another store.
    pub(super) page_rows: Option<PageRows>,
    /// Room for the header, then the rows, then whatever was there before.
    pub(super) buffer: Vec<u8>,
    /// The length of that room.
    pub(super) gap: usize,
    pub(super) segments: Vec<Segment>,
    pub(super) now: Counts,
    pub(super) committed: Counts,
    /// Rows before the page at hand.
    rows_before: u64,
    limit: u64,
    max_result_bytes: u64,
    pub(super) layout: Layout,
    /// Where the caller takes rows as they come.
    pub(super) lines: Option<Lines>,
    /// What stands behind each row: a comma, or a newline where rows leave as lines.
    pub(super) separator: u8,
}

impl Store {
    /// An empty store.
    pub(crate) fn new(columns: Columns, limit: Option<u64>, max_result_bytes: u64) -> Self {
        Self {
            columns,
            page_rows: None,
            buffer: Vec::new(),
            gap: 0,
            segments: Vec::new(),
            now: Counts::default(),
            committed: Counts::default(),
            rows_before: 0,
            limit: limit.unwrap_or(u64::MAX),
            max_result_bytes,
            layout: Layout::default(),
            lines: None,
            separator: b',',
        }
    }

    /// An empty store for the rows of one page at a time, which are added to another.
    pub(crate) fn for_pages(max_result_bytes: u64) -> Self {
        Self {
            page_rows: Some(PageRows::default()),
            ..Self::new(Columns::new(Vec::new()), None, max_result_bytes)
        }
    }

    /// The columns, for the decoders to find and add names.
    pub(crate) fn columns_mut(&mut self) -> &mut Columns {
        &mut self.columns
    }

    pub(crate) fn columns(&self) -> &Columns {
        &self.columns
    }

    pub(crate) fn rows(&self) -> u64 {
        self.now.rows
    }

    pub(crate) fn page_rows(&self) -> u64 {
        self.now.rows - self.rows_before
    }

    pub(crate) fn is_full(&self) -> bool {
        self.now.rows >= self.limit
    }

    pub(crate) fn n_dropped(&self) -> u64 {
        self.now.n_dropped
    }

    /// Leaves out the next rows: an earlier job has given them.
    pub(crate) fn skip(&mut self, n_rows: u64) {
        self.now.to_skip = n_rows;
        self.committed.to_skip = n_rows;
    }

    pub(crate) fn to_skip(&self) -> u64 {
        self.now.to_skip
    }

    /// Whether the next row is not wanted: it is for [`Store::drop_row`].
    #[inline]
    pub(crate) fn drops_rows(&self) -> bool {
        self.is_full() || self.now.to_skip > 0
    }

    /// Counts a row that is not wanted.
    pub(crate) fn drop_row(&mut self) {
        if self.now.to_skip > 0 {
            self.now.to_skip -= 1;
        } else {
            self.now.n_dropped += 1;
        }
    }

    /// Adds a row.
    ///
    /// # Errors
    /// [`DecodeError::TooLarge`] where the document is now certain to be, [`DecodeError::OutOfMemory`].
    #[inline(always)]
    pub(crate) fn push(&mut self, row: Row<'_>) -> Result<(), DecodeError> {
        if self.page_rows.is_some() {
            return self.keep(row);
        }
        if !self.layout.fits(&row) {
            self.fit(row.cells);
        }
        let length = self.layout.row_length(&row);
        self.check_size(length)?;
        let start = self.gap + self.now.bytes;
        // Cells are written in whole blocks.
        if self.buffer.len() < start + length + BLOCK {
            self.make_room(start + length + BLOCK)?;
        }
        self.layout
            .write(&row, &mut self.buffer[start..], length, self.separator);
        self.now.bytes += length;
        self.now.rows += 1;
        Ok(())
    }

    /// Adds a row to those of a page.
    #[inline(always)]
    fn keep(&mut self, row: Row<'_>) -> Result<(), DecodeError> {
        self.now.rows += 1;
        match &mut self.page_rows {
            Some(page_rows) => page_rows.push(&row, self.max_result_bytes),
            None => Ok(()),
        }
    }

    /// Takes a row that is not like the last: there may be new columns, other cells and other kinds of values.
    #[cold]
    #[inline(never)]
    fn fit(&mut self, cells: &[Cell]) {
        let n_columns = self.columns.len();
        let n_before = self.segments.last().map(|segment| segment.n_columns);
        if n_before != Some(n_columns) {
            self.open_segment(n_columns);
        }
        self.layout.fit(cells, self.columns.order());
        for cell in cells {
            self.columns.see(cell.column, cell.kinds);
        }
    }

    /// Begins a new segment: columns were added since the last row, or this is the first.
    #[inline(never)]
    fn open_segment(&mut self, n_columns: usize) {
        let n_before = self.segments.last().map_or(0, |segment| segment.n_columns);
        // The first column of an empty row `[]` needs no comma.
        let added = (n_columns - n_before) * PADDING;
        let per_row = added - usize::from(n_before == 0 && n_columns > 0);
        self.now.padding += self.now.rows * per_row as u64;
        self.name_columns(n_before, n_columns);
        self.segments.push(Segment {
            start: self.now.bytes,
            n_columns,
        });
        self.now.n_segments += 1;
    }

    /// Refuses a further row where the document, or all lines together, can then no longer be small enough.
    fn check_size(&self, length: usize) -> Result<(), DecodeError> {
        if let Some(lines) = &self.lines {
            return lines.check((self.now.bytes + length) as u64 + self.now.column_line_bytes);
        }
        let certain = MIN_FRAME
            + (self.columns.min_entry_bytes() + self.now.bytes + length) as u64
            + self.now.padding
            // The last row has no comma.
            - 1;
        if certain > self.max_result_bytes {
            return Err(self.too_large());
        }
        Ok(())
    }

    pub(crate) fn too_large(&self) -> DecodeError {
        DecodeError::TooLarge {
            limit: self.max_result_bytes,
        }
    }

    /// Counts and orders the columns that an item has brought, before its row begins a new segment.
    fn name_columns(&mut self, n_before: usize, n_columns: usize) {
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

    /// Makes the buffer at least that long, and some more so that few rows have to ask.
    #[cold]
    #[inline(never)]
    fn make_room(&mut self, end: usize) -> Result<(), DecodeError> {
        if self.buffer.capacity() < end {
            self.grow(end)?;
        }
        let ready = (end + READY).min(self.buffer.capacity());
        self.buffer.resize(ready.max(self.buffer.len()), 0);
        Ok(())
    }

    /// Twice as much room each time, and from some size on as much as a document of this job may need, but never more: fresh pages are
    /// zero without being written and cost nothing until then, and a buffer that does not move can have huge pages (0.02 s less per
    /// 100 MB of answers).
    fn grow(&mut self, end: usize) -> Result<(), DecodeError> {
        let capacity = self.buffer.capacity();
        let most = usize::try_from(self.max_result_bytes)
            .unwrap_or(usize::MAX)
            .saturating_add(self.gap + 1 + BLOCK);
        let all = most.min(MAX_RESERVED).min(self.most_kept());
        // Where the process may not have so much address space, it goes on in steps.
        if (LARGE..all).contains(&capacity)
            && end <= all
            && let Ok(mut whole) = bytemuck::try_zeroed_vec(all)
        {
            plugin_api::advise_huge_pages(&mut whole);
            whole[..self.buffer.len()].copy_from_slice(&self.buffer);
            self.buffer = whole;
            return Ok(());
        }
        let wanted = capacity.saturating_mul(2).max(MIN_CAPACITY);
        reserve_exact(&mut self.buffer, wanted.min(most).max(end))
    }

    /// How much room the buffer may get at once: that of a document which the caller takes, and of the page that makes it larger.
    fn most_kept(&self) -> usize {
        match &self.lines {
            None => usize::MAX,
            Some(lines) if lines.is_flowing => 0,
            Some(lines) => usize::try_from(lines.after_bytes)
                .unwrap_or(usize::MAX)
                .saturating_add(4 * LARGE),
        }
    }

    /// Keeps what is there for good.
    pub(crate) fn commit(&mut self) {
        self.columns.commit();
        if self.page_rows() > 0 && !self.is_flowing() && CHEAP_TO_MOVE.contains(&self.now.bytes) {
            self.fit_gap();
        }
        self.committed = self.now;
    }

    /// Makes the room in front exactly as large as the header would be now, so that the document need not be moved at its end.
    fn fit_gap(&mut self) {
        let wanted = self.columns.header().len();
        if wanted == self.gap {
            return;
        }
        let end = wanted + self.now.bytes;
        self.buffer.resize(self.buffer.len().max(end), 0);
        self.buffer
            .copy_within(self.gap..self.gap + self.now.bytes, wanted);
        self.gap = wanted;
    }

    /// Goes back to what was kept last.
    pub(crate) fn roll_back(&mut self) {
        self.columns.roll_back();
        if let Some(page_rows) = &mut self.page_rows {
            page_rows.clear();
        }
        // Ids may come to mean other names.
        self.layout = Layout::default();
        self.now = self.committed;
        self.rows_before = self.now.rows;
        self.segments.truncate(self.now.n_segments);
    }

    /// Whether rows leave as lines, so that there will be no document.
    pub(super) fn is_flowing(&self) -> bool {
        self.lines.as_ref().is_some_and(|lines| lines.is_flowing)
    }

    pub(super) fn has_uncommitted_rows(&self) -> bool {
        self.now.rows != self.committed.rows
    }

    /// Bytes of the document's `data` as it is now.
    pub(super) fn data_bytes(&self) -> u64 {
        // Both brackets, and the last row has no comma.
        self.now.bytes as u64 + self.now.padding + if self.now.rows == 0 { 2 } else { 1 }
    }

    /// All there is, for the document: columns, buffer with its room in front, segments, padding, and the size allowed.
    pub(crate) fn into_parts(mut self) -> Parts {
        self.roll_back();
        self.buffer.truncate(self.gap + self.now.bytes);
        Parts {
            columns: self.columns,
            buffer: self.buffer,
            gap: self.gap,
            segments: self.segments,
            padding: self.now.padding,
            max_result_bytes: self.max_result_bytes,
        }
    }
}

/// A store taken apart, nothing uncommitted in it.
pub(crate) struct Parts {
    pub(crate) columns: Columns,
    pub(crate) buffer: Vec<u8>,
    pub(crate) gap: usize,
    pub(crate) segments: Vec<Segment>,
    pub(crate) padding: u64,
    pub(crate) max_result_bytes: u64,
}

/// Gives the buffer that capacity, or the error for a host that would otherwise be aborted.
pub(crate) fn reserve_exact(buffer: &mut Vec<u8>, capacity: usize) -> Result<(), DecodeError> {
    buffer
        .try_reserve_exact(capacity.saturating_sub(buffer.len()))
        .map_err(|_| DecodeError::OutOfMemory {
            bytes: capacity as u64,
        })
}
