//! What the host asks of its plugins, whoever keeps them: the registry of loaded libraries, or one linked into a test.
//!
//! In: a plugin's name and a version requirement. Out: a lease on one version, which runs jobs. Nothing here opens a library.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use plugin_api::{Error, ErrorCode};
use plugin_host::{CallOptions, Document};
use semver::{Version, VersionReq};
use serde::Serialize;
use serde_json::Value;

use crate::error::{Code, HostError};
use plugin_host::registry::{
    self, IsolationMode, Names, PluginStatus, Registry, RegistryError, RegistryOptions, UseError,
};
use plugin_host::worker::WorkerOptions;

/// No version of a plugin may run now. The message says why, in one sentence.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{message}")]
pub struct Unavailable {
    /// Why.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

/// What a job needs: one version of a plugin, in the place where its command wants it to run.
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

/// The plugins of a host.
pub trait Plugins: Send + Sync {
    /// One version of a plugin, pinned until the lease is dropped: the newest that the requirement allows.
    ///
    /// # Errors
    /// None is loaded, or none that is allowed.
    fn lease(&self, need: PluginRequirement<'_>) -> Result<Arc<dyn Lease>, Unavailable>;

    /// Whether a lease could be had now. Unlike a lease it keeps no version open.
    ///
    /// # Errors
    /// As [`Plugins::lease`].
    fn available(&self, need: PluginRequirement<'_>) -> Result<(), Unavailable>;

    /// Runs plugins where the commands want them from now on. Blocks until it is decided.
    ///
    /// # Errors
    /// The directory cannot be read.
    fn isolate(&self, isolation: &Isolation) -> Result<(), HostError>;

    /// The rows of `GET /api/v1/plugins`.
    fn list(&self) -> Value;

    /// Looks at the plugin directory again; gives the answer of the reload call. Blocks until it is decided.
    ///
    /// # Errors
    /// The directory cannot be read.
    fn reload(&self) -> Result<Value, HostError>;

    /// Pins a version, or with `None` the newest again; gives the rows of the list.
    ///
    /// # Errors
    /// There is no such plugin or version.
    fn use_version(&self, plugin: &str, version: Option<&Version>) -> Result<Value, HostError>;

    /// Puts the pins of an earlier run in force. One whose version is not there takes effect when it comes. Blocks.
    fn restore_pins(&self, pins: Vec<(String, Version)>);

    /// Closes every version, at shutdown. Blocks.
    fn close(&self, within: Duration);
}

/// One version of a plugin, in use.
pub trait Lease: Send + Sync {
    /// The version, as the library writes it.
    fn version(&self) -> String;

    /// Runs a job. Blocks until it ends: call it from a blocking thread.
    ///
    /// # Errors
    /// The plugin's error document.
    fn run_job(&self, job: &[u8], call: &CallOptions) -> Result<Document, Error>;

    /// Whether a job of this version costs no thread while it waits: [`Lease::start_job`] then returns at once.
    fn can_start(&self) -> bool;

    /// Starts a job, whose end is told to `done`, once, on a thread of the plugin: it must not block. Where [`Lease::can_start`] is
    /// false, starting may block.
    ///
    /// # Errors
    /// The job was not started; `done` is then never called.
    fn start_job(
        self: Arc<Self>,
        job: &[u8],
        call: CallOptions,
        done: Box<dyn FnOnce(Result<Document, Error>) + Send>,
    ) -> Result<(), Error>;

    /// Runs a job whose worker died under it, in a worker for itself. Blocks.
    ///
    /// # Errors
    /// The plugin's error document.
    fn run_job_alone(&self, job: &[u8], call: &CallOptions) -> Result<Document, Error>;

    /// Asks a job to stop; false where the plugin does not know it (yet). Does not block.
    fn cancel_job(&self, id: &str) -> bool;

    /// Checks a cluster. Blocks.
    ///
    /// # Errors
    /// The plugin's error document: the cluster is not healthy.
    fn check_health(&self, cluster: &[u8], call: &CallOptions) -> Result<Document, Error>;
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
) -> Result<Arc<dyn Plugins>, OpenError> {
    options.names = Names::AllBut(isolation.only_isolated.clone());
    let plugins = Registries {
        in_process: Registry::open(options.clone())?,
        options,
        workers: Mutex::default(),
        pins: Mutex::default(),
    };
    plugins.open_workers(isolation)?;
    Ok(Arc::new(plugins))
}

/// The versions that run in the host's process, and those that run in workers, of the same directory.
struct Registries {
    options: RegistryOptions,
    in_process: Arc<Registry>,
    /// Opened when the first command asks for it.
    workers: Mutex<Option<Arc<Registry>>>,
    /// The versions that operators chose, for the place that a plugin comes to next.
    pins: Mutex<BTreeMap<String, Version>>,
}

impl Registries {
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

    /// One row a version: of one that is in both places, the state in the place where it serves, and the worker.
    fn rows(&self) -> Vec<PluginStatus> {
        let mut rows = self.in_process.list();
        for row in self.workers().iter().flat_map(|workers| workers.list()) {
            let twin = rows
                .iter_mut()
                .find(|known| (&known.file, &known.sha256) == (&row.file, &row.sha256));
            match twin {
                Some(twin) => {
                    // What serves in one of the two places serves.
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

impl Plugins for Registries {
    fn lease(&self, need: PluginRequirement<'_>) -> Result<Arc<dyn Lease>, Unavailable> {
        let registry = self.registry(need)?;
        Ok(Arc::new(registry.lease(need.plugin, need.requirement)?))
    }

    fn available(&self, need: PluginRequirement<'_>) -> Result<(), Unavailable> {
        let registry = self.registry(need)?;
        Ok(registry.available(need.plugin, need.requirement)?)
    }

    fn isolate(&self, isolation: &Isolation) -> Result<(), HostError> {
        // First where it is to run, so that a plugin that changes its place is never nowhere.
        self.open_workers(isolation)
            .and_then(|()| {
                let names = Names::AllBut(isolation.only_isolated.clone());
                self.in_process.restore_pins(self.pins().clone());
                self.in_process.serve(names)
            })
            .map_err(|error| not_read(&error))
    }

    fn list(&self) -> Value {
        rows(&self.rows())
    }

    fn reload(&self) -> Result<Value, HostError> {
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
        merged.data = self.rows();
        Ok(rows(&merged))
    }

    fn use_version(&self, plugin: &str, version: Option<&Version>) -> Result<Value, HostError> {
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

    fn restore_pins(&self, pins: Vec<(String, Version)>) {
        self.pins().extend(pins.iter().cloned());
        for registry in self.all() {
            registry.restore_pins(pins.clone());
        }
    }

    fn close(&self, within: Duration) {
        thread::scope(|scope| {
            for registry in self.all() {
                scope.spawn(move || registry.close(within));
            }
        });
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

impl Lease for registry::Lease {
    fn version(&self) -> String {
        Self::version(self).to_string()
    }

    fn run_job(&self, job: &[u8], call: &CallOptions) -> Result<Document, Error> {
        Self::run_job(self, job, call)
    }

    fn can_start(&self) -> bool {
        Self::can_start(self)
    }

    fn start_job(
        self: Arc<Self>,
        job: &[u8],
        call: CallOptions,
        done: Box<dyn FnOnce(Result<Document, Error>) + Send>,
    ) -> Result<(), Error> {
        Self::start_job(&self, job, call, done)
    }

    fn run_job_alone(&self, job: &[u8], call: &CallOptions) -> Result<Document, Error> {
        Self::run_job_alone(self, job, call)
    }

    fn cancel_job(&self, id: &str) -> bool {
        Self::cancel_job(self, id)
    }

    fn check_health(&self, cluster: &[u8], call: &CallOptions) -> Result<Document, Error> {
        Self::check_health(self, cluster, call)
    }
}

fn rows(value: &impl Serialize) -> Value {
    serde_json::to_value(value).expect("the rows have text keys only")
}
