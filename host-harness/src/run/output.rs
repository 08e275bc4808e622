//! Where the rows go: standard output, or a file that is written whole or not at all.
//!
//! All that can be wrong with it is found before the query runs.

use std::{
    fs::{self, File, Permissions},
    io::{self, Write},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use results::{Format, Options};
use tempfile::{NamedTempFile, TempPath};

use super::{args::OutputArgs, report::Report};
use crate::terminal::Terminal;

/// Names of standard output. Behind a device's name there may be a file, which others write to as well and which must not be replaced.
const STDOUT: [&str; 3] = ["-", "/dev/stdout", "/dev/fd/1"];

/// Where and how the rows are written.
pub(crate) struct Output {
    pub(crate) format: Format,
    /// Whether the user chose the format.
    pub(crate) is_chosen: bool,
    pub(crate) options: Options,
    /// Whether the rows appear on a terminal.
    pub(crate) is_terminal: bool,
    target: Target,
    named: Option<PathBuf>,
}

enum Target {
    Stdout,
    /// A device or a pipe, which no file can replace.
    InPlace(File),
    /// Written beside the file, and renamed to it in the end.
    Replacement {
        file: File,
        path: TempPath,
        replaces: PathBuf,
    },
}

impl Output {
    /// Settles format and destination, and opens the latter.
    ///
    /// # Errors
    /// What is wrong with it, as a sentence.
    pub(crate) fn open(args: &OutputArgs, report: &Report) -> Result<Self, String> {
        let path = args
            .output
            .as_deref()
            .filter(|path| !STDOUT.iter().any(|name| *path == Path::new(name)));
        let terminal = Terminal::stdout();
        let is_terminal = path.is_none() && terminal.is_terminal;
        let chosen = chosen_format(args.format, path);
        let default = if is_terminal {
            Format::Table
        } else {
            Format::Json
        };
        let format = chosen.unwrap_or(default);
        if is_terminal && format.is_binary() {
            return Err(format!(
                "{} is not for a terminal; name a file with --output, or redirect standard output",
                format.name()
            ));
        }
        let target = match path {
            None => Target::Stdout,
            Some(path) => Target::open(path)
                .map_err(|error| format!("cannot write {}: {error}", path.display()))?,
        };
        let ending = path.and_then(Path::extension);
        if let (None, Some(ending), true) = (chosen, ending, report.is_interactive()) {
            report.note(&format!(
                "no format has the ending .{}; what is written is JSON (--format chooses another)",
                ending.display()
            ));
        }
        Ok(Self {
            format,
            is_chosen: chosen.is_some(),
            options: Options {
                csv_safe: args.csv_safe,
                header: !args.no_header,
                pretty: is_terminal,
                width: is_terminal.then(|| terminal.width.unwrap_or(80)),
                color: is_terminal && terminal.color,
            },
            is_terminal,
            target,
            named: path.map(Path::to_owned),
        })
    }

    /// Takes the rows' bytes.
    ///
    /// # Errors
    /// The system has no further file descriptor.
    pub(crate) fn writer(&self) -> io::Result<Box<dyn Write + Send>> {
        match &self.target {
            Target::Stdout => Ok(Box::new(io::stdout())),
            Target::InPlace(file) | Target::Replacement { file, .. } => {
                Ok(Box::new(file.try_clone()?))
            }
        }
    }

    /// A folder for rows that must be stored before they can be written: beside the file, where there is room for it.
    pub(crate) fn spool_folder(&self) -> PathBuf {
        match &self.target {
            Target::Replacement { replaces, .. } => folder_of(replaces).to_owned(),
            _ => std::env::temp_dir(),
        }
    }

    /// The file takes its place, now that it is whole.
    ///
    /// # Errors
    /// It cannot, as a sentence; the old file is then still there.
    pub(crate) fn commit(self) -> Result<(), String> {
        let Target::Replacement {
            file,
            path,
            replaces,
        } = self.target
        else {
            return Ok(());
        };
        let committed = file
            .sync_all()
            .and_then(|()| path.persist(&replaces).map_err(|error| error.error));
        committed.map_err(|error| format!("cannot write {}: {error}", replaces.display()))
    }

    /// What removes the unfinished file, for a process that ends before it is whole.
    pub(crate) fn unfinished_file(&self) -> UnfinishedFile {
        UnfinishedFile(match &self.target {
            Target::Replacement { path, .. } => Some(path.to_path_buf()),
            Target::Stdout | Target::InPlace(_) => None,
        })
    }

    /// An error of writing, as a sentence.
    pub(crate) fn failed(&self, error: &dyn std::fmt::Display) -> String {
        match &self.named {
            Some(path) => format!("cannot write {}: {error}", path.display()),
            None => format!("cannot write the rows: {error}"),
        }
    }
}

/// The unfinished file, if any, of an [`Output`].
#[derive(Debug)]
pub(crate) struct UnfinishedFile(Option<PathBuf>);

impl UnfinishedFile {
    /// Removes it, so that the old file stays, and ends the process as an interrupted one. For an interrupt while rows are written: the
    /// main thread may be waiting for a reader that does not read.
    pub(crate) fn remove_and_exit(self) -> ! {
        if let Some(path) = self.0 {
            // Nobody is left to be told.
            let _ = fs::remove_file(path);
        }
        std::process::exit(130)
    }
}

/// `--format` wins, else the file's ending; an ending of Arrow's file makes `arrow` the file.
fn chosen_format(named: Option<Format>, path: Option<&Path>) -> Option<Format> {
    let of_ending = path.and_then(Format::of_path);
    match (named, of_ending) {
        (Some(Format::Arrow), Some(Format::ArrowFile)) => Some(Format::ArrowFile),
        (named, of_ending) => named.or(of_ending),
    }
}

impl Target {
    fn open(path: &Path) -> io::Result<Self> {
        // A link is followed: what it names is replaced, not the link.
        let path = resolved(path)?;
        let mode = match fs::metadata(&path) {
            Ok(existing) if existing.is_dir() => return Err(io::ErrorKind::IsADirectory.into()),
            Ok(existing) => {
                // Says whether this user may write it; nothing of it is touched.
                let file = File::options().write(true).open(&path)?;
                if !existing.is_file() {
                    return Ok(Self::InPlace(file));
                }
                Some(existing.permissions())
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        // For its plain words: what is wrong with making the file itself comes with a path that nobody named.
        fs::metadata(folder_of(&path))?;
        // A new file's mode follows the umask; one that is replaced keeps its own.
        let file = tempfile::Builder::new()
            .prefix(".host-harness-")
            .permissions(Permissions::from_mode(0o666))
            .tempfile_in(folder_of(&path))
            .map_err(|error| io::Error::from(error.kind()))?;
        if let Some(mode) = mode {
            file.as_file().set_permissions(mode)?;
        }
        let (file, temporary) = NamedTempFile::into_parts(file);
        Ok(Self::Replacement {
            file,
            path: temporary,
            replaces: path,
        })
    }
}

/// The path behind symbolic links, also where there is no file yet.
fn resolved(path: &Path) -> io::Result<PathBuf> {
    let mut path = path.to_owned();
    // As many as Linux follows itself.
    for _ in 0..40 {
        match fs::read_link(&path) {
            Ok(target) => path = folder_of(&path).join(target),
            Err(_) => return Ok(path),
        }
    }
    Err(io::Error::other("too many levels of symbolic links"))
}

fn folder_of(path: &Path) -> &Path {
    path.parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_option_wins_over_the_ending_and_arrow_follows_its_ending() {
        let chosen =
            |named: Option<Format>, path: &str| chosen_format(named, Some(Path::new(path)));
        assert_eq!(chosen(None, "x.parquet"), Some(Format::Parquet));
        assert_eq!(chosen(Some(Format::Csv), "x.parquet"), Some(Format::Csv));
        assert_eq!(chosen(None, "x.dat"), None);
        assert_eq!(chosen(Some(Format::Arrow), "x.dat"), Some(Format::Arrow));
        assert_eq!(chosen(Some(Format::Arrow), "x.arrows"), Some(Format::Arrow));
        assert_eq!(
            chosen(Some(Format::Arrow), "x.feather"),
            Some(Format::ArrowFile)
        );
        assert_eq!(chosen(None, "x.arrow"), Some(Format::ArrowFile));
    }
}
