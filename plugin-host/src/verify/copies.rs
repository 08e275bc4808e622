//! The private directory that libraries are loaded from: each copy named by its digest, read-only, never written again.
//!
//! The dynamic loader goes by path and inode, and a mapped file that shrinks kills the process; so nothing is ever loaded from
//! where operators copy files to.

use std::{
    fs::{self, File, Permissions},
    io::{self, Read, Write},
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use ring::digest::{Context, SHA256};
use rustix::fs::FlockOperation;
use tempfile::{NamedTempFile, TempDir};

use super::Digest;

const PREFIX: &str = "host-harness-plugins-";
const LOCK: &str = "lock";

/// The directory, removed when the registry closes.
pub(crate) struct Copies {
    path: PathBuf,
    dir: Mutex<Option<LockedDirectory>>,
}

struct LockedDirectory {
    dir: TempDir,
    /// Locked while this process lives, so that the next one can tell what a killed one left behind.
    _lock: File,
}

impl Copies {
    /// Makes the directory inside `parent`, readable for this user alone, and removes those of dead processes.
    pub(crate) fn make(parent: &Path) -> io::Result<Self> {
        remove_stale(parent);
        let mut builder = tempfile::Builder::new();
        let dir = builder
            .prefix(PREFIX)
            .permissions(Permissions::from_mode(0o700))
            .tempdir_in(parent)?;
        // Locked before it has its name: another process that starts now must not take it for a dead one's.
        let nameless = dir.path().join("lock.new");
        let lock = File::create(&nameless)?;
        rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive)?;
        fs::rename(&nameless, dir.path().join(LOCK))?;
        Ok(Self {
            path: dir.path().to_owned(),
            dir: Mutex::new(Some(LockedDirectory { dir, _lock: lock })),
        })
    }

    /// Copies and digests a file in one pass: its digest, where the copy lies, how many bytes it has.
    pub(super) fn take(&self, file: &mut File) -> io::Result<(Digest, PathBuf, u64)> {
        let mut copy = NamedTempFile::new_in(&self.path)?;
        let mut context = Context::new(&SHA256);
        let mut buffer = vec![0; 1 << 18];
        let mut bytes = 0;
        loop {
            let read = match file.read(&mut buffer) {
                Ok(0) => break,
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            context.update(&buffer[..read]);
            copy.write_all(&buffer[..read])?;
            bytes += read as u64;
        }
        let mut digest = [0; 32];
        digest.copy_from_slice(context.finish().as_ref());
        let digest = Digest(digest);
        let path = self.path.join(format!("{digest}.so"));
        if !path.exists() {
            copy.as_file()
                .set_permissions(Permissions::from_mode(0o500))?;
            copy.persist(&path).map_err(|error| error.error)?;
        }
        Ok((digest, path, bytes))
    }

    /// Removes the copies of libraries that were not loaded.
    pub(crate) fn keep_only(&self, kept: &[Digest]) {
        let kept: Vec<String> = kept.iter().map(|digest| format!("{digest}.so")).collect();
        for entry in fs::read_dir(&self.path).into_iter().flatten().flatten() {
            let name = entry.file_name();
            if name != LOCK && !kept.iter().any(|kept| name == kept.as_str()) {
                // What cannot be removed now goes with the directory.
                let _ = fs::remove_file(entry.path());
            }
        }
    }

    /// Removes the directory. What is loaded stays mapped.
    pub(crate) fn remove(&self) {
        let copy = self
            .dir
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(copy) = copy {
            // What cannot be removed is removed by the next process that starts here.
            let _ = copy.dir.close();
        }
    }
}

/// Removes the directories of processes that ended without doing so: their lock is free.
fn remove_stale(parent: &Path) {
    let own = rustix::process::geteuid().as_raw();
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        let is_ours = entry.file_name().to_string_lossy().starts_with(PREFIX)
            && fs::symlink_metadata(entry.path())
                .is_ok_and(|meta| meta.is_dir() && meta.uid() == own);
        if !is_ours {
            continue;
        }
        // One without a lock file is about to be made.
        let Ok(lock) = File::open(entry.path().join(LOCK)) else {
            continue;
        };
        if rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive).is_ok() {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}
