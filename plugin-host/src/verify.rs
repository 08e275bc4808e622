//! What is checked before a library's code may run: whose file it is, that it is listed, that it is whole.
//!
//! In: a path in the plugin directory. Out: a private copy, named by its digest and never written again. The file is opened once,
//! and owner, mode and bytes are all taken from that one handle, so that nothing can be put in its place between check and use.
//! Nothing here loads or runs anything.
//!
//! `trust` owner and mode · `sums` the `SHA256SUMS` file · `signature` of that file · `copies` the private directory · `elf` the
//! structure of the bytes.

mod copies;
pub(crate) mod elf;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod signature;
mod sums;
mod trust;

use std::{
    fmt, fs,
    fs::{File, OpenOptions},
    io,
    os::{
        fd::AsRawFd,
        unix::fs::{MetadataExt, OpenOptionsExt},
    },
    path::{Path, PathBuf},
    str::FromStr,
    thread,
    time::{Duration, Instant, SystemTime},
};

use rustix::fs::OFlags;

pub(crate) use self::{copies::Copies, sums::Sums};
pub use self::{
    signature::{NotAKey, PublicKey},
    trust::check_above,
};
use crate::refusal::{Refusal, RefusalCode};

/// The largest file that is taken for a library.
const MAX_BYTES: u64 = 1 << 30;

/// How long a file that keeps changing is waited for before it is left for the next look.
const SETTLE_AT_MOST: Duration = Duration::from_secs(2);

/// The SHA-256 of a library's bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub(crate) struct Digest([u8; 32]);

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl FromStr for Digest {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let mut digest = [0; 32];
        if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(());
        }
        for (at, byte) in digest.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&text[2 * at..2 * at + 2], 16).map_err(|_| ())?;
        }
        Ok(Self(digest))
    }
}

/// What a file looks like from outside, to see whether it changed: itself, and the list that speaks of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct FileFingerprint {
    file: Option<FileStamp>,
    sums: sums::ListFingerprint,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FileStamp {
    modified: (i64, i64),
    /// Device, inode, size, change time, mode, owner, group.
    rest: (u64, u64, u64, (i64, i64), u32, u32, u32),
}

impl FileStamp {
    pub(crate) fn of(meta: &fs::Metadata) -> Self {
        Self {
            modified: (meta.mtime(), meta.mtime_nsec()),
            rest: (
                meta.dev(),
                meta.ino(),
                meta.size(),
                (meta.ctime(), meta.ctime_nsec()),
                meta.mode(),
                meta.uid(),
                meta.gid(),
            ),
        }
    }
}

impl FileFingerprint {
    pub(crate) fn at(path: &Path, sums: &Sums) -> Self {
        Self {
            file: fs::metadata(path).ok().map(|meta| FileStamp::of(&meta)),
            sums: sums.fingerprint.clone(),
        }
    }

    /// When the file was last written.
    pub(crate) fn modified(&self) -> Option<(i64, i64)> {
        self.file.as_ref().map(|stamp| stamp.modified)
    }
}

/// A file whose owner and mode can be trusted, and its bytes.
pub(crate) struct VerifiedCopy {
    pub(crate) digest: Digest,
    /// Where its bytes lie now.
    pub(crate) copy: PathBuf,
}

/// Why a plugin directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DirectoryError {
    /// It is missing or unreadable. Operator: `plugin_directory`.
    #[error("cannot read plugin directory {path}: {source}")]
    Unreadable {
        /// The directory as configured.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// Somebody else may write to it, or to a directory above it. Operator: owner and mode.
    #[error("plugin directory {path} is not trusted: {reason}")]
    Untrusted {
        /// The directory, links resolved.
        path: PathBuf,
        /// Who may.
        reason: String,
    },
}

impl DirectoryError {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Unreadable { .. } => {
                "name an existing directory with `plugin_directory` or `--plugin-dir`"
            }
            Self::Untrusted { .. } => {
                "make it, and what is above it, owned by the host's user or root and writable by nobody else (chmod go-w); a mount point \
                 that is to be taken as it is goes into `trusted_directories`"
            }
        }
    }
}

