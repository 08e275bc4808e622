//! The host's functions, called from the plugin's threads, and the mark that keeps them from calling back in.

use std::{
    cell::Cell,
    ffi::{CString, c_char, c_void},
};

use super::types::{HpBuffer, HpCall, HpHost};
use crate::Level;

type LogFn = unsafe extern "C" fn(*mut c_void, i32, *const c_char, *const u8, usize);
type ProgressFn = unsafe extern "C" fn(*mut c_void, u64, u64, u64);
type RowsFn = unsafe extern "C" fn(*mut c_void, *const u8, usize) -> i32;
type DoneFn = unsafe extern "C" fn(*mut c_void, i32, *mut HpBuffer);

/// Which of the host's functions a thread is inside of: few of the library's may be called there.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Inside {
    /// None of them.
    Nothing,
    /// `log`, `progress` or `rows`.
    Callback,
    /// `done`, where `start_job` is allowed too.
    Done,
}

thread_local! {
    static INSIDE: Cell<Inside> = const { Cell::new(Inside::Nothing) };
}

/// What this thread is inside of.
pub(crate) fn inside() -> Inside {
    INSIDE.get()
}

fn call_host<T>(which: Inside, call: impl FnOnce() -> T) -> T {
    let before = INSIDE.replace(which);
    let answer = call();
    INSIDE.set(before);
    answer
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
        call_host(Inside::Callback, || {
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

/// The functions that a caller offers to one job, with their `user`.
pub(crate) struct CallerFunctions {
    progress: Option<ProgressFn>,
    rows: Option<RowsFn>,
    user: *mut c_void,
}

// SAFETY: the contract has the caller keep functions and `user` valid, from any thread, until its call returns (with `start_job` until
// `done` has returned); `JobCtx::end` drops this value before that, and a lock keeps calls one at a time.
unsafe impl Send for CallerFunctions {}

impl CallerFunctions {
    /// Those of this call; `None` where it has neither.
    pub(crate) fn of(call: &HpCall) -> Option<Self> {
        let functions = Self {
            progress: call.progress,
            rows: call.rows,
            user: call.user,
        };
        (functions.progress.is_some() || functions.rows.is_some()).then_some(functions)
    }

    pub(crate) fn has_progress(&self) -> bool {
        self.progress.is_some()
    }

    pub(crate) fn has_rows(&self) -> bool {
        self.rows.is_some()
    }

    pub(crate) fn progress(&self, rows: u64, pages: u64, wire_bytes: u64) {
        if let Some(progress) = self.progress {
            // SAFETY: function and `user` are valid (see Send above).
            call_host(Inside::Callback, || unsafe {
                progress(self.user, rows, pages, wire_bytes)
            });
        }
    }

    /// Hands lines to the caller; whether it wants more.
    pub(crate) fn rows(&self, lines: &[u8]) -> bool {
        self.rows.is_some_and(|rows| {
            // SAFETY: function and `user` are valid (see Send above); the lines live until the call returns.
            call_host(Inside::Callback, || unsafe {
                rows(self.user, lines.as_ptr(), lines.len()) == 0
            })
        })
    }
}

/// The function that takes the end of a started job, with its `user`.
pub(crate) struct DoneCallback {
    function: DoneFn,
    user: *mut c_void,
}

// SAFETY: the contract has the caller keep function and `user` valid, from any thread, until `done` has returned; it is called once.
unsafe impl Send for DoneCallback {}

impl DoneCallback {
    pub(crate) fn new(function: DoneFn, call: Option<&HpCall>) -> Self {
        Self {
            function,
            user: call.map_or(std::ptr::null_mut(), |call| call.user),
        }
    }

    /// Tells the caller the job's end. The bytes of the document are the caller's from then on.
    pub(crate) fn call(self, status: i32, mut document: HpBuffer) {
        // SAFETY: function and `user` are valid (see Send above); the struct lives until the call returns.
        call_host(Inside::Done, || unsafe {
            (self.function)(self.user, status, &raw mut document)
        });
    }
}
