//! The versions of every plugin: which one a new job goes to, and how one takes another's place while jobs run.
//!
//! In: a directory of libraries, and what operators ask for. Out: leases, each pinning one version until it is dropped.
//! `state` is all there is to know, behind one lock · `decide` which version serves, a pure function · `scan` the directory into
//! files and loaded versions · `life` opens and closes versions · `lease` a job's hold on one · `status` what is shown ·
//! `linked` a plugin of this program's own.
//!
//! Nothing here opens a library's file by itself: bytes are checked (`verify`), tried in a child process (`probe`), then loaded
//! (`load`).

mod decide;
mod lease;
mod life;
mod linked;
mod scan;
mod state;
mod status;

use std::{
    collections::BTreeSet,
    io,
    path::PathBuf,
    sync::{Arc, Condvar, Mutex},
    thread,
    time::{Duration, Instant},
};

use plugin_api::Level;

use self::state::{Core, State};
pub use self::{
    lease::Lease,
    status::{PluginState, PluginStatus, ReloadReport, RetiredResidue},
};
pub use crate::probe::ProbeCache;
use crate::{
    Library, LogSink,
    verify::{Copies, DirectoryError, PublicKey},
    worker::WorkerOptions,
};

/// What a registry needs to know.
#[derive(Clone)]
pub struct RegistryOptions {
    /// Where the libraries lie: `*.so`, those that begin with a dot left out.
    pub plugin_dir: PathBuf,
    /// Mount points whose owner and mode are not looked at, nor those of what is above them.
    pub trusted_directories: Vec<PathBuf>,
    /// Whose signature `SHA256SUMS` must carry; `None`: an unsigned list, or none at all, will do.
    pub public_key: Option<PublicKey>,
    /// How long jobs of a retired version may run on before they are cancelled; and how long a version that stands by stays open
    /// without a job.
    pub drain: Duration,
    /// Takes the registry's own lines (target `host::plugins`) and the libraries'.
    pub log: LogSink,
    /// Whether the directory is watched; without, only `reload` looks at it.
    pub watch: bool,
    /// How often a watched directory is looked at even where no notice came.
    pub poll: Duration,
    /// How long a file must not have changed before it counts as whole.
    pub settle: Duration,
    /// The program that tries libraries: one whose `main` begins with [`crate::child::run_if_asked`].
    pub probe: PathBuf,
    /// How long a probe may take.
    pub probe_limit: Duration,
    /// What probes have told; registries that share it try a file once, not once each.
    pub probed: ProbeCache,
    /// The number of thread keys of the process that must be free before a library is loaded.
    pub key_floor: usize,
    /// Where the private directory of copies is made; it must allow execution.
    pub copies_in: PathBuf,
    /// Where the versions run.
    pub isolation: IsolationMode,
    /// Which plugins of the directory are served; the others are left alone.
    pub names: Names,
}

/// Where the versions of a registry run.
#[derive(Debug, Clone)]
pub enum IsolationMode {
    /// In the host's own process.
    InProcess,
    /// Each in a worker process of its own, which the host outlives whatever the library does.
    Worker(WorkerOptions),
}

/// A choice of plugins by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Names {
    /// All but these.
    AllBut(BTreeSet<String>),
    /// None but these.
    Only(BTreeSet<String>),
}

impl Names {
    /// Whether a plugin of that name is chosen.
    #[must_use]
    pub fn includes(&self, name: &str) -> bool {
        match self {
            Self::AllBut(names) => !names.contains(name),
            Self::Only(names) => names.contains(name),
        }
    }
}

impl Default for Names {
    fn default() -> Self {
        Self::AllBut(BTreeSet::new())
    }
}

impl RegistryOptions {
    /// The defaults for a directory: watched, 30 seconds to drain, probed by this very program.
    #[must_use]
    pub fn new(plugin_dir: impl Into<PathBuf>, log: LogSink) -> Self {
        Self {
            plugin_dir: plugin_dir.into(),
            trusted_directories: Vec::new(),
            public_key: None,
            drain: Duration::from_secs(30),
            log,
            watch: true,
            poll: Duration::from_secs(2),
            settle: Duration::from_millis(200),
            // Not `current_exe`: this works also after the program's file was replaced.
            probe: PathBuf::from("/proc/self/exe"),
            // Short enough that a hanging library does not keep a good one waiting beyond 5 seconds.
            probe_limit: Duration::from_secs(4),
            probed: ProbeCache::default(),
            key_floor: 64,
            copies_in: std::env::temp_dir(),
            isolation: IsolationMode::InProcess,
            names: Names::default(),
        }
    }
}

