//! Where a value ends: the scalar values and sets of strings that a result has as they came.
//!
//! In: bytes that begin with the value. Out: the bytes behind it. `None` where it is not written as DynamoDB writes it, or a block's length before
//! the bytes end: then the plain decoder judges the whole item.

use std::num::NonZero;

use super::{
    Kinds,
    block::{self, BLOCK, Blocks, HALF},
    number,
};

/// A number is at most this long; DynamoDB's have 38 digits.
const MAX_NUMBER: usize = 64;

/// A string, of which `text` begins behind the opening quote; gives what follows the closing one.
#[inline(always)]
pub(super) fn string(blocks: impl Blocks, text: &[u8]) -> Option<&[u8]> {
    let mut rest = text;
    loop {
        let block = rest.first_chunk::<BLOCK>()?;
        let Some(stops) = NonZero::new(blocks.text_stops(block)) else {
            rest = &rest[BLOCK..];
            continue;
        };
        let stop = stops.trailing_zeros() as usize;
        if block[stop] != b'"' {
            return any_string(blocks, text, text.len() - rest.len() + stop);
        }
        return Some(&rest[stop + 1..]);
    }
}

/// A string whose first bytes up to `start` are plain: the rest may have escapes and any characters.
#[cold]
#[inline(never)]
pub(super) fn any_string(blocks: impl Blocks, text: &[u8], start: usize) -> Option<&[u8]> {
    let (rest, is_ascii) = blocks.run(
        #[inline(always)]
        || {
            let mut rest = text.get(start..)?;
            let mut is_ascii = true;
            loop {
                let block = rest.first_chunk()?;
                let stops = if is_ascii {
                    blocks.text_stops(block)
                } else {
                    block::string_stops(*block)
                };
                if stops == 0 {
                    rest = &rest[block.len()..];
                    continue;
                }
                rest = rest.get(stops.trailing_zeros() as usize..)?;
                match *rest.first()? {
                    b'"' => return Some((rest, is_ascii)),
                    b'\\' => rest = rest.get(escape(rest)?..)?,
                    0x80.. => is_ascii = false,
                    _ => return None,
                }
            }
        },
    )?;
    if !is_ascii {
        std::str::from_utf8(&text[start..text.len() - rest.len()]).ok()?;
    }
    Some(&rest[1..])
}

/// The length of an escape; halves of surrogate pairs are for the plain decoder.
#[inline(always)]
fn escape(text: &[u8]) -> Option<usize> {
    let escape = text.first_chunk::<6>()?;
    match escape[1] {
        b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Some(2),
        b'u' => {
            let is_hex = escape[2..].iter().all(u8::is_ascii_hexdigit);
            let is_surrogate = matches!(escape[2], b'd' | b'D') && escape[3] > b'7';
            (is_hex && !is_surrogate).then_some(6)
        }
        _ => None,
    }
}

/// A number, of which `text` begins behind the opening quote; gives what follows the closing one, and what kind of number it is.
#[inline(always)]
pub(super) fn number(text: &[u8]) -> Option<(&[u8], Kinds)> {
    match short_number(text) {
        Some(number) => Some(number),
        None => any_number(text),
    }
}

/// A number of at most 15 digits and a point, without sign or exponent: a long where there is no point, and in any case a float.
#[inline(always)]
pub(super) fn short_number(text: &[u8]) -> Option<(&[u8], Kinds)> {
    let block = text.first_chunk::<BLOCK>()?;
    // What lies beyond the first half counts as no digit.
    let others = !block::digits(*block.first_chunk()?) | 1 << HALF;
    // One past the digits before the point, and one past those behind it.
    let point = others.trailing_zeros() as usize;
    if block[0] == b'0' && point > 1 {
        return None;
    }
    match block[point] {
        b'"' if (1..HALF).contains(&point) => Some((&text[point + 1..], Kinds::NUMBER)),
        b'.' if point > 0 => {
            let fraction = point + 1;
            let end = fraction + (others >> fraction).trailing_zeros() as usize;
            let is_number = end < HALF && end > fraction && block[end] == b'"';
            is_number.then(|| (&text[end + 1..], Kinds::NUMBER.with(Kinds::NOT_LONG)))
        }
        _ => None,
    }
}

/// Any number: one with a sign, or byte by byte.
#[cold]
#[inline(never)]
pub(super) fn any_number(text: &[u8]) -> Option<(&[u8], Kinds)> {
    if let Some(unsigned) = text.strip_prefix(b"-")
        && let Some(number) = short_number(unsigned)
    {
        return Some(number);
    }
    let start = text.get(..MAX_NUMBER).unwrap_or(text);
    let length = start.iter().position(|&byte| byte == b'"')?;
    Some((&text[length + 1..], number::kinds(&start[..length])?))
}

/// `true` or `false`; gives what follows.
#[inline(always)]
pub(super) fn boolean(text: &[u8]) -> Option<&[u8]> {
    const TRUE: u64 = u64::from_le_bytes(*b"true\0\0\0\0");
    const FALSE: u64 = u64::from_le_bytes(*b"false\0\0\0");
    let word = u64::from_le_bytes(*text.first_chunk()?);
    if word << 32 == TRUE << 32 {
        Some(&text[4..])
    } else if word << 24 == FALSE << 24 {
        Some(&text[5..])
    } else {
        None
    }
}

/// A set of strings, brackets included; gives what follows.
#[inline(always)]
pub(super) fn strings(blocks: impl Blocks, text: &[u8]) -> Option<&[u8]> {
    if let Some(rest) = text.strip_prefix(b"[]") {
        return Some(rest);
    }
    let mut rest = string(blocks, text.strip_prefix(b"[\"")?)?;
    while let Some(next) = rest.strip_prefix(b",\"") {
        rest = string(blocks, next)?;
    }
    rest.strip_prefix(b"]")
}
