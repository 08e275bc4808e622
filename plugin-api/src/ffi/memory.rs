//! What a plugin may tell the kernel of its memory.

/// Asks the kernel to back this memory with huge pages (2 MB on x86-64) from now on, where the system leaves that to programs
/// (`/sys/kernel/mm/transparent_hugepage/enabled` says `madvise`).
///
/// For large buffers that will be filled from front to back: a page fault each 2 MB rather than each 4 kB. Only whole pages inside
/// `memory` are meant. It is advice: where the kernel cannot or will not, nothing happens, and no content changes ever.
pub fn advise_huge_pages(memory: &mut [u8]) {
    #[cfg(target_os = "linux")]
    {
        let page = 4096;
        let skipped = memory.as_ptr().align_offset(page);
        let Some(pages) = memory.get_mut(skipped..) else {
            return;
        };
        let length = pages.len() / page * page;
        // SAFETY: the range is memory that the caller holds exclusively, and this advice changes neither content nor protection. A
        // start that is not at the system's page boundary (pages of 64 kB) makes the call fail, which is as good as no advice.
        unsafe { libc::madvise(pages.as_mut_ptr().cast(), length, libc::MADV_HUGEPAGE) };
    }
    #[cfg(not(target_os = "linux"))]
    let _ = memory;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg_attr(miri, ignore = "Miri has no madvise: the advice is the kernel's")]
    fn advice_changes_no_content_whatever_the_range() {
        let mut buffer: Vec<u8> = (0..=u8::MAX).cycle().take(5 << 20).collect();
        let before = buffer.clone();
        for length in [0, 1, 4095, 4096, 10_000, 5 << 20] {
            let start = buffer.len() - length;
            advise_huge_pages(&mut buffer[start..]);
            advise_huge_pages(&mut buffer[..length]);
        }
        assert_eq!(buffer, before);
    }
}
