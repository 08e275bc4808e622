//! Large results as files: whole or not there.
//!
//! In: a job's number and its bytes. Out: a file under its final name once the bytes are on disk. A file counts only when the
//! job's record says so; one that no record owns is left over from a crash and is swept away at the next start.

use std::{
    fs::{self, File},
    io::Write,
    path::{Path, PathBuf},
};

use super::{Lines, LinesFile, StoreError, StoredResult, private};

/// The result files of one store. Others may have theirs in the same directory: each store's begin with its id.
pub(super) struct Files {
    directory: PathBuf,
    store: String,
}

impl Files {
    /// The files of a store in a directory that is private already.
    pub(super) fn new(directory: PathBuf, store: String) -> Self {
        Self { directory, store }
    }

    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }

    fn path(&self, seq: i64) -> PathBuf {
        self.directory
            .join(format!("{}-{seq}.result.json", self.store))
    }

    fn lines_path(&self, seq: i64) -> PathBuf {
        self.path(seq).with_extension("lines")
    }

    /// Begins a file of lines.
    pub(super) fn begin_lines(&self, seq: i64) -> Result<LinesFile, StoreError> {
        let path = self.lines_path(seq);
        LinesFile::begin(self.path(seq).with_extension("tmp"), path.clone())
            .map_err(|source| StoreError::file(&path, source))
    }

    /// A result that was stored as lines; `about` is what the store keeps of it.
    pub(super) fn read_lines(&self, seq: i64, about: &str) -> Result<Lines, StoreError> {
        Lines::open(&self.lines_path(seq), about)
    }

    /// Bytes, then name, then directory: after a crash at any point there is the whole file or none.
    pub(super) fn write(&self, seq: i64, bytes: &[u8]) -> Result<(), StoreError> {
        let path = self.path(seq);
        let temporary = path.with_extension("tmp");
        let write = || {
            let mut file = private::create(&temporary)?;
            file.write_all(bytes)?;
            file.sync_all()?;
            fs::rename(&temporary, &path)?;
            File::open(&self.directory)?.sync_all()
        };
        write().map_err(|source| {
            // A file that does not count is worth nothing, and a full disk needs the room; the error that counts is the first one.
            let _ = fs::remove_file(&temporary);
            let _ = fs::remove_file(&path);
            StoreError::file(&path, source)
        })
    }

    /// Gives a result file of format 1, which had no store in its name, the name of this one.
    pub(super) fn adopt(&self, seq: i64) -> Result<(), StoreError> {
        let old = self.directory.join(format!("{seq}.result.json"));
        match fs::rename(&old, self.path(seq)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(StoreError::file(&old, error))
            }
            _ => Ok(()),
        }
    }

    /// A result that was stored with so many bytes.
    pub(super) fn read(&self, seq: i64, stored: i64) -> Result<StoredResult, StoreError> {
        let path = self.path(seq);
        let file =
            private::open_for_reading(&path).map_err(|source| StoreError::file(&path, source))?;
        let stored = u64::try_from(stored).unwrap_or(0);
        private::check_length(&path, &file, stored)?;
        Ok(StoredResult::File(file, stored))
    }

    /// Removes a result's file. One that cannot be removed now is swept at the next start.
    pub(super) fn remove(&self, seq: i64) {
        if fs::remove_file(self.path(seq)).is_err() {
            let _ = fs::remove_file(self.lines_path(seq));
        }
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
            let own = name
                .to_str()
                .and_then(|name| name.strip_prefix(self.store.as_str())?.strip_prefix('-'));
            let Some((seq, kind)) = own.and_then(|name| name.split_once('.')) else {
                continue;
            };
            let Ok(seq) = seq.parse::<i64>() else {
                continue;
            };
            let left_over = match kind {
                "result.tmp" => true,
                "result.json" | "result.lines" => !owned(seq)?,
                _ => false,
            };
            if left_over {
                let _ = fs::remove_file(entry.path());
            }
        }
        Ok(())
    }
}
