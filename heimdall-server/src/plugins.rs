//! The host's plugins: a registry of those that run in its own process, and one of those that run in workers.
//!
//! In: a plugin's name and a version requirement. Out: a lease on one version, which runs jobs. Nothing here opens a library.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use plugin_api::ErrorCode;
use plugin_host::{
    registry::{
        self, IsolationMode, Lease, Names, PluginStatus, Registry, RegistryError, RegistryOptions,
        ReloadReport, UseError,
    },
    worker::WorkerOptions,
};
use semver::{Version, VersionReq};

use crate::error::{Code, HostError};

/// No version of a plugin may run now. The message says why, in one sentence.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{message}")]
pub struct Unavailable {
    /// Why.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

/// What a job needs: one version of a plugin, in the process where its command runs it.
#[derive(Debug, Clone, Copy)]
pub struct PluginRequirement<'a> {
    /// The plugin's name.
    pub plugin: &'a str,
    /// Which versions may run; `None`: the newest.
    pub requirement: Option<&'a VersionReq>,
    /// Whether it must be a worker process.
    pub isolated: bool,
}

/// Which plugins run where, by what the commands say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Isolation {
    /// Plugins of which some command wants a worker process.
    pub isolated: BTreeSet<String>,
    /// Those of them that no command wants in the host's own process: they are never loaded into it.
    pub only_isolated: BTreeSet<String>,
    /// The most memory for data of one worker process.
    pub worker_memory: Option<u64>,
}

