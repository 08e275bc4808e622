//! Memory made present before a client runs.

use std::hint::black_box;

/// More than any client's result takes.
const BYTES: usize = 1 << 30;

/// Touches so much memory in huge pages and as much in small ones, both at once, and gives it back.
///
/// A virtual machine may return free memory to its host, and the first touch after that costs up to 0.3 s per 100 MB, which would else
/// fall on one client or another by chance. Both kinds of pages, because the kernel takes them from different lists.
pub(crate) fn touch() {
    let small = vec![1_u8; BYTES];
    let mut huge = vec![0_u8; BYTES];
    plugin_api::advise_huge_pages(&mut huge);
    huge.fill(1);
    black_box((small, huge));
}
