//! Fetches the engines of other people's making into the target folder, once.
//!
//! An engine is installed whole or not at all: it is made in a folder of another name and renamed when it is
//! complete, under a file lock, so that test processes may ask for it all at once. Nothing is fetched again while its
//! folder is there, and nothing outside the target folder is touched.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use crate::Skip;

/// The folder of `engine`, version and all in `name`; `make` fills an empty folder where it is not there yet.
pub(crate) fn installed(
    engine: &'static str,
    name: &str,
    make: impl FnOnce(&Path) -> Result<(), Skip>,
) -> Result<PathBuf, Skip> {
    let failed = |error: io::Error| Skip::new(engine, format!("cannot install it: {error}"));
    let root = target_folder().join("engines");
    let folder = root.join(name);
    if folder.is_dir() {
        return Ok(folder);
    }
    fs::create_dir_all(&root).map_err(failed)?;
    // Released when the file is closed, at the latest by the end of this process.
    let lock = File::create(root.join(format!("{name}.lock"))).map_err(failed)?;
    lock.lock().map_err(failed)?;
    if folder.is_dir() {
        return Ok(folder);
    }
    let unfinished = root.join(format!("{name}.unfinished"));
    if unfinished.exists() {
        fs::remove_dir_all(&unfinished).map_err(failed)?;
    }
    fs::create_dir(&unfinished).map_err(failed)?;
    make(&unfinished)?;
    fs::rename(&unfinished, &folder).map_err(failed)?;
    Ok(folder)
}

/// Runs one step of an installation to its end; a program that is missing or fails is the skip's reason.
pub(crate) fn run(engine: &'static str, command: &mut Command) -> Result<(), Skip> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command
        .stdin(Stdio::null())
        .output()
        .map_err(|error| Skip::new(engine, format!("cannot run `{program}`: {error}")))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let last = said.lines().rfind(|line| !line.trim().is_empty());
    let last = last.unwrap_or("it said nothing").trim();
    Err(Skip::new(
        engine,
        format!("`{program}` failed ({}): {last}", output.status),
    ))
}

/// Makes a Python environment in `folder` with these packages.
pub(crate) fn python_environment(
    engine: &'static str,
    folder: &Path,
    packages: &[&str],
) -> Result<(), Skip> {
    let environment = ["-m", "venv", "."];
    run(
        engine,
        Command::new("python3")
            .args(environment)
            .current_dir(folder),
    )?;
    // Run as a module: the scripts of an environment name the folder that it was made in.
    let install = ["-m", "pip", "install", "--quiet", "--retries", "1"];
    run(
        engine,
        Command::new(folder.join("bin/python"))
            .args(install)
            .args(packages)
            .current_dir(folder),
    )
}

/// Cargo's target folder: what the environment says, else the workspace's.
fn target_folder() -> PathBuf {
    match std::env::var_os("CARGO_TARGET_DIR") {
        Some(folder) => PathBuf::from(folder),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../target"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A name that no other test process uses, removed again at the end.
    struct Scratch(String);

    impl Scratch {
        fn new(test: &str) -> Scratch {
            Scratch(format!("scratch-{test}-{}", std::process::id()))
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let root = target_folder().join("engines");
            let _ = fs::remove_dir_all(root.join(&self.0));
            let _ = fs::remove_dir_all(root.join(format!("{}.unfinished", self.0)));
            let _ = fs::remove_file(root.join(format!("{}.lock", self.0)));
        }
    }

    #[test]
    fn many_at_once_install_once() {
        let scratch = Scratch::new("once");
        let made = std::sync::atomic::AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    let folder = installed("scratch", &scratch.0, |folder| {
                        made.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                        fs::write(folder.join("whole"), "").unwrap();
                        Ok(())
                    });
                    assert!(folder.unwrap().join("whole").is_file());
                });
            }
        });
        assert_eq!(made.into_inner(), 1);
    }

    #[test]
    fn half_an_installation_is_never_used() {
        let scratch = Scratch::new("half");
        let broken = installed("scratch", &scratch.0, |folder| {
            fs::write(folder.join("half"), "").unwrap();
            Err(Skip::new("scratch", "interrupted"))
        });
        assert_eq!(broken.unwrap_err().to_string(), "scratch: interrupted");
        let whole = installed("scratch", &scratch.0, |_| Ok(())).unwrap();
        assert!(!whole.join("half").exists());
    }

    #[test]
    fn what_is_missing_or_fails_is_the_reason() {
        let missing = run("x", &mut Command::new("no-such-program")).unwrap_err();
        assert!(missing.reason.contains("cannot run `no-such-program`"));
        let failed = run("x", Command::new("sh").args(["-c", "echo why >&2; exit 3"]));
        let reason = failed.unwrap_err().reason;
        assert!(
            reason.contains("exit status: 3") && reason.ends_with("why"),
            "{reason}"
        );
    }
}
