//! The host's program as its own child process.
//!
//! A host tries each library in a process of its own before it loads it, and may run a plugin's jobs in a worker process. Both are
//! the host's own program, started again (`/proc/self/exe`, so that it also works after the file was replaced). The program hands over
//! to [`run_if_asked`] first thing in `main`:
//!
//! ```no_run
//! use std::process::ExitCode;
//!
//! fn main() -> ExitCode {
//!     if let Some(exit) = plugin_host::child::run_if_asked() {
//!         return exit;
//!     }
//!     // Here begins the host.
//!     ExitCode::SUCCESS
//! }
//! ```

use std::{env, ffi::OsStr, path::Path, process::ExitCode};

use crate::{probe, worker};

/// Does a child's work if this process was started for that; else `None`, and the program goes on.
///
/// Call it before anything else in `main`: before other threads run and before standard output is written to.
#[must_use]
pub fn run_if_asked() -> Option<ExitCode> {
    let mut arguments = env::args_os().skip(1);
    let work = arguments.next()?;
    let done = if work == OsStr::new(probe::child::ARGUMENT) {
        probe::child::run(Path::new(&arguments.next()?))
    } else if work == OsStr::new(worker::wire::ARGUMENT) {
        let copy = arguments.next()?;
        let memory_bytes = arguments
            .next()
            .and_then(|bytes| bytes.to_str()?.parse().ok());
        worker::child::run(Path::new(&copy), memory_bytes).map(|()| true)
    } else {
        return None;
    };
    let done = done.unwrap_or_else(|error| {
        eprintln!("the process cannot be prepared: {error}");
        false
    });
    Some(ExitCode::from(u8::from(!done)))
}

/// Whether this process was started to do a child's work. A registry refuses to open in one: its program did not call
/// [`run_if_asked`], and would start itself without end.
pub(crate) fn was_asked() -> bool {
    env::args_os()
        .nth(1)
        .is_some_and(|first| first == probe::child::ARGUMENT || first == worker::wire::ARGUMENT)
}
