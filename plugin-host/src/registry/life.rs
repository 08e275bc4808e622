//! Opens versions before they serve and closes them when they no longer do.
//!
//! A version goes closed → open → closed any number of times and is never unloaded. One thread, [`Core::reap`], sees when a
//! version is due; each close runs on a thread of its own, because a plugin may take its time.

use std::{
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use plugin_api::Level;

use super::{
    UseError,
    state::{Core, LoadedVersion, Phase, ServiceRole, State},
};
use crate::{
    refusal::{Refusal, RefusalCode},
    residue::{self, Residue},
};

/// How long whoever needs a version open waits for a close of it that is under way.
const PATIENCE: Duration = Duration::from_secs(2);

/// How long the end waits for plugins to close once their jobs' time is over.
const AT_THE_END: Duration = Duration::from_secs(5);

/// How soon a close that failed is tried again, once no job is left.
const RETRY: Duration = Duration::from_secs(1);

impl Core {
    /// Opens a version unless it is open. The caller holds a lease of it, so that it stays so.
    pub(super) fn ensure_open(&self, index: usize) -> Result<(), Refusal> {
        let until = Instant::now() + PATIENCE;
        let mut state = self.lock();
        loop {
            if state.closed {
                return Err(Refusal::new(
                    RefusalCode::StillClosing,
                    "the plugin registry is closed",
                    "send the job again once the host is back",
                ));
            }
            match state.loaded[index].phase {
                Phase::Open => return Ok(()),
                Phase::Closed => break,
                Phase::Opening | Phase::Closing | Phase::Stuck => {
                    let (next, over) = self.wait(state, Some(until));
                    state = next;
                    if over {
                        return Err(still_closing(&state.loaded[index]));
                    }
                }
            }
        }
        state.loaded[index].phase = Phase::Opening;
        let version = Arc::clone(&state.loaded[index].version);
        drop(state);
        let opened = version.instance.open("{}");
        let mut state = self.lock();
        let loaded = &mut state.loaded[index];
        loaded.phase = if opened.is_ok() {
            loaded.residue = None;
            loaded.trouble = None;
            Phase::Open
        } else {
            Phase::Closed
        };
        drop(state);
        self.changed.notify_all();
        opened.map_err(|error| Refusal::does_not_open(&error, "see the plugin's own log lines"))
    }

    /// Decides what serves, opens what must be open, puts it in force. The caller holds the change lock.
    ///
    /// A version that does not open makes its files refused, and the decision is made again without them: the one that runs
    /// stays in place.
    pub(super) fn switch(&self) {
        let mut opened = Vec::new();
        let mut state = self.lock();
        loop {
            let serving = state.decide();
            let cold = serving
                .values()
                .filter_map(|versions| versions.first().copied())
                .find(|&index| state.loaded[index].phase != Phase::Open);
            let Some(index) = cold else {
                // What is active is open, and nobody can have closed it since: the lock was held from that moment on.
                let lines = changes(&state, &serving);
                state.put_in_force(serving);
                for index in opened {
                    state.release(index);
                }
                drop(state);
                self.changed.notify_all();
                for line in lines {
                    self.log(Level::Info, &line);
                }
                return;
            };
            // Held until the switch is in force, or the reaper would close what does not serve yet.
            state.loaded[index].leases += 1;
            opened.push(index);
            drop(state);
            let outcome = self.ensure_open(index);
            state = self.lock();
            if let Err(mut refusal) = outcome {
                let files = state.disown(index, &refusal);
                drop(state);
                for file in files {
                    self.log_refusal(&file, &mut refusal);
                }
                state = self.lock();
            }
        }
    }

    /// Sends new jobs of a plugin to the version that an operator chose; `None`: to the newest again.
    pub(super) fn use_version(
        &self,
        plugin: &str,
        version: Option<&semver::Version>,
    ) -> Result<(), UseError> {
        let _changing = self.lock_changes().ok_or(UseError::Closed)?;
        let Some(version) = version else {
            let mut state = self.lock();
            known(&state, plugin)?;
            state.pins.remove(plugin);
            drop(state);
            self.log(Level::Info, &format!("{plugin}: the newest version again"));
            self.switch();
            return Ok(());
        };
        let cannot_open = |reason: String| UseError::CannotOpen {
            plugin: plugin.to_owned(),
            version: version.to_string(),
            reason,
        };
        let mut state = self.lock();
        let versions = known(&state, plugin)?;
        if !versions.contains(version) {
            return Err(UseError::UnknownVersion {
                plugin: plugin.to_owned(),
                version: version.to_string(),
                known: versions.iter().map(ToString::to_string).collect(),
            });
        }
        let before = state.pins.insert(plugin.to_owned(), version.clone());
        let index = state.decide()[plugin][0];
        state.loaded[index].leases += 1;
        drop(state);
        // Opened here and not in `switch`, because a version that does not open must leave the pin as it was.
        let opened = self.ensure_open(index);
        let mut state = self.lock();
        if opened.is_err() {
            match before {
                Some(before) => state.pins.insert(plugin.to_owned(), before),
                None => state.pins.remove(plugin),
            };
        }
        drop(state);
        if opened.is_ok() {
            self.log(Level::Info, &format!("{plugin}: pinned to {version}"));
            self.switch();
        }
        self.lock().release(index);
        self.changed.notify_all();
        opened.map_err(|refusal| cannot_open(refusal.message))
    }

    /// Takes over what operators chose before this registry was opened.
    pub(super) fn restore_pins(&self, pins: impl IntoIterator<Item = (String, semver::Version)>) {
        let Some(_changing) = self.lock_changes() else {
            return;
        };
        self.lock().pins.extend(pins);
        self.switch();
    }

    /// Closes what is due, until the registry is closed. Runs on a thread of its own.
    pub(super) fn reap(self: Arc<Self>) {
        let mut state = self.lock();
        while !state.closed {
            let now = Instant::now();
            let drain = self.options.drain;
            let mut next: Option<Instant> = None;
            let mut due = Vec::new();
            for (index, loaded) in state.loaded.iter_mut().enumerate() {
                match loaded.due(drain) {
                    Some(at) if at <= now => {
                        loaded.phase = Phase::Closing;
                        due.push(index);
                    }
                    Some(at) => next = Some(next.map_or(at, |next| next.min(at))),
                    None => {}
                }
            }
            if due.is_empty() {
                (state, _) = self.wait(state, next);
                continue;
            }
            drop(state);
            for index in due {
                self.spawn_close(index);
            }
            state = self.lock();
        }
    }

    /// Closes one version whose phase is already `Closing`: cancels what jobs are left, joins its threads, measures what stays.
    pub(super) fn close_version(&self, index: usize) {
        let version = Arc::clone(&self.lock().loaded[index].version);
        let label = format!("{} {}", version.name, version.version);
        let mut closed = version.instance.close(Duration::ZERO);
        if let Err(error) = &closed {
            self.log(
                Level::Warn,
                &format!("{label} did not close in order: {}", error.message),
            );
            // A plugin whose own end failed is closed all the same, and says so when asked again; one with jobs left is not.
            closed = version.instance.close(Duration::ZERO);
        }
        let residue = if version.instance.is_in_process() {
            residue::of_library(&version.copy).ok().map(|mut residue| {
                residue.thread_keys = version.thread_keys;
                residue
            })
        } else {
            // A worker took everything with it.
            Some(Residue::default())
        };
        let mut state = self.lock();
        let loaded = &mut state.loaded[index];
        loaded.since = Instant::now();
        match closed {
            Ok(()) => {
                loaded.phase = Phase::Closed;
                loaded.residue = residue;
                loaded.trouble = None;
            }
            Err(error) => {
                loaded.phase = Phase::Stuck;
                loaded.trouble = Some(Refusal::new(
                    RefusalCode::CloseFailed,
                    format!("it does not close: {}", error.message),
                    "it is tried again when its jobs have returned; restart the host to be rid of it",
                ));
            }
        }
        let stuck = loaded.phase == Phase::Stuck;
        drop(state);
        self.changed.notify_all();
        let kept = residue.map_or(0, |residue| residue.anonymous_bytes);
        match stuck {
            false => self.log(
                Level::Info,
                &format!(
                    "{label} is closed; {kept} bytes of its memory stay until the host restarts"
                ),
            ),
            true => self.log(
                Level::Error,
                &format!("{label} does not close: jobs of it have not stopped"),
            ),
        }
    }

    /// Ends everything: no new lease, jobs have until `until`, then each version is closed.
    pub(super) fn shut_down(self: &Arc<Self>, until: Instant) {
        let mut state = self.lock();
        if state.closed {
            return;
        }
        // Whoever is changing what serves finishes first; from the next line on nobody starts.
        state.closed = true;
        self.changed.notify_all();
        while state.changing {
            (state, _) = self.wait(state, None);
        }
        state.put_in_force(Default::default());
        loop {
            let over;
            if state.loaded.iter().all(|loaded| loaded.leases == 0) {
                break;
            }
            (state, over) = self.wait(state, Some(until));
            if over {
                break;
            }
        }
        let mut open = Vec::new();
        for (index, loaded) in state.loaded.iter_mut().enumerate() {
            if matches!(loaded.phase, Phase::Open | Phase::Opening) {
                loaded.phase = Phase::Closing;
                open.push(index);
            }
        }
        drop(state);
        for index in open {
            self.spawn_close(index);
        }
        state = self.lock();
        let until = until.max(Instant::now()) + AT_THE_END;
        let mut over = false;
        while !over
            && state
                .loaded
                .iter()
                .any(|loaded| loaded.phase == Phase::Closing)
        {
            (state, over) = self.wait(state, Some(until));
        }
    }

    /// Closes a version on a thread of its own.
    fn spawn_close(self: &Arc<Self>, index: usize) {
        let core = Arc::clone(self);
        let closer = thread::Builder::new().name("plugin-close".to_owned());
        if closer.spawn(move || core.close_version(index)).is_err() {
            // No thread to be had: the reaper tries again.
            self.log(Level::Error, "cannot start a thread that closes a plugin");
            self.lock().loaded[index].phase = Phase::Stuck;
        }
    }
}

impl LoadedVersion {
    /// When this version is to be closed; `None` while it is not.
    fn due(&self, drain: Duration) -> Option<Instant> {
        match (self.phase, self.role, self.leases) {
            (Phase::Open, ServiceRole::Retired, 0) => Some(self.since),
            (Phase::Open, ServiceRole::Retired, _) | (Phase::Open, ServiceRole::Standby, 0) => {
                self.since.checked_add(drain)
            }
            (Phase::Stuck, _, 0) => Some(self.since + RETRY),
            _ => None,
        }
    }
}

impl State {
    /// Takes a version's files from it, because it does not open; their names.
    fn disown(&mut self, index: usize, refusal: &Refusal) -> Vec<String> {
        let version = Arc::clone(&self.loaded[index].version);
        if self.pins.get(&version.name) == Some(&version.version) {
            self.pins.remove(&version.name);
        }
        let mut names = Vec::new();
        for (name, file) in &mut self.files {
            if file.backs == Some(index) {
                file.backs = None;
                let mut refusal = refusal.clone();
                refusal.detail = None;
                file.refusal = Some(refusal);
                file.says = Some((version.name.clone(), version.version.to_string()));
                names.push(name.clone());
            }
        }
        names
    }
}

/// What is different, one line a plugin.
fn changes(state: &State, serving: &std::collections::BTreeMap<String, Vec<usize>>) -> Vec<String> {
    let version = |index: Option<&usize>| {
        index.map_or("none".to_owned(), |&index| {
            state.loaded[index].version.version.to_string()
        })
    };
    let gone = state
        .serving
        .iter()
        .filter(|(name, _)| !serving.contains_key(*name))
        .map(|(name, _)| format!("{name}: no version is left, its jobs are refused"));
    serving
        .iter()
        .filter_map(|(name, versions)| {
            let before = state.serving.get(name).and_then(|before| before.first());
            (before != versions.first()).then(|| {
                format!(
                    "{name}: new jobs go to {} (before: {})",
                    version(versions.first()),
                    version(before)
                )
            })
        })
        .chain(gone)
        .collect()
}

/// The versions of a plugin that can be chosen: all in memory, as long as the directory has a file of that name.
fn known(state: &State, plugin: &str) -> Result<Vec<semver::Version>, UseError> {
    if !state.serving.contains_key(plugin) {
        return Err(UseError::UnknownPlugin {
            plugin: plugin.to_owned(),
        });
    }
    let mut versions: Vec<_> = state
        .loaded
        .iter()
        .filter(|loaded| loaded.version.name == plugin)
        .map(|loaded| loaded.version.version.clone())
        .collect();
    versions.sort();
    versions.dedup();
    Ok(versions)
}

fn still_closing(loaded: &LoadedVersion) -> Refusal {
    Refusal::new(
        RefusalCode::StillClosing,
        format!(
            "version {} is in memory and still closing: jobs of it have not stopped",
            loaded.version.version
        ),
        "it is looked at again by itself; or cancel its jobs",
    )
}
