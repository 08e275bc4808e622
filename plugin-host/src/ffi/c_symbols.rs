//! The C function `run_job` as a safe function: for tests and benchmarks that compare it with the root module's.
//!
//! Neither copies its document: [`Library::run_job`] takes it in a vector, this one in the C buffer.

use plugin_api::Error;

use super::{
    call::{CallOptions, Document, hp_call},
    library::Library,
};

impl Library {
    /// Runs one job through the C function, as a host in another language does.
    ///
    /// # Errors
    /// As [`Library::run_job`].
    pub fn run_job_by_c(&self, job: &[u8], options: &CallOptions) -> Result<Document, Error> {
        let call = hp_call(options);
        self.with_buffer(|out| {
            // SAFETY: job, struct and options live until the call returns.
            unsafe { self.module.run_job()(job.as_ptr(), job.len(), (&raw const call).cast(), out) }
        })
    }
}
