//! Watches the plugin directory: a notice, a moment of quiet, a look. A look every now and then as well, for file systems that
//! give no notice and for a directory that was itself replaced. Says only when to look.

use std::{
    path::Path,
    sync::mpsc::{self, Receiver, RecvTimeoutError, Sender},
    thread,
    time::{Duration, Instant},
};

use notify::{
    Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher,
    event::{AccessKind, AccessMode},
};

/// How long it must be quiet before a notice is followed up.
const QUIET: Duration = Duration::from_millis(100);

/// How long notices may keep coming before they are followed up all the same.
const NOISY_AT_MOST: Duration = Duration::from_secs(1);

/// How long one wait may take, so that its caller can see to other things.
const TICK: Duration = Duration::from_millis(100);

/// A watch on one directory.
pub(crate) struct Watch {
    noticed: Receiver<()>,
    poll: Duration,
    next: Instant,
    /// Gives notices until it is dropped; `None` where only the poll is left.
    _watcher: Option<RecommendedWatcher>,
}

impl Watch {
    /// Starts watching. Where the system gives no notices `warn` is told, and the poll alone remains.
    pub(crate) fn start(dir: &Path, poll: Duration, warn: impl FnOnce(&str)) -> Self {
        let (notices, noticed) = mpsc::channel();
        let watcher = start(dir, notices);
        if let Err(error) = &watcher {
            warn(&format!(
                "cannot watch the plugin directory, it is looked at every {} s instead: {error}",
                poll.as_secs_f32()
            ));
        }
        Self {
            noticed,
            poll,
            next: Instant::now() + poll,
            _watcher: watcher.ok(),
        }
    }

    /// Waits a moment; whether it is time to look.
    pub(crate) fn due(&mut self) -> bool {
        let left = self.next.saturating_duration_since(Instant::now());
        match self.noticed.recv_timeout(left.min(TICK)) {
            Ok(()) => {
                wait_for_quiet(&self.noticed);
                return true;
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => thread::sleep(left.min(TICK)),
        }
        self.next <= Instant::now()
    }

    /// Counts the time to the next poll from here on: called after each look.
    pub(crate) fn looked(&mut self) {
        self.next = Instant::now() + self.poll;
    }
}

fn start(dir: &Path, notices: Sender<()>) -> notify::Result<RecommendedWatcher> {
    let on_event = move |event: notify::Result<Event>| {
        // Reading is no change; an error may hide one.
        let matters = event.map_or(true, |event| match event.kind {
            EventKind::Access(kind) => kind == AccessKind::Close(AccessMode::Write),
            _ => true,
        });
        if matters {
            // The receiver is gone when the registry is.
            let _ = notices.send(());
        }
    };
    let mut watcher = notify::recommended_watcher(on_event)?;
    watcher.watch(dir, RecursiveMode::NonRecursive)?;
    Ok(watcher)
}

fn wait_for_quiet(noticed: &Receiver<()>) {
    let until = Instant::now() + NOISY_AT_MOST;
    while Instant::now() < until && noticed.recv_timeout(QUIET).is_ok() {}
}
