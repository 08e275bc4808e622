//! One item at a time to the decoder that suits it, and its row to the table.
//!
//! In: bytes that begin with an item. Out: a row in the [`Store`], or the item left out because the table does not want it.

use super::{
    DecodeError, Paths,
    block::{Any, BLOCK, Blocks},
    plain::PlainDecoder,
    predict::Predictor,
};
use crate::table::Store;

/// So many bytes must follow an item for the predicting decoder, which reads ahead.
pub(super) const READ_AHEAD: usize = BLOCK;
/// Items up to this size are copied to a place with room behind them rather than given to the plain decoder.
const MAX_COPY: usize = 64 << 10;
/// After so many failures in a row prediction rests…
const PATIENCE: u32 = 4;
/// …for so many items, and twice as many each further time, up to `MAX_REST`.
const MIN_REST: u32 = 16;
const MAX_REST: u32 = 1024;

/// Chooses the decoder of each item.
#[derive(Debug)]
pub(crate) struct ItemDecoder {
    plain: PlainDecoder,
    predictor: Predictor,
    trust: Trust,
    /// Items come nested, and these values of theirs become attributes.
    paths: Option<Paths>,
    /// Predicting the item that comes next has been tried in vain.
    is_next_tried: bool,
    /// An item with room behind it.
    copy: Vec<u8>,
    #[cfg(target_arch = "x86_64")]
    avx2: Option<plugin_api::Avx2>,
}

impl ItemDecoder {
    pub(crate) fn new() -> Self {
        Self {
            plain: PlainDecoder::default(),
            predictor: Predictor::new(),
            trust: Trust::default(),
            paths: None,
            is_next_tried: false,
            copy: Vec::new(),
            #[cfg(target_arch = "x86_64")]
            avx2: plugin_api::Avx2::detect(),
        }
    }

    /// A decoder that never predicts: what the other one is measured against.
    pub(crate) fn plain_only() -> Self {
        let mut decoder = Self::new();
        decoder.trust.never = true;
        decoder
    }

    /// A decoder that does without what only some processors have.
    #[cfg(test)]
    pub(crate) fn on_any_processor() -> Self {
        Self {
            #[cfg(target_arch = "x86_64")]
            avx2: None,
            ..Self::new()
        }
    }

    /// Takes items of a Scan with a SELECT list of these paths.
    pub(crate) fn flatten(&mut self, paths: Option<Paths>) {
        self.paths = paths;
    }

    /// Begins an attempt, with the first `n_columns` columns.
    pub(crate) fn begin_attempt(&mut self, n_columns: usize) {
        self.is_next_tried = false;
        self.predictor.begin(n_columns);
    }

    /// Tries to add the item that `input` begins with without knowing its end, and those that follow it after a comma; gives the length of
    /// what was added, if anything.
    ///
    /// # Errors
    /// What [`Store::push`] gives.
    #[inline]
    pub(super) fn predict(
        &mut self,
        input: &[u8],
        store: &mut Store,
    ) -> Result<Option<usize>, DecodeError> {
        let is_tried = std::mem::take(&mut self.is_next_tried);
        if is_tried || self.trust.is_resting() || self.paths.is_some() || store.drops_rows() {
            return Ok(None);
        }
        self.predict_flat(input, store)
    }

    /// Does some work compiled for the processor.
    #[inline(always)]
    pub(crate) fn run<T>(&self, work: impl FnOnce() -> T) -> T {
        #[cfg(target_arch = "x86_64")]
        if let Some(avx2) = self.avx2 {
            return avx2.run(work);
        }
        work()
    }

    /// Chooses the code for the processor.
    #[inline]
    fn predict_flat(
        &mut self,
        input: &[u8],
        store: &mut Store,
    ) -> Result<Option<usize>, DecodeError> {
        #[cfg(target_arch = "x86_64")]
        if let Some(avx2) = self.avx2 {
            return avx2.run(
                #[inline(always)]
                || self.predict_with(avx2, input, store),
            );
        }
        self.predict_with(Any, input, store)
    }

    #[inline(always)]
    fn predict_with(
        &mut self,
        blocks: impl Blocks,
        input: &[u8],
        store: &mut Store,
    ) -> Result<Option<usize>, DecodeError> {
        let mut added = None;
        let mut item = input;
        while let Some(rest) = self.predictor.decode(blocks, item, store.columns()) {
            store.push(self.predictor.row(item))?;
            added = Some(input.len() - rest.len());
            if !rest.starts_with(b",{") || store.drops_rows() {
                self.trust.worked();
                return Ok(added);
            }
            item = &rest[1..];
        }
        if added.is_some() {
            self.trust.worked();
            self.is_next_tried = true;
        }
        Ok(added)
    }

