//! Why the store refuses.

use std::{
    io::ErrorKind,
    path::{Path, PathBuf},
    sync::Arc,
};

/// Why the store cannot do what was asked. Operator: the disk, or another host.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// Another process holds the lock.
    #[error("the job store in {path} is in use by another host")]
    Locked {
        /// The directory.
        path: PathBuf,
    },
    /// A file cannot be made, read or written.
    #[error("cannot use {path}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: Arc<std::io::Error>,
    },
    /// A file or directory of the store is not the host's alone.
    #[error("cannot use {path}: {reason}")]
    Untrusted {
        /// The file.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
    /// SQLite refused.
    #[error("the job store failed: {0}")]
    Database(Arc<rusqlite::Error>),
    /// The store was written by a newer host.
    #[error("the job store has format {found}, this host knows {known}")]
    Format {
        /// In the file.
        found: i64,
        /// In this host.
        known: i64,
    },
    /// A result's file is not the one that was stored.
    #[error("{path} has {found} bytes, the result had {stored}")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// How long it is.
        found: u64,
        /// How long it was.
        stored: u64,
    },
    /// What a plugin answered after its rows does not fit them.
    #[error("the answer does not fit the rows: {0}")]
    Answer(String),
    /// The writer has stopped, as it does at shutdown.
    #[error("the job store is closed")]
    Closed,
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Database(Arc::new(error))
    }
}

impl From<std::io::Error> for StoreError {
    fn from(source: std::io::Error) -> Self {
        Self::file(Path::new("the result's file"), source)
    }
}

impl StoreError {
    /// Whether there was no room on the disk.
    #[must_use]
    pub fn is_full(&self) -> bool {
        match self {
            Self::File { source, .. } => matches!(
                source.kind(),
                ErrorKind::StorageFull | ErrorKind::QuotaExceeded
            ),
            Self::Database(error) => {
                error.sqlite_error_code() == Some(rusqlite::ErrorCode::DiskFull)
            }
            _ => false,
        }
    }

    /// Whether it may pass by itself, or once the operator has seen to the disk: what cannot be read or written at all, and not what
    /// was read and makes no sense.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        use rusqlite::ErrorCode as Sqlite;
        match self {
            // A closed writer is also what the neighbours of a refused record hear: nothing of their group was written.
            Self::Locked { .. } | Self::File { .. } | Self::Untrusted { .. } | Self::Closed => true,
            Self::Database(error) => matches!(
                error.sqlite_error_code(),
                Some(
                    Sqlite::DiskFull
                        | Sqlite::SystemIoFailure
                        | Sqlite::DatabaseBusy
                        | Sqlite::DatabaseLocked
                        | Sqlite::ReadOnly
                        | Sqlite::CannotOpen
                        | Sqlite::PermissionDenied
                        | Sqlite::OutOfMemory
                        | Sqlite::FileLockingProtocolFailed
                        | Sqlite::OperationInterrupted
                        | Sqlite::OperationAborted
                        | Sqlite::SchemaChanged
                )
            ),
            Self::Format { .. } | Self::Damaged { .. } | Self::Answer(_) => false,
        }
    }

    pub(super) fn file(path: &Path, source: std::io::Error) -> Self {
        Self::File {
            path: path.to_owned(),
            source: Arc::new(source),
        }
    }

    pub(super) fn untrusted(path: &Path, reason: &str) -> Self {
        Self::Untrusted {
            path: path.to_owned(),
            reason: reason.to_owned(),
        }
    }
}
