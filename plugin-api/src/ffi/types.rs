//! The C structs of the surface, field for field as in `include/heimdall_plugin.h`. Sizes and offsets are pinned by a test.
//!
//! `HpInfo` and `HpCall` have grown since ABI 1.0. The root module keeps their first form (`types_1_0`), because `abi_stable` compares
//! its types field by field; pointers to both forms are cast into one another, and `struct_size` alone says which fields are there.

use std::ffi::{c_char, c_void};

use abi_stable::StableAbi;

/// The first word of [`HpInfo`]: the bytes `MFPH`. `cbindgen.toml` writes it into the header, where it is to be hexadecimal.
pub const HEIMDALL_PLUGIN_MAGIC: u32 = 0x4850_464D;

/// The major version of the surface that is described here. Another major is another surface.
pub const ABI_MAJOR: u32 = 1;
/// The minor version: it grows when something is added at an end.
pub const ABI_MINOR: u32 = 1;

/// What a library says of itself. Static, never freed.
#[repr(C)]
#[derive(Debug)]
pub struct HpInfo {
    /// `HEIMDALL_PLUGIN_MAGIC`.
    pub magic: u32,
    /// Bytes of this struct as the library knows it.
    pub struct_size: u32,
    /// The major version of the surface that the library speaks: another one than yours means that it is not for you.
    pub abi_major: u32,
    /// The minor version: a larger one than yours only adds.
    pub abi_minor: u32,
    /// The plugin's name, NUL-terminated UTF-8.
    pub name: *const c_char,
    /// The plugin's version, NUL-terminated.
    pub version: *const c_char,
    /// Space-separated words, NUL-terminated.
    pub features: *const c_char,
    /// Since 1.1: the error codes of the plugin's jobs, a JSON list of {"code","meaning","remedy","retryable"}, NUL-terminated.
    /// NULL where the plugin does not say.
    pub errors: *const c_char,
}

// SAFETY: the pointers lead to string literals of the library, which nobody writes.
unsafe impl Sync for HpInfo {}

/// Bytes that belong to the plugin. Hand them to `free_buffer`; a NUL lies past `len`, so that they can be read as a C string.
#[repr(C)]
#[derive(Debug, StableAbi)]
pub struct HpBuffer {
    /// The first byte; null where the buffer is empty.
    pub data: *mut u8,
    /// Bytes without the NUL.
    pub len: usize,
    /// Bytes allocated; the plugin's business.
    pub capacity: usize,
}

/// What a host offers to a library while it is open. The struct is read during `plugin_open` only; what it points to must stay
/// valid until `plugin_close` returns.
#[repr(C)]
#[derive(Debug, Clone, Copy, StableAbi)]
pub struct HpHost {
    /// Bytes of this struct as the caller knows it.
    pub struct_size: u32,
    /// 0.
    pub reserved: u32,
    /// Handed back to `log` as it is.
    pub user: *mut c_void,
    /// Takes one log line: level 1 error, 2 warn, 3 info, 4 debug, 5 trace; `target` ends in NUL, `message` does not.
    /// May be NULL. Runs on the plugin's threads, several at once, until `plugin_close` returns.
    pub log: Option<
        unsafe extern "C" fn(
            user: *mut c_void,
            level: i32,
            target: *const c_char,
            message: *const u8,
            len: usize,
        ),
    >,
}

/// What a caller offers to one job. What it points to must stay valid until the call returns; for `start_job`, until `done` has
/// returned. A field that `struct_size` does not cover as a whole counts as NULL or 0; the 32 bytes of ABI 1.0 are enough.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct HpCall {
    /// Bytes of this struct as the caller knows it.
    pub struct_size: u32,
    /// 0.
    pub reserved: u32,
    /// Handed back to `progress`, `rows` and `done` as it is.
    pub user: *mut c_void,
    /// Milliseconds that the caller waits; 0: without end.
    pub timeout_ms: u64,
    /// Takes the job's totals after each page. May be NULL. Runs on the plugin's threads, one call at a time, until the call returns.
    pub progress:
        Option<unsafe extern "C" fn(user: *mut c_void, rows: u64, pages: u64, wire_bytes: u64)>,
    /// Since 1.1: takes the result's rows as they come, whole lines of JSON each ended by a newline: `{"columns":["id"]}` adds
    /// columns to the right, `["123"]` is a row. May be NULL: the result comes as one document. 0 to go on, anything else ends the job
    /// as CANCELLED. It may block: that holds up its own job only. One call at a time per job, never beside `progress`.
    pub rows: Option<unsafe extern "C" fn(user: *mut c_void, lines: *const u8, len: usize) -> i32>,
    /// Since 1.1: a result whose `data` has no more bytes than this comes as one document, and `rows` is never called; 0: every row
    /// goes to `rows`.
    pub rows_after_bytes: u64,
}

impl HpCall {
    /// A call without time, functions or `user`, of the size that this crate knows.
    pub const NONE: Self = Self {
        struct_size: size32::<Self>(),
        reserved: 0,
        user: std::ptr::null_mut(),
        timeout_ms: 0,
        progress: None,
        rows: None,
        rows_after_bytes: 0,
    };
}

/// `start_job`'s `done`. Spelled out again in `prototypes`, where the header's generator looks.
pub type DoneFn = unsafe extern "C" fn(user: *mut c_void, status: i32, out: *mut HpBuffer);

/// `start_job` itself, which a host looks up by its name.
pub type StartFn = unsafe extern "C" fn(
    job: *const u8,
    job_len: usize,
    call: *const HpCall,
    done: Option<DoneFn>,
    out: *mut HpBuffer,
) -> i32;

/// A struct's size as the surface counts it.
#[expect(
    clippy::cast_possible_truncation,
    reason = "the structs of this file are a few words long"
)]
#[must_use]
pub const fn size32<T>() -> u32 {
    size_of::<T>() as u32
}
