//! Signals that end the host, and what the service manager is told.
//!
//! In: SIGTERM and SIGINT. Out: two moments that others wait for: the first signal, upon which the host stops in order, and the
//! second, upon which it no longer waits for jobs.

use std::time::Duration;

use sd_notify::NotifyState;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// The end of the host, as the operator asks for it.
#[derive(Clone, Default)]
pub(super) struct End {
    asked: CancellationToken,
    hurried: CancellationToken,
}

impl End {
    /// Listens for signals from now on, so that none ends the process halfway.
    ///
    /// # Errors
    /// The system refuses signal handlers.
    pub(super) fn listen() -> std::io::Result<Self> {
        let signals = (
            signal(SignalKind::terminate())?,
            signal(SignalKind::interrupt())?,
        );
        let end = Self::default();
        tokio::spawn(end.clone().hear(signals));
        Ok(end)
    }

    async fn hear(self, (mut terminate, mut interrupt): (Signal, Signal)) {
        for moment in [self.asked, self.hurried] {
            tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
            moment.cancel();
        }
    }

    /// Resolves once the host is to stop.
    pub(super) async fn asked(&self) {
        self.asked.cancelled().await;
    }

    /// Resolves once the host is to stop at once.
    pub(super) async fn hurried(&self) {
        self.hurried.cancelled().await;
    }

    /// Whether the host is to stop at once.
    pub(super) fn is_hurried(&self) -> bool {
        self.hurried.is_cancelled()
    }

    /// Waits for a time, or until the host is to stop at once.
    pub(super) async fn patience(&self, time: Duration) {
        tokio::select! { () = tokio::time::sleep(time) => {}, () = self.hurried() => {} }
    }
}

/// Tells the service manager, where there is one. One that does not listen is no reason to stop.
pub(super) fn tell_manager(states: &[NotifyState<'_>]) {
    let _ = sd_notify::notify(states);
}

/// Tells the service manager that the configuration is being read again; [`NotifyState::Ready`] ends that.
pub(super) fn tell_reloading() {
    if let Ok(now) = NotifyState::monotonic_usec_now() {
        tell_manager(&[NotifyState::Reloading, now]);
    }
}

/// Gives the service manager its signs of life, where it asks for them: twice in the time that it allows. `alive` must answer for
/// the sign to be given.
pub(super) async fn watchdog(alive: impl Fn()) {
    let Some(within) = sd_notify::watchdog_enabled() else {
        return;
    };
    let mut beat = tokio::time::interval(within / 2);
    loop {
        beat.tick().await;
        alive();
        tell_manager(&[NotifyState::Watchdog]);
    }
}
