//! The C function `run_job` as safe functions: for tests and benchmarks that hold both doors side by side.
//!
//! A Rust host wants [`Library::run_job`], which hands its document over without a copy.

use std::slice;

use plugin_api::{
    Error, ErrorCode,
    abi::{DONE, HpBuffer},
};

use super::library::{CallOptions, Document, Library, hp_call};

impl Library {
    /// Runs one job through the C function, as a host in another language does; the document is copied out of the C buffer.
    ///
    /// # Errors
    /// As [`Library::run_job`].
    pub fn run_job_by_c(&self, job: &[u8], options: &CallOptions) -> Result<Document, Error> {
        let call = hp_call(options);
        self.with_buffer(|out| {
            // SAFETY: job, struct and options live until the call returns.
            unsafe { self.module.run_job()(job.as_ptr(), job.len(), &raw const call, out) }
        })
    }

    /// As [`Library::run_job_by_c`], but `read` is shown the result where it lies in the C buffer: what the door costs without a copy.
    ///
    /// # Errors
    /// As [`Library::run_job`].
    pub fn read_job_by_c<T>(
        &self,
        job: &[u8],
        options: &CallOptions,
        read: impl FnOnce(&[u8]) -> T,
    ) -> Result<T, Error> {
        let call = hp_call(options);
        let mut buffer = HpBuffer::EMPTY;
        // SAFETY: job, struct, options and buffer live until the call returns.
        let status = unsafe {
            self.module.run_job()(job.as_ptr(), job.len(), &raw const call, &raw mut buffer)
        };
        let outcome = if status == DONE && !buffer.data.is_null() {
            // SAFETY: a plugin writes `len` bytes at `data` before it returns (contract, section 5); they are freed below.
            Ok(read(unsafe {
                slice::from_raw_parts(buffer.data, buffer.len)
            }))
        } else {
            Err(no_result(status, &buffer))
        };
        // SAFETY: the buffer came from this very library.
        unsafe { self.module.free_buffer()(&raw mut buffer) };
        outcome
    }
}

/// The error behind a call that gave no result.
fn no_result(status: i32, buffer: &HpBuffer) -> Error {
    let document = if buffer.data.is_null() {
        &[]
    } else {
        // SAFETY: a plugin writes `len` bytes at `data` before it returns (contract, section 5); the caller frees them afterwards.
        unsafe { slice::from_raw_parts(buffer.data, buffer.len) }
    };
    Error::from_json(document).unwrap_or_else(|| {
        Error::new(
            ErrorCode::INTERNAL,
            format!("the plugin answered status {status} without a document"),
        )
        .hint("this is a bug in the plugin, or it is newer than this host")
    })
}