    /// Adds one whole item that `input` begins with, after [`ItemDecoder::predict`] did not.
    ///
    /// # Errors
    /// [`DecodeError::Malformed`], its position counted from the item's first byte, and what [`Store::push`] gives.
    pub(super) fn decode(
        &mut self,
        input: &[u8],
        length: usize,
        store: &mut Store,
    ) -> Result<(), DecodeError> {
        if store.drops_rows() {
            store.drop_row();
            return Ok(());
        }
        let item = &input[..length];
        if self.paths.is_some() {
            return self.decode_nested(item, store);
        }
        if input.len() - length < READ_AHEAD && length <= MAX_COPY && !self.trust.is_resting() {
            // Only the room behind it was missing.
            let mut copy = std::mem::take(&mut self.copy);
            copy.clear();
            copy.extend_from_slice(item);
            let added = self.decode_flat(&mut copy, store);
            self.copy = copy;
            return added;
        }
        self.decode_plainly(item, store)
    }

    /// Adds the one whole item that is all of `input`, which comes back with bytes behind it.
    ///
    /// # Errors
    /// What [`ItemDecoder::decode`] gives.
    pub(super) fn decode_alone(
        &mut self,
        input: &mut Vec<u8>,
        store: &mut Store,
    ) -> Result<(), DecodeError> {
        if store.drops_rows() {
            store.drop_row();
            return Ok(());
        }
        if self.paths.is_some() {
            return self.decode_nested(input, store);
        }
        self.decode_flat(input, store)
    }

    /// Adds an item of a Scan, its nested values as attributes.
    fn decode_nested(&mut self, item: &[u8], store: &mut Store) -> Result<(), DecodeError> {
        let mut flat = std::mem::take(&mut self.copy);
        let added = match &self.paths {
            Some(paths) => paths.flatten(item, &mut flat),
            None => Ok(()),
        };
        let added = added.and_then(|()| self.decode_flat(&mut flat, store));
        self.copy = flat;
        added
    }

    /// Adds the one whole item that is all of `input`, which comes back with bytes behind it.
    fn decode_flat(&mut self, input: &mut Vec<u8>, store: &mut Store) -> Result<(), DecodeError> {
        let length = input.len();
        input.resize(length + READ_AHEAD, 0);
        let predicted = if self.trust.is_resting() {
            None
        } else {
            self.predict_flat(input, store)?
        };
        match predicted {
            Some(_) => Ok(()),
            None => self.decode_plainly(&input[..length], store),
        }
    }

    fn decode_plainly(&mut self, item: &[u8], store: &mut Store) -> Result<(), DecodeError> {
        self.trust.failed();
        self.plain.decode(item, store.columns_mut())?;
        store.push(self.plain.row())?;
        self.predictor.forget_row();
        // What a first item teaches would be for nothing where it is the only one, as in many small jobs.
        if store.rows() > 1 {
            self.predictor.make_room(item.len());
            self.predictor
                .learn_order(&self.plain.cells, store.columns());
        }
        Ok(())
    }
}

/// Whether predicting is worth it: a table whose items are all unlike would otherwise be decoded twice.
#[derive(Debug, Default)]
struct Trust {
    never: bool,
    n_failed: u32,
    /// Items to go before the next try.
    rest: u32,
    last_rest: u32,
}

impl Trust {
    fn is_resting(&self) -> bool {
        self.never || self.rest > 0
    }

    fn worked(&mut self) {
        self.n_failed = 0;
        self.last_rest = 0;
    }

    /// An item went to the plain decoder, be it because prediction failed or because it rests.
    fn failed(&mut self) {
        if self.rest > 0 {
            self.rest -= 1;
            return;
        }
        self.n_failed += 1;
        if self.n_failed >= PATIENCE {
            self.rest = (self.last_rest * 2).clamp(MIN_REST, MAX_REST);
            self.last_rest = self.rest;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prediction_rests_longer_the_longer_it_fails_and_recovers_at_once() {
        let mut trust = Trust::default();
        let mut tries = Vec::new();
        for item in 0..3000 {
            if !trust.is_resting() {
                tries.push(item);
            }
            trust.failed();
        }
        assert_eq!(tries, [0, 1, 2, 3, 20, 53, 118, 247, 504, 1017, 2042]);
        while trust.is_resting() {
            trust.failed();
        }
        trust.worked();
        trust.failed();
        assert!(!trust.is_resting());
    }
}
