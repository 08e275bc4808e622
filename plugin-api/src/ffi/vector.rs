//! Blocks of 32 bytes where the processor has vectors of that length, which is known only at run time.

use std::arch::x86_64::{
    __m256i, _mm256_cmpeq_epi8, _mm256_cmpgt_epi8, _mm256_loadu_si256, _mm256_movemask_epi8,
    _mm256_or_si256, _mm256_set1_epi8, _mm256_xor_si256,
};

/// Bytes of a block.
const BLOCK: usize = 32;

/// Proof that the processor has AVX2, and what is done with it. No other code is compiled for such processors alone.
#[derive(Debug, Clone, Copy)]
pub struct Avx2(());

impl Avx2 {
    /// The proof, where the processor has it.
    #[must_use]
    pub fn detect() -> Option<Self> {
        let has_it = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("bmi1");
        has_it.then_some(Self(()))
    }

    /// Does some work, compiled for AVX2: the other methods are only fast inside, in functions that are always inlined.
    #[inline]
    pub fn run<T>(self, work: impl FnOnce() -> T) -> T {
        /// # Safety
        /// The processor must have both features.
        #[target_feature(enable = "avx2,bmi1")]
        fn with_avx2<T>(work: impl FnOnce() -> T) -> T {
            work()
        }
        // SAFETY: the processor has both features, or there were no `self`.
        unsafe { with_avx2(work) }
    }

    /// Which bytes are the same in both, the first as the lowest bit.
    #[inline(always)]
    #[must_use]
    pub fn equal(self, a: &[u8; BLOCK], b: &[u8; BLOCK]) -> u32 {
        // SAFETY: the processor has AVX2, or there were no `self`; both references are to as many bytes as are loaded, which need no
        // alignment.
        unsafe {
            let (a, b) = (load(a), load(b));
            _mm256_movemask_epi8(_mm256_cmpeq_epi8(a, b)).cast_unsigned()
        }
    }

    /// Which bytes are quotes, backslashes, control characters or not ASCII.
    #[inline(always)]
    #[must_use]
    pub fn text_stops(self, block: &[u8; BLOCK]) -> u32 {
        // SAFETY: as in `equal`.
        unsafe {
            let block = load(block);
            let backslash = _mm256_cmpeq_epi8(block, _mm256_set1_epi8(0x5c));
            // With this bit turned a quote comes right after the control characters and leaves its place to `!` and `#`; as signed
            // numbers, bytes beyond ASCII are below them: one comparison for three.
            let turned = _mm256_xor_si256(block, _mm256_set1_epi8(2));
            let others = _mm256_cmpgt_epi8(_mm256_set1_epi8(0x21), turned);
            _mm256_movemask_epi8(_mm256_or_si256(backslash, others)).cast_unsigned()
        }
    }
}

/// # Safety
/// The processor must have AVX2.
#[inline(always)]
unsafe fn load(block: &[u8; BLOCK]) -> __m256i {
    // SAFETY: the reference is to as many bytes as are loaded; the caller vouches for the processor.
    unsafe { _mm256_loadu_si256(block.as_ptr().cast()) }
}
