//! Blocks of bytes looked at in one step: what stands where, as one bit a byte (the lowest bit is the first byte).

use wide::{i8x32, u8x16, u8x32};

/// A block, as long as what is looked at in one step.
pub(crate) const BLOCK: usize = 32;
/// Half of it is enough for the digits of most numbers.
pub(super) const HALF: usize = 16;

/// How a processor looks at blocks.
pub(crate) trait Blocks: Copy {
    /// Does some work compiled for that processor. Whatever takes a `Blocks` is inlined into such work, or begins some of its own.
    fn run<T>(self, work: impl FnOnce() -> T) -> T;

    /// Which bytes are the same in both.
    fn equal(self, a: &[u8; BLOCK], b: &[u8; BLOCK]) -> u32;

    /// Where plain text stops: quotes, backslashes, control characters, and whatever is not ASCII.
    fn text_stops(self, block: &[u8; BLOCK]) -> u32;
}

/// Any processor.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Any;

impl Blocks for Any {
    #[inline(always)]
    fn run<T>(self, work: impl FnOnce() -> T) -> T {
        work()
    }

    #[inline(always)]
    fn equal(self, a: &[u8; BLOCK], b: &[u8; BLOCK]) -> u32 {
        u8x32::new(*a).simd_eq(u8x32::new(*b)).to_bitmask()
    }

    #[inline(always)]
    fn text_stops(self, block: &[u8; BLOCK]) -> u32 {
        let backslash = u8x32::new(*block).simd_eq(u8x32::splat(b'\\'));
        // With this bit turned a quote comes right after the control characters and leaves its place to `!` and `#`; as signed numbers,
        // bytes beyond ASCII are below them: one comparison for three.
        let turned = (u8x32::new(*block) ^ u8x32::splat(2)).to_array();
        let others = i8x32::new(turned.map(u8::cast_signed)).simd_lt(i8x32::splat(0x21));
        backslash.to_bitmask() | others.to_bitmask()
    }
}

#[cfg(target_arch = "x86_64")]
impl Blocks for plugin_api::Avx2 {
    #[inline(always)]
    fn run<T>(self, work: impl FnOnce() -> T) -> T {
        self.run(work)
    }

    #[inline(always)]
    fn equal(self, a: &[u8; BLOCK], b: &[u8; BLOCK]) -> u32 {
        self.equal(a, b)
    }

    #[inline(always)]
    fn text_stops(self, block: &[u8; BLOCK]) -> u32 {
        self.text_stops(block)
    }
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

/// Which of sixteen bytes are decimal digits.
#[inline(always)]
pub(super) fn digits(block: [u8; HALF]) -> u32 {
    let values = u8x16::new(block) - u8x16::splat(b'0');
    values.min(u8x16::splat(9)).simd_eq(values).to_bitmask()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(blocks: impl Blocks) {
        for first in 0..=u8::MAX {
            let block: [u8; BLOCK] =
                std::array::from_fn(|index| first.wrapping_add(u8::try_from(index).unwrap()));
            let mask = |is: fn(u8) -> bool| {
                (0..BLOCK).fold(0, |mask, index| mask | u32::from(is(block[index])) << index)
            };
            let is_stop = |byte| matches!(byte, b'"' | b'\\' | 0..=0x1f);
            assert_eq!(string_stops(block), mask(is_stop));
            assert_eq!(blocks.equal(&block, &[first; BLOCK]), 1);
            let stops = mask(|byte| matches!(byte, b'"' | b'\\' | 0..=0x1f | 0x80..));
            assert_eq!(blocks.text_stops(&block), stops);
            let half = block.first_chunk().copied().unwrap();
            assert_eq!(digits(half), mask(|byte| byte.is_ascii_digit()) & 0xffff);
        }
    }

    #[test]
    fn masks_agree_with_looking_at_each_byte() {
        check(Any);
        #[cfg(target_arch = "x86_64")]
        if let Some(avx2) = plugin_api::Avx2::detect() {
            avx2.run(|| check(avx2));
        }
    }
}
