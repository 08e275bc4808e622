//! A pseudo-terminal: what a person sees of a command.

use std::{
    fs::File,
    io::{self, Read},
    os::fd::OwnedFd,
    process::{Command, ExitStatus, Stdio},
    thread,
};

use rustix::{
    fs::{Mode, OFlags, open},
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    termios::{Winsize, tcsetwinsize},
};

/// Runs a command with standard output and standard error on one terminal of this size; what came, and how the command ended.
///
/// # Panics
/// Where the system has no pseudo-terminal, or the command does not start.
pub fn run(command: &mut Command, columns: u16, rows: u16) -> (String, ExitStatus) {
    let terminal = Terminal::open(columns, rows).expect("the system has pseudo-terminals");
    let mut child = command
        .stdout(terminal.side())
        .stderr(terminal.side())
        .spawn()
        .expect("the command starts");
    // The command holds its own ends; once they are gone, the terminal ends.
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let shown = terminal.read();
    let status = child.wait().expect("the child is this process's own");
    (shown.join().expect("the reader does not panic"), status)
}

struct Terminal {
    ours: File,
    theirs: OwnedFd,
}

impl Terminal {
    fn open(columns: u16, rows: u16) -> io::Result<Self> {
        let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY)?;
        grantpt(&ours)?;
        unlockpt(&ours)?;
        let name = ptsname(&ours, Vec::new())?;
        let theirs = open(&*name, OFlags::RDWR | OFlags::NOCTTY, Mode::empty())?;
        let size = Winsize {
            ws_col: columns,
            ws_row: rows,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        tcsetwinsize(&theirs, size)?;
        Ok(Self {
            ours: ours.into(),
            theirs,
        })
    }

    fn side(&self) -> Stdio {
        self.theirs
            .try_clone()
            .expect("a descriptor can be copied")
            .into()
    }

    /// Reads to the end, as text with newlines alone.
    fn read(self) -> thread::JoinHandle<String> {
        let Self { mut ours, theirs } = self;
        drop(theirs);
        thread::spawn(move || {
            let mut bytes = Vec::new();
            // Linux ends a terminal whose other side is gone with an error.
            let _ = ours.read_to_end(&mut bytes);
            String::from_utf8_lossy(&bytes).replace("\r\n", "\n")
        })
    }
}

/// The text without colours, and without lines that were wiped again.
#[must_use]
pub fn without_escapes(shown: &str) -> String {
    let lines = shown.split('\n').map(|line| {
        let line = line.rsplit("\r\x1b[K").next().unwrap_or(line);
        let mut plain = String::new();
        let mut rest = line;
        while let Some(at) = rest.find("\x1b[") {
            plain.push_str(&rest[..at]);
            rest = &rest[at + 2..];
            rest = rest.find('m').map_or("", |end| &rest[end + 1..]);
        }
        plain + rest
    });
    lines.collect::<Vec<_>>().join("\n")
}
