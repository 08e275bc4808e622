//! The host's side: opens a library, checks that it is what it says, and calls it through safe functions.
//!
//! A library is never unloaded: Rust's runtime and much of its ecosystem take code for granted that stays mapped. Never use
//! `abi_stable`'s `load_from_file` or `load_from_directory` here: they keep one library per root-module type for the life of the
//! process, so that a second version would silently be the first.

use std::{
    ffi::{CStr, c_char, c_void},
    fmt,
    mem::ManuallyDrop,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use abi_stable::library::{LibraryError, lib_header_from_path};
use libloading::os::unix;
use plugin_api::{
    Error, ErrorInfo, Level,
    abi::{
        ABI_MAJOR, DONE, HEIMDALL_PLUGIN_MAGIC, HpBuffer, HpHost, HpInfo, PluginModuleRef, StartFn,
        size32, types_1_0,
    },
};

use super::call::{CallOptions, Document, hp_call, outcome};

/// Takes a library's log lines: level, target, message. Called from several threads at once.
pub type LogSink = Arc<dyn Fn(Level, &str, &str) + Send + Sync>;

/// What a library says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Info {
    /// The plugin's name, as commands ask for it.
    pub name: String,
    /// The plugin's version, as it writes it.
    pub version: String,
    /// What it can do.
    pub features: Vec<String>,
    /// The minor version of the C surface that it was built with.
    pub abi_minor: u32,
    /// The codes that its jobs can fail with; none where it does not say, as libraries of ABI 1.0.
    pub errors: Vec<ErrorInfo>,
}

impl Info {
    /// Whether the library has a feature.
    #[must_use]
    pub fn has(&self, feature: &str) -> bool {
        self.features.iter().any(|word| word == feature)
    }
}

/// Why a library could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The dynamic loader refused the file. Operator: the file, or a system library that it needs.
    #[error("cannot open plugin library {path}: {reason}")]
    Open {
        /// The file.
        path: PathBuf,
        /// The loader's own words.
        reason: String,
    },
    /// It lacks a symbol that every plugin has. Operator: the file is something else.
    #[error("{path} is no plugin library: it has no symbol '{symbol}'")]
    NoSymbol {
        /// The file.
        path: PathBuf,
        /// What is missing.
        symbol: &'static str,
    },
    /// Its `plugin_info` is not understood. Author: build with plugin-api.
    #[error("the plugin library's plugin_info is not understood: {reason}")]
    Handshake {
        /// What is wrong with it.
        reason: String,
    },
    /// It speaks another major version of the surface. Author: rebuild with the host's plugin-api.
    #[error("the plugin library speaks ABI {major}.{minor}, this host speaks ABI {ABI_MAJOR}")]
    AbiVersion {
        /// The library's major version.
        major: u32,
        /// The library's minor version.
        minor: u32,
    },
    /// Its root module's layout is not this host's. Author: rebuild with the host's plugin-api; the dump goes to the debug log.
    #[error("the plugin library's module layout is not the one this host was built with")]
    Layout {
        /// `abi_stable`'s report, long.
        dump: String,
    },
}

/// A plugin library of this process, loaded or linked in. Never unloaded.
#[derive(Clone)]
pub struct Library {
    pub(super) module: PluginModuleRef,
    info: Info,
    /// A function of ABI 1.1, so not in the module; `None` for an older library, and for one that is linked in without it.
    pub(super) start_job: Option<StartFn>,
    /// Where its log lines go; leaked once per library, because the library may call until it is closed.
    log: Option<&'static LogSink>,
}

impl fmt::Debug for Library {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Library")
            .field("info", &self.info)
            .finish_non_exhaustive()
    }
}

impl Library {
    /// Loads the library at `path`: runs its constructors, reads `plugin_info`, has `abi_stable` check the module's layout.
    ///
    /// Check a file's bytes and origin before: loading runs its code. The same path twice is the same library.
    ///
    /// # Errors
    /// See [`LoadError`].
    pub fn load(path: &Path, log: Option<LogSink>) -> Result<Self, LoadError> {
        let (info, start_job) = read_symbols(path)?;
        let module = lib_header_from_path(path)
            .map_err(|error| header_error(path, &error))?
            .init_root_module::<PluginModuleRef>()
            .map_err(|error| LoadError::Layout {
                dump: error.to_string(),
            })?;
        Ok(Self {
            start_job,
            ..Self::new(module, info, log)
        })
    }

    /// A plugin linked into this program, called through the same table: for tests beside the loaded library.
    ///
    /// # Errors
    /// [`LoadError::Handshake`] and [`LoadError::AbiVersion`].
    pub fn linked(module: PluginModuleRef, log: Option<LogSink>) -> Result<Self, LoadError> {
        // SAFETY: the pointer comes from this program's own `export_plugin!`.
        let info = unsafe { checked_info(module.plugin_info()()) }?;
        Ok(Self::new(module, info, log))
    }

