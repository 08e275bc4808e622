//! What a host must know of its own process before it loads one more library, and only C can tell.

/// Counts the free thread keys of this process, up to `at_most`.
///
/// Every loaded Rust library takes one for good, and a process has 1,024; running out aborts it. The keys are taken and given
/// back at once, so `at_most` also bounds how many other threads of the process go without for that moment.
#[must_use]
pub fn free_thread_keys(at_most: usize) -> usize {
    let mut taken: Vec<libc::pthread_key_t> = Vec::with_capacity(at_most);
    while taken.len() < at_most {
        let mut key = 0;
        // SAFETY: `key` is writable, and no destructor is wanted.
        if unsafe { libc::pthread_key_create(&raw mut key, None) } != 0 {
            break;
        }
        taken.push(key);
    }
    for key in &taken {
        // SAFETY: the key was made above and nobody else knows it.
        unsafe { libc::pthread_key_delete(*key) };
    }
    taken.len()
}

/// The version of the C library that this process runs with, as `2.36`; `None` where it is not glibc.
#[must_use]
pub fn glibc_version() -> Option<&'static str> {
    #[cfg(target_env = "gnu")]
    {
        // SAFETY: glibc returns a static, NUL-terminated text.
        unsafe { std::ffi::CStr::from_ptr(libc::gnu_get_libc_version()) }
            .to_str()
            .ok()
    }
    #[cfg(not(target_env = "gnu"))]
    None
}

/// Has the C library give blocks of a megabyte and more back to the system as soon as they are freed; to be called before the first
/// thread starts.
///
/// glibc by itself raises that size to the largest block that was ever freed. The buffers of large results then stay in the arena of
/// each thread that has held one: a host that ran for ten minutes kept 267 MB where 40 MB were in use.
pub fn give_large_blocks_back() {
    #[cfg(target_env = "gnu")]
    // SAFETY: it sets a number of the allocator, and no other thread runs yet.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, 1 << 20);
    }
}

/// Makes this process deaf to the signals that operators and terminals send to a host: it ends when the host says so.
pub(crate) fn ignore_signals_of_the_host() {
    for signal in [libc::SIGINT, libc::SIGTERM, libc::SIGHUP] {
        // SAFETY: SIG_IGN is no function of ours, and no other thread of this process runs yet.
        unsafe { libc::signal(signal, libc::SIG_IGN) };
    }
}

/// Closes every file from 3 on. For a child process that has opened nothing yet: what is there was left open by mistake.
pub(crate) fn close_inherited_files() {
    // SAFETY: nothing in this process owns a file handle from 3 on yet; the caller says so. Where the system refuses, they stay.
    unsafe { libc::close_range(3, libc::c_uint::MAX, 0) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counting_free_keys_takes_none() {
        let free = free_thread_keys(200);
        assert_eq!(free, 200, "a test process has taken a few dozen at most");
        for _ in 0..20 {
            assert_eq!(free_thread_keys(200), 200);
        }
    }
}
