//! All that the registry knows, behind its one lock.
//!
//! The lock ([`Core::lock`]) guards [`State`] and nothing else. It is held for a few lookups at a time and **never** while a
//! library is read, probed, loaded, opened, called or closed, so that a lease never waits for any of these. Whoever changes what
//! serves takes the change lock first ([`Core::lock_changes`]): a flag in the same state, so that there is no second lock to order.

use std::{
    collections::{BTreeMap, HashMap},
    path::PathBuf,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, atomic::AtomicU64},
    time::{Instant, SystemTime},
};

use plugin_api::Level;

use super::{Names, RegistryOptions, decide};
use crate::{
    instance::Instance,
    refusal::Refusal,
    residue::Residue,
    verify::{Copies, Digest, FileFingerprint},
};

/// One version that this process has loaded. It stays loaded for good.
pub(super) struct Version {
    pub(super) name: String,
    pub(super) version: semver::Version,
    pub(super) digest: Digest,
    pub(super) instance: Instance,
    /// The private copy that it was loaded from.
    pub(super) copy: PathBuf,
    pub(super) loaded_at: SystemTime,
    /// How many of the process's thread keys it keeps, as the probe counted.
    pub(super) thread_keys: Option<usize>,
    /// Calls under way.
    pub(super) running: AtomicU64,
}

/// What a version is among the others of its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ServiceRole {
    /// New jobs go to it.
    Active,
    /// Its file is there, and jobs whose command asks for it go to it.
    Standby,
    /// It takes no new job.
    Retired,
}

/// What the plugin inside the library is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    Closed,
    Opening,
    Open,
    Closing,
    /// A close gave up: jobs have not stopped although they were cancelled.
    Stuck,
}

/// A loaded version and how things stand with it.
pub(super) struct LoadedVersion {
    pub(super) version: Arc<Version>,
    /// The file that carries it, or carried it last.
    pub(super) file: String,
    pub(super) role: ServiceRole,
    pub(super) phase: Phase,
    /// Jobs that hold it, and whoever is opening it.
    pub(super) leases: usize,
    /// When it stopped being active, or was last used while it was not.
    pub(super) since: Instant,
    /// Whether it serves because a file of the directory carries it, and not only by a pin.
    pub(super) by_file: bool,
    /// What stayed behind when it was closed; `None` while it is open.
    pub(super) residue: Option<Residue>,
    /// Why it did not close.
    pub(super) trouble: Option<Refusal>,
}

/// What became of a file, for the next reload's answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FileChange {
    Loaded,
    Retired,
}

/// A file of the directory, as it was examined.
pub(super) struct FileRecord {
    /// What it looked like.
    pub(super) fingerprint: FileFingerprint,
    /// The digest of its bytes, where they could be read.
    pub(super) digest: Option<Digest>,
    /// The version that it keeps in service: its own, or where it is refused its former bytes'.
    pub(super) backs: Option<usize>,
    pub(super) refusal: Option<Refusal>,
    /// What a refused library calls itself: name and version.
    pub(super) says: Option<(String, String)>,
    /// The plugin's name, where this registry does not serve it.
    pub(super) left_out: Option<String>,
    /// When it came, as a running number.
    pub(super) arrived: u64,
}

/// See the file's head.
#[derive(Default)]
pub(super) struct State {
    /// What lies in the directory, by file name.
    pub(super) files: BTreeMap<String, FileRecord>,
    /// Everything loaded, in that order; never shrinks, so that an index stays what it is.
    pub(super) loaded: Vec<LoadedVersion>,
    /// Per name, what serves: the active version first, then the others from new to old.
    pub(super) serving: BTreeMap<String, Vec<usize>>,
    /// Which plugins are served.
    pub(super) names: Names,
    /// What operators chose.
    pub(super) pins: HashMap<String, semver::Version>,
    /// Bytes that were found bad.
    pub(super) bad: HashMap<Digest, Refusal>,
    /// What changed since the last reload's answer: by version, the file that carried it.
    pub(super) changes: BTreeMap<usize, (String, FileChange)>,
    /// Counts files in the order in which they came.
    pub(super) arrivals: u64,
    /// Whether somebody is changing what serves.
    pub(super) changing: bool,
    pub(super) closed: bool,
}

impl State {
    pub(super) fn index_of(&self, digest: &Digest) -> Option<usize> {
        self.loaded
            .iter()
            .position(|loaded| loaded.version.digest == *digest)
    }

