//! Rows that leave a store as lines, for a caller that takes them as they come.

use super::{Stats, Store, layout::Layout, lines::Lines};

/// A buffer that is larger than this is given back once its rows have left.
const KEPT_BUFFER: usize = 4 << 20;

impl Store {
    /// Has rows leave as lines once `data` has more than `after_bytes`; all lines together may have `max_bytes`.
    pub(super) fn give_lines(&mut self, after_bytes: u64, max_bytes: u64) {
        self.lines = Some(Lines::new(after_bytes, max_bytes));
        self.begin_to_flow();
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

    /// Fills `into` with up to 1 MiB of lines, or one line; returns how many of them are rows. `into` is empty where nothing is to leave, or
    /// not yet.
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
        if lines.has_taken(rows) {
            self.forget_rows();
        }
        n_rows
    }

    /// Fills `into` with the line that names the columns where no row has left, which that line would have preceded. To be called at the
    /// end only.
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
            lines.begin_buffer(self.now.bytes as u64 + self.now.column_line_bytes);
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
