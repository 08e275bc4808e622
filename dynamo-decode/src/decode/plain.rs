//! The plain decoder: one item's JSON in, one row out, by way of serde. It says what is valid.
//!
//! A row is the item's cells in the order in which they came. Strings, names and
//! base64 are copied with their escapes as sent; numbers with their digits. Nothing is kept that the next item does not overwrite.

use std::{borrow::Cow, collections::HashSet, fmt};

use serde::de::{
    self, Deserialize, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor,
};
use serde_json::value::RawValue;

use super::{Cell, DecodeError, Kinds, MAX_NESTING, Row, malformed, number};
use crate::table::Columns;

/// The plain decoder, with the row that it decoded last.
#[derive(Debug, Default)]
pub(crate) struct PlainDecoder {
    /// The bytes of the cells, each with a comma.
    written: Vec<u8>,
    /// Where its cells lie, in the order in which they came.
    pub(crate) cells: Vec<Cell>,
    /// By column: the count of items when it last came, to find a name given twice.
    seen: Vec<u64>,
    n_items: u64,
}

impl PlainDecoder {
    /// The row decoded last.
    pub(crate) fn row(&self) -> Row<'_> {
        Row {
            item: &[],
            written: &self.written,
            cells: &self.cells,
            n_bytes: self.written.len() - self.cells.len(),
            is_all_item: false,
            is_like_last: false,
        }
    }

    /// Decodes one whole item into [`PlainDecoder::row`]; names that are new become columns.
    ///
    /// # Errors
    /// [`DecodeError::Malformed`], its position counted from the item's first byte.
    pub(crate) fn decode(&mut self, item: &[u8], columns: &mut Columns) -> Result<(), DecodeError> {
        self.written.clear();
        self.cells.clear();
        self.n_items += 1;
        let mut why = None;
        let mut json = serde_json::Deserializer::from_slice(item);
        let visitor = ItemVisitor {
            decoder: self,
            columns,
            why: &mut why,
        };
        json.deserialize_map(visitor)
            .and_then(|()| json.end())
            .map_err(|error| malformed(why.unwrap_or(cause(&error)), offset(item, &error)))
    }
}

/// What serde found, without its words: they may quote the data.
pub(crate) fn cause(error: &serde_json::Error) -> &'static str {
    match error.classify() {
        serde_json::error::Category::Eof => "the JSON breaks off",
        serde_json::error::Category::Data => "a value has the wrong shape",
        _ => "the JSON is damaged",
    }
}

/// The byte that a serde error's line and column stand for.
pub(crate) fn offset(text: &[u8], error: &serde_json::Error) -> usize {
    let line_start = match error.line() {
        0 | 1 => 0,
        line => memchr::memchr_iter(b'\n', text)
            .nth(line - 2)
            .map_or(0, |newline| newline + 1),
    };
    (line_start + error.column().saturating_sub(1)).min(text.len())
}

/// Remembers the reason beside serde's error: a custom error's text cannot be told from one that quotes data.
pub(crate) fn refuse<E: de::Error>(why: &mut Option<&'static str>, reason: &'static str) -> E {
    *why = Some(reason);
    E::custom(reason)
}

/// A JSON string, borrowed where it has no escapes.
pub(crate) struct Text<'de>(pub(crate) Cow<'de, str>);

impl<'de> Deserialize<'de> for Text<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextVisitor;
        impl<'de> Visitor<'de> for TextVisitor {
            type Value = Text<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }
            fn visit_borrowed_str<E: de::Error>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Borrowed(text)))
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(TextVisitor)
    }
}

/// An item: each attribute becomes a cell.
struct ItemVisitor<'a> {
    decoder: &'a mut PlainDecoder,
    columns: &'a mut Columns,
    why: &'a mut Option<&'static str>,
}

impl<'de> Visitor<'de> for ItemVisitor<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an item")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let PlainDecoder {
            written,
            cells,
            seen,
            n_items,
        } = self.decoder;
        while let Some(Text(name)) = map.next_key()? {
            let column = self.columns.id(&name);
            if seen.len() <= column {
                seen.resize(column + 1, 0);
            }
            if std::mem::replace(&mut seen[column], *n_items) == *n_items {
                return Err(refuse(self.why, "an item has an attribute twice"));
            }
            let start = written.len();
            let kinds = map.next_value_seed(Value {
                out: written,
                depth: 0,
                why: self.why,
            })?;
            cells.push(Cell {
                column,
                start,
                length: written.len() - start,
                kinds,
                is_written: true,
            });
            written.push(b',');
        }
        Ok(())
    }
}

/// Puts the closing bracket where the last element's comma is.
fn close(out: &mut Vec<u8>, bracket: u8) {
    match out.last_mut() {
        Some(last) if *last == b',' => *last = bracket,
        _ => out.push(bracket),
    }
}

/// One attribute value, `{"TYPE":…}`: its cell is appended to `out`.
struct Value<'a> {
    out: &'a mut Vec<u8>,
    depth: usize,
    why: &'a mut Option<&'static str>,
}