    /// What would serve now, by the rules of `decide`.
    pub(super) fn decide(&self) -> BTreeMap<String, Vec<usize>> {
        let candidate = |index: usize, arrived| {
            let Version { name, version, .. } = &*self.loaded[index].version;
            decide::Candidate {
                index,
                name,
                version,
                arrived,
            }
        };
        let backed: Vec<_> = self
            .files
            .values()
            .filter_map(|file| Some(candidate(file.backs?, file.arrived)))
            .filter(|candidate| self.names.includes(candidate.name))
            .collect();
        // In memory the order of loading is the order of arrival.
        let loaded: Vec<_> = (0..self.loaded.len())
            .map(|index| candidate(index, index as u64))
            .collect();
        decide::decide(&backed, &loaded, &self.pins)
    }

    /// Puts `serving` in force: from here on new jobs go where it says.
    pub(super) fn put_in_force(&mut self, serving: BTreeMap<String, Vec<usize>>) {
        let now = Instant::now();
        let mut roles = vec![ServiceRole::Retired; self.loaded.len()];
        for versions in serving.values() {
            for (rank, &index) in versions.iter().enumerate() {
                roles[index] = if rank == 0 {
                    ServiceRole::Active
                } else {
                    ServiceRole::Standby
                };
            }
        }
        let mut carried = vec![false; self.loaded.len()];
        for (name, file) in &self.files {
            let Some(index) = file.backs else { continue };
            carried[index] = true;
            let loaded = &mut self.loaded[index];
            // A file that was renamed, or that brought a retired version back.
            if self.files.get(&loaded.file).and_then(|file| file.backs) != Some(index) {
                loaded.file.clone_from(name);
            }
        }
        for (index, (loaded, role)) in self.loaded.iter_mut().zip(roles).enumerate() {
            let by_file = carried[index] && role != ServiceRole::Retired;
            if loaded.by_file != by_file {
                let change = if by_file {
                    FileChange::Loaded
                } else {
                    FileChange::Retired
                };
                self.changes.insert(index, (loaded.file.clone(), change));
                loaded.by_file = by_file;
            }
            if loaded.role != role {
                loaded.role = role;
                loaded.since = now;
            }
        }
        self.serving = serving;
    }
}

/// The registry's inside, shared with its leases and threads.
pub(super) struct Core {
    pub(super) options: RegistryOptions,
    pub(super) copies: Copies,
    pub(super) state: Mutex<State>,
    /// Notified when a phase changes, when the last lease of a version that is not active ends, when a change ends, at closing.
    pub(super) changed: Condvar,
}

/// The right to change what serves; one at a time.
pub(super) struct ChangeGuard<'a>(&'a Core);

impl Drop for ChangeGuard<'_> {
    fn drop(&mut self) {
        self.0.lock().changing = false;
        self.0.changed.notify_all();
    }
}

impl Core {
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a change, at most until `until`; whether the time is over.
    pub(super) fn wait<'a>(
        &self,
        state: MutexGuard<'a, State>,
        until: Option<Instant>,
    ) -> (MutexGuard<'a, State>, bool) {
        let Some(until) = until else {
            let state = self.changed.wait(state);
            return (state.unwrap_or_else(PoisonError::into_inner), false);
        };
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return (state, true);
        }
        let (state, _) = self
            .changed
            .wait_timeout(state, left)
            .unwrap_or_else(PoisonError::into_inner);
        (state, false)
    }

    /// Waits for the right to change what serves; `None` once the registry is closed.
    pub(super) fn lock_changes(&self) -> Option<ChangeGuard<'_>> {
        let mut state = self.lock();
        while state.changing && !state.closed {
            (state, _) = self.wait(state, None);
        }
        if state.closed {
            return None;
        }
        state.changing = true;
        Some(ChangeGuard(self))
    }

    pub(super) fn log(&self, level: Level, message: &str) {
        (self.options.log)(level, "host::plugins", message);
    }

    /// Logs a refusal, its dump at debug level.
    pub(super) fn log_refusal(&self, file: &str, refusal: &mut Refusal) {
        let Refusal {
            message,
            hint,
            detail,
            ..
        } = refusal;
        self.log(
            Level::Warn,
            &format!("refused {file}: {message} (hint: {hint})"),
        );
        if let Some(detail) = detail.take() {
            self.log(Level::Debug, &format!("refused {file}, in full: {detail}"));
        }
    }
}
