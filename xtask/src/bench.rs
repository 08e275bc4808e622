//! `cargo xtask bench`: what the plugin costs beside its peers, measured in one go.
//!
//! In: rounds, megabytes. Out: a table on standard output and, with `--write`, in `docs/BENCHMARKS.md`. The server runs on one
//! core and each client in turn on another, a process a run, the clients interleaved so that whatever else the machine does meets all.

mod peers;
mod report;
mod server;

use std::{
    collections::BTreeMap,
    fs,
    path::PathBuf,
    process::{Command, Stdio},
};

use anyhow::{Context, bail, ensure};
use serde_json::Value;

use crate::tasks::{cargo, root, run, target};
use peers::{BOTO3, Client, clients};
use report::Report;
use server::Server;

/// The core that the clients run on; the server has another.
const CLIENT_CORE: &str = "0";
const SERVER_CORE: &str = "1";
const LOADS: usize = 11;

pub(crate) const DATA_SETS: [&str; 2] = ["flat", "nested"];

/// What one run of one client cost.
#[derive(Debug, Clone)]
pub(crate) struct Cost {
    cpu_s: f64,
    wall_s: f64,
    peak_bytes: f64,
    wire_bytes: f64,
    result_bytes: f64,
    rows: f64,
}

/// Every cost, by data set and client.
pub(crate) type Costs = BTreeMap<(&'static str, &'static str), Vec<Cost>>;

struct Options {
    rounds: usize,
    megabytes: usize,
    write: bool,
    pages: bool,
}

pub(crate) fn bench(args: &[String]) -> anyhow::Result<()> {
    let options = options(args)?;
    build()?;
    if options.pages {
        return pages(&options);
    }
    let clients = clients();
    let load_before = load_average();
    let costs = measure(&options, &clients)?;
    check_rows(&costs, &clients)?;
    let report = Report {
        rounds: options.rounds,
        megabytes: options.megabytes,
        clients: &clients,
        costs: &costs,
        library_bytes: fs::metadata(library())?.len(),
        load_ms: load_times()?,
        load_average: format!("{load_before} before, {} after", load_average()),
    };
    let text = report.markdown();
    println!("\n{text}");
    if options.write {
        report::write(&page(), "costs", &text)?;
    }
    Ok(())
}

/// Page sizes against the naive rule. Nothing is pinned: waiting for the server is what is measured.
fn pages(options: &Options) -> anyhow::Result<()> {
    let table = output(
        pinned("0-1")
            .arg(target().join("release/bench-server"))
            .arg("pages")
            .arg(library()),
    )?;
    let text = format!(
        "`cargo xtask bench --pages` on {}\n\n{table}",
        report::when_and_where()
    );
    println!("\n{text}");
    match options.write {
        true => report::write(&page(), "pages", &text),
        false => Ok(()),
    }
}

fn page() -> PathBuf {
    root().join("docs/BENCHMARKS.md")
}

fn options(args: &[String]) -> anyhow::Result<Options> {
    let mut options = Options {
        rounds: 5,
        megabytes: 100,
        write: false,
        pages: false,
    };
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        let mut number = || -> anyhow::Result<usize> {
            let text = args
                .next()
                .with_context(|| format!("{arg} needs a number"))?;
            let number = text
                .parse()
                .with_context(|| format!("{arg} needs a number, not '{text}'"))?;
            ensure!(number > 0, "{arg} needs at least 1");
            Ok(number)
        };
        match arg.as_str() {
            "--rounds" => options.rounds = number()?,
            "--mb" => options.megabytes = number()?,
            "--write" => options.write = true,
            "--pages" => options.pages = true,
            other => bail!("bench knows --pages, --rounds N, --mb N and --write, not '{other}'"),
        }
    }
    Ok(options)
}

/// The plugin and the clients together, so that both have the same SDK; the server apart, because its engines would add features.
fn build() -> anyhow::Result<()> {
    run(&mut cargo(&[
        "build",
        "--release",
        "-p",
        "dynamo-plugin",
        "-p",
        "benches",
    ]))?;
    run(&mut cargo(&["build", "--release", "-p", "bench-server"]))
}

pub(crate) fn library() -> PathBuf {
    target().join("release/libdynamo_plugin.so")
}

