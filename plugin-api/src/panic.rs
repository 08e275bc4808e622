//! Panics: caught, named by their position, never printed.
//!
//! A panic's message may quote the data that it tripped over, so only its position leaves this file. What the previous
//! panic hook would print on a thread of the host's stays as it was.

use std::{
    any::Any,
    cell::{Cell, RefCell},
    future::{Future, poll_fn},
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    sync::Once,
};

use crate::{Error, ErrorCode};

thread_local! {
    static QUIET: Cell<bool> = const { Cell::new(false) };
    static POSITION: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Marks a thread that the plugin itself started: a panic on it is not printed. Call it where the thread begins.
pub fn quiet_panics_on_this_thread() {
    install_hook();
    QUIET.set(true);
}

/// Runs `f`; a panic in it is an `INTERNAL` error.
pub(crate) fn guard<T>(f: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
    install_hook();
    let before = QUIET.replace(true);
    // AssertUnwindSafe: only the job's own state is dropped; what jobs share changes in steps that cannot panic halfway.
    let outcome = catch_unwind(AssertUnwindSafe(f));
    QUIET.set(before);
    outcome.unwrap_or_else(|payload| Err(caught(payload)))
}

/// Drives `job`; a panic in it is an `INTERNAL` error. For jobs that run on the plugin's own executor.
///
/// # Errors
/// The job's own error, or `INTERNAL`.
pub async fn catch_panics<T>(job: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    let mut job = pin!(job);
    poll_fn(move |cx| {
        let mut poll = std::task::Poll::Pending;
        match guard(|| {
            poll = job.as_mut().poll(cx);
            Ok(())
        }) {
            Ok(()) => std::mem::replace(&mut poll, std::task::Poll::Pending),
            Err(error) => std::task::Poll::Ready(Err(error)),
        }
    })
    .await
}

fn install_hook() {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let previous = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            POSITION.set(info.location().map(ToString::to_string));
            if !QUIET.get() {
                previous(info);
            }
        }));
    });
}

fn caught(payload: Box<dyn Any + Send>) -> Error {
    // A payload's own drop may panic as well; the second one is dropped with what it carries.
    let _ = catch_unwind(AssertUnwindSafe(|| drop(payload)));
    let position = POSITION
        .take()
        .unwrap_or_else(|| "an unknown place".to_owned());
    Error::new(
        ErrorCode::INTERNAL,
        format!("a panic was caught at {position}"),
    )
    .hint("this is a bug in the plugin: report it with this position; other jobs go on")
}
