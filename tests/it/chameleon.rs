//! A registry over a directory of its own, and the fixture library in any version and behaviour: what `swap` and `zoo` share.

#![expect(
    clippy::unwrap_used,
    reason = "a helper that fails fails the test that called it"
)]

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::{Arc, Mutex, OnceLock},
    thread,
    time::{Duration, Instant},
};

use harness_tests::{host, library};
use plugin_host::{
    CallOptions,
    registry::{PluginState, PluginStatus, Registry, RegistryOptions},
};
use serde_json::Value;
use tempfile::TempDir;

/// How long anything may take before a test gives up on it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// The fixture's bytes as version `777.0.<number>`, with one of its behaviours.
pub(crate) fn chameleon(number: u32, behaviour: &str) -> Vec<u8> {
    static BUILT: OnceLock<Vec<u8>> = OnceLock::new();
    let mut bytes = BUILT
        .get_or_init(|| slim(&library("chameleon_plugin")))
        .clone();
    overwrite(&mut bytes, b"777.0.100", &version(number));
    let word = b"chameleon:good            ";
    let replacement = format!(
        "{:<width$}",
        format!("chameleon:{behaviour}"),
        width = word.len()
    );
    overwrite(&mut bytes, word, &replacement);
    bytes
}

/// A library without its debug information: the tests copy it hundreds of times.
pub(crate) fn slim(library: &Path) -> Vec<u8> {
    let dir = TempDir::new().unwrap();
    let slim = dir.path().join("slim.so");
    let status = Command::new("strip")
        .arg("-o")
        .arg(&slim)
        .arg(library)
        .status()
        .expect("strip comes with the linker");
    assert!(status.success());
    fs::read(slim).unwrap()
}

pub(crate) fn version(number: u32) -> String {
    assert!((100..1000).contains(&number), "three digits");
    format!("777.0.{number}")
}

/// Puts `new` over every `old` in a file's bytes.
pub(crate) fn overwrite(bytes: &mut [u8], old: &[u8], new: &str) {
    assert_eq!(old.len(), new.len());
    let positions: Vec<usize> = memchr::memmem::find_iter(bytes, old).collect();
    assert!(!positions.is_empty(), "{new} is not in the fixture");
    for at in positions {
        bytes[at..at + new.len()].copy_from_slice(new.as_bytes());
    }
}

/// A plugin directory and the registry over it.
pub(crate) struct Stage {
    pub(crate) registry: Arc<Registry>,
    lines: Arc<Mutex<Vec<String>>>,
    dir: TempDir,
}

impl Stage {
    /// With version 777.0.100 in place, unwatched, files taken at once.
    pub(crate) fn new() -> Self {
        Self::with(|_| {})
    }

    pub(crate) fn with(change: impl FnOnce(&mut RegistryOptions)) -> Self {
        Self::over(chameleon(100, "good"), change)
    }

    /// With these bytes as the first library.
    pub(crate) fn over(first: Vec<u8>, change: impl FnOnce(&mut RegistryOptions)) -> Self {
        let dir = TempDir::new().unwrap();
        let lines = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&lines);
        let mut options = RegistryOptions::new(
            dir.path(),
            Arc::new(move |_, target, line| {
                sink.lock().unwrap().push(format!("{target}: {line}"));
            }),
        );
        options.probe = host();
        options.watch = false;
        options.settle = Duration::ZERO;
        // A machine that builds and tests at once is slow.
        options.probe_limit = PATIENCE;
        change(&mut options);
        write(dir.path(), "first.so", &first);
        let registry = Registry::open(options).unwrap();
        Self {
            registry,
            lines,
            dir,
        }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Puts a file into the directory in one step.
    pub(crate) fn put(&self, name: &str, bytes: &[u8]) {
        write(self.dir.path(), name, bytes);
    }

    pub(crate) fn remove(&self, name: &str) {
        fs::remove_file(self.path(name)).unwrap();
    }

    /// Runs a job on whatever is active; the version that answers.
    pub(crate) fn ask(&self) -> String {
        let lease = self.registry.lease("chameleon", None).unwrap();
        let document = lease.run_job(b"{}", &CallOptions::default()).unwrap();
        let answer: Value = serde_json::from_slice(&document).unwrap();
        assert_eq!(answer["version"], lease.version().to_string());
        lease.version().to_string()
    }

    /// The row of a version.
    pub(crate) fn row(&self, number: u32) -> PluginStatus {
        let version = version(number);
        self.registry
            .list()
            .into_iter()
            .find(|row| row.version.as_ref() == Some(&version))
            .unwrap_or_else(|| panic!("{version} is not listed"))
    }

    pub(crate) fn state(&self, number: u32) -> PluginState {
        self.row(number).state
    }

    /// The lines of the log with that text.
    pub(crate) fn logged(&self, text: &str) -> usize {
        let lines = self.lines.lock().unwrap();
        lines.iter().filter(|line| line.contains(text)).count()
    }

    pub(crate) fn wait_for(&self, what: &str, condition: impl Fn(&Self) -> bool) {
        let until = Instant::now() + PATIENCE;
        while !condition(self) {
            assert!(
                Instant::now() < until,
                "{what} did not come; {:#?}\n{:#?}",
                self.registry.list(),
                self.lines.lock().unwrap().iter().rev().take(20)
            );
            thread::sleep(Duration::from_millis(1));
        }
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.registry.close(Duration::ZERO);
    }
}

fn write(dir: &Path, name: &str, bytes: &[u8]) {
    let hidden = dir.join(format!(".{name}"));
    fs::write(&hidden, bytes).unwrap();
    fs::rename(hidden, dir.join(name)).unwrap();
}