    /// A plugin linked into this program, with its `START_JOB`: its jobs are then started as those of a loaded library are.
    #[must_use]
    pub fn starting_with(mut self, start_job: StartFn) -> Self {
        self.start_job = Some(start_job);
        self
    }

    fn new(module: PluginModuleRef, info: Info, log: Option<LogSink>) -> Self {
        Self {
            module,
            info,
            start_job: None,
            log: log.map(|sink| &*Box::leak(Box::new(sink))),
        }
    }

    /// What the library says of itself.
    #[must_use]
    pub fn info(&self) -> &Info {
        &self.info
    }

    /// Opens the plugin with a JSON object as its config.
    ///
    /// # Errors
    /// The plugin's own error, or `INVALID_JOB` where it is already open.
    pub fn open(&self, config: &str) -> Result<(), Error> {
        let host = HpHost {
            struct_size: size32::<HpHost>(),
            reserved: 0,
            user: self.log.map_or(std::ptr::null_mut(), |sink| {
                std::ptr::from_ref(sink).cast_mut().cast()
            }),
            log: self.log.map(|_| log_line as _),
        };
        self.with_buffer(|out| {
            // SAFETY: struct and config live until the call returns, the sink for ever.
            unsafe {
                self.module.plugin_open()(&raw const host, config.as_ptr(), config.len(), out)
            }
        })
        .map(drop)
    }

    /// Runs one job and waits for it. Blocks: never call it from an async worker.
    ///
    /// # Errors
    /// The job's own error; `INTERNAL` where the plugin's answer is none.
    pub fn run_job(&self, job: &[u8], options: &CallOptions) -> Result<Document, Error> {
        let (status, document) = self.answer(job, options);
        outcome(status, document)
    }

    /// Runs one job and gives what the plugin answered as it is, its status and its document: for a host that judges the plugin.
    #[must_use]
    pub fn answer(&self, job: &[u8], options: &CallOptions) -> (i32, Document) {
        let call = hp_call(options);
        // SAFETY: job, struct and options live until the call returns.
        let reply = unsafe {
            self.module.run_job_typed()(job.as_ptr(), job.len(), (&raw const call).cast())
        };
        (reply.status, Document::vector(reply.document))
    }

    /// Asks every job under that id to stop; whether there was one.
    #[must_use]
    pub fn cancel_job(&self, id: &str) -> bool {
        // SAFETY: the id lives until the call returns.
        unsafe { self.module.cancel_job()(id.as_ptr(), id.len()) == DONE }
    }

    /// Asks whether a cluster can be worked with: the job document's `cluster` object. Blocks.
    ///
    /// # Errors
    /// What a job on that cluster would fail with.
    pub fn check_health(&self, cluster: &[u8], options: &CallOptions) -> Result<Document, Error> {
        let call = hp_call(options);
        self.with_buffer(|out| {
            // SAFETY: cluster, struct and options live until the call returns.
            unsafe {
                self.module.check_health()(
                    cluster.as_ptr(),
                    cluster.len(),
                    (&raw const call).cast(),
                    out,
                )
            }
        })
    }

    /// Closes the plugin: jobs under way have `within` to finish, then they are cancelled. Closing what is closed is fine.
    ///
    /// # Errors
    /// Where jobs did not stop, or the plugin could not end in order.
    pub fn close(&self, within: Duration) -> Result<(), Error> {
        let within_ms = u64::try_from(within.as_millis()).unwrap_or(u64::MAX);
        // SAFETY: `out` is a buffer of ours.
        self.with_buffer(|out| unsafe { self.module.plugin_close()(within_ms, out) })
            .map(drop)
    }

    /// Makes a call that writes a buffer; the document stays in it.
    pub(super) fn with_buffer(
        &self,
        call: impl FnOnce(*mut HpBuffer) -> i32,
    ) -> Result<Document, Error> {
        let mut buffer = HpBuffer::EMPTY;
        let status = call(&raw mut buffer);
        // SAFETY: the buffer came from this very library.
        outcome(status, unsafe {
            Document::buffer(buffer, self.module.free_buffer())
        })
    }
}

/// Reads `plugin_info` by its plain symbol, before anything of `abi_stable`'s is looked at, and looks up what came after ABI 1.0.
fn read_symbols(path: &Path) -> Result<(Info, Option<StartFn>), LoadError> {
    // RTLD_NOW: a symbol that no library has is an error here, not a crash in a job.
    // SAFETY: this runs the library's constructors. The host decided to trust the file before (its `verify` step).
    let library = unsafe { unix::Library::open(Some(path), unix::RTLD_NOW | unix::RTLD_LOCAL) }
        .map_err(|error| LoadError::Open {
            path: path.to_owned(),
            reason: error.to_string(),
        })?;
    // Never unloaded, also where it is refused: its constructors have run.
    let library = ManuallyDrop::new(library);
    // SAFETY: the symbol's type is fixed by the contract, section 5.
    let plugin_info =
        unsafe { library.get::<extern "C" fn() -> *const types_1_0::HpInfo>(b"plugin_info\0") }
            .map_err(|_| LoadError::NoSymbol {
                path: path.to_owned(),
                symbol: "plugin_info",
            })?;
    // SAFETY: what the library hands out is static.
    let info = unsafe { checked_info(plugin_info()) }?;
    // SAFETY: the symbol's type is fixed by the contract, section 5. A library of ABI 1.0 has none.
    let start_job = unsafe { library.get::<StartFn>(b"start_job\0") }
        .ok()
        .filter(|_| info.abi_minor >= 1)
        .map(|symbol| *symbol);
    Ok((info, start_job))
}