/// The plugin directory, links resolved, if it can be trusted.
pub(crate) fn directory(path: &Path, trusted: &[PathBuf]) -> Result<PathBuf, DirectoryError> {
    let unreadable = |source| DirectoryError::Unreadable {
        path: path.to_owned(),
        source,
    };
    let resolved = path.canonicalize().map_err(unreadable)?;
    let meta = fs::metadata(&resolved).map_err(unreadable)?;
    if !meta.is_dir() {
        return Err(unreadable(io::ErrorKind::NotADirectory.into()));
    }
    let checked = if trust::is_listed(&resolved, trusted) {
        Ok(())
    } else {
        trust::check(&meta, trust::has_acl(&resolved))
            .and_then(|()| check_above(&resolved, trusted))
    };
    match checked {
        Ok(()) => Ok(resolved),
        Err(reason) => Err(DirectoryError::Untrusted {
            path: resolved,
            reason,
        }),
    }
}

/// Waits until the file has not changed for `settle`: one that is still being copied is never read.
pub(crate) fn settled(
    path: &Path,
    sums: &Sums,
    settle: Duration,
) -> Result<FileFingerprint, Refusal> {
    let until = Instant::now() + SETTLE_AT_MOST;
    let mut fingerprint = FileFingerprint::at(path, sums);
    // A file that was last written a while ago needs no watching.
    let age = fs::metadata(path)
        .and_then(|meta| meta.modified())
        .ok()
        .and_then(|written| SystemTime::now().duration_since(written).ok());
    let mut wait = age.map_or(settle, |age| settle.saturating_sub(age));
    while !wait.is_zero() {
        thread::sleep(wait);
        let next = FileFingerprint::at(path, sums);
        if next == fingerprint {
            break;
        }
        if Instant::now() >= until {
            return Err(still_written());
        }
        fingerprint = next;
        wait = settle;
    }
    Ok(fingerprint)
}

/// Copies the file's bytes and says whether they may be used, all from one open file.
pub(crate) fn take(
    path: &Path,
    copies: &Copies,
    trusted_directories: &[PathBuf],
) -> Result<VerifiedCopy, Refusal> {
    let mut file = open(path)?;
    let before = file.metadata().map_err(|error| unreadable(&error))?;
    trusted(&file, &before, trusted_directories)?;
    let (digest, copy, bytes) = copies.take(&mut file).map_err(|error| unreadable(&error))?;
    let after = file.metadata().map_err(|error| unreadable(&error))?;
    if FileStamp::of(&before) != FileStamp::of(&after) || bytes != after.len() {
        return Err(still_written());
    }
    Ok(VerifiedCopy { digest, copy })
}

/// Whether nobody but the host's user and root could have written a file or directory, which lies at `path`.
pub(crate) fn is_own(file: &File, path: &Path) -> bool {
    file.metadata().is_ok_and(|meta| {
        trust::check(&meta, trust::has_acl(file))
            .and_then(|()| check_above(path, &[]))
            .is_ok()
    })
}

/// Opens what lies at the path, links followed; also where it is a pipe, on which an ordinary open would hang.
fn open(path: &Path) -> Result<File, Refusal> {
    let flags = OFlags::NONBLOCK | OFlags::NOCTTY;
    OpenOptions::new()
        .read(true)
        .custom_flags(flags.bits().cast_signed())
        .open(path)
        .map_err(|error| unreadable(&error))
}

fn trusted(file: &File, meta: &fs::Metadata, directories: &[PathBuf]) -> Result<(), Refusal> {
    if !meta.is_file() {
        return Err(Refusal::new(
            RefusalCode::NotALibrary,
            "it is no regular file",
            "put the library's file itself into the plugin directory",
        ));
    }
    // The path of the open file itself: behind a link it may lie in another directory than the link.
    let above = || {
        let path = fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd()))
            .map_err(|error| format!("its own path is unknown: {error}"))?;
        check_above(&path, directories)
    };
    let checked = trust::check(meta, trust::has_acl(file)).and_then(|()| above());
    checked.map_err(|reason| {
        Refusal::new(
            RefusalCode::Untrusted,
            format!("the file is not trusted: {reason}"),
            "make it owned by the host's user or root and writable by nobody else (chmod go-w)",
        )
    })?;
    if meta.len() > MAX_BYTES {
        return Err(Refusal::new(
            RefusalCode::NotALibrary,
            format!("it has {} bytes, more than any library", meta.len()),
            "check what was copied into the plugin directory",
        ));
    }
    Ok(())
}

fn unreadable(error: &io::Error) -> Refusal {
    Refusal::new(
        RefusalCode::Unreadable,
        format!("the file cannot be read: {error}"),
        "check that it is there, that the host's user may read it, and that the copy's directory has room",
    )
}

fn still_written() -> Refusal {
    Refusal::new(
        RefusalCode::StillBeingWritten,
        "the file is still being written",
        "it is looked at again by itself; copy it under a name that starts with a dot, then rename it",
    )
}
