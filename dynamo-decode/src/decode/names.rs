//! The names of one map, to find one that is given twice.
//!
//! In: names as they stand on the wire. Out: whether one is certainly new. Where two may be the same the plain decoder judges the item.

use std::collections::HashSet;

/// So many names are compared with each other; from then on they are looked up.
const FEW: usize = 16;

/// Digests of the names seen so far.
#[derive(Default)]
pub(super) struct Names {
    few: [u32; FEW],
    n_few: usize,
    more: Option<HashSet<u32>>,
}

impl Names {
    /// Whether a name of this digest is none of those before it. False also where that is not certain: one with the digest of another.
    #[inline(always)]
    pub(super) fn is_new(&mut self, digest: u32) -> bool {
        if self.few[..self.n_few].contains(&digest) {
            return false;
        }
        match self.few.get_mut(self.n_few) {
            Some(place) => {
                *place = digest;
                self.n_few += 1;
                true
            }
            None => self.more.get_or_insert_default().insert(digest),
        }
    }
}

/// The digest of a name with its quotes; `None` where it has escapes, so that the same name may be written in another way.
#[inline(always)]
pub(super) fn digest(name: &[u8]) -> Option<u32> {
    let mut digest = name.len() as u64;
    for piece in name.chunks(8) {
        let mut word = [0; 8];
        word[..piece.len()].copy_from_slice(piece);
        digest = (digest ^ u64::from_le_bytes(word))
            .wrapping_mul(0x9e37_79b9_7f4a_7c15)
            .rotate_left(29);
    }
    if memchr::memchr(b'\\', name).is_some() {
        return None;
    }
    u32::try_from(digest >> 32).ok()
}
