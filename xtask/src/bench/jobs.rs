//! A thousand small jobs at once: throughput beside the SDK alone, and what a job that waits holds.

use std::fmt::Write;

use anyhow::Context;
use serde_json::Value;

use super::{
    CLIENT_CORE, library, output, pinned, release,
    report::{median, when_and_where},
    server::Server,
};

/// How late an answer comes where jobs are to wait: long enough for a thousand requests to be under way.
const LATE_MS: usize = 8000;
/// Threads that call at once, as the client has them.
const CALLERS: u64 = 1000;
/// How many jobs are run at a time; the last is what the targets are for.
const AT_ONCE: [u32; 4] = [16, 64, 250, 1000];

pub(super) fn jobs(rounds: usize) -> anyhow::Result<String> {
    let server = Server::start("one", 1)?;
    let mut clients = vec!["many-plugin".to_owned(), "many-sdk-threads".to_owned()];
    for n in AT_ONCE {
        clients.extend([format!("many-started-{n}"), format!("many-sdk-{n}")]);
    }
    let mut rates = vec![Vec::new(); clients.len()];
    for _ in 0..rounds {
        for (client, rates) in clients.iter().zip(&mut rates) {
            rates.push(rate(&measured(client, &server)?)?);
        }
    }
    let rates: Vec<f64> = rates
        .into_iter()
        .map(|rates| median(rates.into_iter()))
        .collect();
    let (with_threads, by_number) = rates.split_at(2);
    let (plugin, threads) = (with_threads[0], with_threads[1]);
    let mut table = String::new();
    for (n, pair) in AT_ONCE.iter().zip(by_number.chunks_exact(2)) {
        let (started, sdk) = (pair[0], pair[1]);
        let target = if *n == 1000 { "at least 0.95" } else { "" };
        let _ = writeln!(
            table,
            "| {n} | {started:.0} | {sdk:.0} | {:.2} | {target} |",
            started / sdk
        );
    }
    let late = Server::start_late("one", 1, LATE_MS)?;
    let idle = measured("idle-plugin", &late)?;
    let idle_sdk = measured("idle-sdk", &late)?;
    let kib = |idle: &Value| idle["kib_each"].as_u64().context("no 'kib_each'");
    let own_threads = idle["threads"].as_u64().context("no 'threads'")? - CALLERS;
    Ok(format!(
        "`cargo xtask bench --jobs --rounds {rounds}` on {}. One page of one item a job, on one core; medians of {rounds} rounds.\n\n\
         | jobs at once | jobs a second, started without a thread for each (`start_job`) | requests a second of the SDK alone, as many \
         tasks, typed items | ratio | target |\n|---:|---:|---:|---:|---|\n{table}\n\
         | 1,000 at once | figure | target |\n|---|---|---|\n\
         | jobs a second through the C entry points, a thread for each | {plugin:.0} | |\n\
         | requests a second of the SDK alone, each for a thread that waits for it | {threads:.0} | |\n\
         | the first ÷ the second | {:.2} | |\n\
         | memory of a waiting job | {} KiB | |\n\
         | memory of a waiting request of the SDK alone | {} KiB | |\n\
         | the first less the second | {} KiB | below 32 |\n\
         | threads of the process beside its 1,000 callers | {own_threads} | none a job |\n",
        when_and_where(),
        plugin / threads,
        kib(&idle)?,
        kib(&idle_sdk)?,
        kib(&idle)?.saturating_sub(kib(&idle_sdk)?),
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
