//! What surrounds the items: `{"Items":[…],"NextToken":"…","ConsumedCapacity":{…}}`, members in any order.
//!
//! In: the beginning of a body, or a body whose items are gone (or, rarely, still there). Out: where the items begin;
//! the answer without its items, checked as far as the SDK's own deserializer does not.

use std::{collections::HashSet, fmt};

use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::{
    DecodeError, ItemDecoder,
    extent::Extent,
    malformed,
    plain::{Text, cause, offset, refuse},
};
use crate::table::Store;

/// What the beginning of a body tells.
pub(crate) enum Head {
    /// Too short to tell.
    Unknown,
    /// The list of items begins; its inside is at this byte.
    Items(usize),
    /// No such list comes, or this is not JSON: for [`read`] to judge.
    Other,
}

/// Looks for `"Items":[` among the members of the object that `head` begins.
pub(crate) fn find_items(head: &[u8]) -> Head {
    search_items(head).unwrap_or(Head::Unknown)
}

/// [`find_items`], `None` where the text ends too early.
fn search_items(head: &[u8]) -> Option<Head> {
    let mut at = skip_space(head, 0);
    let mut opening = b'{';
    loop {
        if *head.get(at)? != opening {
            return Some(Head::Other);
        }
        opening = b',';
        let key = skip_space(head, at + 1);
        let key_end = skip_value(head, key)?;
        at = skip_space(head, key_end);
        if *head.get(at)? != b':' {
            return Some(Head::Other);
        }
        at = skip_space(head, at + 1);
        if &head[key..key_end] == b"\"Items\"" {
            return Some(match *head.get(at)? {
                b'[' => Head::Items(at + 1),
                _ => Head::Other,
            });
        }
        at = skip_space(head, skip_value(head, at)?);
    }
}

fn skip_space(text: &[u8], from: usize) -> usize {
    let rest = text.get(from..).unwrap_or_default();
    text.len() - rest.trim_ascii_start().len()
}

/// One past the value at `from`, where the text goes on that far.
fn skip_value(text: &[u8], from: usize) -> Option<usize> {
    let rest = text.get(from..)?;
    let length = match rest.first()? {
        b'{' | b'[' | b'"' => Extent::default().advance(rest),
        _ => rest
            .iter()
            .position(|byte| matches!(byte, b',' | b':' | b'}' | b']')),
    };
    Some(from + length?)
}

/// Reads a body; items that are still in it become rows.
///
/// # Errors
/// [`DecodeError::Malformed`] where it is no answer, and what the decoder and the table give.
pub(crate) fn read(
    body: &[u8],
    items: &mut ItemDecoder,
    store: &mut Store,
) -> Result<Vec<u8>, DecodeError> {
    let mut answer = Answer {
        body,
        items,
        store,
        rest: vec![b'{'],
        has_items: false,
        failed: None,
        why: None,
    };
    let mut json = serde_json::Deserializer::from_slice(body);
    let result = json.deserialize_map(&mut answer).and_then(|()| json.end());
    match (result, answer.failed) {
        (_, Some(error)) => Err(error),
        (Ok(()), None) => Ok(answer.rest),
        (Err(error), None) => Err(malformed(
            answer.why.unwrap_or(cause(&error)),
            offset(body, &error),
        )),
    }
}

/// An answer as it is read: visits the object and, for `Items`, the list.
struct Answer<'a> {
    body: &'a [u8],
    items: &'a mut ItemDecoder,
    store: &'a mut Store,
    /// The members that are not `Items`.
    rest: Vec<u8>,
    has_items: bool,
    /// Why an item did not become a row.
    failed: Option<DecodeError>,
    why: Option<&'static str>,
}

impl<'de> Visitor<'de> for &mut Answer<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an answer")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut names = HashSet::new();
        while let Some(Text(name)) = map.next_key()? {
            if name == "Items" {
                map.next_value_seed(ItemList(self))?;
            } else {
                let value: &RawValue = map.next_value()?;
                if self.rest.len() > 1 {
                    self.rest.push(b',');
                }
                let key = serde_json::to_string(&name).map_err(de::Error::custom)?;
                self.rest.extend_from_slice(key.as_bytes());
                self.rest.push(b':');
                self.rest.extend_from_slice(value.get().as_bytes());
            }
            if !names.insert(name) {
                return Err(refuse(&mut self.why, "the answer has a member twice"));
            }
        }
        self.rest.push(b'}');
        if !self.has_items {
            return Err(refuse(&mut self.why, "the answer has no list of items"));
        }
        Ok(())
    }
}

/// The list of items in an answer that is read at its end.
struct ItemList<'a, 'b>(&'a mut Answer<'b>);

impl<'de> DeserializeSeed<'de> for ItemList<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for ItemList<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of items")
    }

    fn visit_unit<E: de::Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let answer = self.0;
        answer.has_items = true;
        while let Some(item) = list.next_element::<&RawValue>()? {
            let item = item.get();
            // Both are addresses in the same body.
            let start = item.as_ptr() as usize - answer.body.as_ptr() as usize;
            if let Err(error) = answer
                .items
                .decode(item.as_bytes(), item.len(), answer.store)
            {
                answer.failed = Some(error.shifted(start as u64));
                return Err(de::Error::custom("an item is no row"));
            }
        }
        Ok(())
    }
}
