//! Thirty-two bytes at a time, in safe Rust: what stands where, as one bit a byte (the lowest bit is the first byte).

use wide::{u8x16, u8x32};

/// As many bytes as are looked at in one step.
pub(crate) const BLOCK: usize = 32;

/// Copies one block, where both go on that far.
#[inline(always)]
pub(crate) fn copy_block(to: &mut [u8], from: &[u8]) -> bool {
    match (to.first_chunk_mut::<BLOCK>(), from.first_chunk()) {
        (Some(to), Some(from)) => *to = u8x32::new(*from).to_array(),
        _ => return false,
    }
    true
}

/// Where a JSON string ends, escapes something or is not valid: quotes, backslashes, control characters.
#[inline(always)]
pub(super) fn string_stops(block: [u8; BLOCK]) -> u32 {
    let block = u8x32::new(block);
    let quote = block.simd_eq(u8x32::splat(b'"'));
    let backslash = block.simd_eq(u8x32::splat(b'\\'));
    let control = block.min(u8x32::splat(0x1f)).simd_eq(block);
    (quote | backslash | control).to_bitmask()
}

/// Which bytes are the same in both.
#[inline(always)]
pub(super) fn equal(a: [u8; BLOCK], b: [u8; BLOCK]) -> u32 {
    u8x32::new(a).simd_eq(u8x32::new(b)).to_bitmask()
}

/// Which of sixteen bytes are decimal digits.
#[inline(always)]
pub(super) fn digits(block: [u8; 16]) -> u32 {
    let values = u8x16::new(block) - u8x16::splat(b'0');
    values.min(u8x16::splat(9)).simd_eq(values).to_bitmask()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masks_agree_with_looking_at_each_byte() {
        for first in 0..=u8::MAX {
            let block: [u8; BLOCK] =
                std::array::from_fn(|index| first.wrapping_add(u8::try_from(index).unwrap()));
            let mask = |is: fn(u8) -> bool| {
                (0..BLOCK).fold(0, |mask, index| mask | u32::from(is(block[index])) << index)
            };
            assert_eq!(
                string_stops(block),
                mask(|byte| matches!(byte, b'"' | b'\\' | 0..=0x1f))
            );
            assert_eq!(equal(block, [first; BLOCK]), 1);
            let half = block.first_chunk().copied().unwrap();
            assert_eq!(digits(half), mask(|byte| byte.is_ascii_digit()) & 0xffff);
        }
    }
}
