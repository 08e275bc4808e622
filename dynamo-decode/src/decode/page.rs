//! One answer's body, in pieces: its items go to the decoder as they come, the rest is kept.
//!
//! In: the pieces of one body, which may end anywhere. Out: each item to the [`ItemDecoder`] as soon as it is whole; at the end
//! the same answer without its items. A body in which no `"Items":[` comes early is collected and read at its end.

use super::{
    DecodeError, ItemDecoder,
    envelope::{self, Head},
    extent::Extent,
    malformed,
};
use crate::table::Store;

/// The list of items must begin within this many bytes; DynamoDB sends at most the consumed capacity before it.
const MAX_HEAD: usize = 4 << 10;
/// No item is larger, even with every character escaped: DynamoDB's own bound is 400 KB.
const MAX_ITEM: usize = 64 << 20;
/// What stands around the items: the consumed capacity and a token of at most 32 KB.
const MAX_REST: usize = 1 << 20;
/// A body that cannot be read as it comes must fit in memory beside the result.
const MAX_WHOLE: usize = 256 << 20;

/// What the next byte of the body belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    /// What comes before the items.
    Head,
    /// The first item, or the closing bracket.
    FirstItem,
    /// The inside of an item that began in an earlier piece.
    SplitItem,
    /// An item, after a comma.
    Item,
    /// A comma, or the closing bracket.
    Separator,
    /// What comes after the items.
    Tail,
    /// Anything: the body is read at its end.
    Whole,
    /// Nothing: an error was given.
    Failed,
}

/// How far one body has come.
#[derive(Debug)]
pub(crate) struct Page {
    part: Part,
    /// Bytes of the body before the piece at hand.
    offset: u64,
    /// The body without the inside of its list of items; all of it in [`Part::Whole`].
    rest: Vec<u8>,
    /// The beginning of an item that earlier pieces brought.
    split: Vec<u8>,
    /// Where the split item ends, as far as it has been looked at.
    extent: Extent,
}

impl Page {
    /// A body of which nothing has come yet.
    pub(crate) fn new() -> Self {
        Self {
            part: Part::Head,
            offset: 0,
            rest: Vec::new(),
            split: Vec::new(),
            extent: Extent::default(),
        }
    }

    /// Takes the next piece of the body.
    ///
    /// # Errors
    /// What the decoder or the table gives; [`DecodeError::Malformed`] again at every call after an error.
    pub(crate) fn feed(
        &mut self,
        frame: &[u8],
        items: &mut ItemDecoder,
        store: &mut Store,
    ) -> Result<(), DecodeError> {
        let result = match self.part {
            Part::Head => self.feed_head(frame, items, store),
            Part::Tail => self.keep(frame, MAX_REST),
            Part::Whole => self.keep(frame, MAX_WHOLE),
            Part::Failed => Err(self.damaged("an answer goes on after it failed", 0)),
            _ => self.feed_items(frame, 0, items, store),
        };
        if result.is_err() {
            self.part = Part::Failed;
        }
        self.offset += frame.len() as u64;
        result
    }

    /// Ends the body; gives the answer without its items.
    ///
    /// # Errors
    /// [`DecodeError::Malformed`] where the body breaks off or is not an answer; for a collected body also what `feed` gives.
    pub(crate) fn end(
        &mut self,
        items: &mut ItemDecoder,
        store: &mut Store,
    ) -> Result<Vec<u8>, DecodeError> {
        match std::mem::replace(&mut self.part, Part::Failed) {
            Part::Head | Part::Tail | Part::Whole => envelope::read(&self.rest, items, store),
            _ => Err(self.damaged("the JSON breaks off", 0)),
        }
    }

    /// The error for a byte of the piece at hand.
    fn damaged(&self, what: &'static str, at: usize) -> DecodeError {
        malformed(what, at).shifted(self.offset)
    }

    fn keep(&mut self, frame: &[u8], limit: usize) -> Result<(), DecodeError> {
        if self.rest.len() + frame.len() > limit {
            return Err(self.damaged("too much surrounds the items", 0));
        }
        self.rest.extend_from_slice(frame);
        Ok(())
    }

    fn feed_head(
        &mut self,
        frame: &[u8],
        items: &mut ItemDecoder,
        store: &mut Store,
    ) -> Result<(), DecodeError> {
        let n_earlier = self.rest.len();
        let n_looked_at = frame.len().min(MAX_HEAD);
        self.rest.extend_from_slice(&frame[..n_looked_at]);
        match envelope::find_items(&self.rest) {
            Head::Items(inside) => {
                self.rest.truncate(inside);
                self.part = Part::FirstItem;
                // The bracket was not there before this piece.
                self.feed_items(frame, inside - n_earlier, items, store)
            }
            Head::Unknown if self.rest.len() < MAX_HEAD => Ok(()),
            Head::Unknown | Head::Other => {
                self.part = Part::Whole;
                self.keep(&frame[n_looked_at..], MAX_WHOLE)
            }
        }
    }

    fn feed_items(
        &mut self,
        frame: &[u8],
        mut at: usize,
        items: &mut ItemDecoder,
        store: &mut Store,
    ) -> Result<(), DecodeError> {
        if self.part == Part::SplitItem {
            match self.finish_split_item(frame, items, store)? {
                None => return Ok(()),
                Some(length) => at = length,
            }
        }
        while let Some(&byte) = frame.get(at) {
            match (self.part, byte) {
                (_, b' ' | b'\n' | b'\r' | b'\t') => at += 1,
                (Part::Separator, b',') => {
                    self.part = Part::Item;
                    at += 1;
                }
                (Part::Item | Part::FirstItem, b'{') => {
                    let Some(length) = self.item(&frame[at..], at, items, store)? else {
                        return Ok(());
                    };
                    at += length;
                }
                (Part::Separator | Part::FirstItem, b']') => {
                    self.part = Part::Tail;
                    return self.keep(&frame[at..], MAX_REST);
                }
                _ => return Err(self.damaged("the list of items is damaged", at)),
            }
        }
        Ok(())
    }

    /// Decodes the item that `input`, the frame from `at` on, begins with; gives its length, or holds it if it is not whole.
    #[inline]
    fn item(
        &mut self,
        input: &[u8],
        at: usize,
        items: &mut ItemDecoder,
        store: &mut Store,
    ) -> Result<Option<usize>, DecodeError> {
        let mut length = items.predict(input, store)?;
        if length.is_none() {
            self.extent = Extent::default();
            length = self.extent.advance(input);
            match length {
                Some(length) => items
                    .decode(input, length, store)
                    .map_err(|error| error.shifted(self.offset + at as u64))?,
                None => self.split.extend_from_slice(input),
            }
        }
        self.part = match length {
            Some(_) => Part::Separator,
            None => Part::SplitItem,
        };
        Ok(length)
    }

    /// Adds to the split item what the frame has of it; gives how much that is once the item is whole and decoded.
    fn finish_split_item(
        &mut self,
        frame: &[u8],
        items: &mut ItemDecoder,
        store: &mut Store,
    ) -> Result<Option<usize>, DecodeError> {
        let end = self.extent.advance(frame);
        let piece = &frame[..end.unwrap_or(frame.len())];
        if self.split.len() + piece.len() > MAX_ITEM {
            return Err(self.damaged("an item is too large", 0));
        }
        let start = self.offset - self.split.len() as u64;
        self.split.extend_from_slice(piece);
        if end.is_some() {
            items
                .decode_alone(&mut self.split, store)
                .map_err(|error| error.shifted(start))?;
            self.split.clear();
            self.part = Part::Separator;
        }
        Ok(end)
    }
}
