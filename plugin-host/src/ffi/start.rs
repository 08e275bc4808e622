//! A job that is started and waits without a thread: [`Library::start_job`].
//!
//! In: a job, [`CallOptions`] and what to do with the outcome. Out: nothing at once; the outcome once, on a thread of the plugin.

use std::{
    ffi::c_void,
    panic::{AssertUnwindSafe, catch_unwind},
};

use plugin_api::{
    Error, ErrorCode,
    abi::{DONE, HpBuffer},
};

use super::{
    call::{CallOptions, Document, FreeFn, hp_call, outcome},
    library::Library,
};

type Finish = Box<dyn FnOnce(Result<Document, Error>) + Send>;

/// A started job, until its end is told. The options come first, because `user` leads to them.
#[repr(C)]
struct Started {
    options: CallOptions,
    finish: Finish,
    free: FreeFn,
}

impl Library {
    /// Whether a job that waits costs no thread: [`Library::start_job`] then is the library's own.
    #[must_use]
    pub fn can_start(&self) -> bool {
        self.start_job.is_some() && self.info().has("start")
    }

    /// Starts one job and returns at once; `done` gets what [`Library::run_job`] would have returned, once, on a thread of the plugin,
    /// possibly before this returns. It must not block.
    ///
    /// With a library that cannot start jobs (of ABI 1.0, or without the feature `start`), the job takes a thread of its own.
    ///
    /// # Errors
    /// `SHUTTING_DOWN`, and what kept the library from opening or the thread from starting; `done` is then never called.
    pub fn start_job(
        &self,
        job: &[u8],
        options: CallOptions,
        done: impl FnOnce(Result<Document, Error>) + Send + 'static,
    ) -> Result<(), Error> {
        let Some(start) = self.start_job.filter(|_| self.can_start()) else {
            let (library, job) = (self.clone(), job.to_vec());
            return on_a_thread(move || done(library.run_job(&job, &options)));
        };
        let started = Box::into_raw(Box::new(Started {
            options,
            finish: Box::new(done),
            free: self.module.free_buffer(),
        }));
        // SAFETY: `started` was made above and is not shared yet.
        let call = hp_call(unsafe { &(*started).options });
        let mut out = HpBuffer::EMPTY;
        // SAFETY: job, struct and `out` live until the call returns, the started job until `finished`, which ends it.
        let status = unsafe {
            start(
                job.as_ptr(),
                job.len(),
                &raw const call,
                Some(finished),
                &raw mut out,
            )
        };
        if status == DONE {
            return Ok(());
        }
        // SAFETY: `finished` is never called for a job that was not started, so that this is the only owner.
        drop(unsafe { Box::from_raw(started) });
        // SAFETY: the buffer came from this very library.
        let document = unsafe { Document::buffer(out, self.module.free_buffer()) };
        outcome(status, document).map(drop)
    }
}

/// Runs a job that cannot be started without a thread that waits for it.
///
/// # Errors
/// `UNAVAILABLE` where there is no thread to be had.
pub(crate) fn on_a_thread(job: impl FnOnce() + Send + 'static) -> Result<(), Error> {
    std::thread::Builder::new()
        .name("plugin-job".to_owned())
        .spawn(job)
        .map(drop)
        .map_err(|error| {
            Error::new(
                ErrorCode::UNAVAILABLE,
                format!("no thread can be started for the job: {error}"),
            )
            .hint("check the host's limit on threads, or send the job again later")
        })
}

/// # Safety
/// The library calls it once for a job that it has started, with the `user` of the job's struct, and with an `out` that it has written and
/// that stays until this returns.
unsafe extern "C" fn finished(user: *mut c_void, status: i32, out: *mut HpBuffer) {
    // SAFETY: by the library's promise `user` leads to the options of a `Started` that `start_job` leaked, which are its first field, and
    // comes here once.
    let started = unsafe { Box::from_raw(user.cast::<Started>()) };
    // SAFETY: by the library's promise `out` is valid during this call, and its bytes are this host's from now on; it is left empty.
    let buffer = unsafe { std::ptr::replace(out, HpBuffer::EMPTY) };
    let Started {
        options,
        finish,
        free,
    } = *started;
    // SAFETY: the library that called this has written the buffer, and `free` is its own.
    let document = unsafe { Document::buffer(buffer, free) };
    // A panic must not unwind into the plugin.
    let _ = catch_unwind(AssertUnwindSafe(|| {
        drop(options);
        finish(outcome(status, document));
    }));
}
