//! For authors' tests: one plugin, reached in every way that a host has.
//!
//! In: the plugin linked into the test and the library that cargo built of it. Out: the author's closure has run four times.
//! A plugin that works linked but not loaded (a symbol, a static, a thread that outlives its close) shows here first.

use std::{
    env, fmt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Arc,
    time::Duration,
};

use plugin_api::{Error, abi::PluginModuleRef};
use serde::Deserialize;

use crate::{
    CallOptions, Document, Library,
    registry::{Registry, RegistryError, RegistryOptions},
};

/// How long [`in_every_way`] gives a plugin to close.
const CLOSE_WITHIN: Duration = Duration::from_secs(10);

/// One way to a plugin.
#[derive(Debug)]
pub struct Way {
    /// The plugin, open. For all but `run_job`, which has an entry point of its own.
    pub library: Library,
    by_c: bool,
    loaded: bool,
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.loaded { "loaded" } else { "linked" })?;
        f.write_str(if self.by_c {
            ", through the C entry points"
        } else {
            ", through the Rust entry points"
        })
    }
}

impl Way {
    /// Runs one job this way.
    ///
    /// # Errors
    /// The job's own error.
    pub fn run_job(&self, job: &str, options: &CallOptions) -> Result<Document, Error> {
        if self.by_c {
            self.library.run_job_by_c(job.as_bytes(), options)
        } else {
            self.library.run_job(job.as_bytes(), options)
        }
    }
}

/// Runs `test` against the plugin linked in and loaded, through the Rust entry points and the C entry points; opened before and closed after each.
///
/// `linked` is what `export_plugin!` made in the crate under test, `file` its built library: see [`build_library`]. A library holds
/// one plugin, so tests of one process that call this for the same plugin must not run at once: make them one test.
///
/// # Panics
/// Where the library does not load, open or close; the test's own panics are said to be of this way on stderr.
pub fn in_every_way(linked: PluginModuleRef, file: &Path, test: impl Fn(&Way)) {
    let linked = Library::linked(linked, None).unwrap_or_else(|error| panic!("{error}"));
    let loaded = Library::load(file, None).unwrap_or_else(|error| panic!("{error}"));
    for (library, loaded) in [(linked, false), (loaded, true)] {
        for by_c in [false, true] {
            let way = Way {
                library: library.clone(),
                by_c,
                loaded,
            };
            eprintln!("in_every_way: {way}");
            way.library
                .open("{}")
                .unwrap_or_else(|error| panic!("{way}: open: {error}"));
            test(&way);
            way.library
                .close(CLOSE_WITHIN)
                .unwrap_or_else(|error| panic!("{way}: close: {error}"));
        }
    }
}

/// A registry that has a plugin linked into this program in service, for tests of a host. `library` must be open; it is never closed, so
/// that several registries may have it.
///
/// # Errors
/// There is no place for the private copies.
pub fn registry_of_linked(
    library: Library,
    options: RegistryOptions,
) -> Result<Arc<Registry>, RegistryError> {
    Registry::of_linked(library, options)
}

/// Has cargo build the package in `package_dir` (a test's `env!("CARGO_MANIFEST_DIR")`) and gives the file of its `cdylib`.
///
/// `more` goes to `cargo build` as it is, for example `["--release"]`; without, the library of the development profile is built.
///
/// # Panics
/// Where it does not build, or builds no `cdylib`.
#[must_use]
pub fn build_library(package_dir: &str, more: &[&str]) -> PathBuf {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["build", "--message-format=json-render-diagnostics"])
        .args(more)
        .current_dir(package_dir)
        .stderr(Stdio::inherit())
        .output()
        .unwrap_or_else(|error| panic!("cargo does not run: {error}"));
    assert!(output.status.success(), "{package_dir} does not build");
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter_map(|line| serde_json::from_str::<Artifact>(line).ok())
        .filter(|artifact| {
            Path::new(&artifact.manifest_path).parent() == Some(Path::new(package_dir))
                && artifact.target.crate_types.iter().any(|kind| kind == "cdylib")
        })
        .flat_map(|artifact| artifact.filenames)
        .find(|file| file.extension().is_some_and(|kind| kind == env::consts::DLL_EXTENSION))
        .unwrap_or_else(|| panic!("{package_dir} builds no cdylib: its Cargo.toml wants [lib] crate-type = [\"cdylib\"]"))
}

/// Of cargo's messages, what tells where a library was put.
#[derive(Deserialize)]
struct Artifact {
    manifest_path: String,
    target: Target,
    filenames: Vec<PathBuf>,
}

#[derive(Deserialize)]
struct Target {
    crate_types: Vec<String>,
}
