//! The directory into files and loaded versions: what is new is checked, tried, loaded; what is gone is forgotten.
//!
//! A file is examined once and again only when it changed. A file whose new bytes are refused goes on backing the version that
//! its former bytes carried, so that a bad copy over a good one takes nothing out of service.

use std::{
    fs, io,
    path::Path,
    sync::{Mutex, PoisonError, atomic::AtomicU64, mpsc},
    thread,
    time::{Instant, SystemTime},
};

use plugin_api::Level;

use super::{
    IsolationMode, RegistryError,
    state::{Core, FileRecord, LoadedVersion, Phase, ServiceRole, State, Version},
};
use crate::{
    instance::Instance,
    load,
    probe::{self, ProbeFailure, ProbeReport},
    refusal::Refusal,
    verify::{self, Digest, DirectoryError, FileFingerprint, Sums, elf},
    watch::Watch,
    worker::Worker,
};

/// How many files are examined at once: one that hangs must not keep the others waiting.
const AT_ONCE: usize = 4;

/// How many file handles must be free before a library is loaded: connections, files of jobs and the probe need some.
const FILE_FLOOR: u64 = 64;

/// A file to examine.
struct FileToExamine {
    name: String,
    fingerprint: FileFingerprint,
    arrived: u64,
}

/// What came of it.
struct ExaminedFile {
    fresh: FileToExamine,
    digest: Option<Digest>,
    outcome: Result<Examination, ProbeFailure>,
}

enum Examination {
    Loaded(usize),
    New(Box<Version>),
    /// It is a plugin of that name, which this registry does not serve.
    LeftOut(String),
}

impl Core {
    /// Looks at the directory and puts in force what follows from it. Where an operator `asked`, refused files are looked at
    /// again although they are the same: what they lacked may be there now.
    pub(super) fn rescan(&self, asked: bool) -> Result<(), RegistryError> {
        let _changing = self.lock_changes().ok_or(RegistryError::Closed)?;
        let dir = verify::directory(&self.options.plugin_dir, &self.options.trusted_directories)?;
        let unreadable = |source| DirectoryError::Unreadable {
            path: dir.clone(),
            source,
        };
        let sums = Sums::read(
            &dir,
            &self.options.trusted_directories,
            self.options.public_key.as_ref(),
        );
        let present = list(&dir, &sums).map_err(unreadable)?;
        let names: Vec<String> = present.iter().map(|(name, _)| name.clone()).collect();
        let fresh = self.fresh(present, asked);
        let anything_new = !fresh.is_empty();
        self.examine_all(fresh, &dir, &sums);

        let mut state = self.lock();
        let before = state.files.len();
        // Last, so that a renamed file is never without a version in between.
        let State { files, loaded, .. } = &mut *state;
        files.retain(|name, file| {
            let linked = file
                .backs
                .is_some_and(|index| loaded[index].version.instance.is_linked());
            linked || names.contains(name)
        });
        let anything_gone = state.files.len() < before;
        drop(state);
        if anything_new || anything_gone {
            self.switch();
            let state = self.lock();
            let loaded: Vec<Digest> = state
                .loaded
                .iter()
                .map(|loaded| loaded.version.digest)
                .collect();
            drop(state);
            self.copies.keep_only(&loaded);
        }
        Ok(())
    }

    /// Looks whenever the directory changes, until the registry is closed. Runs on a thread of its own.
    pub(super) fn watch(&self) {
        let warn = |line: &str| self.log(Level::Warn, line);
        let mut watch = Watch::start(&self.options.plugin_dir, self.options.poll, warn);
        let mut trouble = String::new();
        while !self.lock().closed {
            if !watch.due() {
                continue;
            }
            let said = self.rescan(false).err().map(|error| error.to_string());
            watch.looked();
            let said = said.unwrap_or_default();
            // Once, not at every poll.
            if said != trouble && !said.is_empty() && !self.lock().closed {
                self.log(Level::Error, &said);
            }
            trouble = said;
        }
    }

