//! Directories and files that only the host's user can read: jobs and results are the callers' data.
//!
//! In: a path that the configuration names. Out: the directory, or a file in it, that belongs to the host's user and nobody else can
//! open; what is wider is tightened and told, what is another's is refused, and no link that somebody planted is followed.

use std::{
    fs::{self, DirBuilder, File, Metadata, Permissions},
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

use rustix::fs::OFlags;

use super::StoreError;

/// A private directory, and what the operator is to be told about it.
pub(super) struct Private {
    /// The directory, symbolic links on the way to it resolved.
    pub(super) path: PathBuf,
    pub(super) notes: Vec<String>,
}

/// Makes a directory, or takes one that belongs to the host's user, as one that only this user can open.
///
/// # Errors
/// It is another user's, others may write to a directory above it, or the system refuses.
pub(super) fn directory(path: &Path, trusted: &[PathBuf]) -> Result<Private, StoreError> {
    let failed = |source| StoreError::file(path, source);
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(failed)?;
    let path = path.canonicalize().map_err(failed)?;
    let meta = fs::metadata(&path).map_err(failed)?;
    belongs(&path, &meta)?;
    plugin_host::verify::check_above(&path, trusted)
        .map_err(|reason| StoreError::untrusted(&path, &reason))?;
    let mut notes = Vec::new();
    let mode = meta.mode() & 0o7777;
    if mode & 0o077 != 0 {
        fs::set_permissions(&path, Permissions::from_mode(0o700)).map_err(failed)?;
        notes.push(format!(
            "other users could open the directory {} (mode {mode:04o}); it has mode 0700 now",
            path.display()
        ));
    }
    Ok(Private { path, notes })
}

/// Opens a file of the store for writing, as one that only the host's user can open; makes it where it is missing.
///
/// # Errors
/// It is a link, no regular file or another user's, or the system refuses.
pub(super) fn file(path: &Path) -> Result<File, StoreError> {
    let failed = |source: std::io::Error| match source.raw_os_error() {
        Some(error) if error == rustix::io::Errno::LOOP.raw_os_error() => {
            StoreError::untrusted(path, "it is a symbolic link")
        }
        Some(error) if error == rustix::io::Errno::NXIO.raw_os_error() => {
            StoreError::untrusted(path, "it is no regular file")
        }
        _ => StoreError::file(path, source),
    };
    // Without waiting: a named pipe in the file's place would hold up the start for ever.
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .custom_flags(flags.bits().cast_signed())
        .open(path)
        .map_err(failed)?;
    let meta = file.metadata().map_err(failed)?;
    regular(path, &meta)?;
    if meta.mode() & 0o077 != 0 {
        file.set_permissions(Permissions::from_mode(0o600))
            .map_err(failed)?;
    }
    Ok(file)
}

/// Looks at a file of the store that another program opens, where it is there.
///
/// # Errors
/// As [`file`].
pub(super) fn check_if_there(path: &Path) -> Result<(), StoreError> {
    match fs::symlink_metadata(path) {
        Ok(_) => file(path).map(drop),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(StoreError::file(path, error)),
    }
}

/// Opens a file of the store for reading, and no link in its place.
pub(super) fn open_for_reading(path: &Path) -> std::io::Result<File> {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    File::options()
        .read(true)
        .custom_flags(flags.bits().cast_signed())
        .open(path)
}

/// Makes a new file in the place of whatever is there; a link is replaced, not followed.
pub(super) fn create(path: &Path) -> std::io::Result<File> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    File::options()
        .create_new(true)
        .write(true)
        .mode(0o600)
        .open(path)
}

/// A file that somebody or the disk has cut is not served as if it were whole.
pub(super) fn check_length(path: &Path, file: &File, stored: u64) -> Result<(), StoreError> {
    let about = file.metadata();
    let found = about
        .map_err(|source| StoreError::file(path, source))?
        .len();
    if found == stored {
        return Ok(());
    }
    Err(StoreError::Damaged {
        path: path.to_owned(),
        found,
        stored,
    })
}

fn regular(path: &Path, meta: &Metadata) -> Result<(), StoreError> {
    if !meta.is_file() {
        return Err(StoreError::untrusted(path, "it is no regular file"));
    }
    if meta.nlink() > 1 {
        return Err(StoreError::untrusted(
            path,
            "it has a second name elsewhere",
        ));
    }
    belongs(path, meta)
}

fn belongs(path: &Path, meta: &Metadata) -> Result<(), StoreError> {
    let own = rustix::process::geteuid().as_raw();
    if meta.uid() == own {
        return Ok(());
    }
    let reason = format!(
        "it is owned by user {}, not by the host's user {own}",
        meta.uid()
    );
    Err(StoreError::untrusted(path, &reason))
}
