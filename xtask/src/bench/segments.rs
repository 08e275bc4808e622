//! A table of 200 MB read in segments, 20 ms a page: how much sooner the rows are there, and at which cost; beside it the parallel scans
//! of boto3 and Go.

use std::{ffi::OsString, fmt::Write};

use anyhow::{Context, ensure};
use serde_json::Value;

use super::{
    CLIENT_CORE, library, output,
    peers::{boto3, go},
    pinned, release,
    report::{median, when_and_where},
    server::Server,
};

const MEGABYTES: usize = 200;
const LATENCY_MS: usize = 20;
const SEGMENTS: [u32; 4] = [1, 4, 16, 64];
/// Threads of boto3 and goroutines.
const PEER_THREADS: u32 = 16;

/// The medians of one client.
struct Figures {
    name: String,
    wall_s: f64,
    cpu_s: f64,
    peak_bytes: f64,
    rows: f64,
}

pub(super) fn segments(rounds: usize) -> anyhow::Result<String> {
    let server = Server::start_late("flat", MEGABYTES, LATENCY_MS)?;
    let mut all = Vec::new();
    for n_segments in SEGMENTS {
        let command = vec![
            release("benches").into(),
            format!("segments-{n_segments}").into(),
        ];
        let name = format!("the plugin, segments: {n_segments}");
        all.push(figures(
            name,
            &command,
            &[library().into()],
            &server,
            rounds,
        )?);
    }
    for (name, prepared) in [("Go, goroutines", go()), ("boto3, threads", boto3())] {
        let threads: OsString = PEER_THREADS.to_string().into();
        match prepared {
            Ok(command) => {
                let name = format!("{name}: {PEER_THREADS} (one run)");
                all.push(figures(name, &command, &[threads], &server, 1)?);
            }
            Err(error) => eprintln!("!!!!! LEFT OUT: {name}: {error:#} !!!!!"),
        }
    }
    ensure!(
        all.windows(2)
            .all(|pair| (pair[0].rows - pair[1].rows).abs() < 0.5),
        "the clients disagree on the rows"
    );
    Ok(table(&all, rounds))
}

fn figures(
    name: String,
    before_url: &[OsString],
    after_url: &[OsString],
    server: &Server,
    rounds: usize,
) -> anyhow::Result<Figures> {
    let mut costs = Vec::new();
    for round in 1..=rounds {
        let line = output(
            pinned(CLIENT_CORE)
                .args(before_url)
                .arg(server.url())
                .args(after_url),
        )?;
        eprintln!("round {round}, {name}: {}", line.trim());
        costs
            .push(serde_json::from_str::<Value>(&line).context("a client prints one JSON object")?);
    }
    let of = |figure: &str| -> anyhow::Result<f64> {
        let values: Option<Vec<f64>> = costs.iter().map(|cost| cost[figure].as_f64()).collect();
        Ok(median(
            values
                .with_context(|| format!("no '{figure}'"))?
                .into_iter(),
        ))
    };
    Ok(Figures {
        wall_s: of("wall_s")?,
        cpu_s: of("cpu_s")?,
        peak_bytes: of("peak_bytes")?,
        rows: of("rows")?,
        name,
    })
}

fn table(all: &[Figures], rounds: usize) -> String {
    let mut text = format!(
        "`cargo xtask bench --segments --rounds {rounds}` on {}. {MEGABYTES} pages of 1 MB of flat items, each answered {LATENCY_MS} ms \
         late; client and server have a core each; medians.\n\n\
         | client | wall s | times as fast as one segment | CPU s per 100 MB | times the CPU | peak memory |\n|---|---|---|---|---|---|\n",
        when_and_where()
    );
    let Some(one) = all.first() else { return text };
    for figures in all {
        let _ = writeln!(
            text,
            "| {} | {:.2} | {:.1} | {:.3} | {:.2} | {:.0} MB |",
            figures.name,
            figures.wall_s,
            one.wall_s / figures.wall_s,
            figures.cpu_s / 2.0,
            figures.cpu_s / one.cpu_s,
            figures.peak_bytes / 1e6,
        );
    }
    text
}
