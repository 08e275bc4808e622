//! Work beside jobs, of which only so much runs at once, so that it cannot take the threads and cores that jobs need.
//!
//! In: lists, other questions to the store, and large bodies to be read. Out: their outcomes, each kind so many at a time; or `BUSY`
//! where too many wait already. Lists, which take milliseconds of a processor each, are made by threads that give way to all others.

use std::sync::Arc;

use tokio::sync::{Semaphore, oneshot};

use crate::{
    dispatch::{blocking, store_failed},
    error::{Code, HostError},
    priority::give_way,
    store::StoreError,
};

/// How many of one kind may wait.
const MOST_WAITING: usize = 256;
/// Questions about one job that are asked at once: each is answered in microseconds.
const QUESTIONS: usize = 32;

/// One kind of work.
struct Kind {
    what: &'static str,
    /// Whether threads that run jobs go first.
    gives_way: bool,
    /// Permits for what waits or runs.
    queue: Semaphore,
    running: Arc<Semaphore>,
}

impl Kind {
    fn new(what: &'static str, at_once: usize) -> Self {
        Self {
            what,
            gives_way: false,
            queue: Semaphore::new(at_once + MOST_WAITING),
            running: Arc::new(Semaphore::new(at_once)),
        }
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, HostError> {
        let Ok(_waits) = self.queue.try_acquire() else {
            return Err(busy(format!("{MOST_WAITING} {} wait already", self.what)));
        };
        let permit = Arc::clone(&self.running).acquire_owned().await;
        // The permit is held by the work itself, which goes on where its client goes away.
        let work = move || {
            let outcome = work();
            drop(permit);
            outcome
        };
        if self.gives_way {
            on_a_thread_that_gives_way(work).await
        } else {
            blocking(work).await
        }
    }
}

fn busy(message: String) -> HostError {
    HostError::new(Code::Busy, message).hint("try again in a moment")
}

/// Runs work on a thread of its own, since a thread that has given way once does so to its end.
async fn on_a_thread_that_gives_way<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, HostError> {
    let (done, outcome) = oneshot::channel();
    let thread = std::thread::Builder::new().name("lists".to_owned());
    thread
        .spawn(move || {
            give_way();
            // Nobody waits where the client has gone away.
            let _ = done.send(work());
        })
        .map_err(|error| busy(format!("the system starts no thread: {error}")))?;
    match outcome.await {
        Ok(outcome) => outcome.map_err(|error| store_failed(&error)),
        Err(_) => Err(HostError::internal("the making of a list panicked")),
    }
}

/// The limits of all kinds of work beside jobs.
pub(super) struct ConcurrencyLimits {
    lists: Kind,
    questions: Kind,
    bodies: Kind,
}

impl ConcurrencyLimits {
    /// Limits for a machine with so many cores: half of them make lists, the other half is left to jobs.
    pub(super) fn new(cores: usize) -> Self {
        let half = (cores / 2).max(1);
        Self {
            lists: Kind {
                gives_way: true,
                ..Kind::new("lists of jobs", half)
            },
            questions: Kind::new("questions about jobs", QUESTIONS),
            bodies: Kind::new("large bodies", half),
        }
    }

    /// Makes a list.
    ///
    /// # Errors
    /// The store cannot be read, or too many wait.
    pub(super) async fn list<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, HostError> {
        self.lists.run(work).await
    }

    /// Asks the store about one job.
    ///
    /// # Errors
    /// As [`ConcurrencyLimits::list`].
    pub(super) async fn question<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, HostError> {
        self.questions.run(work).await
    }

    /// Reads a large body.
    ///
    /// # Errors
    /// Too many wait.
    pub(super) async fn body<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, HostError> {
        self.bodies.run(|| Ok(work())).await
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[tokio::test]
    async fn so_many_run_at_once_and_a_full_queue_is_busy() {
        let concurrency = Arc::new(ConcurrencyLimits::new(2));
        let (go, wait) = mpsc::channel::<()>();
        let (began, begun) = mpsc::channel();
        let first = Arc::clone(&concurrency);
        let first = tokio::spawn(async move {
            first
                .list(move || {
                    began.send(()).unwrap();
                    Ok(wait.recv().is_ok())
                })
                .await
        });
        tokio::task::spawn_blocking(move || begun.recv().unwrap())
            .await
            .unwrap();
        let waiting: Vec<_> = (0..MOST_WAITING)
            .map(|_| {
                let concurrency = Arc::clone(&concurrency);
                tokio::spawn(async move { concurrency.list(|| Ok(true)).await })
            })
            .collect();
        while concurrency.lists.queue.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        let refused = concurrency.list(|| Ok(true)).await.unwrap_err();
        assert_eq!(refused.code, Code::Busy);
        assert!(
            concurrency.question(|| Ok(true)).await.unwrap(),
            "other work goes on"
        );
        go.send(()).unwrap();
        assert!(first.await.unwrap().unwrap());
        for waiting in waiting {
            assert!(waiting.await.unwrap().unwrap());
        }
    }
}
