//! Ctrl-C: heard while the host is waited for, and while rows are written to a pipe that nobody reads.

use std::{
    io,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::watch,
};

use crate::run::output::UnfinishedFile;

/// How often the user has asked to stop.
pub(super) struct Interrupts {
    count: watch::Receiver<u32>,
    /// What to clean up before an interrupt ends the process at once.
    writing: Arc<Mutex<Option<UnfinishedFile>>>,
}

impl Interrupts {
    /// Hears SIGINT and SIGTERM from now on.
    ///
    /// # Errors
    /// The system does not allow it.
    pub(super) fn catch() -> io::Result<Self> {
        let mut signals = [SignalKind::interrupt(), SignalKind::terminate()]
            .into_iter()
            .map(signal)
            .collect::<io::Result<Vec<Signal>>>()?;
        let (told, count) = watch::channel(0);
        let writing = Arc::new(Mutex::new(None::<UnfinishedFile>));
        let cleaned = Arc::clone(&writing);
        tokio::spawn(async move {
            let [first, second] = &mut signals[..] else {
                return;
            };
            loop {
                tokio::select! { _ = first.recv() => {}, _ = second.recv() => {} }
                let unfinished = cleaned
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .take();
                if let Some(unfinished) = unfinished {
                    unfinished.remove_and_exit();
                }
                told.send_modify(|count| *count += 1);
            }
        });
        Ok(Self { count, writing })
    }

    /// Waits for the next one.
    pub(super) async fn next(&mut self) {
        if self.count.changed().await.is_err() {
            std::future::pending().await
        }
    }

    /// From now on an interrupt ends the process at once: rows are being written, and nothing of the job is left to be stopped.
    pub(super) fn end_at_once(&self, unfinished: UnfinishedFile) {
        *self.writing.lock().unwrap_or_else(PoisonError::into_inner) = Some(unfinished);
    }

    /// The rows are written; the file takes its place now.
    pub(super) fn written(&self) {
        self.writing
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
    }
}
