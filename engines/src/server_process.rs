//! Starts a server program on a free port and waits until it answers.
//!
//! The program must bind 127.0.0.1 or every interface at the port it is given. What it prints goes to a temporary file, whose last line is
//! told when it does not come up.

use std::{
    ffi::{OsStr, OsString},
    io::{self, Read, Seek},
    net::{Ipv4Addr, TcpListener},
    time::{Duration, Instant},
};

use crate::{Skip, child_guard::ChildGuard};

/// A cold Java on a busy machine takes its time.
const START_UP: Duration = Duration::from_secs(60);

/// Another process may take the port between our look and the program's bind.
const TRIES: usize = 3;

/// Starts `program`; gives its URL and its guard once `answers` says yes to the URL.
pub(crate) fn start(
    engine: &'static str,
    program: &OsStr,
    arguments: impl Fn(u16) -> Vec<OsString>,
    answers: impl Fn(&str) -> bool,
) -> Result<(String, ChildGuard), Skip> {
    let mut last = String::new();
    for _ in 0..TRIES {
        match attempt(program, &arguments, &answers) {
            Ok(Started::Answers(url, guard)) => return Ok((url, guard)),
            Ok(Started::Ended(said)) => last = said,
            Err(error) => return Err(Skip::new(engine, format!("cannot start it: {error}"))),
        }
    }
    Err(Skip::new(engine, format!("it ends at once: {last}")))
}

enum Started {
    Answers(String, ChildGuard),
    /// The last line that it printed.
    Ended(String),
}

fn attempt(
    program: &OsStr,
    arguments: &impl Fn(u16) -> Vec<OsString>,
    answers: &impl Fn(&str) -> bool,
) -> io::Result<Started> {
    let mut output = tempfile::tempfile()?;
    let port = free_port()?;
    let arguments = arguments(port);
    let arguments: Vec<&OsStr> = arguments.iter().map(OsString::as_os_str).collect();
    let mut guard = ChildGuard::start(program, &arguments, output.try_clone()?)?;
    let url = format!("http://127.0.0.1:{port}");
    let deadline = Instant::now() + START_UP;
    while !answers(&url) {
        if guard.ended() {
            let mut said = String::new();
            output.rewind()?;
            output.read_to_string(&mut said)?;
            return Ok(Started::Ended(
                said.lines().last().unwrap_or("it said nothing").to_owned(),
            ));
        }
        if Instant::now() > deadline {
            let waited = START_UP.as_secs();
            return Err(io::Error::other(format!("no answer within {waited} s")));
        }
        // Only how often is asked depends on this, never the outcome.
        std::thread::sleep(Duration::from_millis(25));
    }
    // Who answered is ours only if ours still runs: the port may have gone to another server.
    if guard.ended() {
        return Ok(Started::Ended("another server took its port".to_owned()));
    }
    Ok(Started::Answers(url, guard))
}

fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?
        .local_addr()?
        .port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_ends_at_once_is_a_skip_that_quotes_it() {
        let arguments = |_| vec!["-c".into(), "echo no good >&2; exit 1".into()];
        let skip = start("x", "sh".as_ref(), arguments, |_| false).unwrap_err();
        assert_eq!(skip.to_string(), "x: it ends at once: no good");
    }
}