    /// Those that are new, changed, or refused for a cause that may have passed.
    fn fresh(&self, present: Vec<(String, FileFingerprint)>, asked: bool) -> Vec<FileToExamine> {
        let mut state = self.lock();
        let mut fresh = Vec::new();
        for (name, fingerprint) in present {
            let same = state.files.get(&name).is_some_and(|file| {
                let left_out = file.left_out.as_ref();
                file.fingerprint == fingerprint
                    && !left_out.is_some_and(|name| state.names.includes(name))
                    && file
                        .refusal
                        .as_ref()
                        .is_none_or(|refusal| !asked && !refusal.code.may_pass())
            });
            if !same {
                state.arrivals += 1;
                fresh.push(FileToExamine {
                    name,
                    fingerprint,
                    arrived: state.arrivals,
                });
            }
        }
        fresh
    }

    fn examine_all(&self, fresh: Vec<FileToExamine>, dir: &Path, sums: &Sums) {
        // The first time nothing serves yet, and one switch at the end spares opening what the next file replaces.
        let at_once = !self.lock().serving.is_empty();
        let workers = fresh.len().min(AT_ONCE);
        let last = fresh.len();
        let queue = Mutex::new(fresh.into_iter());
        let (done, examined) = mpsc::channel();
        thread::scope(|scope| {
            for _ in 0..workers {
                let (queue, done) = (&queue, done.clone());
                scope.spawn(move || {
                    loop {
                        let next = queue.lock().unwrap_or_else(PoisonError::into_inner).next();
                        let Some(fresh) = next else { return };
                        let examined = self.examine(fresh, dir, sums);
                        if done.send(examined).is_err() {
                            return;
                        }
                    }
                });
            }
            drop(done);
            for (nth, examined) in examined.into_iter().enumerate() {
                self.enter(examined);
                if at_once && nth + 1 < last {
                    self.switch();
                }
            }
        });
    }

    /// Every step from a file to a loaded version. Takes as long as it takes; no lock is held.
    fn examine(&self, fresh: FileToExamine, dir: &Path, sums: &Sums) -> ExaminedFile {
        let started = Instant::now();
        let mut digest = None;
        let mut fingerprint = fresh.fingerprint.clone();
        let outcome = (|| {
            let path = dir.join(&fresh.name);
            fingerprint = verify::settled(&path, sums, self.options.settle)?;
            let verified = verify::take(&path, &self.copies, &self.options.trusted_directories)?;
            digest = Some(verified.digest);
            sums.check(&fresh.name, &verified.digest)?;
            let state = self.lock();
            if let Some(index) = state.index_of(&verified.digest) {
                return Ok(Examination::Loaded(index));
            }
            if let Some(refusal) = state.bad.get(&verified.digest) {
                return Err(ProbeFailure::from(refusal.clone()));
            }
            drop(state);
            elf::check(&verified.copy)?;
            load::ensure_files(FILE_FLOOR)?;
            let report = self.options.probed.once(verified.digest, || {
                probe::run(
                    &self.options.probe,
                    &verified.copy,
                    self.options.probe_limit,
                )
            })?;
            if !self.lock().names.includes(&report.name) {
                return Ok(Examination::LeftOut(report.name));
            }
            let (instance, version) = self.instance(&report, &verified.copy)?;
            self.log(
                Level::Info,
                &format!(
                    "loaded {} {version} from {} in {} ms (sha256 {})",
                    report.name,
                    fresh.name,
                    started.elapsed().as_millis(),
                    verified.digest
                ),
            );
            Ok(Examination::New(Box::new(Version {
                name: report.name,
                version,
                digest: verified.digest,
                instance,
                copy: verified.copy,
                loaded_at: SystemTime::now(),
                thread_keys: report.thread_keys,
                running: AtomicU64::new(0),
            })))
        })();
        ExaminedFile {
            fresh: FileToExamine {
                fingerprint,
                ..fresh
            },
            digest,
            outcome,
        }
    }

