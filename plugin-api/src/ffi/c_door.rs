//! The C function `run_job` as a safe function: for tests and benchmarks that hold both doors side by side.
//!
//! A Rust host wants [`Library::run_job`], which hands its document over without a copy.

use super::library::{CallOptions, Document, Library, hp_call};
use crate::Error;

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
}
