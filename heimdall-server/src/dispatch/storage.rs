//! Room on the disk: a job is accepted only where its end can be kept.
//!
//! In: the free space of the store's directories, and what the store's writes come to. Out: a refusal, and one log line each time
//! that the state changes.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use plugin_api::{ErrorCode, Level};
use serde_json::json;

use super::{Dispatch, blocking, run::fail};
use crate::{
    error::{Code, HostError},
    job::{JobRecord, now},
    log::Log,
    store::{Recorded, Store, StoreError},
};

/// How long a disk that refused is left alone.
const PAUSE: Duration = Duration::from_millis(500);

/// What is known about the room for jobs and results.
pub(super) struct Storage {
    min_free: u64,
    is_full: AtomicBool,
    log: Arc<Log>,
}

impl Storage {
    pub(super) fn new(min_free: u64, log: Arc<Log>) -> Self {
        Self {
            min_free,
            is_full: AtomicBool::new(false),
            log,
        }
    }

    /// Whether a job may be accepted.
    fn room(&self, store: &Store) -> Result<(), HostError> {
        let free = store
            .free_bytes()
            .map_err(|error| self.store_failed(&error))?;
        if free < self.min_free {
            let message = format!(
                "the disk of the job store has {free} bytes free, less than limits.min_free_bytes ({})",
                self.min_free
            );
            return Err(self.full(message));
        }
        if self.is_full.swap(false, Ordering::AcqRel) {
            let fields = [("free_bytes", json!(free))];
            let message = "the disk has room again; jobs are accepted";
            self.log.event(Level::Warn, message, &fields);
        }
        Ok(())
    }

    /// The error of a write or read that failed; a full disk is noted in the log.
    pub(super) fn store_failed(&self, error: &StoreError) -> HostError {
        if error.is_full() {
            return self.full(error.to_string());
        }
        store_failed(error)
    }

    fn full(&self, message: String) -> HostError {
        if !self.is_full.swap(true, Ordering::AcqRel) {
            let fields = [("error", json!(message))];
            let text = "the disk is full; new jobs are refused until it has room";
            self.log.event(Level::Error, text, &fields);
        }
        storage_full(message)
    }
}

impl Dispatch {
    /// Whether the store has room for another job.
    ///
    /// # Errors
    /// `STORAGE_FULL`, or the system does not say.
    pub(super) fn has_space(&self) -> Result<(), HostError> {
        self.storage.room(&self.store)
    }

    /// Asks the disk again and again for what an accepted job needs, until it gives it; its refusal counts only once the host stops, since
    /// the next start settles what is left. What no waiting repairs is an error at once.
    ///
    /// A job is neither forgotten nor shown as running for ever because the disk was full or failed for a while. It keeps its slot
    /// meanwhile, so that no more jobs begin than the disk keeps up with.
    pub(super) async fn until_disk<T, F>(
        &self,
        id: &str,
        mut ask: impl FnMut() -> F,
    ) -> Result<T, HostError>
    where
        F: Future<Output = Result<T, HostError>>,
    {
        let mut is_told = false;
        loop {
            let error = match ask().await {
                Err(error) if may_pass(&error) && !self.is_stopping() => error,
                outcome => return outcome,
            };
            if !is_told {
                let fields = [("id", json!(id)), ("error", json!(error.message))];
                let text = "what is to be kept of a job cannot be stored for now; it is tried again until it can";
                self.log.event(Level::Warn, text, &fields);
            }
            is_told = true;
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Ends a job whose record cannot be read, or whose start or end cannot be kept, however long the host waits: what can be read of
    /// the record is kept as that of a failed job, once, and what has become of it is in the log.
    pub(super) async fn keep_as_failed(&self, id: &str, error: &HostError) {
        let (store, its) = (Arc::clone(&self.store), id.to_owned());
        let kept = match blocking(move || store.recorded(&its)).await {
            Ok(Some(Recorded::Whole(job) | Recorded::Unreadable(job, _))) => {
                self.replace_with_failure(job, error).await
            }
            Ok(None) => Ok(()),
            Err(error) => Err(error),
        };
        let mut fields = vec![("id", json!(id)), ("error", json!(error.message))];
        if let Err(error) = kept {
            fields.push(("not_kept", json!(error.message)));
        }
        let text = "the store cannot keep this job, and no waiting repairs that; it is given up";
        self.log.event(Level::Error, text, &fields);
    }

    /// What a start makes of a record that cannot be read: the job has failed.
    ///
    /// # Errors
    /// The store cannot be read or written.
    pub(crate) async fn replace_unreadable(
        &self,
        job: JobRecord,
        error: &StoreError,
    ) -> Result<(), StoreError> {
        let fields = [("id", json!(job.id)), ("error", json!(error.to_string()))];
        let text = "the record of this job cannot be read; it is kept as failed";
        self.log.event(Level::Error, text, &fields);
        self.store.replace(failed(job, &store_failed(error))).await
    }

    async fn replace_with_failure(
        &self,
        job: JobRecord,
        error: &HostError,
    ) -> Result<(), HostError> {
        let replaced = self.store.replace(failed(job, error)).await;
        replaced.map_err(|error| self.storage.store_failed(&error))
    }

    /// Whether jobs could be kept now: writes to the disk and waits for it.
    ///
    /// # Errors
    /// They could not.
    pub async fn check_store(&self) -> Result<(), HostError> {
        self.has_space()?;
        let store = Arc::clone(&self.store);
        let results = blocking(move || store.check_result_directory()).await;
        let written = self.store.check_writable().await;
        results.and(written.map_err(|error| self.storage.store_failed(&error)))
    }
}

/// Whether the store may do later what it has refused; see [`StoreError::may_pass`].
pub(super) fn may_pass(error: &HostError) -> bool {
    error.code != Code::Plugin(ErrorCode::INTERNAL)
}

/// The store's disk is the operator's to repair, and the request may then succeed; what is damaged stays so.
pub(crate) fn store_failed(error: &StoreError) -> HostError {
    if error.is_full() {
        return storage_full(error.to_string());
    }
    if matches!(error, StoreError::Database(_)) && !error.may_pass() {
        return HostError::internal(error).hint(
            "the job store is damaged here, and waiting does not repair it: the operator may restore a backup",
        );
    }
    HostError::new(Code::Plugin(ErrorCode::UNAVAILABLE), error.to_string())
        .hint("the host's disk needs its operator: room, permissions, health")
}

fn failed(mut job: JobRecord, error: &HostError) -> JobRecord {
    fail(&mut job, error);
    job.updated_at = now();
    job
}

fn storage_full(message: String) -> HostError {
    HostError {
        details: Some(json!({"retryable": true})),
        ..HostError::new(Code::StorageFull, message).hint(
            "send it again when the operator has made room; janitor.max_stored_bytes bounds what results take",
        )
    }
}
