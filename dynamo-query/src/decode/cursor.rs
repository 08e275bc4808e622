//! One attribute value at a time, copied while it is looked at: the inner half of the predicting decoder.
//!
//! In: bytes at a value's type, `S":"text"}…`. Out: its cell, and what it is. `None` where the value is not written as DynamoDB writes
//! it, or the bytes end: then the plain decoder judges the whole item, and what was written is thrown away.

use super::block::{self, BLOCK};
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

/// Reads from one slice and writes to another.
pub(super) struct Cursor<'a> {
    pub(super) input: &'a [u8],
    /// The next byte to read.
    pub(super) at: usize,
    pub(super) output: &'a mut [u8],
    /// The next byte to write.
    pub(super) to: usize,
    /// Whether anything read may not have been ASCII, so that it must be seen to be UTF-8.
    pub(super) non_ascii: u32,
}

impl Cursor<'_> {
    /// Runs what is not inlined on a copy: a cursor whose address is never taken stays in registers, which is worth a third of the time.
    #[inline(always)]
    fn aside<T>(&mut self, step: impl FnOnce(&mut Cursor<'_>) -> Option<T>) -> Option<T> {
        let mut copy = Cursor {
            input: self.input,
            at: self.at,
            output: &mut *self.output,
            to: self.to,
            non_ascii: self.non_ascii,
        };
        let result = step(&mut copy);
        (self.at, self.to, self.non_ascii) = (copy.at, copy.to, copy.non_ascii);
        result
    }

    /// Reads the byte that must come next.
    #[inline(always)]
    pub(super) fn expect(&mut self, byte: u8) -> Option<()> {
        if *self.input.get(self.at)? != byte {
            return None;
        }
        self.at += 1;
        Some(())
    }

    /// Reads the text that must come next.
    #[inline(always)]
    fn expect_text<const N: usize>(&mut self, text: &[u8; N]) -> Option<()> {
        if self.input.get(self.at..)?.first_chunk::<N>()? != text {
            return None;
        }
        self.at += N;
        Some(())
    }

    #[inline(always)]
    pub(super) fn put<const N: usize>(&mut self, text: &[u8; N]) -> Option<()> {
        *self.output.get_mut(self.to..)?.first_chunk_mut::<N>()? = *text;
        self.to += N;
        Some(())
    }

    /// A value from its type to its closing brace.
    #[inline(always)]
    pub(super) fn value(&mut self, depth: usize) -> Option<Kinds> {
        let word = *self.input.get(self.at..)?.first_chunk()?;
        let kinds = match u32::from_le_bytes(word) {
            tag::STRING => {
                self.at += 3;
                self.string()?;
                Kinds::STRING
            }
            tag::NUMBER => {
                self.at += 4;
                self.number()?
            }
            tag::BYTES => {
                self.at += 3;
                self.string()?;
                Kinds::BYTES
            }
            tag::BOOLEAN => self.boolean()?,
            tag::NULL => {
                self.expect_text(b"NULL\":true")?;
                self.put(b"null")?;
                Kinds::NONE
            }
            word => self.aside(|cursor| cursor.nested(word, depth))?,
        };
        self.expect(b'}')?;
        Some(kinds)
    }

    #[inline(always)]
    fn boolean(&mut self) -> Option<Kinds> {
        if self.expect_text(b"BOOL\":true").is_some() {
            self.put(b"true")?;
        } else {
            self.expect_text(b"BOOL\":false")?;
            self.put(b"false")?;
        }
        Some(Kinds::BOOLEAN)
    }

    /// A string with its quotes, escapes as they stand.
    #[inline(always)]
    fn string(&mut self) -> Option<()> {
        // The opening quote does not end the string.
        let mut opening = 1;
        loop {
            let block = block::load(self.input, self.at)?;
            block::store(self.output, self.to, block)?;
            self.non_ascii |= block::non_ascii(block);
            let stops = block::string_stops(block) & !opening;
            opening = 0;
            if stops == 0 {
                self.at += BLOCK;
                self.to += BLOCK;
                continue;
            }
            let n_before = stops.trailing_zeros() as usize;
            self.at += n_before;
            self.to += n_before;
            match block[n_before % BLOCK] {
                b'"' => {
                    self.at += 1;
                    self.to += 1;
                    return Some(());
                }
                b'\\' => self.aside(|cursor| cursor.escape())?,
                _ => return None,
            }
        }
    }

    /// An escape, as it stands; halves of surrogate pairs are for the plain decoder.
    #[inline(never)]
    fn escape(&mut self) -> Option<()> {
        let escape = *self.input.get(self.at..)?.first_chunk::<6>()?;
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
        *self.output.get_mut(self.to..)?.first_chunk_mut()? = escape;
        self.at += length;
        self.to += length;
        Some(())
    }

    /// A number, from behind its opening to behind its closing quote.
    #[inline(always)]
    fn number(&mut self) -> Option<Kinds> {
        let block = *self.input.get(self.at..)?.first_chunk::<16>()?;
        let others = !block::digits(block);
        let sign = usize::from(block[0] == b'-');
        // One past the digits before the point, and one past those behind it; beyond the block there is no digit.
        let point = sign + (others >> sign).trailing_zeros() as usize;
        let has_integer = point > sign && (block[sign] != b'0' || point == sign + 1);
        let (end, kinds) = match block.get(point) {
            Some(b'"') => (point, Kinds::NUMBER),
            Some(b'.') => {
                let fraction = point + 1;
                let end = fraction + (others >> fraction).trailing_zeros() as usize;
                (end, Kinds::NUMBER.with(Kinds::NOT_LONG))
            }
            _ => return self.aside(|cursor| cursor.long_number()),
        };
        // Up to 15 digits: a long where there is no point, and in any case a float.
        if !has_integer || end == point + 1 || block.get(end) != Some(&b'"') {
            return self.aside(|cursor| cursor.long_number());
        }
        *self.output.get_mut(self.to..)?.first_chunk_mut()? = block;
        self.at += end + 1;
        self.to += end;
        Some(kinds)
    }

    #[inline(never)]
    fn long_number(&mut self) -> Option<Kinds> {
        let rest = self.input.get(self.at..)?;
        let rest = rest.get(..MAX_NUMBER).unwrap_or(rest);
        let text = &rest[..rest.iter().position(|&byte| byte == b'"')?];
        let kinds = number::kinds(text)?;
        self.output
            .get_mut(self.to..self.to + text.len())?
            .copy_from_slice(text);
        self.at += text.len() + 1;
        self.to += text.len();
        Some(kinds)
    }

    /// A value that holds others, from its type to its closing bracket.
    #[inline(never)]
    fn nested(&mut self, word: u32, depth: usize) -> Option<Kinds> {
        if depth >= MAX_NESTING {
            return None;
        }
        self.at += 4;
        match word {
            tag::LIST => self.aside(|cursor| {
                cursor.elements(|cursor| {
                    cursor.expect_text(b"{\"")?;
                    cursor.value(depth + 1).map(drop)
                })
            }),
            tag::MAP => self.aside(|cursor| cursor.members(depth + 1)),
            tag::STRINGS | tag::BINARIES => {
                self.expect(b'[')?;
                self.aside(|cursor| cursor.elements(Cursor::quoted_string))
            }
            tag::NUMBERS => {
                self.expect(b'[')?;
                self.aside(|cursor| {
                    cursor.elements(|cursor| {
                        cursor.expect(b'"')?;
                        cursor.number().map(drop)
                    })
                })
            }
            _ => None,
        }
    }

    /// A string whose opening quote has not been seen yet.
    #[inline(always)]
    fn quoted_string(&mut self) -> Option<()> {
        if *self.input.get(self.at)? != b'"' {
            return None;
        }
        self.string()
    }

    /// The elements of a set or list, from behind its opening bracket.
    #[inline(always)]
    fn elements(&mut self, mut element: impl FnMut(&mut Self) -> Option<()>) -> Option<Kinds> {
        self.put(b"[")?;
        if self.expect(b']').is_none() {
            loop {
                element(self)?;
                if self.expect(b',').is_none() {
                    break;
                }
                self.put(b",")?;
            }
            self.expect(b']')?;
        }
        self.put(b"]")?;
        Some(Kinds::ARRAY)
    }

    /// The members of a map, from behind its opening brace.
    #[inline(always)]
    fn members(&mut self, depth: usize) -> Option<Kinds> {
        self.put(b"{")?;
        if self.expect(b'}').is_none() {
            loop {
                self.quoted_string()?;
                self.expect_text(b":{\"")?;
                self.put(b":")?;
                self.value(depth)?;
                if self.expect(b',').is_none() {
                    break;
                }
                self.put(b",")?;
            }
            self.expect(b'}')?;
        }
        self.put(b"}")?;
        Some(Kinds::MAP)
    }
}
