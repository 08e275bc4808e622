//! Results larger than memory: what they cost in memory and time, in each way that a user can have them.

use super::{output, pinned, release, report::when_and_where, server::Server};

/// What a result of 5 GB is made of.
pub(super) const MEGABYTES: usize = 11_000;

pub(super) fn large(megabytes: usize) -> anyhow::Result<String> {
    let server = Server::start("flat", megabytes)?;
    let table = output(
        pinned("0-1")
            .arg(release("large"))
            .arg(server.url())
            .env("HARNESS_BUILT", "1"),
    )?;
    Ok(format!(
        "`cargo xtask bench --large --mb {megabytes}` on {}: {megabytes} pages of 1 MB.\n\n{table}",
        when_and_where()
    ))
}
