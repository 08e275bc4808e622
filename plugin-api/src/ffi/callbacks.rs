//! The host's functions, called from the plugin's threads, and the mark that keeps them from calling back in.

use std::{
    cell::Cell,
    ffi::{CString, c_char, c_void},
};

use super::types::{HpCall, HpHost};
use crate::Level;

type LogFn = unsafe extern "C" fn(*mut c_void, i32, *const c_char, *const u8, usize);
type ProgressFn = unsafe extern "C" fn(*mut c_void, u64, u64, u64);

thread_local! {
    static IN_CALLBACK: Cell<bool> = const { Cell::new(false) };
}

/// Whether this thread is inside one of the host's callbacks, where only a few functions may be called.
pub(crate) fn in_callback() -> bool {
    IN_CALLBACK.get()
}

fn as_callback(call: impl FnOnce()) {
    let before = IN_CALLBACK.replace(true);
    call();
    IN_CALLBACK.set(before);
}

/// The host's log function with its `user`.
pub(crate) struct LogCallback {
    function: LogFn,
    user: *mut c_void,
}

// SAFETY: the contract (section 5, Callbacks) has the host keep function and `user` valid, from any thread, until `plugin_close`
// returns; `Host::silence` drops this value before that.
unsafe impl Send for LogCallback {}
// SAFETY: as above; `log` may be called from several threads at once.
unsafe impl Sync for LogCallback {}

impl LogCallback {
    pub(crate) fn of(host: &HpHost) -> Option<Self> {
        host.log.map(|function| Self {
            function,
            user: host.user,
        })
    }

    pub(crate) fn call(&self, level: Level, target: &str, message: &str) {
        let target = CString::new(target.split('\0').next().unwrap_or_default())
            .expect("it was cut at the first NUL");
        as_callback(|| {
            // SAFETY: function and `user` are valid (see Send above); the texts live until the call returns.
            unsafe {
                (self.function)(
                    self.user,
                    level as i32,
                    target.as_ptr(),
                    message.as_ptr(),
                    message.len(),
                )
            }
        });
    }
}

/// A caller's progress function with its `user`.
pub(crate) struct ProgressCallback {
    function: ProgressFn,
    user: *mut c_void,
}

// SAFETY: the contract has the caller keep function and `user` valid, from any thread, until its call returns; `JobCtx::end` drops
// this value before that, and a lock keeps calls one at a time.
unsafe impl Send for ProgressCallback {}

impl ProgressCallback {
    pub(crate) fn of(call: &HpCall) -> Option<Self> {
        call.progress.map(|function| Self {
            function,
            user: call.user,
        })
    }

    pub(crate) fn call(&self, rows: u64, pages: u64, wire_bytes: u64) {
        // SAFETY: function and `user` are valid (see Send above).
        as_callback(|| unsafe { (self.function)(self.user, rows, pages, wire_bytes) });
    }
}
