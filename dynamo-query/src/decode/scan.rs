//! Where a value ends: the scalar values and sets of strings that a result has as they came.
//!
//! In: bytes that begin with the value. Out: its length. `None` where it is not written as DynamoDB writes it, or a block's length before
//! the bytes end: then the plain decoder judges the whole item.

use super::{
    Kinds,
    block::{self, Blocks, HALF},
    number,
};

/// A number is at most this long; DynamoDB's have 38 digits.
const MAX_NUMBER: usize = 64;

/// A string with both quotes, escapes as they stand; `text` begins with a quote.
#[inline(always)]
pub(super) fn string(blocks: impl Blocks, text: &[u8]) -> Option<usize> {
    let mut rest = text.get(1..)?;
    loop {
        let block = rest.first_chunk()?;
        let stops = blocks.text_stops(block);
        if stops == 0 {
            rest = &rest[block.len()..];
            continue;
        }
        let stop = text.len() - rest.len() + stops.trailing_zeros() as usize;
        return match *text.get(stop)? {
            b'"' => Some(stop + 1),
            _ => any_string(blocks, text, stop),
        };
    }
}

/// A string whose first bytes up to `start` are plain: the rest may have escapes and any characters.
#[inline(never)]
fn any_string(blocks: impl Blocks, text: &[u8], start: usize) -> Option<usize> {
    let end = blocks.run(
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
                    b'"' => return Some((text.len() - rest.len(), is_ascii)),
                    b'\\' => rest = rest.get(escape(rest)?..)?,
                    0x80.. => is_ascii = false,
                    _ => return None,
                }
            }
        },
    );
    let (end, is_ascii) = end?;
    if !is_ascii {
        std::str::from_utf8(&text[start..end]).ok()?;
    }
    Some(end + 1)
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

/// A number without its quotes, of which `text` begins behind the first and the second follows.
#[inline(always)]
pub(super) fn number(text: &[u8]) -> Option<(usize, Kinds)> {
    match short_number(text) {
        Some(number) => Some(number),
        None => any_number(text),
    }
}

/// A number of at most 15 digits and a point, without sign or exponent: a long where there is no point, and in any case a float.
#[inline(always)]
fn short_number(text: &[u8]) -> Option<(usize, Kinds)> {
    let others = !block::digits(*text.first_chunk::<HALF>()?);
    // One past the digits before the point, and one past those behind it; beyond the block there is no digit.
    let point = others.trailing_zeros() as usize;
    if point == 0 || (point > 1 && *text.first()? == b'0') {
        return None;
    }
    match *text.get(point)? {
        b'"' if point < HALF => Some((point, Kinds::NUMBER)),
        b'.' => {
            let fraction = point + 1;
            let end = fraction + (others >> fraction).trailing_zeros() as usize;
            let is_number = end < HALF && end > fraction && *text.get(end)? == b'"';
            is_number.then_some((end, Kinds::NUMBER.with(Kinds::NOT_LONG)))
        }
        _ => None,
    }
}

/// Any number: one with a sign, or byte by byte.
#[inline(never)]
fn any_number(text: &[u8]) -> Option<(usize, Kinds)> {
    if let Some(unsigned) = text.strip_prefix(b"-")
        && let Some((length, kinds)) = short_number(unsigned)
    {
        return Some((length + 1, kinds));
    }
    let text = text.get(..MAX_NUMBER).unwrap_or(text);
    let text = &text[..text.iter().position(|&byte| byte == b'"')?];
    Some((text.len(), number::kinds(text)?))
}

/// `true` or `false`.
#[inline(always)]
pub(super) fn boolean(text: &[u8]) -> Option<usize> {
    match (text.first_chunk()?, text.get(4)?) {
        (b"true", _) => Some(4),
        (b"fals", b'e') => Some(5),
        _ => None,
    }
}

/// A set of strings, brackets included.
#[inline(always)]
pub(super) fn strings(blocks: impl Blocks, text: &[u8]) -> Option<usize> {
    let mut rest = text.strip_prefix(b"[")?;
    if *rest.first()? != b']' {
        loop {
            if *rest.first()? != b'"' {
                return None;
            }
            rest = rest.get(string(blocks, rest)?..)?;
            if *rest.first()? != b',' {
                break;
            }
            rest = &rest[1..];
        }
    }
    (*rest.first()? == b']').then_some(text.len() - rest.len() + 1)
}
