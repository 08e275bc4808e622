//! How an attribute, or the member of a map, is expected to begin: with its name and the type of its value, `"name":{"S":`.
//!
//! In: bytes at a name. Out: the bytes of the value, where the expectation holds.

use super::{
    Kinds,
    block::{BLOCK, Blocks},
};

/// The type of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Type {
    String,
    Number,
    Bytes,
    Boolean,
    Null,
    List,
    Map,
    Strings,
    Numbers,
    Binaries,
}

impl Type {
    /// What follows `{"`, and how much of that comes before the value, the opening quote of strings and numbers included.
    const fn tag(self) -> (&'static [u8], usize) {
        match self {
            Self::String => (b"S\":\"", 4),
            Self::Number => (b"N\":\"", 4),
            Self::Bytes => (b"B\":\"", 4),
            Self::Boolean => (b"BOOL\":", 6),
            Self::Null => (b"NULL\":true", 10),
            Self::List => (b"L\":[", 3),
            Self::Map => (b"M\":{", 3),
            Self::Strings => (b"SS\":[", 4),
            Self::Numbers => (b"NS\":[", 4),
            Self::Binaries => (b"BS\":[", 4),
        }
    }

    /// The type that `rest` begins with, and the value behind it.
    #[inline(always)]
    pub(super) fn strip(rest: &[u8]) -> Option<(Self, &[u8])> {
        const fn word(text: &[u8; 4]) -> u32 {
            u32::from_le_bytes(*text)
        }
        const STRING: u32 = word(b"S\":\"");
        const NUMBER: u32 = word(b"N\":\"");
        const BYTES: u32 = word(b"B\":\"");
        const BOOLEAN: u32 = word(b"BOOL");
        const NULL: u32 = word(b"NULL");
        const LIST: u32 = word(b"L\":[");
        const MAP: u32 = word(b"M\":{");
        const STRINGS: u32 = word(b"SS\":");
        const NUMBERS: u32 = word(b"NS\":");
        const BINARIES: u32 = word(b"BS\":");
        // The commonest elements of lists come first.
        let of = match u32::from_le_bytes(*rest.first_chunk()?) {
            STRING => return Some((Self::String, &rest[4..])),
            NUMBER => return Some((Self::Number, &rest[4..])),
            MAP => return Some((Self::Map, &rest[3..])),
            BYTES => Self::Bytes,
            BOOLEAN => Self::Boolean,
            NULL => Self::Null,
            LIST => Self::List,
            STRINGS => Self::Strings,
            NUMBERS => Self::Numbers,
            BINARIES => Self::Binaries,
            _ => return None,
        };
        let (tag, length) = of.tag();
        if !rest.starts_with(tag) {
            return None;
        }
        Some((of, rest.get(length..)?))
    }

    /// Whether a result has such values otherwise than DynamoDB sends them.
    #[inline(always)]
    pub(super) const fn is_written(self) -> bool {
        matches!(self, Self::Null | Self::List | Self::Map | Self::Numbers)
    }

    /// What a value of this type is; of numbers there is more to say.
    #[inline(always)]
    pub(super) const fn kinds(self) -> Kinds {
        match self {
            Self::String => Kinds::STRING,
            Self::Number => Kinds::NUMBER,
            Self::Bytes => Kinds::BYTES,
            Self::Boolean => Kinds::BOOLEAN,
            Self::Null => Kinds::NONE,
            Self::List | Self::Strings | Self::Numbers | Self::Binaries => Kinds::ARRAY,
            Self::Map => Kinds::MAP,
        }
    }
}

/// A name with the type that its value had last.
#[derive(Debug)]
pub(super) struct Expected {
    /// The first bytes of name and type…
    block: Aligned,
    /// …one bit for each of them. One more bit, which no block has, where they are longer than a block or never expected.
    mask: u64,
    /// Bytes before the value.
    pub(super) length: usize,
    /// The type.
    pub(super) of: Type,
    /// Whether its values are strings to JSON, as most are.
    pub(super) is_text: bool,
    /// Whether its values are numbers. Kept, as the former is: asked of the type, the compiler makes a jump of the question.
    pub(super) is_number: bool,
    /// `"name":{"`, and what is expected before it. Empty where the name needs escapes: such a name is never expected.
    text: Box<[u8]>,
}

/// Blocks at such addresses are loaded by the instruction that compares them.
#[derive(Debug)]
#[repr(align(32))]
struct Aligned([u8; BLOCK]);

impl Expected {
    /// A name with something before it and a value of some type behind it.
    pub(super) fn new(before: &str, name: &str, of: Type) -> Self {
        let is_plain = !name
            .bytes()
            .any(|byte| matches!(byte, b'"' | b'\\' | 0..=0x1f));
        let text = if is_plain {
            format!("{before}\"{name}\":{{\"").into_bytes()
        } else {
            Vec::new()
        };
        let mut expected = Self {
            block: Aligned([0; BLOCK]),
            mask: 0,
            length: 0,
            of,
            is_text: false,
            is_number: false,
            text: text.into(),
        };
        expected.expect(of);
        expected
    }

    /// Expects values of this type.
    #[inline(never)]
    pub(super) fn expect(&mut self, of: Type) {
        let (tag, length) = of.tag();
        self.mask = 0;
        for (place, &byte) in self.text.iter().chain(tag).enumerate() {
            match self.block.0.get_mut(place) {
                Some(of_block) => *of_block = byte,
                None => self.mask |= 1 << BLOCK,
            }
            self.mask |= 1 << place.min(BLOCK);
        }
        if self.text.is_empty() {
            self.mask |= 1 << BLOCK;
        }
        self.length = self.text.len() + length;
        self.of = of;
        self.is_text = matches!(of, Type::String | Type::Bytes);
        self.is_number = of == Type::Number;
    }

    /// Whether this name and this type come next; the value is then [`Expected::length`] bytes on.
    #[inline(always)]
    pub(super) fn begins(&self, blocks: impl Blocks, rest: &[u8]) -> bool {
        let Some(block) = rest.first_chunk() else {
            return false;
        };
        let different = !u64::from(blocks.equal(block, &self.block.0)) & self.mask;
        different == 0 || self.begins_long(different, rest)
    }

    /// Whether it is one whose first block came.
    #[cold]
    #[inline(never)]
    fn begins_long(&self, different: u64, rest: &[u8]) -> bool {
        different == 1 << BLOCK
            && !self.text.is_empty()
            && rest
                .strip_prefix(&*self.text)
                .is_some_and(|typed| typed.starts_with(self.of.tag().0))
    }

    /// The bytes of the value, where this name comes next with any type, which is then expected.
    #[inline(never)]
    pub(super) fn strip_any_type<'i>(&mut self, rest: &'i [u8]) -> Option<&'i [u8]> {
        if self.text.is_empty() {
            return None;
        }
        let (of, value) = Type::strip(rest.strip_prefix(&*self.text)?)?;
        if of != self.of {
            self.expect(of);
        }
        Some(value)
    }
}
