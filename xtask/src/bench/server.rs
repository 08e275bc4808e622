//! The replay server as a child on a core of its own.

use std::{
    io::{BufRead, BufReader},
    process::{Child, Stdio},
};

use anyhow::{Context, ensure};

use super::{SERVER_CORE, pinned, release};

/// A server under way; it ends when its standard input does, at the latest with this process.
pub(super) struct Server {
    child: Child,
    url: String,
}

impl Server {
    /// A server of so many megabytes.
    pub(super) fn start(data_set: &str, megabytes: usize) -> anyhow::Result<Self> {
        Self::start_late(data_set, megabytes, 0)
    }

    /// One that answers so much later.
    pub(super) fn start_late(
        data_set: &str,
        megabytes: usize,
        milliseconds: usize,
    ) -> anyhow::Result<Self> {
        let mut child = pinned(SERVER_CORE)
            .arg(release("bench-server"))
            .args([
                "replay",
                data_set,
                &megabytes.to_string(),
                &milliseconds.to_string(),
            ])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot start taskset (package util-linux)")?;
        let stdout = child.stdout.take().expect("it was asked for");
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line)?;
        let url = line.trim().to_owned();
        ensure!(
            url.starts_with("http://"),
            "the server did not start (is there a core {SERVER_CORE}?)"
        );
        Ok(Self { child, url })
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        // It ends by itself now; its status says nothing of the figures.
        let _ = self.child.wait();
    }
}
