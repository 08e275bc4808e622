//! A host that forks: its child has the library's memory but none of its threads, so no job could ever end there.
//!
//! A child that is made while the library is open is marked, and every call that would need a thread or a lock answers 2 in it.
//! A child that is made before the first open, or after a close, uses the library as any other process does.

use std::sync::{
    Once,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

/// How many slots of this library are open or on their way in or out (one in a library, more in a test).
static IN_USE: AtomicUsize = AtomicUsize::new(0);
static ORPHANED: AtomicBool = AtomicBool::new(false);

/// Whether this process was forked off while the library was open.
pub(crate) fn orphaned() -> bool {
    ORPHANED.load(Ordering::Relaxed)
}

/// Marks the library as in use, from before its plugin is made until after it is gone.
pub(crate) struct InUse(());

impl InUse {
    pub(crate) fn new() -> Self {
        static WATCH: Once = Once::new();
        // SAFETY: the handler is a function of this library, which is never unloaded, and touches atomics only.
        // Out of memory it is not registered: a forked child is then what it would be without this file.
        WATCH.call_once(|| unsafe {
            libc::pthread_atfork(None, None, Some(in_child));
        });
        IN_USE.fetch_add(1, Ordering::Relaxed);
        Self(())
    }
}

impl Drop for InUse {
    fn drop(&mut self) {
        IN_USE.fetch_sub(1, Ordering::Relaxed);
    }
}

extern "C" fn in_child() {
    if IN_USE.load(Ordering::Relaxed) > 0 {
        ORPHANED.store(true, Ordering::Relaxed);
    }
}
