//! A started job's end: told exactly once, whatever becomes of the job.

use std::fmt;

use crate::{Error, ErrorCode};

type Finish = Box<dyn FnOnce(Result<Vec<u8>, Error>) + Send>;

/// Tells the caller how a started job ended. A plugin keeps it with the job and calls [`Done::finish`] when the job is over.
///
/// Dropped without that, for example with a task that panicked, it tells the caller `INTERNAL`: no caller waits for ever.
pub struct Done {
    finish: Option<Finish>,
}

/// A job that could not be started: the caller is told at once, and nothing comes later. Made by [`Done::refuse`].
#[derive(Debug)]
pub struct NotStarted(Error);

impl Done {
    pub(crate) fn new(finish: impl FnOnce(Result<Vec<u8>, Error>) + Send + 'static) -> Self {
        Self {
            finish: Some(Box::new(finish)),
        }
    }

    /// Tells the caller the job's result or error. It runs the host's code: call it on a thread of the plugin, without holding a lock.
    pub fn finish(mut self, outcome: Result<Vec<u8>, Error>) {
        if let Some(finish) = self.finish.take() {
            finish(outcome);
        }
    }

    /// Gives up before the job has begun, for example where no thread can be started. For an error of the job itself use
    /// [`Done::finish`].
    #[must_use]
    pub fn refuse(mut self, error: Error) -> NotStarted {
        self.finish = None;
        NotStarted(error)
    }
}

impl Drop for Done {
    fn drop(&mut self) {
        if let Some(finish) = self.finish.take() {
            finish(Err(Error::new(
                ErrorCode::INTERNAL,
                "the plugin dropped the job without an answer",
            )
            .hint("this is a bug in the plugin; other jobs go on")));
        }
    }
}

impl fmt::Debug for Done {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Done")
    }
}

impl NotStarted {
    pub(crate) fn into_error(self) -> Error {
        self.0
    }
}
