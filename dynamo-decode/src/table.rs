//! All rows of one job, straight in the buffer that becomes the result document.
//!
//! In: the bodies of the job's pages, attempt by attempt. Out: `{"columns":…,"data":…,"stats":…}`. Nothing of a page counts
//! before [`Table::commit_page`]: rows, columns and types of an attempt that failed are gone when the next one begins.
//!
//! ```
//! use dynamo_decode::{Stats, Table};
//!
//! let mut table = Table::new(None, None, 1 << 20);
//! table.begin_attempt();
//! table.feed(br#"{"Items":[{"id":{"S":"a"}},{"id":{"S":"b"},"n":{"N":"1.5"}}],"NextTo"#)?;
//! table.feed(br#"ken":"t"}"#)?;
//! assert_eq!(table.end_attempt()?, br#"{"NextToken":"t"}"#);
//! table.commit_page();
//! let document = String::from_utf8(table.finish(&Stats::default())?).unwrap();
//! assert!(document.starts_with(
//!     r#"{"columns":[{"name":"id","type":"string"},{"name":"n","type":"float"}],"data":[["a",null],["b",1.5]],"stats":{"#
//! ));
//! # Ok::<(), dynamo_decode::DecodeError>(())
//! ```

mod append;
mod columns;
mod counts;
mod document;
mod drain;
mod layout;
mod lines;
mod page_rows;
mod stats;
mod store;
#[cfg(test)]
mod tests;

pub use self::stats::Stats;
pub(crate) use self::{columns::Columns, store::Store};
use crate::decode::{DecodeError, ItemDecoder, Page, Paths};

/// The rows of one job, committed page by page.
#[derive(Debug)]
pub struct Table {
    store: Store,
    items: ItemDecoder,
    page: Page,
}

impl Table {
    /// An empty table.
    ///
    /// `select`: the names of the SELECT list in its order, each once; `None` for `SELECT *`, whose columns are sorted by name,
    /// bytewise. Attributes that come although the list does not name them are further columns, sorted, behind it.
    /// `limit`: the most rows. `max_result_bytes`: of the whole document.
    #[must_use]
    pub fn new(select: Option<Vec<String>>, limit: Option<u64>, max_result_bytes: u64) -> Self {
        let columns = Columns::new(select.unwrap_or_default());
        Self {
            store: Store::new(columns, limit, max_result_bytes),
            items: ItemDecoder::new(),
            page: Page::new(),
        }
    }

    /// A table for the pages of a Scan, one at a time: [`Table::append`] adds each to the table of the result.
    ///
    /// `paths`: the SELECT list, each entry as the names that lead to its value; `None` for `SELECT *`.
    #[must_use]
    pub fn for_pages(paths: Option<&[Vec<String>]>, max_result_bytes: u64) -> Self {
        let mut items = ItemDecoder::new();
        items.flatten(paths.and_then(Paths::new));
        Self {
            store: Store::for_pages(max_result_bytes),
            items,
            page: Page::new(),
        }
    }

    /// The same table for a caller that takes rows as they come: once `data` has more bytes than `after_bytes` at the end of a page, its
    /// rows leave by [`Table::take_lines`]. All lines together may have `max_bytes`.
    #[must_use]
    pub fn with_lines(mut self, after_bytes: u64, max_bytes: Option<u64>) -> Self {
        self.store
            .give_lines(after_bytes, max_bytes.unwrap_or(u64::MAX));
        self
    }

    /// The same table without prediction: every item takes the slow, plain way. For tests and benchmarks to compare with.
    #[doc(hidden)]
    #[must_use]
    pub fn without_prediction(mut self) -> Self {
        self.items = ItemDecoder::plain_only();
        self
    }

    /// The same table, decoded as on a processor without wide vectors.
    #[cfg(test)]
    pub(crate) fn on_any_processor(mut self) -> Self {
        self.items = ItemDecoder::on_any_processor();
        self
    }

