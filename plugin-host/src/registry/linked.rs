//! A plugin that is linked into this program, in a registry: for tests of hosts, which then run without a built library.

use std::{path::PathBuf, sync::atomic::AtomicU64, time::SystemTime};

use super::state::{Core, FileRecord, LoadedVersion, Phase, Version};
use crate::{
    Library,
    instance::Instance,
    verify::{Digest, FileFingerprint},
};

/// What stands in the place of its file's name.
const FILE: &str = "linked";

impl Core {
    /// Puts an open plugin of this program's own into service.
    pub(super) fn add_linked(&self, library: Library) {
        let info = library.info();
        let version = Version {
            name: info.name.clone(),
            version: semver::Version::parse(&info.version).expect("cargo makes no other version"),
            digest: Digest::default(),
            instance: Instance::Linked(library),
            copy: PathBuf::new(),
            loaded_at: SystemTime::now(),
            thread_keys: None,
            running: AtomicU64::new(0),
        };
        let mut state = self.lock();
        let mut loaded = LoadedVersion::new(version, FILE.to_owned());
        loaded.phase = Phase::Open;
        state.loaded.push(loaded);
        let record = FileRecord {
            fingerprint: FileFingerprint::default(),
            digest: None,
            backs: Some(state.loaded.len() - 1),
            refusal: None,
            says: None,
            left_out: None,
            arrived: 0,
        };
        state.files.insert(FILE.to_owned(), record);
        drop(state);
        self.switch();
    }
}