    /// The version behind a library that passed its probe, in the process where this registry runs them.
    fn instance(
        &self,
        report: &ProbeReport,
        copy: &Path,
    ) -> Result<(Instance, semver::Version), Refusal> {
        let log = self.options.log.clone();
        match &self.options.isolation {
            IsolationMode::InProcess => {
                load::ensure_keys(self.options.key_floor)?;
                let (library, version) = load::library(copy, Some(log))?;
                Ok((Instance::InProcess(library), version))
            }
            IsolationMode::Worker(options) => {
                let version = load::version(&report.version)?;
                let label = format!("{} {version}", report.name);
                let worker = Worker::new(options.clone(), copy.to_owned(), label, log);
                Ok((Instance::Worker(worker), version))
            }
        }
    }

    /// Notes what came of a file. What serves changes only with the next switch.
    fn enter(&self, examined: ExaminedFile) {
        let ExaminedFile {
            fresh,
            digest,
            outcome,
        } = examined;
        let mut state = self.lock();
        let before = state.files.remove(&fresh.name);
        let mut record = FileRecord {
            fingerprint: fresh.fingerprint,
            digest,
            backs: None,
            refusal: None,
            says: None,
            left_out: None,
            arrived: fresh.arrived,
        };
        let mut to_log = None;
        match outcome {
            Ok(Examination::LeftOut(name)) => record.left_out = Some(name),
            Ok(Examination::Loaded(index)) => record.backs = Some(index),
            Ok(Examination::New(version)) => {
                // Two files with the same bytes may have been examined at once.
                let index = state.index_of(&version.digest).unwrap_or_else(|| {
                    state
                        .loaded
                        .push(LoadedVersion::new(*version, fresh.name.clone()));
                    state.loaded.len() - 1
                });
                record.backs = Some(index);
            }
            Err(failure) => {
                let ProbeFailure { mut refusal, says } = failure;
                let detail = refusal.detail.take();
                // What is looked at again and again is said once.
                let said = before.as_ref().is_some_and(|before| {
                    before.digest == digest && before.refusal.as_ref() == Some(&refusal)
                });
                if !said {
                    to_log = Some(Refusal {
                        detail,
                        ..refusal.clone()
                    });
                }
                if let Some(digest) = digest.filter(|_| refusal.code.lies_in_the_bytes()) {
                    state.bad.insert(digest, refusal.clone());
                }
                record.refusal = Some(refusal);
                record.says = says;
                if let Some(before) = before {
                    record.backs = before.backs;
                    // What it backs came when it came.
                    record.arrived = before.arrived;
                }
            }
        }
        state.files.insert(fresh.name.clone(), record);
        drop(state);
        if let Some(mut refusal) = to_log {
            self.log_refusal(&fresh.name, &mut refusal);
        }
    }
}

impl LoadedVersion {
    pub(super) fn new(version: Version, file: String) -> Self {
        Self {
            version: std::sync::Arc::new(version),
            file,
            role: ServiceRole::Retired,
            phase: Phase::Closed,
            leases: 0,
            since: Instant::now(),
            by_file: false,
            residue: None,
            trouble: None,
        }
    }
}

/// The libraries of the directory, oldest first, as a user would have copied them.
fn list(dir: &Path, sums: &Sums) -> io::Result<Vec<(String, FileFingerprint)>> {
    let mut present = Vec::new();
    for entry in fs::read_dir(dir)? {
        // A name that is not UTF-8 cannot be shown; nobody installs one.
        let Ok(name) = entry?.file_name().into_string() else {
            continue;
        };
        if name.ends_with(".so") && !name.starts_with('.') {
            let fingerprint = FileFingerprint::at(&dir.join(&name), sums);
            present.push((name, fingerprint));
        }
    }
    present.sort_by(|a, b| (a.1.modified(), &a.0).cmp(&(b.1.modified(), &b.0)));
    Ok(present)
}
