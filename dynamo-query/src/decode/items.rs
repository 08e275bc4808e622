//! One item at a time to the decoder that suits it, and its row to the table.
//!
//! In: the bytes of exactly one item. Out: a row in the [`Store`], or the item left out because the table is full.

use super::DecodeError;
use super::plain::PlainDecoder;
use crate::table::Store;

/// Chooses the decoder of each item.
#[derive(Debug, Default)]
pub(crate) struct ItemDecoder {
    plain: PlainDecoder,
}

impl ItemDecoder {
    /// Adds one whole item to the table.
    ///
    /// # Errors
    /// [`DecodeError::Malformed`], its position counted from the item's first byte, and what [`Store::push`] gives.
    pub(crate) fn decode(&mut self, item: &[u8], store: &mut Store) -> Result<(), DecodeError> {
        if store.is_full() {
            store.drop_row();
            return Ok(());
        }
        self.plain.decode(item, store.columns_mut())?;
        store.push(&self.plain.row, &self.plain.cells)
    }
}