/// # Safety
/// `info` is null or leads to a static struct of at least its `struct_size` bytes, its texts NUL-terminated.
unsafe fn checked_info(pointer: *const types_1_0::HpInfo) -> Result<Info, LoadError> {
    let handshake = |reason: String| LoadError::Handshake { reason };
    if pointer.is_null() {
        return Err(handshake("it is null".to_owned()));
    }
    // SAFETY: not null; magic and size are the first two words in every version.
    let (magic, struct_size) = unsafe { ((*pointer).magic, (*pointer).struct_size) };
    if magic != HEIMDALL_PLUGIN_MAGIC {
        return Err(handshake(format!(
            "its magic is {magic:#010x}, not {HEIMDALL_PLUGIN_MAGIC:#010x}"
        )));
    }
    if (struct_size as usize) < size_of::<types_1_0::HpInfo>() {
        return Err(handshake(format!(
            "its struct_size is {struct_size}, less than {}",
            size_of::<types_1_0::HpInfo>()
        )));
    }
    // SAFETY: the struct is large enough.
    let info = unsafe { &*pointer };
    if info.abi_major != ABI_MAJOR {
        return Err(LoadError::AbiVersion {
            major: info.abi_major,
            minor: info.abi_minor,
        });
    }
    let read = |text, what| {
        // SAFETY: the texts are NUL-terminated or null.
        unsafe { text_of(text) }
            .ok_or_else(|| handshake(format!("its {what} is null or not UTF-8")))
    };
    let name = read(info.name, "name")?;
    if name.is_empty() {
        return Err(handshake("its name is empty".to_owned()));
    }
    Ok(Info {
        name,
        version: read(info.version, "version")?,
        features: read(info.features, "features")?
            .split_whitespace()
            .map(str::to_owned)
            .collect(),
        abi_minor: info.abi_minor,
        errors: if (struct_size as usize) < size_of::<HpInfo>() {
            Vec::new()
        } else {
            // SAFETY: the struct is large enough for the field that ABI 1.1 added; its text is NUL-terminated or null.
            errors_of(unsafe { text_of((*pointer.cast::<HpInfo>()).errors) })
        },
    })
}

/// The codes of a library's list. A list that is not understood says nothing, and an entry that is not leaves the others: the library
/// may be newer.
fn errors_of(json: Option<String>) -> Vec<ErrorInfo> {
    let entries: Vec<serde_json::Value> = json
        .and_then(|json| serde_json::from_str(&json).ok())
        .unwrap_or_default();
    entries
        .into_iter()
        .filter_map(|entry| serde_json::from_value(entry).ok())
        .collect()
}

/// # Safety
/// `text` is null or NUL-terminated.
unsafe fn text_of(text: *const c_char) -> Option<String> {
    if text.is_null() {
        return None;
    }
    // SAFETY: the caller's promise.
    unsafe { CStr::from_ptr(text) }
        .to_str()
        .ok()
        .map(str::to_owned)
}

fn header_error(path: &Path, error: &LibraryError) -> LoadError {
    match error {
        LibraryError::GetSymbolError { .. } => LoadError::NoSymbol {
            path: path.to_owned(),
            symbol: "_1as_0lib_1header_0root_bmodule_bloader",
        },
        LibraryError::OpenError { err, .. } => LoadError::Open {
            path: path.to_owned(),
            reason: err.to_string(),
        },
        other => LoadError::Layout {
            dump: other.to_string(),
        },
    }
}

/// # Safety
/// The library calls it with the `user` that `open` gave it, a NUL-terminated `target` and `len` bytes of `message`, which stay until this
/// returns (contract, section 5).
unsafe extern "C" fn log_line(
    user: *mut c_void,
    level: i32,
    target: *const c_char,
    message: *const u8,
    len: usize,
) {
    // SAFETY: by the library's promise `user` is the sink that `open` passed, which is leaked, and the texts are there.
    let (sink, target, message) = unsafe {
        (
            &*user.cast::<LogSink>(),
            text_of(target),
            std::slice::from_raw_parts(message, len),
        )
    };
    // A panic must not unwind into the plugin.
    let _ = catch_unwind(AssertUnwindSafe(|| {
        sink(
            Level::from_number(level),
            &target.unwrap_or_default(),
            &String::from_utf8_lossy(message),
        );
    }));
}
