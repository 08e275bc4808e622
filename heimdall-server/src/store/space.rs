//! Whether the store's directories can be written to, and how much room they have.

use std::path::Path;

use super::{Store, StoreError};

impl Store {
    /// The bytes that may still be written, in whichever of the two directories has less.
    ///
    /// # Errors
    /// The system refuses to say.
    pub fn free_bytes(&self) -> Result<u64, StoreError> {
        let jobs = free(self.database.parent().unwrap_or(&self.database))?;
        Ok(jobs.min(free(self.files.directory())?))
    }

    /// The bytes of the store's own files; of one that cannot be asked, none.
    #[must_use]
    pub fn size_bytes(&self) -> u64 {
        let mut log = self.database.as_os_str().to_owned();
        log.push("-wal");
        let of = |path: &Path| std::fs::metadata(path).map_or(0, |file| file.len());
        of(&self.database) + of(Path::new(&log))
    }

    /// The bytes of the results that are kept. Those that were there at the start are in it once they have been counted, which takes some
    /// seconds for a million jobs.
    #[must_use]
    pub fn result_bytes(&self) -> u64 {
        self.writer.result_bytes()
    }

    /// Whether result files may be made.
    ///
    /// # Errors
    /// They may not.
    pub fn check_result_directory(&self) -> Result<(), StoreError> {
        use rustix::fs::Access;
        let directory = self.files.directory();
        rustix::fs::access(directory, Access::WRITE_OK | Access::EXEC_OK)
            .map_err(|error| StoreError::file(directory, error.into()))
    }
}

fn free(directory: &Path) -> Result<u64, StoreError> {
    let found = rustix::fs::statvfs(directory)
        .map_err(|error| StoreError::file(directory, error.into()))?;
    Ok(found.f_bavail.saturating_mul(found.f_frsize))
}
