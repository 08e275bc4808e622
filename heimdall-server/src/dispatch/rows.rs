//! A large result, stored while its job runs.
//!
//! In: lines of rows as the plugin hands them over, and its answer. Out: a document in memory, or lines that are on disk whole. The
//! host holds one call's lines in memory, whatever the result's size.

use std::{
    ops::ControlFlow,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use plugin_api::{Error, ErrorCode};
use plugin_host::Document;
use results::WriteError;
use serde_json::json;

use super::{Dispatch, storage::store_failed};
use crate::{
    error::HostError,
    store::{LinesFile, Store, StoreError, StoredLines},
};

/// Results beyond this come as rows.
pub(super) const AFTER_BYTES: u64 = 8 << 20;

/// A job's result, before its record says that it is there.
pub(super) enum FinishedResult {
    /// In memory.
    Document(Bytes),
    /// On disk.
    Lines(StoredLines),
}

/// Takes the rows of one job.
pub(super) struct Rows {
    store: Arc<Store>,
    seq: i64,
    most_bytes: u64,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    file: Option<LinesFile>,
    /// Why no more rows are taken.
    refusal: Option<HostError>,
}

impl Rows {
    pub(super) fn new(store: Arc<Store>, seq: i64, most_bytes: u64) -> Arc<Self> {
        Arc::new(Self {
            store,
            seq,
            most_bytes,
            state: Mutex::default(),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes lines; `Break` where the job is to end.
    pub(super) fn take(&self, lines: &[u8]) -> ControlFlow<()> {
        let mut state = self.state();
        if state.refusal.is_some() {
            return ControlFlow::Break(());
        }
        if let Err(refusal) = self.write(&mut state, lines) {
            // Its room may be what the disk lacks.
            state.file = None;
            state.refusal = Some(refusal);
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    }

    fn write(&self, state: &mut State, lines: &[u8]) -> Result<(), HostError> {
        let file = match &mut state.file {
            Some(file) => file,
            None => {
                let made = self.store.begin_lines(self.seq);
                state
                    .file
                    .insert(made.map_err(|error| store_failed(&error))?)
            }
        };
        if file.bytes() + lines.len() as u64 > self.most_bytes {
            return Err(too_large(self.most_bytes));
        }
        file.push(lines).map_err(|error| match error {
            WriteError::Io(source) => store_failed(&StoreError::from(source)),
            error => HostError::internal(format!("the plugin's rows: {error}")),
        })
    }

    /// Whether rows have come: then what is left to be done waits for the disk.
    pub(super) fn has_begun(&self) -> bool {
        let state = self.state();
        state.file.is_some() || state.refusal.is_some()
    }

    /// What the job comes to, now that the plugin has answered and hands over no more.
    pub(super) fn settle(
        &self,
        answer: Result<Document, Error>,
    ) -> Result<FinishedResult, HostError> {
        let State { file, refusal } = std::mem::take(&mut *self.state());
        if let Some(mut refusal) = refusal {
            // The plugin has ended the job as cancelled; how far it had come holds all the same.
            if let (Err(error), Some(details)) = (&answer, &mut refusal.details) {
                details["partial"] = json!(error.partial);
            }
            return Err(refusal);
        }
        let answer = answer?;
        let Some(file) = file else {
            if answer.len() as u64 > self.most_bytes {
                return Err(too_large(self.most_bytes));
            }
            return Ok(FinishedResult::Document(Bytes::from_owner(answer)));
        };
        match file.finish(&answer) {
            Ok(lines) => Ok(FinishedResult::Lines(lines)),
            Err(StoreError::Answer(reason)) => Err(HostError::internal(format!(
                "the plugin's answer after its rows: {reason}"
            ))),
            Err(error) => Err(store_failed(&error)),
        }
    }
}

fn too_large(most: u64) -> HostError {
    let error = Error::new(
        ErrorCode::RESULT_TOO_LARGE,
        format!("the result has more than {most} bytes, which limits.max_result_bytes allows"),
    );
    error
        .hint("select fewer columns or narrow the statement")
        .into()
}

impl Dispatch {
    /// How far a running job has come: rows, pages, wire bytes; `None` where it does not run.
    #[must_use]
    pub fn progress(&self, id: &str) -> Option<[u64; 3]> {
        let active = self.jobs().active.get(id).cloned();
        active.map(|active| active.progress.totals())
    }
}