/// Why there is no registry, or why the directory could not be looked at. What was loaded serves on.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// The plugin directory cannot be used.
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    /// The private copies have no place. Operator: `TMPDIR`.
    #[error("cannot make a private directory for copies of libraries in {path}: {source}")]
    Copies {
        /// Where it was tried.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// This process was started to try a library. Author of the host: call [`crate::child::run_if_asked`] first in `main`.
    #[error("this process was started to try a plugin library, not to be a host")]
    IsChild,
    /// A thread could not be started. Operator: the machine's limits.
    #[error("cannot start a thread for the plugin registry: {0}")]
    Thread(io::Error),
    /// The host shuts down.
    #[error("the plugin registry is closed")]
    Closed,
}

impl RegistryError {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Directory(error) => error.hint(),
            Self::Copies { .. } => {
                "set TMPDIR to a directory that the host may write and execute in"
            }
            Self::IsChild => "begin the host's main with plugin_host::child::run_if_asked",
            Self::Thread(_) => "raise the limit on processes and threads of the host's user",
            Self::Closed => "start the host again",
        }
    }
}

/// Why no version can take a job.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unavailable {
    /// No library of that name is in the directory. Operator: the directory, or the command's `plugin`.
    #[error("no plugin named '{plugin}' is loaded")]
    NotLoaded {
        /// The name that was asked for.
        plugin: String,
        /// The names that are there.
        known: Vec<String>,
    },
    /// The command's `plugin_version` allows none of those that are there. Operator: either of the two.
    #[error("no loaded version of plugin '{plugin}' matches '{requirement}'")]
    NoSuchVersion {
        /// The name that was asked for.
        plugin: String,
        /// The command's `plugin_version`.
        requirement: String,
        /// The versions that are there.
        known: Vec<String>,
    },
    /// The host shuts down.
    #[error("the host is shutting down")]
    ShuttingDown,
}

impl Unavailable {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            Self::NotLoaded { known, .. } if known.is_empty() => {
                "no plugin is loaded at all: put a library into the plugin directory; the log says what was refused and why".to_owned()
            }
            Self::NotLoaded { known, .. } => format!(
                "loaded are {}; the log says what was refused and why",
                known.join(", ")
            ),
            Self::NoSuchVersion { known, .. } => format!("loaded are {}", known.join(", ")),
            Self::ShuttingDown => "send the job again once the host is back".to_owned(),
        }
    }
}

/// Why another version could not be chosen. The one that runs serves on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UseError {
    /// No library of that name is in the directory.
    #[error("no plugin named '{plugin}' is loaded")]
    UnknownPlugin {
        /// The name that was asked for.
        plugin: String,
    },
    /// This process has not loaded that version.
    #[error("version {version} of plugin '{plugin}' is not loaded")]
    UnknownVersion {
        /// The name that was asked for.
        plugin: String,
        /// The version that was asked for.
        version: String,
        /// What can be chosen.
        known: Vec<String>,
    },
    /// It could not be opened again.
    #[error("version {version} of plugin '{plugin}' cannot be used: {reason}")]
    CannotOpen {
        /// The name that was asked for.
        plugin: String,
        /// The version that was asked for.
        version: String,
        /// Why.
        reason: String,
    },
    /// The host shuts down.
    #[error("the plugin registry is closed")]
    Closed,
}

/// The loaded plugins of a host. Everything in it may be called from any thread at once.
pub struct Registry {
    core: Arc<Core>,
    threads: Mutex<Vec<thread::JoinHandle<()>>>,
}

impl Registry {
    /// Loads what lies in the directory. A bad file is not fatal: it is listed as `REFUSED`.
    ///
    /// # Errors
    /// A directory that is missing or that others may write to, or no place for the private copies.
    pub fn open(options: RegistryOptions) -> Result<Arc<Self>, RegistryError> {
        if crate::child::was_asked() {
            return Err(RegistryError::IsChild);
        }
        let registry = Self::empty(options)?;
        registry.core.rescan(true)?;
        registry.start()
    }

    /// A registry of a plugin that is linked into this program and open, beside what the directory brings at the next reload.
    pub(crate) fn of_linked(
        library: Library,
        options: RegistryOptions,
    ) -> Result<Arc<Self>, RegistryError> {
        let registry = Self::empty(options)?;
        registry.core.add_linked(library);
        registry.start()
    }

    fn empty(options: RegistryOptions) -> Result<Self, RegistryError> {
        let copies = Copies::make(&options.copies_in).map_err(|source| RegistryError::Copies {
            path: options.copies_in.clone(),
            source,
        })?;
        let state = State {
            names: options.names.clone(),
            ..State::default()
        };
        Ok(Self {
            core: Arc::new(Core {
                options,
                copies,
                state: Mutex::new(state),
                changed: Condvar::new(),
            }),
            threads: Mutex::new(Vec::new()),
        })
    }

