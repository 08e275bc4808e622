//! What is counted of the rows in a store.

/// Rows that were written with the same columns.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Segment {
    /// Where they begin, counted from the first row.
    pub(crate) start: usize,
    /// The columns known then: the ids below this.
    pub(crate) n_columns: usize,
}

/// How much the store holds. A rollback restores the counts of the last commit.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Counts {
    /// Bytes of all rows in the buffer, each with its comma.
    pub(super) bytes: usize,
    /// Rows, those included that have left the buffer as lines.
    pub(super) rows: u64,
    pub(super) n_segments: usize,
    /// Bytes that earlier rows will need for columns that came after them.
    pub(super) padding: u64,
    /// Rows that the limit cut off.
    pub(super) n_dropped: u64,
    /// Rows still to come that an earlier job has given.
    pub(super) to_skip: u64,
    /// Bytes of the lines that name the segments' columns.
    pub(super) column_line_bytes: u64,
}

impl Counts {
    /// Rows that have left the buffer still count, but take no room.
    pub(super) fn forget_rows(&mut self) {
        *self = Self {
            rows: self.rows,
            n_dropped: self.n_dropped,
            to_skip: self.to_skip,
            ..Self::default()
        };
    }
}
