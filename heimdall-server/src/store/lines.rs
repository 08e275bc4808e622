//! Large results as lines: written while the job runs, made into every format on the way out.
//!
//! In: lines as a plugin hands them over, and the answer after them. Out: a file under its final name, and what must be known to
//! read it: the answer and the notes, which are kept in the store. As with other result files there is the whole of it or none.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
};

use results::{Answer, Notes, Spool, WriteError};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{StoreError, private};

/// A file of lines under way. Dropping it removes it.
pub struct LinesFile {
    spool: Option<(Spool, File)>,
    temporary: PathBuf,
    path: PathBuf,
}

/// Lines that are on disk; they count once a [`super::Put`] says so.
#[derive(Debug, Clone)]
pub struct StoredLines {
    /// How many bytes they have.
    pub bytes: u64,
    /// The answer and the notes, JSON.
    pub(super) about: String,
    /// The plugin's answer: columns and figures.
    pub answer: Vec<u8>,
}

/// Lines to be read.
#[derive(Debug)]
pub struct Lines {
    /// The file; several readers may share it.
    pub file: File,
    /// What followed the rows.
    pub answer: Answer,
    /// What was noted while they were stored.
    pub notes: Notes,
}

#[derive(Serialize, Deserialize)]
struct About<'a> {
    #[serde(borrow)]
    answer: &'a RawValue,
    notes: Notes,
}

impl LinesFile {
    pub(super) fn begin(temporary: PathBuf, path: PathBuf) -> std::io::Result<Self> {
        let file = private::create(&temporary)?;
        let writing = file.try_clone()?;
        Ok(Self {
            spool: Some((Spool::new(writing), file)),
            temporary,
            path,
        })
    }

    /// The bytes that are written.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        let spool = self.spool.as_ref();
        spool.map_or(0, |(spool, _)| spool.notes().bytes)
    }

    /// Writes lines.
    ///
    /// # Errors
    /// They are malformed, or cannot be written; the file is of no further use then.
    pub fn push(&mut self, lines: &[u8]) -> Result<(), WriteError> {
        match &mut self.spool {
            Some((spool, _)) => spool.push(lines),
            None => Ok(()),
        }
    }

    /// Brings the file onto the disk under its name: bytes, then name, then directory.
    ///
    /// # Errors
    /// The answer does not fit the lines, or cannot be written.
    pub fn finish(mut self, answer: &[u8]) -> Result<StoredLines, StoreError> {
        let Some((spool, file)) = self.spool.take() else {
            return Err(StoreError::Closed);
        };
        Answer::parse(answer).map_err(|error| StoreError::Answer(error.to_string()))?;
        let raw: &RawValue = serde_json::from_slice(answer)
            .map_err(|error| StoreError::Answer(error.to_string()))?;
        let (writing, notes) = spool.finish();
        drop(writing);
        let bytes = notes.bytes;
        let about = serde_json::to_string(&About { answer: raw, notes })
            .map_err(|error| StoreError::Answer(error.to_string()))?;
        let settle = || {
            file.sync_all()?;
            fs::rename(&self.temporary, &self.path)?;
            File::open(self.path.parent().unwrap_or(Path::new(".")))?.sync_all()
        };
        match settle() {
            Ok(()) => Ok(StoredLines {
                bytes,
                about,
                answer: answer.to_vec(),
            }),
            Err(source) => {
                let _ = fs::remove_file(&self.temporary);
                let _ = fs::remove_file(&self.path);
                Err(StoreError::file(&self.path, source))
            }
        }
    }
}

impl Drop for LinesFile {
    fn drop(&mut self) {
        if self.spool.is_some() {
            // One that cannot be removed now is swept at the next start.
            let _ = fs::remove_file(&self.temporary);
        }
    }
}

impl Lines {
    pub(super) fn open(path: &Path, about: &str) -> Result<Self, StoreError> {
        let file =
            private::open_for_reading(path).map_err(|source| StoreError::file(path, source))?;
        let About { answer, notes } =
            serde_json::from_str(about).map_err(|error| StoreError::Answer(error.to_string()))?;
        private::check_length(path, &file, notes.bytes)?;
        let answer = Answer::parse(answer.get().as_bytes())
            .map_err(|error| StoreError::Answer(error.to_string()))?;
        Ok(Self {
            file,
            answer,
            notes,
        })
    }
}