/// Why the plugins of a host cannot be opened, and what to do about it.
#[derive(Debug, thiserror::Error)]
#[error("{0}; {hint}", hint = .0.hint())]
pub struct OpenError(#[from] RegistryError);

/// Opens the plugins of a directory, each where the commands want it.
///
/// # Errors
/// The directory cannot be read or trusted; a library in it that is refused is no error.
pub fn open(
    mut options: RegistryOptions,
    isolation: &Isolation,
) -> Result<Arc<Plugins>, OpenError> {
    options.names = Names::AllBut(isolation.only_isolated.clone());
    let plugins = Plugins::new(Registry::open(options.clone())?, options);
    plugins.open_workers(isolation)?;
    Ok(Arc::new(plugins))
}

/// The versions that run in the host's process, and those that run in workers, of the same directory.
pub struct Plugins {
    options: RegistryOptions,
    in_process: Arc<Registry>,
    /// Opened when the first command asks for it.
    workers: Mutex<Option<Arc<Registry>>>,
    /// The versions that operators chose, for a registry that serves a plugin later.
    pins: Mutex<BTreeMap<String, Version>>,
}

impl Plugins {
    /// Those of a registry, and those that workers will run of its directory.
    pub(crate) fn new(in_process: Arc<Registry>, options: RegistryOptions) -> Self {
        Self {
            options,
            in_process,
            workers: Mutex::default(),
            pins: Mutex::default(),
        }
    }

    fn workers(&self) -> Option<Arc<Registry>> {
        let workers = self.workers.lock();
        workers.unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn pins(&self) -> MutexGuard<'_, BTreeMap<String, Version>> {
        self.pins.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn all(&self) -> impl Iterator<Item = Arc<Registry>> {
        [Some(Arc::clone(&self.in_process)), self.workers()]
            .into_iter()
            .flatten()
    }

    fn registry(&self, need: PluginRequirement<'_>) -> Result<Arc<Registry>, Unavailable> {
        if !need.isolated {
            return Ok(Arc::clone(&self.in_process));
        }
        self.workers().ok_or_else(|| Unavailable {
            message: format!("no worker of plugin '{}' is running", need.plugin),
            hint: Some("the host's log says why".to_owned()),
        })
    }

    fn open_workers(&self, isolation: &Isolation) -> Result<(), RegistryError> {
        let names = Names::Only(isolation.isolated.clone());
        if let Some(workers) = self.workers() {
            workers.restore_pins(self.pins().clone());
            return workers.serve(names);
        }
        if isolation.isolated.is_empty() {
            return Ok(());
        }
        let mut worker = WorkerOptions::new();
        worker.memory_bytes = isolation.worker_memory;
        let workers = Registry::open(RegistryOptions {
            isolation: IsolationMode::Worker(worker),
            names,
            ..self.options.clone()
        })?;
        workers.restore_pins(self.pins().clone());
        *self.workers.lock().unwrap_or_else(PoisonError::into_inner) = Some(workers);
        Ok(())
    }

    /// One row a version: of a version that both registries have, the state in the one where it serves, and the worker.
    pub fn list(&self) -> Vec<PluginStatus> {
        let mut rows = self.in_process.list();
        for row in self.workers().iter().flat_map(|workers| workers.list()) {
            let twin = rows
                .iter_mut()
                .find(|known| (&known.file, &known.sha256) == (&row.file, &row.sha256));
            match twin {
                Some(twin) => {
                    // A version that serves in one of the two registries serves.
                    if row.state < twin.state {
                        twin.state = row.state;
                        twin.pinned = row.pinned;
                    }
                    twin.worker = row.worker;
                    twin.jobs_running += row.jobs_running;
                }
                None => rows.push(row),
            }
        }
        rows
    }

    /// One version of a plugin, pinned until the lease is dropped: the newest that the requirement allows.
    ///
    /// # Errors
    /// None is loaded, or none that is allowed.
    pub fn lease(&self, need: PluginRequirement<'_>) -> Result<Arc<Lease>, Unavailable> {
        let registry = self.registry(need)?;
        Ok(Arc::new(registry.lease(need.plugin, need.requirement)?))
    }

    /// Whether a lease could be had now. Unlike a lease it keeps no version open.
    ///
    /// # Errors
    /// As [`Plugins::lease`].
    pub fn available(&self, need: PluginRequirement<'_>) -> Result<(), Unavailable> {
        let registry = self.registry(need)?;
        Ok(registry.available(need.plugin, need.requirement)?)
    }

    /// Runs plugins where the commands want them from now on. Blocks until it is decided.
    ///
    /// # Errors
    /// The directory cannot be read.
    pub fn isolate(&self, isolation: &Isolation) -> Result<(), HostError> {
        // The workers first, so that a plugin that moves between the registries is always in one of them.
        self.open_workers(isolation)
            .and_then(|()| {
                let names = Names::AllBut(isolation.only_isolated.clone());
                self.in_process.restore_pins(self.pins().clone());
                self.in_process.serve(names)
            })
            .map_err(|error| not_read(&error))
    }

    /// Reads the plugin directory again; gives the answer of the reload call. Blocks until it is decided.
    ///
    /// # Errors
    /// The directory cannot be read.
    pub fn reload(&self) -> Result<ReloadReport, HostError> {
        let mut merged = self.in_process.reload().map_err(|error| not_read(&error))?;
        if let Some(workers) = self.workers() {
            let report = workers.reload().map_err(|error| not_read(&error))?;
            for (names, more) in [
                (&mut merged.loaded, report.loaded),
                (&mut merged.retired, report.retired),
                (&mut merged.refused, report.refused),
            ] {
                names.extend(more);
                names.sort();
                names.dedup();
            }
        }
        merged.data = self.list();
        Ok(merged)
    }

    /// Pins a version, or with `None` the newest again; gives the rows of the list.
    ///
    /// # Errors
    /// There is no such plugin or version.
    pub fn use_version(
        &self,
        plugin: &str,
        version: Option<&Version>,
    ) -> Result<Vec<PluginStatus>, HostError> {
        let mut outcome = None;
        for registry in self.all() {
            let used = registry.use_version(plugin, version).map(drop);
            // A plugin may be in one place only; of two errors the one that knows the plugin counts.
            outcome = match (outcome, used) {
                (Some(Err(error)), Err(UseError::UnknownPlugin { .. })) => Some(Err(error)),
                (Some(Ok(())), Err(UseError::UnknownPlugin { .. })) => Some(Ok(())),
                (_, used) => Some(used),
            };
        }
        outcome.unwrap_or(Ok(())).map_err(refused)?;
        let mut pins = self.pins();
        match version {
            Some(version) => pins.insert(plugin.to_owned(), version.clone()),
            None => pins.remove(plugin),
        };
        drop(pins);
        Ok(self.list())
    }

    /// Puts the pins of an earlier run in force. One whose version is not there takes effect when it comes. Blocks.
    pub fn restore_pins(&self, pins: Vec<(String, Version)>) {
        self.pins().extend(pins.iter().cloned());
        for registry in self.all() {
            registry.restore_pins(pins.clone());
        }
    }

    /// Closes every version, at shutdown. Blocks.
    pub fn close(&self, within: Duration) {
        thread::scope(|scope| {
            for registry in self.all() {
                scope.spawn(move || registry.close(within));
            }
        });
    }
}

fn not_read(error: &RegistryError) -> HostError {
    HostError::new(Code::PluginRefused, error.to_string()).hint(error.hint())
}

impl From<registry::Unavailable> for Unavailable {
    fn from(error: registry::Unavailable) -> Self {
        Self {
            hint: Some(error.hint()),
            message: error.to_string(),
        }
    }
}

fn refused(error: UseError) -> HostError {
    let (code, hint) = match &error {
        UseError::UnknownPlugin { .. } => (
            Code::NotFound,
            "GET /api/v1/plugins lists what is loaded".to_owned(),
        ),
        UseError::UnknownVersion { known, .. } => {
            (Code::NotFound, format!("loaded are {}", known.join(", ")))
        }
        UseError::CannotOpen { .. } => (
            Code::PluginRefused,
            "the version that ran before goes on".to_owned(),
        ),
        UseError::Closed => (
            Code::Plugin(ErrorCode::SHUTTING_DOWN),
            "try again when the host is back".to_owned(),
        ),
    };
    HostError::new(code, error.to_string()).hint(hint)
}
