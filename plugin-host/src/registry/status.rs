//! What is shown of the registry: rows, reports, residues. Reads the state, changes nothing.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::atomic::Ordering,
    time::{SystemTime, UNIX_EPOCH},
};

use serde::Serialize;

use super::state::{FileChange, LoadedVersion, Phase, ServiceRole, State};
use crate::{refusal::Refusal, residue::Residue, worker::WorkerStatus};

/// How things stand with a version or a file: what serves most comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum PluginState {
    /// New jobs go to it.
    Active,
    /// Its file is there; jobs whose command pins it go to it.
    Standby,
    /// It takes no new job and finishes those under way.
    Draining,
    /// It is closed; only its mapping stays.
    Retired,
    /// The file was rejected; `error` says why.
    Refused,
}

impl PluginState {
    /// The word that rows and metrics have for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "ACTIVE",
            Self::Standby => "STANDBY",
            Self::Draining => "DRAINING",
            Self::Retired => "RETIRED",
            Self::Refused => "REFUSED",
        }
    }
}

/// One row of `GET /api/v1/plugins`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PluginStatus {
    /// What the library calls itself; `None` where that could not be read.
    pub name: Option<String>,
    /// Its version; `None` where that could not be read.
    pub version: Option<String>,
    /// The file's name in the plugin directory, the last one where there were several.
    pub file: String,
    /// The digest of its bytes in hexadecimal; `None` where they could not be read.
    pub sha256: Option<String>,
    /// How things stand.
    pub state: PluginState,
    /// When it was loaded, in seconds since 1970; `None` for a refused file.
    pub loaded_at: Option<u64>,
    /// Whether an operator chose it: new jobs go to it, also where a newer version is there.
    pub pinned: bool,
    /// Calls under way on it.
    pub jobs_running: u64,
    /// Anonymous memory that its mappings keep; `None` until it is retired.
    pub residue_bytes: Option<u64>,
    /// Its worker process, where it runs in one.
    pub worker: Option<WorkerStatus>,
    /// Why it was refused, or why it does not close.
    pub error: Option<Refusal>,
}

/// The answer to a reload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ReloadReport {
    /// The same rows as the list's.
    pub data: Vec<PluginStatus>,
    /// Files that came into service since the last report.
    pub loaded: Vec<String>,
    /// Files whose version went out of service since the last report.
    pub retired: Vec<String>,
    /// Every file that is refused now.
    pub refused: Vec<String>,
}

/// Every loaded version, by name and from new to old, then every refused file.
pub(super) fn rows(state: &State) -> Vec<PluginStatus> {
    let mut loaded: Vec<&LoadedVersion> = state.loaded.iter().collect();
    loaded.sort_by(|a, b| {
        (&a.version.name, &b.version.version).cmp(&(&b.version.name, &a.version.version))
    });
    let refused = state.files.iter().filter_map(|(name, file)| {
        let (says_name, says_version) = file.says.clone().unzip();
        Some(PluginStatus {
            name: says_name,
            version: says_version,
            file: name.clone(),
            sha256: file.digest.as_ref().map(ToString::to_string),
            state: PluginState::Refused,
            loaded_at: None,
            pinned: false,
            jobs_running: 0,
            residue_bytes: None,
            worker: None,
            error: Some(file.refusal.clone()?),
        })
    });
    loaded
        .into_iter()
        .map(|loaded| row(state, loaded))
        .chain(refused)
        .collect()
}

fn row(all: &State, loaded: &LoadedVersion) -> PluginStatus {
    let version = &loaded.version;
    let state = match (loaded.role, loaded.phase) {
        (ServiceRole::Active, _) => PluginState::Active,
        (ServiceRole::Standby, _) => PluginState::Standby,
        (ServiceRole::Retired, Phase::Closed) => PluginState::Retired,
        (ServiceRole::Retired, _) => PluginState::Draining,
    };
    PluginStatus {
        name: Some(version.name.clone()),
        version: Some(version.version.to_string()),
        file: loaded.file.clone(),
        sha256: Some(version.digest.to_string()),
        state,
        loaded_at: Some(seconds(version.loaded_at)),
        pinned: loaded.role == ServiceRole::Active
            && all.pins.get(&version.name) == Some(&version.version),
        jobs_running: version.running.load(Ordering::Relaxed),
        residue_bytes: loaded
            .residue
            .filter(|_| state == PluginState::Retired)
            .map(|residue| residue.anonymous_bytes),
        worker: version.instance.worker(),
        error: loaded.trouble.clone(),
    }
}

/// What a closed version keeps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RetiredResidue {
    /// The plugin's name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The digest of its bytes: one version may have been loaded from several files.
    pub sha256: String,
    /// What it keeps.
    #[serde(flatten)]
    pub residue: Residue,
}

pub(super) fn residues(state: &State) -> Vec<RetiredResidue> {
    state
        .loaded
        .iter()
        .filter_map(|loaded| {
            Some(RetiredResidue {
                name: loaded.version.name.clone(),
                version: loaded.version.version.to_string(),
                sha256: loaded.version.digest.to_string(),
                residue: loaded.residue?,
            })
        })
        .collect()
}

pub(super) fn report(
    state: &State,
    changes: &BTreeMap<usize, (String, FileChange)>,
) -> ReloadReport {
    let files = |kind| {
        let files: BTreeSet<_> = changes
            .values()
            .filter(|(_, what)| *what == kind)
            .map(|(file, _)| file.clone())
            .collect();
        files.into_iter().collect()
    };
    ReloadReport {
        data: rows(state),
        loaded: files(FileChange::Loaded),
        retired: files(FileChange::Retired),
        refused: state
            .files
            .iter()
            .filter(|(_, file)| file.refusal.is_some())
            .map(|(name, _)| name.clone())
            .collect(),
    }
}

fn seconds(at: SystemTime) -> u64 {
    at.duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}
