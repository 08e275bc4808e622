//! The result document around the rows.
//!
//! In: a [`Store`] and the stats. Out: the document, in the buffer in which the rows already lie.

use super::{
    Columns, Stats,
    counts::Segment,
    store::{LARGE, Parts, Store, reserve_exact},
};
use crate::decode::{DecodeError, Extent};

/// Writes header and stats around the rows, and the `null`s of late columns into them. Where the rows have left as lines, what they
/// do not tell: columns with their types, and the stats.
pub(super) fn write(mut store: Store, stats: &Stats) -> Result<Vec<u8>, DecodeError> {
    if store.is_flowing() {
        return Ok(store.summary(stats));
    }
    let too_large = store.too_large();
    let mut parts = store.into_parts();
    let header = parts.columns.header();
    let footer = footer(stats);
    // The last row's comma goes.
    let n_data = (parts.buffer.len() - parts.gap).saturating_sub(1);
    parts.buffer.truncate(parts.gap + n_data);
    let size = (header.len() + n_data + footer.len()) as u64 + parts.padding;
    if size > parts.max_result_bytes {
        return Err(too_large);
    }
    let out_of_memory = DecodeError::OutOfMemory { bytes: size };
    let size = usize::try_from(size).map_err(|_| out_of_memory)?;
    // One byte more for the NUL of the C surface; and the buffer may shrink by what the gap was too large.
    reserve_exact(&mut parts.buffer, size.max(parts.gap + n_data) + 1)?;
    if parts.padding > 0 {
        pad(&mut parts, header.len(), n_data, size - footer.len());
    } else {
        move_rows(&mut parts.buffer, parts.gap, header.len(), n_data);
    }
    let mut document = parts.buffer;
    document[..header.len()].copy_from_slice(&header);
    document.extend_from_slice(&footer);
    if document.capacity() > LARGE {
        // What was reserved and not needed goes back, in place.
        document.shrink_to(size + 1);
    }
    Ok(document)
}

fn footer(stats: &Stats) -> Vec<u8> {
    let mut footer = br#"],"stats":"#.to_vec();
    serde_json::to_writer(&mut footer, stats).expect("numbers and booleans always serialize");
    footer.push(b'}');
    footer
}

/// Moves `n_data` bytes from `from` to `to` and lets the buffer end behind them.
fn move_rows(buffer: &mut Vec<u8>, from: usize, to: usize, n_data: usize) {
    if from != to {
        buffer.resize(buffer.len().max(to + n_data), 0);
        buffer.copy_within(from..from + n_data, to);
    }
    buffer.truncate(to + n_data);
}

/// Gives rows that were written before some column came their `null`s, within the buffer.
///
/// The rows are moved to its end and then read from there while they are written from the front. Padding only ever adds, so what
/// is still to be written never takes less room than what is still to be read, and writing cannot overtake reading.
fn pad(parts: &mut Parts, begin: usize, n_data: usize, end: usize) {
    let buffer = &mut parts.buffer;
    // Where the gap was too large for the header, the rows may already lie further back than they must.
    let end_of_rows = end.max(buffer.len());
    let begin_of_rows = end_of_rows - n_data;
    move_rows(buffer, parts.gap, begin_of_rows, n_data);
    let mut rewriter = Rewriter {
        buffer,
        read: begin_of_rows,
        write: begin,
    };
    for (index, segment) in parts.segments.iter().enumerate() {
        let next = parts.segments.get(index + 1);
        let segment_end = next.map_or(end_of_rows, |next| begin_of_rows + next.start);
        rewriter.segment(segment, &parts.columns, segment_end);
    }
    buffer.truncate(end);
}

/// Copies rows from a later to an earlier place of the same buffer.
struct Rewriter<'a> {
    buffer: &'a mut Vec<u8>,
    read: usize,
    write: usize,
}

impl Rewriter<'_> {
    fn segment(&mut self, segment: &Segment, columns: &Columns, end: usize) {
        if segment.n_columns == columns.len() {
            return self.copy(end - self.read);
        }
        while self.read < end {
            self.row(segment, columns);
            // The comma behind the row; the very last one has none.
            if self.read < end {
                self.copy(1);
            }
        }
    }

    /// One row: the cells it has, in their order, with `null`s between them.
    fn row(&mut self, segment: &Segment, columns: &Columns) {
        self.copy(1); // [
        let mut is_first = true;
        for &id in columns.order() {
            if !std::mem::take(&mut is_first) {
                self.put(b",");
            }
            if id < segment.n_columns {
                self.cell();
            } else {
                self.put(b"null");
            }
        }
        self.copy(1); // ]
    }

    /// The next cell of the row, without the comma or bracket behind it.
    fn cell(&mut self) {
        if self.buffer[self.read] == b',' {
            self.read += 1;
        }
        let rest = &self.buffer[self.read..];
        let length = match rest[0] {
            b'"' | b'[' | b'{' => Extent::default().advance(rest),
            _ => memchr::memchr2(b',', b']', rest),
        };
        self.copy(length.expect("every cell of our own rows ends"));
    }

    fn copy(&mut self, length: usize) {
        self.buffer
            .copy_within(self.read..self.read + length, self.write);
        self.read += length;
        self.write += length;
    }

    fn put(&mut self, text: &[u8]) {
        self.buffer[self.write..self.write + text.len()].copy_from_slice(text);
        self.write += text.len();
    }
}
