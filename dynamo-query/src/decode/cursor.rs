//! One attribute value at a time, copied while it is looked at: the inner half of the predicting decoder.
//!
//! In: bytes at a value's type, `S":"text"}…`. Out: its cell, and what it is. `None` where the value is not written as DynamoDB writes
//! it, or the bytes or the room end: then the plain decoder judges the whole item, and what was written is thrown away.

use super::block::{self, BLOCK};
use super::names::Names;
use super::{Kinds, MAX_NESTING, number};

/// A number is at most this long; DynamoDB's have 38 digits.
const MAX_NUMBER: usize = 64;

/// The first four bytes of each type, as they follow `{"`.
mod tag {
    const fn word(text: &[u8; 4]) -> u32 {
        u32::from_le_bytes(*text)
    }
    pub(super) const STRING: u32 = word(b"S\":\"");
    pub(super) const NUMBER: u32 = word(b"N\":\"");
    pub(super) const BYTES: u32 = word(b"B\":\"");
    pub(super) const BOOLEAN: u32 = word(b"BOOL");
    pub(super) const NULL: u32 = word(b"NULL");
    pub(super) const LIST: u32 = word(b"L\":[");
    pub(super) const MAP: u32 = word(b"M\":{");
    pub(super) const STRINGS: u32 = word(b"SS\":");
    pub(super) const NUMBERS: u32 = word(b"NS\":");
    pub(super) const BINARIES: u32 = word(b"BS\":");
}

/// What is left to read, and the room that is left to write to.
///
/// All of it is written so that a cursor stays in registers: slices rather than positions, one check of a length a step, and whatever
/// is not inlined runs on a copy ([`Cursor::aside`]).
#[derive(Debug)]
pub(super) struct Cursor<'i, 'o> {
    pub(super) rest: &'i [u8],
    pub(super) room: &'o mut [u8],
}

impl Cursor<'_, '_> {
    /// Runs what is not inlined on a copy: only a cursor whose address is never taken stays in registers.
    #[inline(always)]
    fn aside<T>(&mut self, step: impl FnOnce(&mut Self) -> Option<T>) -> Option<T> {
        let mut copy = Self {
            rest: self.rest,
            room: std::mem::take(&mut self.room),
        };
        let result = step(&mut copy);
        *self = copy;
        result
    }

    /// Goes past what was read and written.
    #[inline(always)]
    fn advance(&mut self, n_read: usize, n_written: usize) -> Option<()> {
        self.rest = self.rest.get(n_read..)?;
        self.room = std::mem::take(&mut self.room).get_mut(n_written..)?;
        Some(())
    }

    /// Reads the text that must come next.
    #[inline(always)]
    pub(super) fn expect<const N: usize>(&mut self, text: &[u8; N]) -> Option<()> {
        if self.rest.first_chunk::<N>()? != text {
            return None;
        }
        self.advance(N, 0)
    }

    /// Writes some text.
    #[inline(always)]
    pub(super) fn put<const N: usize>(&mut self, text: &[u8; N]) -> Option<()> {
        *self.room.first_chunk_mut()? = *text;
        self.advance(0, N)
    }

    /// A value from its type to before its closing brace.
    #[inline(always)]
    pub(super) fn value(&mut self, depth: usize) -> Option<Kinds> {
        match u32::from_le_bytes(*self.rest.first_chunk()?) {
            tag::STRING => {
                self.advance(3, 0)?;
                self.string()?;
                Some(Kinds::STRING)
            }
            tag::NUMBER => {
                self.advance(4, 0)?;
                self.number()
            }
            tag::BYTES => {
                self.advance(3, 0)?;
                self.string()?;
                Some(Kinds::BYTES)
            }
            tag::BOOLEAN => self.boolean(),
            tag::NULL => {
                self.expect(b"NULL\":true")?;
                self.put(b"null")?;
                Some(Kinds::NONE)
            }
            word => self.aside(|cursor| cursor.nested(word, depth)),
        }
    }

    #[inline(always)]
    fn boolean(&mut self) -> Option<Kinds> {
        if self.expect(b"BOOL\":true").is_some() {
            self.put(b"true")?;
        } else {
            self.expect(b"BOOL\":false")?;
            self.put(b"false")?;
        }
        Some(Kinds::BOOLEAN)
    }

    /// A string with its quotes, escapes as they stand.
    #[inline(always)]
    fn string(&mut self) -> Option<()> {
        // The opening quote, which the caller has seen, does not end the string.
        let mut opening = 1;
        loop {
            let block = *self.rest.first_chunk::<BLOCK>()?;
            *self.room.first_chunk_mut()? = block;
            let stops = block::string_stops(block) & !opening;
            opening = 0;
            if stops == 0 {
                self.advance(BLOCK, BLOCK)?;
                continue;
            }
            let n_before = stops.trailing_zeros() as usize;
            match *self.rest.get(n_before)? {
                b'"' => return self.advance(n_before + 1, n_before + 1),
                b'\\' => {
                    self.advance(n_before, n_before)?;
                    self.aside(|cursor| cursor.escape())?;
                }
                _ => return None,
            }
        }
    }

    /// A string whose opening quote has not been seen yet.
    #[inline(always)]
    fn quoted_string(&mut self) -> Option<()> {
        if *self.rest.first()? != b'"' {
            return None;
        }
        self.string()
    }