fn measure(options: &Options, clients: &[Client]) -> anyhow::Result<Costs> {
    let servers: Vec<Server> = DATA_SETS
        .iter()
        .map(|data_set| Server::start(data_set, options.megabytes))
        .collect::<anyhow::Result<_>>()?;
    let mut costs = Costs::new();
    for round in 1..=options.rounds {
        for (data_set, server) in DATA_SETS.iter().zip(&servers) {
            // boto3 takes half a minute; its figure need not be exact.
            for client in clients
                .iter()
                .filter(|client| round == 1 || client.name != BOTO3)
            {
                let cost = client_cost(client, server)
                    .with_context(|| format!("{} on {data_set} items", client.name))?;
                eprintln!(
                    "round {round}, {data_set}: {:<44} {:>7.3} CPU s, {:>7.3} s",
                    client.name, cost.cpu_s, cost.wall_s
                );
                costs.entry((data_set, client.name)).or_default().push(cost);
            }
        }
    }
    Ok(costs)
}

fn client_cost(client: &Client, server: &Server) -> anyhow::Result<Cost> {
    let line = output(
        pinned(CLIENT_CORE)
            .args(&client.before_url)
            .arg(server.url())
            .args(&client.after_url),
    )?;
    let cost: Value = serde_json::from_str(&line).context("a client prints one JSON object")?;
    let figure = |name: &str| {
        cost[name]
            .as_f64()
            .with_context(|| format!("no '{name}' in {cost}"))
    };
    Ok(Cost {
        cpu_s: figure("cpu_s")?,
        wall_s: figure("wall_s")?,
        peak_bytes: figure("peak_bytes")?,
        wire_bytes: figure("wire_bytes")?,
        result_bytes: figure("result_bytes")?,
        rows: figure("rows")?,
    })
}

/// Whoever makes rows must make the same number of them.
fn check_rows(costs: &Costs, clients: &[Client]) -> anyhow::Result<()> {
    for data_set in DATA_SETS {
        let rows = clients
            .iter()
            .map(|client| (client.name, costs[&(data_set, client.name)][0].rows))
            .filter(|(_, rows)| *rows > 0.0);
        let rows: Vec<_> = rows.collect();
        ensure!(
            rows.windows(2).all(|pair| pair[0].1 == pair[1].1),
            "the clients disagree on the rows of the {data_set} items: {rows:?}"
        );
    }
    Ok(())
}

/// Milliseconds from nothing to a library that has answered its first job, on the clock and of the processor, each in a fresh process.
fn load_times() -> anyhow::Result<Vec<(f64, f64)>> {
    (0..LOADS)
        .map(|_| {
            let line = output(
                pinned(CLIENT_CORE)
                    .arg(target().join("release/benches"))
                    .args(["load", "-"])
                    .arg(library()),
            )?;
            let times: Value = serde_json::from_str(&line)?;
            let ready = times["ready_ms"].as_f64();
            ready
                .zip(times["cpu_ms"].as_f64())
                .context("no 'ready_ms' or 'cpu_ms'")
        })
        .collect()
}

/// A command on one core; whatever follows is the program.
fn pinned(core: &str) -> Command {
    let mut command = Command::new("taskset");
    command.args(["-c", core]);
    for name in ["AWS_PROFILE", "AWS_CA_BUNDLE", "HTTP_PROXY", "http_proxy"] {
        command.env_remove(name);
    }
    // Any credentials will do for the server; nothing of the caller's account is ever seen.
    command.envs([
        ("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE"),
        ("AWS_SECRET_ACCESS_KEY", "bench"),
        ("AWS_EC2_METADATA_DISABLED", "true"),
        ("AWS_CONFIG_FILE", "/dev/null"),
        ("AWS_SHARED_CREDENTIALS_FILE", "/dev/null"),
    ]);
    command
}

/// What a command prints; it must end well.
fn output(command: &mut Command) -> anyhow::Result<String> {
    let output = command
        .stderr(Stdio::inherit())
        .output()
        .context("cannot start taskset (package util-linux)")?;
    ensure!(output.status.success(), "it ended with {}", output.status);
    Ok(String::from_utf8(output.stdout)?)
}

fn load_average() -> String {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().unwrap_or("unknown").to_owned()
}
