//! A thousand small jobs at once: throughput beside the SDK alone, and what a job that waits holds.

use serde_json::Value;

use anyhow::Context;

use super::{
    CLIENT_CORE, library, output, pinned, release,
    report::{median, when_and_where},
    server::Server,
};

/// How late an answer comes where jobs are to wait: long enough for a thousand requests to be under way.
const LATE_MS: usize = 8000;

pub(super) fn jobs(rounds: usize) -> anyhow::Result<String> {
    let server = Server::start("one", 1)?;
    let (mut plugin, mut sdk) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        plugin.push(rate(&measured("many-plugin", &server)?)?);
        sdk.push(rate(&measured("many-sdk", &server)?)?);
    }
    let late = Server::start_late("one", 1, LATE_MS)?;
    let idle = measured("idle-plugin", &late)?;
    let (plugin, sdk) = (median(plugin.into_iter()), median(sdk.into_iter()));
    Ok(format!(
        "`cargo xtask bench --jobs --rounds {rounds}` on {}. One page of one item a job, 1,000 at once on one core; medians of {rounds} \
         rounds.\n\n\
         | | figure | target |\n|---|---|---|\n\
         | jobs a second through the C door | {plugin:.0} | |\n\
         | requests a second of the SDK alone, typed items | {sdk:.0} | |\n\
         | the first ÷ the second | {:.2} | at least 0.90 |\n\
         | memory a waiting job | {} KiB | below 32 |\n\
         | threads of the process beside its 1,000 callers | {} | none a job |\n",
        when_and_where(),
        plugin / sdk,
        idle["kib_per_job"],
        idle["threads"],
    ))
}

fn measured(client: &str, server: &Server) -> anyhow::Result<Value> {
    let line = output(
        pinned(CLIENT_CORE)
            .arg(release("benches"))
            .args([client, server.url()])
            .arg(library()),
    )?;
    eprintln!("{client}: {}", line.trim());
    serde_json::from_str(&line).context("a client prints one JSON object")
}

fn rate(cost: &Value) -> anyhow::Result<f64> {
    let jobs = cost["jobs"].as_f64().context("no 'jobs'")?;
    let wall = cost["wall_s"].as_f64().context("no 'wall_s'")?;
    Ok(jobs / wall)
}