    /// An escape, as it stands; halves of surrogate pairs are for the plain decoder.
    #[inline(never)]
    fn escape(&mut self) -> Option<()> {
        let escape = *self.rest.first_chunk::<6>()?;
        let length = match escape[1] {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => 2,
            b'u' => {
                let is_hex = escape[2..].iter().all(u8::is_ascii_hexdigit);
                let is_surrogate = matches!(escape[2], b'd' | b'D') && escape[3] > b'7';
                if !is_hex || is_surrogate {
                    return None;
                }
                6
            }
            _ => return None,
        };
        // What is put beyond the escape is written over by what follows.
        *self.room.first_chunk_mut()? = escape;
        self.advance(length, length)
    }

    /// A number, from behind its opening to behind its closing quote.
    #[inline(always)]
    fn number(&mut self) -> Option<Kinds> {
        let block = *self.rest.first_chunk::<16>()?;
        let others = !block::digits(block);
        let sign = usize::from(*self.rest.first()? == b'-');
        // One past the digits before the point, and one past those behind it; beyond the block there is no digit.
        let point = sign + (others >> sign).trailing_zeros() as usize;
        let (end, kinds) = match *self.rest.get(point)? {
            b'"' => (point, Kinds::NUMBER),
            b'.' => {
                let fraction = point + 1;
                let end = fraction + (others >> fraction).trailing_zeros() as usize;
                (end, Kinds::NUMBER.with(Kinds::NOT_LONG))
            }
            _ => return self.aside(|cursor| cursor.long_number()),
        };
        let has_integer = point == sign + 1 || (point > sign && *self.rest.get(sign)? != b'0');
        // Within the block, so up to 15 digits: a long where there is no point, and in any case a float.
        if end >= 16 || end == point + 1 || !has_integer || *self.rest.get(end)? != b'"' {
            return self.aside(|cursor| cursor.long_number());
        }
        *self.room.first_chunk_mut()? = block;
        self.advance(end + 1, end)?;
        Some(kinds)
    }

    /// Any number, byte by byte.
    #[inline(never)]
    fn long_number(&mut self) -> Option<Kinds> {
        let text = self.rest.get(..MAX_NUMBER).unwrap_or(self.rest);
        let text = &text[..text.iter().position(|&byte| byte == b'"')?];
        let kinds = number::kinds(text)?;
        self.room.get_mut(..text.len())?.copy_from_slice(text);
        self.advance(text.len() + 1, text.len())?;
        Some(kinds)
    }

    /// A value that holds others, from its type to its closing bracket.
    #[inline(never)]
    fn nested(&mut self, word: u32, depth: usize) -> Option<Kinds> {
        if depth >= MAX_NESTING {
            return None;
        }
        self.advance(4, 0)?;
        match word {
            tag::LIST => self.aside(|cursor| cursor.values(depth + 1)),
            tag::MAP => self.aside(|cursor| cursor.members(depth + 1)),
            tag::STRINGS | tag::BINARIES => {
                self.expect(b"[")?;
                self.aside(|cursor| cursor.elements(|cursor| cursor.quoted_string()))
            }
            tag::NUMBERS => {
                self.expect(b"[")?;
                self.aside(|cursor| {
                    cursor.elements(|cursor| {
                        cursor.expect(b"\"")?;
                        cursor.number().map(drop)
                    })
                })
            }
            _ => None,
        }
    }

    /// The elements of a set, from behind its opening bracket.
    #[inline(always)]
    fn elements(&mut self, mut element: impl FnMut(&mut Self) -> Option<()>) -> Option<Kinds> {
        self.put(b"[")?;
        if self.expect(b"]").is_none() {
            loop {
                element(self)?;
                if self.expect(b",").is_none() {
                    break;
                }
                self.put(b",")?;
            }
            self.expect(b"]")?;
        }
        self.put(b"]")?;
        Some(Kinds::ARRAY)
    }

    /// The elements of a list, from behind its opening bracket.
    #[inline(always)]
    fn values(&mut self, depth: usize) -> Option<Kinds> {
        self.put(b"[")?;
        if self.expect(b"]").is_none() {
            self.expect(b"{\"")?;
            loop {
                self.value(depth)?;
                if self.expect(b"},{\"").is_none() {
                    break;
                }
                self.put(b",")?;
            }
            self.expect(b"}]")?;
        }
        self.put(b"]")?;
        Some(Kinds::ARRAY)
    }

    /// The members of a map, from behind its opening brace.
    #[inline(always)]
    fn members(&mut self, depth: usize) -> Option<Kinds> {
        let mut names = Names::new();
        self.put(b"{")?;
        if self.expect(b"}").is_none() {
            loop {
                let name = self.rest;
                self.quoted_string()?;
                let length = name.len() - self.rest.len();
                if !names.is_new(name.get(..length)?) {
                    return None;
                }
                self.expect(b":{\"")?;
                self.put(b":")?;
                self.value(depth)?;
                if self.expect(b"},").is_none() {
                    break;
                }
                self.put(b",")?;
            }
            self.expect(b"}}")?;
        }
        self.put(b"}")?;
        Some(Kinds::MAP)
    }
}
