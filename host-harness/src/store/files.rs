//! Large results as files: whole or not there.
//!
//! In: a job's number and its bytes. Out: a file under its final name once the bytes are on disk. A file counts only when the
//! job's record says so; one that no record owns is left over from a crash and is swept away at the next start.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::{StoreError, StoredResult};

/// The directory of result files.
pub(super) struct Files {
    directory: PathBuf,
}

/// Makes a directory that only its owner can read: jobs and results are the callers' data.
pub(super) fn make_private_directory(path: &Path) -> Result<(), StoreError> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(|source| StoreError::file(path, source))
}

impl Files {
    pub(super) fn open(directory: &Path) -> Result<Self, StoreError> {
        make_private_directory(directory)?;
        Ok(Self {
            directory: directory.to_owned(),
        })
    }

    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }

    fn path(&self, seq: i64) -> PathBuf {
        self.directory.join(format!("{seq}.result.json"))
    }

    /// Bytes, then name, then directory: after a crash at any point there is the whole file or none.
    pub(super) fn write(&self, seq: i64, bytes: &[u8]) -> Result<(), StoreError> {
        let temporary = self.directory.join(format!("{seq}.result.tmp"));
        let path = self.path(seq);
        let write = || {
            let mut options = File::options();
            let mut file = options
                .create(true)
                .truncate(true)
                .write(true)
                .mode(0o600)
                .open(&temporary)?;
            file.write_all(bytes)?;
            file.sync_all()?;
            fs::rename(&temporary, &path)?;
            File::open(&self.directory)?.sync_all()
        };
        write().map_err(|source| {
            // A half file is worth nothing, and a full disk needs the room; the error that counts is the first one.
            let _ = fs::remove_file(&temporary);
            StoreError::file(&path, source)
        })
    }

    pub(super) fn read(&self, seq: i64) -> Result<StoredResult, StoreError> {
        let path = self.path(seq);
        let open = || {
            let file = File::open(&path)?;
            let length = file.metadata()?.len();
            Ok((file, length))
        };
        let (file, length) = open().map_err(|source| StoreError::file(&path, source))?;
        Ok(StoredResult::File(file, length))
    }

    /// Removes a result's file. One that cannot be removed now is swept at the next start.
    pub(super) fn remove(&self, seq: i64) {
        let _ = fs::remove_file(self.path(seq));
    }

    /// Removes this store's files that no record owns.
    pub(super) fn sweep(
        &self,
        owned: impl Fn(i64) -> Result<bool, StoreError>,
    ) -> Result<(), StoreError> {
        let entries = fs::read_dir(&self.directory)
            .map_err(|source| StoreError::file(&self.directory, source))?;
        for entry in entries.flatten() {
            let name = entry.file_name();
            let Some((seq, kind)) = name.to_str().and_then(|name| name.split_once('.')) else {
                continue;
            };
            let Ok(seq) = seq.parse::<i64>() else {
                continue;
            };
            let left_over = match kind {
                "result.tmp" => true,
                "result.json" => !owned(seq)?,
                _ => false,
            };
            if left_over {
                let _ = fs::remove_file(entry.path());
            }
        }
        Ok(())
    }
}