    /// Forgets whatever is not committed: rows, columns and types. Called before each attempt at a page.
    pub fn begin_attempt(&mut self) {
        self.store.roll_back();
        self.items.begin_attempt(self.store.columns().len());
        self.page = Page::new();
    }

    /// Takes a piece of a successful answer's body as it arrives; pieces may end anywhere.
    ///
    /// # Errors
    /// [`DecodeError::Malformed`] where the bytes are no answer of DynamoDB, [`DecodeError::TooLarge`] as soon as the document
    /// is certain to be larger than allowed, [`DecodeError::OutOfMemory`]. The attempt is over after any of them.
    pub fn feed(&mut self, frame: &[u8]) -> Result<(), DecodeError> {
        self.page.feed(frame, &mut self.items, &mut self.store)
    }

    /// Ends the body; gives the answer without its items, such as `{"NextToken":"…","ConsumedCapacity":{…}}`.
    ///
    /// # Errors
    /// [`DecodeError::Malformed`] where the body breaks off or is not JSON; for a body that was read at its end, as [`Table::feed`].
    pub fn end_attempt(&mut self) -> Result<Vec<u8>, DecodeError> {
        self.page.end(&mut self.items, &mut self.store)
    }

    /// Keeps the page for good. Only after the SDK has accepted the answer as a whole.
    pub fn commit_page(&mut self) {
        self.store.commit();
    }

    /// Adds the rows of a page that was read into a table of [`Table::for_pages`]. They count once this table's page is committed.
    ///
    /// # Errors
    /// [`DecodeError::TooLarge`] as soon as the document is certain to be larger than allowed, [`DecodeError::OutOfMemory`].
    #[inline(never)]
    pub fn append(&mut self, page: &mut Self) -> Result<(), DecodeError> {
        self.begin_attempt();
        let store = &mut self.store;
        self.items.run(
            #[inline(always)]
            || store.append(&mut page.store),
        )?;
        page.commit_page();
        Ok(())
    }

    /// Fills `lines` with up to 1 MiB of whole lines of committed rows, or one line; how many of them are rows (the others name columns).
    ///
    /// To be called after each commit until it leaves `lines` empty: nothing is to leave, or not yet.
    pub fn take_lines(&mut self, lines: &mut Vec<u8>) -> u64 {
        self.store.take_lines(lines)
    }

    /// Fills `lines` with the line that names the columns where rows leave but none has come: once, when the last page is committed.
    pub fn take_columns_line(&mut self, lines: &mut Vec<u8>) {
        self.store.take_columns_line(lines);
    }

    /// Rows of the whole result so far, those of the attempt under way included.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.store.rows()
    }

    /// Rows that the last page (the attempt under way, or what was committed last) added to the table.
    #[must_use]
    pub fn page_rows(&self) -> u64 {
        self.store.page_rows()
    }

    /// Whether the table has as many rows as its limit allows.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.store.is_full()
    }

    /// Whether rows came that the limit cut off.
    #[must_use]
    pub fn dropped_rows(&self) -> bool {
        self.store.n_dropped() > 0
    }

    /// Leaves out the first rows to come: an earlier job has given them.
    pub fn skip(&mut self, n_rows: u64) {
        self.store.skip(n_rows);
    }

    /// Rows still to be left out.
    #[must_use]
    pub fn to_skip(&self) -> u64 {
        self.store.to_skip()
    }

    /// The result document, of what is committed; where rows have left as lines, the same without `data`, its columns in the order of the
    /// lines, and with `order`, their places as a document would list them. One more byte fits without moving a document.
    ///
    /// # Errors
    /// [`DecodeError::TooLarge`], exactly where the document is larger than allowed, or [`DecodeError::OutOfMemory`].
    pub fn finish(self, stats: &Stats) -> Result<Vec<u8>, DecodeError> {
        document::write(self.store, stats)
    }
}