impl<'de> DeserializeSeed<'de> for Value<'_> {
    type Value = Kinds;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Kinds, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Value<'_> {
    type Value = Kinds;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an attribute value")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<Kinds, A::Error> {
        let Some(Text(tag)) = map.next_key()? else {
            return Err(refuse(self.why, "an attribute value has no type"));
        };
        let kinds = match tag.as_ref() {
            "S" => self.string(map.next_value()?).map(|()| Kinds::STRING)?,
            "B" => self.string(map.next_value()?).map(|()| Kinds::BYTES)?,
            "N" => self.number(&map.next_value::<Text<'de>>()?.0)?,
            "BOOL" => {
                let value: bool = map.next_value()?;
                self.out
                    .extend_from_slice(if value { b"true" } else { b"false" });
                Kinds::BOOLEAN
            }
            "NULL" => {
                if !map.next_value::<bool>()? {
                    return Err(refuse(self.why, "a NULL is not true"));
                }
                self.out.extend_from_slice(b"null");
                Kinds::NONE
            }
            "SS" | "BS" => map.next_value_seed(self.list(Of::Strings)?)?,
            "NS" => map.next_value_seed(self.list(Of::Numbers)?)?,
            "L" => map.next_value_seed(self.list(Of::Values)?)?,
            "M" => map.next_value_seed(Members(self.list(Of::Values)?))?,
            _ => return Err(refuse(self.why, "an attribute value has an unknown type")),
        };
        match map.next_key::<IgnoredAny>()? {
            None => Ok(kinds),
            Some(_) => Err(refuse(self.why, "an attribute value has two types")),
        }
    }
}

impl Value<'_> {
    /// Copies a JSON string as it stands, escapes included.
    fn string<E: de::Error>(&mut self, raw: &RawValue) -> Result<(), E> {
        let text = raw.get();
        if !text.starts_with('"') {
            return Err(refuse(self.why, "a string or binary value is no string"));
        }
        // Skipping a string does not look at the pairing of surrogates in its escapes; reading it does.
        if text.contains('\\') && serde_json::from_str::<Text<'_>>(text).is_err() {
            return Err(refuse(self.why, "a string has half a surrogate pair"));
        }
        self.out.extend_from_slice(text.as_bytes());
        Ok(())
    }

    fn number<E: de::Error>(&mut self, text: &str) -> Result<Kinds, E> {
        let Some(kinds) = number::kinds(text.as_bytes()) else {
            return Err(refuse(self.why, "a number is not one"));
        };
        self.out.extend_from_slice(text.as_bytes());
        Ok(kinds)
    }

    /// A seed for the inside of a set, list or map, one level deeper.
    fn list<E: de::Error>(&mut self, of: Of) -> Result<Elements<'_>, E> {
        if self.depth >= MAX_NESTING {
            return Err(refuse(self.why, "values are nested too deep"));
        }
        let inner = Value {
            out: self.out,
            depth: self.depth + 1,
            why: self.why,
        };
        Ok(Elements { inner, of })
    }

    fn nested(&mut self) -> Value<'_> {
        Value {
            out: self.out,
            depth: self.depth,
            why: self.why,
        }
    }
}

/// What a set or list holds.
enum Of {
    Strings,
    Numbers,
    Values,
}

/// The elements of a set or list.
struct Elements<'a> {
    inner: Value<'a>,
    of: Of,
}

impl<'de> DeserializeSeed<'de> for Elements<'_> {
    type Value = Kinds;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Kinds, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Elements<'_> {
    type Value = Kinds;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a set or list")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut seq: A) -> Result<Kinds, A::Error> {
        let value = &mut self.inner;
        value.out.push(b'[');
        loop {
            match self.of {
                Of::Strings => match seq.next_element()? {
                    Some(raw) => value.string(raw)?,
                    None => break,
                },
                Of::Numbers => match seq.next_element::<Text<'de>>()? {
                    Some(Text(text)) => drop(value.number::<A::Error>(&text)?),
                    None => break,
                },
                Of::Values => match seq.next_element_seed(value.nested())? {
                    Some(_) => {}
                    None => break,
                },
            }
            value.out.push(b',');
        }
        close(value.out, b']');
        Ok(Kinds::ARRAY)
    }
}

/// The members of a map.
struct Members<'a>(Elements<'a>);

impl<'de> DeserializeSeed<'de> for Members<'_> {
    type Value = Kinds;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Kinds, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Members<'_> {
    type Value = Kinds;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<Kinds, A::Error> {
        let value = &mut self.0.inner;
        let mut names = HashSet::new();
        value.out.push(b'{');
        while let Some(name) = map.next_key::<&RawValue>()? {
            value.string(name)?;
            // The same name may be written with and without escapes.
            let is_new = serde_json::from_str::<Text<'_>>(name.get())
                .is_ok_and(|Text(name)| names.insert(name));
            if !is_new {
                return Err(refuse(value.why, "a map has a name twice"));
            }
            value.out.push(b':');
            map.next_value_seed(value.nested())?;
            value.out.push(b',');
        }
        close(value.out, b'}');
        Ok(Kinds::MAP)
    }
}