    fn start(self) -> Result<Arc<Self>, RegistryError> {
        let core = &self.core;
        // Only what comes in from here on is reported by the first reload.
        core.lock().changes.clear();
        self.spawn("plugin-reaper", {
            let core = Arc::clone(core);
            move || core.reap()
        })?;
        if core.options.watch {
            let core = Arc::clone(core);
            self.spawn("plugin-watch", move || core.watch())?;
        }
        Ok(Arc::new(self))
    }

    fn spawn(&self, name: &str, run: impl FnOnce() + Send + 'static) -> Result<(), RegistryError> {
        let thread = thread::Builder::new()
            .name(name.to_owned())
            .spawn(run)
            .map_err(RegistryError::Thread)?;
        self.threads
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .push(thread);
        Ok(())
    }

    /// Pins the version that a new job goes to: the active one, or the newest that `requirement` allows.
    ///
    /// Cheap, also while versions change: it waits for no loading, opening or closing.
    ///
    /// # Errors
    /// See [`Unavailable`].
    pub fn lease(
        &self,
        plugin: &str,
        requirement: Option<&semver::VersionReq>,
    ) -> Result<Lease, Unavailable> {
        Lease::take(&self.core, plugin, requirement)
    }

    /// Whether a lease could be had now. Unlike a lease it does not keep a version that stands by open.
    ///
    /// # Errors
    /// As [`Registry::lease`].
    pub fn available(
        &self,
        plugin: &str,
        requirement: Option<&semver::VersionReq>,
    ) -> Result<(), Unavailable> {
        Lease::available(&self.core, plugin, requirement)
    }

    /// Every version that this process has loaded and every file that was refused: the rows of `GET /api/v1/plugins`.
    #[must_use]
    pub fn list(&self) -> Vec<PluginStatus> {
        status::rows(&self.core.lock())
    }

    /// What closed versions left behind, for the metrics.
    #[must_use]
    pub fn residues(&self) -> Vec<RetiredResidue> {
        status::residues(&self.core.lock())
    }

    /// Looks at the directory now and answers when it is decided what serves; versions that go out may still drain.
    ///
    /// The answer also tells what the watch brought in or took out since the last call.
    ///
    /// # Errors
    /// [`RegistryError::Directory`]; nothing changes then.
    pub fn reload(&self) -> Result<ReloadReport, RegistryError> {
        self.core.rescan(true)?;
        let mut state = self.core.lock();
        let changes = std::mem::take(&mut state.changes);
        Ok(status::report(&state, &changes))
    }

    /// Serves another choice of plugins from now on; answers when it is decided what serves. Versions that are no longer chosen take
    /// no new job and end as retired ones do.
    ///
    /// # Errors
    /// As [`Registry::reload`].
    pub fn serve(&self, names: Names) -> Result<(), RegistryError> {
        self.core.lock().names = names;
        self.core.rescan(true)?;
        let _changing = self.core.lock_changes().ok_or(RegistryError::Closed)?;
        self.core.switch();
        Ok(())
    }

    /// Sends new jobs of a plugin to that version, until told otherwise; `None`: to the newest again.
    ///
    /// A version that was retired but is still in memory is opened again, not loaded again: this also takes back a library whose
    /// file was overwritten. It holds while any file of that name is in the directory. A host that wants it to outlast a restart keeps
    /// it, and gives it to [`Registry::restore_pins`].
    ///
    /// # Errors
    /// See [`UseError`].
    pub fn use_version(
        &self,
        plugin: &str,
        version: Option<&semver::Version>,
    ) -> Result<Vec<PluginStatus>, UseError> {
        self.core.use_version(plugin, version)?;
        Ok(self.list())
    }

    /// Puts pins of an earlier run in force, as [`Registry::use_version`] did then. A version that is not there is not asked for now:
    /// its pin takes effect when a file brings it.
    pub fn restore_pins(&self, pins: impl IntoIterator<Item = (String, semver::Version)>) {
        self.core.restore_pins(pins);
    }

    /// Takes no new lease, lets jobs finish for `within`, cancels the rest, closes every version, removes the private copies.
    pub fn close(&self, within: Duration) {
        self.core.shut_down(Instant::now() + within);
        let threads = std::mem::take(
            &mut *self
                .threads
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner),
        );
        for thread in threads {
            if thread.join().is_err() {
                self.core
                    .log(Level::Error, "a thread of the plugin registry panicked");
            }
        }
        self.core.copies.remove();
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        self.close(Duration::ZERO);
    }
}
