//! A child process that cannot outlive this one, however this one ends.
//!
//! A small shell starts the program and kills it when the shell's standard input ends. Our end of that pipe is
//! closed by a drop, and by the kernel if this process is killed. The shell is in a process group of its own, so that
//! Ctrl-C reaches it only as our end.

use std::{
    ffi::OsStr,
    io,
    os::unix::process::CommandExt,
    process::{Child, Command, Stdio},
};

/// The watcher reads with the shell's own `read`: another process would keep the pipe's end open.
const SCRIPT: &str = r#"
exec 3<&0
"$@" </dev/null 3<&- &
child=$!
( read -r _ <&3; kill -9 "$child" ) 2>/dev/null &
watcher=$!
exec 3<&-
wait "$child"
status=$?
kill "$watcher" 2>/dev/null
exit "$status"
"#;

/// A running program; dropping it kills the program and waits until it is gone.
#[derive(Debug)]
pub(crate) struct ChildGuard {
    shell: Child,
}

impl ChildGuard {
    /// Starts `program` with `arguments`; its output goes to `output`, both streams.
    ///
    /// # Errors
    /// No shell could be started. A program that is missing ends at once, which [`ChildGuard::ended`] tells.
    pub(crate) fn start(
        program: &OsStr,
        arguments: &[&OsStr],
        output: std::fs::File,
    ) -> io::Result<ChildGuard> {
        let errors = output.try_clone()?;
        let shell = Command::new("sh")
            .args(["-c", SCRIPT, "child-guard"])
            .arg(program)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(output)
            .stderr(errors)
            .process_group(0)
            .spawn()?;
        Ok(ChildGuard { shell })
    }

    /// Whether the program has ended by itself.
    pub(crate) fn ended(&mut self) -> bool {
        !matches!(self.shell.try_wait(), Ok(None))
    }
}

impl Drop for ChildGuard {
    fn drop(&mut self) {
        drop(self.shell.stdin.take());
        let _ = self.shell.wait();
    }
}

#[cfg(test)]
mod tests {
    use std::{
        path::Path,
        time::{Duration, Instant},
    };

    use super::*;

    fn start(script: &str) -> (ChildGuard, tempfile::NamedTempFile) {
        let output = tempfile::NamedTempFile::new().unwrap();
        let arguments = ["-c".as_ref(), script.as_ref()];
        let guard = ChildGuard::start("sh".as_ref(), &arguments, output.reopen().unwrap()).unwrap();
        (guard, output)
    }

    /// The process id that the script has written.
    fn pid(output: &Path) -> String {
        let deadline = Instant::now() + Duration::from_secs(5);
        loop {
            let text = std::fs::read_to_string(output).unwrap();
            if let Some(pid) = text.strip_suffix('\n') {
                return pid.to_owned();
            }
            assert!(Instant::now() < deadline, "the script did not start");
            std::thread::yield_now();
        }
    }

    fn wait_until_gone(pid: &str) {
        let deadline = Instant::now() + Duration::from_secs(5);
        while running(pid) {
            assert!(Instant::now() < deadline, "process {pid} is still there");
            std::thread::yield_now();
        }
    }

    /// A killed process that nobody has waited for yet (a zombie) is gone for our purpose.
    fn running(pid: &str) -> bool {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        !stat.is_empty() && !stat.contains(") Z ")
    }

    #[test]
    fn the_program_is_gone_after_the_drop() {
        let (guard, output) = start("echo $$; trap '' TERM INT; exec sleep 1000");
        let pid = pid(output.path());
        assert!(running(&pid));
        drop(guard);
        wait_until_gone(&pid);
    }

    #[test]
    fn the_program_is_gone_when_its_holder_is_killed() {
        // The holder is a shell whose only duty is to keep the pipe's other end open.
        let output = tempfile::NamedTempFile::new().unwrap();
        let mut holder = Command::new("sleep")
            .arg("1000")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut shell = Command::new("sh")
            .args([
                "-c",
                SCRIPT,
                "child-guard",
                "sh",
                "-c",
                "echo $$; exec sleep 1000",
            ])
            .stdin(holder.stdout.take().unwrap())
            .stdout(output.reopen().unwrap())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let pid = pid(output.path());
        holder.kill().unwrap();
        holder.wait().unwrap();
        wait_until_gone(&pid);
        shell.wait().unwrap();
    }

    #[test]
    fn a_program_that_ends_by_itself_is_noticed() {
        let (mut guard, _output) = start("exit 3");
        let deadline = Instant::now() + Duration::from_secs(5);
        while !guard.ended() {
            assert!(Instant::now() < deadline);
            std::thread::yield_now();
        }
    }
}
