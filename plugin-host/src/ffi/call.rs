//! One call to a library: what the host offers to it, and the document that comes of it.
//!
//! In: [`CallOptions`], as Rust closures. Out: the C struct that a library reads, and a [`Document`] in the library's memory.

use std::{
    ffi::c_void,
    fmt,
    ops::{ControlFlow, Deref},
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::Duration,
};

use abi_stable::std_types::RVec;
use plugin_api::{
    Error, ErrorCode,
    abi::{DONE, FAILED, HpBuffer, HpCall},
};

/// Takes a job's totals after each page: rows, pages, wire bytes.
pub type Progress = Arc<dyn Fn(u64, u64, u64) + Send + Sync>;

/// Takes lines of a job's result as they come, and says whether it wants more: `Break` ends the job as `CANCELLED`.
///
/// Whole lines, each ended by a newline: `{"columns":["id"]}` adds columns to the right, `["123"]` is a row. One call at a time per
/// job, on a thread of the plugin; it may block, which holds up the job.
pub type RowsSink = Arc<dyn Fn(&[u8]) -> ControlFlow<()> + Send + Sync>;

/// What a host offers to one call.
#[derive(Clone, Default)]
pub struct CallOptions {
    /// How long the caller waits; `None`: without end. Rounded up to a millisecond.
    pub timeout: Option<Duration>,
    /// Where the job's progress goes.
    pub progress: Option<Progress>,
    /// Where the job's rows go as they come; `None`, or a library without the feature `rows`: its result is one document.
    pub rows: Option<RowsSink>,
    /// A result whose `data` has no more bytes than this is one document, and `rows` is never called.
    pub rows_after_bytes: u64,
}

/// A document in the plugin's memory; freed there when dropped. Reads as bytes.
pub struct Document(Memory);

enum Memory {
    Vector(RVec<u8>),
    Buffer { buffer: HpBuffer, free: FreeFn },
}

pub(super) type FreeFn = unsafe extern "C" fn(*mut HpBuffer);

// SAFETY: the bytes are the caller's alone until they are freed, which may happen on any thread (contract, section 5).
unsafe impl Send for Document {}
// SAFETY: shared, the bytes are only read.
unsafe impl Sync for Document {}

impl Document {
    pub(super) fn vector(bytes: RVec<u8>) -> Self {
        Self(Memory::Vector(bytes))
    }

    /// The bytes of a buffer, which is handed back when the document is dropped.
    ///
    /// # Safety
    /// `buffer` was written by a call into the library that `free` belongs to, and nobody else hands it back.
    pub(super) unsafe fn buffer(buffer: HpBuffer, free: FreeFn) -> Self {
        Self(Memory::Buffer { buffer, free })
    }
}

impl From<Vec<u8>> for Document {
    fn from(bytes: Vec<u8>) -> Self {
        Self::vector(bytes.into())
    }
}

impl Drop for Document {
    fn drop(&mut self) {
        if let Memory::Buffer { buffer, free } = &mut self.0 {
            // SAFETY: the promise of `Document::buffer`.
            unsafe { free(&raw mut *buffer) };
        }
    }
}

impl Deref for Document {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        match &self.0 {
            Memory::Vector(bytes) => bytes,
            Memory::Buffer { buffer, .. } if buffer.data.is_null() => &[],
            // SAFETY: a plugin has written `len` bytes at `data` (contract, section 5); they stay until the buffer is freed.
            Memory::Buffer { buffer, .. } => unsafe {
                std::slice::from_raw_parts(buffer.data, buffer.len)
            },
        }
    }
}

impl AsRef<[u8]> for Document {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl fmt::Debug for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Document({} bytes)", self.len())
    }
}

/// What a status and its document mean.
///
/// # Errors
/// The job's own error; `INTERNAL` if the plugin's reply is malformed.
pub(super) fn outcome(status: i32, document: Document) -> Result<Document, Error> {
    if status == DONE {
        return Ok(document);
    }
    Err(Error::from_json(&document).unwrap_or_else(|| {
        let what = if status == FAILED {
            "without an error document"
        } else {
            "outside the contract"
        };
        Error::new(
            ErrorCode::INTERNAL,
            format!("the plugin answered status {status} {what}"),
        )
        .hint("this is a bug in the plugin, or it is newer than this host")
    }))
}

/// The C struct for these options; they must live where they are for as long as the library may use it.
pub(super) fn hp_call(options: &CallOptions) -> HpCall {
    HpCall {
        user: std::ptr::from_ref(options).cast_mut().cast(),
        timeout_ms: options.timeout.map_or(0, |timeout| {
            u64::try_from(timeout.as_micros().div_ceil(1000))
                .unwrap_or(u64::MAX)
                .max(1)
        }),
        progress: options.progress.as_ref().map(|_| progress as _),
        rows: options.rows.as_ref().map(|_| rows as _),
        rows_after_bytes: options.rows_after_bytes,
        ..HpCall::NONE
    }
}

/// # Safety
/// The library calls it during a call that was given [`hp_call`]'s struct, with that struct's `user`.
unsafe extern "C" fn progress(user: *mut c_void, rows: u64, pages: u64, wire_bytes: u64) {
    // SAFETY: by the library's promise `user` is the call's options, which the caller of `hp_call` keeps until the call has ended.
    let options = unsafe { &*user.cast::<CallOptions>() };
    if let Some(sink) = &options.progress {
        // A panic must not unwind into the plugin.
        let _ = catch_unwind(AssertUnwindSafe(|| sink(rows, pages, wire_bytes)));
    }
}

/// # Safety
/// As [`progress`], and `lines` leads to `len` bytes until this returns.
unsafe extern "C" fn rows(user: *mut c_void, lines: *const u8, len: usize) -> i32 {
    // SAFETY: as in `progress`; the lines are there by the library's promise.
    let (options, lines) = unsafe {
        (
            &*user.cast::<CallOptions>(),
            std::slice::from_raw_parts(lines, len),
        )
    };
    let answer = options
        .rows
        .as_ref()
        // A panic must not unwind into the plugin; whoever panics wants no more.
        .and_then(|sink| catch_unwind(AssertUnwindSafe(|| sink(lines))).ok());
    i32::from(answer != Some(ControlFlow::Continue(())))
}
