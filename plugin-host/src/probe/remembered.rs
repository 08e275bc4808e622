//! What earlier processes of this user learned by trying libraries: a file for each library that passed.
//!
//! In: a directory of the user's own, and a library's digest. Out: what the library said of itself when this very program tried it.
//!
//! This memory is a convenience: whatever cannot be read or written, could have been written by somebody else, or comes from another
//! program is as good as absent, and the library is tried again. It never says that a library may be loaded: owner, mode, digest,
//! signature and structure are checked each time.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::Read,
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
    time::SystemTime,
};

use rustix::fs::OFlags;
use serde::{Deserialize, Serialize};
use tempfile::NamedTempFile;

use super::ProbeReport;
use crate::verify::{Digest, FileStamp, is_own};

/// So many libraries are remembered; of more, those that were tried last.
const MAX_FILES: usize = 16;
/// No report is larger.
const MAX_BYTES: u64 = 1 << 20;

/// The directory, and the program whose results are in it.
#[derive(Debug)]
pub(super) struct RememberedReports {
    directory: PathBuf,
    program: String,
}

#[derive(Serialize, Deserialize)]
struct Remembered {
    /// The program that tried the library, as its file looked.
    program: String,
    report: ProbeReport,
}

impl RememberedReports {
    /// The memory in a directory, which is made where it is missing; `None` where others could write to it, or where it would be made in
    /// a directory of somebody else, such as the home of whoever uses `sudo`.
    pub(super) fn open(directory: &Path, program: &Path) -> Option<Self> {
        let existing = directory
            .ancestors()
            .find_map(|path| fs::metadata(path).ok())?;
        if existing.uid() != rustix::process::geteuid().as_raw() {
            return None;
        }
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(directory)
            .ok()?;
        let directory = directory.canonicalize().ok()?;
        if !is_own(&File::open(&directory).ok()?, &directory) {
            return None;
        }
        let program = FileStamp::of(&fs::metadata(program).ok()?);
        Some(Self {
            directory,
            program: format!("{program:?}"),
        })
    }

    pub(super) fn get(&self, digest: Digest) -> Option<ProbeReport> {
        let path = self.path(digest);
        let file = OpenOptions::new()
            .read(true)
            .custom_flags((OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed())
            .open(&path)
            .ok()?;
        if !is_own(&file, &path) {
            return None;
        }
        let mut text = String::new();
        file.take(MAX_BYTES).read_to_string(&mut text).ok()?;
        let remembered: Remembered = serde_json::from_str(&text).ok()?;
        (remembered.program == self.program).then_some(remembered.report)
    }

    pub(super) fn put(&self, digest: Digest, report: &ProbeReport) {
        let remembered = Remembered {
            program: self.program.clone(),
            report: report.clone(),
        };
        // Whole or not at all: another process may be reading it.
        let Ok(mut file) = NamedTempFile::new_in(&self.directory) else {
            return;
        };
        if serde_json::to_writer(&mut file, &remembered).is_ok() {
            let _ = file.persist(self.path(digest));
        }
        self.forget_oldest();
    }

    fn forget_oldest(&self) {
        let entries = fs::read_dir(&self.directory)
            .into_iter()
            .flatten()
            .flatten();
        let mut files: Vec<(SystemTime, PathBuf)> = entries
            .filter_map(|entry| Some((entry.metadata().ok()?.modified().ok()?, entry.path())))
            .collect();
        files.sort();
        for (_, path) in files.iter().rev().skip(MAX_FILES) {
            let _ = fs::remove_file(path);
        }
    }

    fn path(&self, digest: Digest) -> PathBuf {
        self.directory.join(format!("{digest}.json"))
    }
}

#[cfg(test)]
mod tests {
    use std::{fs::Permissions, os::unix::fs::PermissionsExt};

    use super::*;

    fn report(version: &str) -> ProbeReport {
        ProbeReport {
            name: "echo".to_owned(),
            version: version.to_owned(),
            features: vec!["cancel".to_owned()],
            errors: Vec::new(),
            thread_keys: Some(1),
            threads_left: 0,
        }
    }

    fn digest(byte: u8) -> Digest {
        format!("{byte:02x}").repeat(32).parse().unwrap()
    }

    fn opened(directory: &Path) -> Option<RememberedReports> {
        RememberedReports::open(directory, Path::new("/proc/self/exe"))
    }

    #[test]
    fn a_later_process_of_the_same_program_knows_what_an_earlier_one_tried() {
        let home = tempfile::tempdir().unwrap();
        let directory = home.path().join("cache/probes");
        opened(&directory).unwrap().put(digest(1), &report("1.0.0"));
        let later = opened(&directory).unwrap();
        assert_eq!(later.get(digest(1)), Some(report("1.0.0")));
        assert_eq!(later.get(digest(2)), None);
        let mode = fs::metadata(&directory).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
        let other_program = RememberedReports::open(&directory, Path::new("/bin/true")).unwrap();
        assert_eq!(other_program.get(digest(1)), None);
    }

    #[test]
    fn what_others_could_have_written_is_not_believed() {
        let home = tempfile::tempdir().unwrap();
        let reports = opened(home.path()).unwrap();
        reports.put(digest(1), &report("1.0.0"));
        let file = reports.path(digest(1));
        fs::set_permissions(&file, Permissions::from_mode(0o666)).unwrap();
        assert_eq!(reports.get(digest(1)), None);
        fs::set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
        std::os::unix::fs::symlink(&file, reports.path(digest(2))).unwrap();
        assert_eq!(reports.get(digest(2)), None);
        assert!(reports.get(digest(1)).is_some());
        fs::set_permissions(home.path(), Permissions::from_mode(0o777)).unwrap();
        assert!(opened(home.path()).is_none());
    }

    #[test]
    fn nothing_is_made_in_a_directory_of_somebody_else() {
        if !rustix::process::geteuid().is_root() {
            // Nobody else can give a directory away.
            return;
        }
        let home = tempfile::tempdir().unwrap();
        std::os::unix::fs::chown(home.path(), Some(65534), None).unwrap();
        let directory = home.path().join("heimdall-host");
        assert!(opened(&directory).is_none() && !directory.exists());
    }

    #[test]
    fn a_file_that_is_damaged_is_as_good_as_absent() {
        let home = tempfile::tempdir().unwrap();
        let reports = opened(home.path()).unwrap();
        for text in ["", "{", "[]", "{\"program\":\"\",\"report\":null}"] {
            fs::write(reports.path(digest(1)), text).unwrap();
            assert_eq!(reports.get(digest(1)), None, "{text}");
        }
    }

    #[test]
    fn no_more_than_sixteen_libraries_are_remembered() {
        let home = tempfile::tempdir().unwrap();
        let reports = opened(home.path()).unwrap();
        for byte in 0..20 {
            reports.put(digest(byte), &report("1.0.0"));
        }
        assert_eq!(fs::read_dir(home.path()).unwrap().count(), MAX_FILES);
    }
}
