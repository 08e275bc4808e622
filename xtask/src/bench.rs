//! `cargo xtask bench`: what the plugin costs beside its peers, measured in one go.
//!
//! In: what to measure, rounds, megabytes. Out: a table on standard output and, with `--write`, in `docs/BENCHMARKS.md`. The server runs
//! on one core and each client in turn on another, a process a run, the clients interleaved so that whatever else the machine does meets
//! all.

mod drawing;
mod instructions;
mod jobs;
mod large;
mod peers;
mod report;
mod segments;
mod server;
mod sizes;
mod start;

use std::{
    collections::BTreeMap,
    fs,
    path::PathBuf,
    process::{Command, Stdio},
};

use anyhow::{Context, bail, ensure};
use serde_json::Value;

use self::{
    peers::{BOTO3, Client, clients},
    report::Report,
    server::Server,
};
use crate::workspace::{cargo, root, run, target};

/// The core that the clients run on; the server has another.
const CLIENT_CORE: &str = "0";
const SERVER_CORE: &str = "1";
const LOADS: usize = 11;
/// What each client of [`Part::Costs`] reads.
const MEGABYTES: usize = 100;

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

/// What there is to measure: each a part of the page.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Costs,
    Sizes,
    Pages,
    Jobs,
    Segments,
    Latency,
    Large,
    Host,
    Store,
    Isolation,
    Start,
    Instructions,
}

impl Part {
    const ALL: [Self; 12] = [
        Self::Costs,
        Self::Sizes,
        Self::Pages,
        Self::Jobs,
        Self::Segments,
        Self::Latency,
        Self::Large,
        Self::Host,
        Self::Store,
        Self::Isolation,
        Self::Start,
        Self::Instructions,
    ];

    /// Its name on the command line, behind `--`, and in the page.
    fn name(self) -> &'static str {
        match self {
            Self::Costs => "costs",
            Self::Sizes => "sizes",
            Self::Pages => "pages",
            Self::Jobs => "jobs",
            Self::Segments => "segments",
            Self::Latency => "latency",
            Self::Large => "large",
            Self::Host => "host",
            Self::Store => "store",
            Self::Isolation => "isolation",
            Self::Start => "start",
            Self::Instructions => "instructions",
        }
    }

    /// Whether the plugin is measured beside clients in Rust, which are built as their authors would build them.
    fn has_peers_in_rust(self) -> bool {
        matches!(self, Self::Costs)
    }
}

struct Options {
    parts: Vec<Part>,
    rounds: usize,
    /// As the part has it by itself, where it is not given.
    megabytes: Option<usize>,
    seconds: usize,
    write: bool,
}

pub(crate) fn bench(args: &[String]) -> anyhow::Result<()> {
    let options = options(args)?;
    build(&options.parts)?;
    for &part in &options.parts {
        let text = match part {
            Part::Costs => costs(&options)?,
            Part::Sizes => sizes::sizes(options.rounds)?,
            Part::Pages => pages()?,
            Part::Jobs => jobs::jobs(options.rounds)?,
            Part::Segments => segments::segments(options.rounds)?,
            Part::Latency => latency()?,
            Part::Large => large::large(options.megabytes.unwrap_or(large::MEGABYTES))?,
            Part::Host => host(&options)?,
            Part::Store => table("--store", &mut unpinned("host-store"))?,
            Part::Isolation => isolation(options.rounds)?,
            Part::Start => start::start()?,
            Part::Instructions => match instructions::instructions()? {
                Some(text) => text,
                None => continue,
            },
        };
        println!("\n{text}");
        if options.write {
            report::write(&page(), part.name(), &text)?;
        }
    }
    Ok(())
}

/// The plugin beside its peers.
fn costs(options: &Options) -> anyhow::Result<String> {
    let clients = clients();
    let load_before = load_average();
    let megabytes = options.megabytes.unwrap_or(MEGABYTES);
    let costs = measure(options.rounds, megabytes, &clients)?;
    check_rows(&costs, &clients)?;
    let report = Report {
        rounds: options.rounds,
        megabytes,
        clients: &clients,
        costs: &costs,
        library_bytes: fs::metadata(library())?.len(),
        load_ms: load_times()?,
        load_average: format!("{load_before} before, {} after", load_average()),
    };
    if options.write {
        let drawing = page().with_file_name("bench.svg");
        fs::write(&drawing, report.drawing())
            .with_context(|| format!("cannot write {}", drawing.display()))?;
    }
    Ok(report.markdown())
}

/// Page sizes against the naive rule.
fn pages() -> anyhow::Result<String> {
    let mut server = unpinned("bench-server");
    table("--pages", server.arg("pages").arg(library()))
}

/// A service at a distance.
fn latency() -> anyhow::Result<String> {
    let mut server = unpinned("bench-server");
    table("--latency", server.arg("far").arg(library()))
}

/// The host under load.
fn host(options: &Options) -> anyhow::Result<String> {
    let seconds = options.seconds.to_string();
    table(
        &format!("--host --seconds {seconds}"),
        unpinned("host-load").arg(seconds),
    )
}

/// A worker process beside the host's own, in the same host.
fn isolation(rounds: usize) -> anyhow::Result<String> {
    let rounds = rounds.to_string();
    table(
        &format!("--isolation --rounds {rounds}"),
        unpinned("host-isolation").args(["3", &rounds]),
    )
}

/// A program that may use both cores: it measures waiting, or pins its host itself. What it would build is built.
fn unpinned(program: &str) -> Command {
    let mut command = pinned("0-1");
    command.arg(release(program)).env("HARNESS_BUILT", "1");
    command
}

/// The table that a program prints, below the command that gives it.
fn table(flags: &str, program: &mut Command) -> anyhow::Result<String> {
    Ok(format!(
        "`cargo xtask bench {flags}` on {}\n\n{}",
        report::when_and_where(),
        output(program)?
    ))
}

fn page() -> PathBuf {
    root().join("docs/BENCHMARKS.md")
}

fn options(args: &[String]) -> anyhow::Result<Options> {
    let mut options = Options {
        parts: Vec::new(),
        rounds: 5,
        megabytes: None,
        seconds: 20,
        write: false,
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
        let named = |part: &Part| arg.strip_prefix("--") == Some(part.name());
        match arg.as_str() {
            "--rounds" => options.rounds = number()?,
            "--mb" => options.megabytes = Some(number()?),
            "--seconds" => options.seconds = number()?,
            "--write" => options.write = true,
            "--all" => options.parts = Part::ALL.to_vec(),
            other => match Part::ALL.into_iter().find(named) {
                Some(part) => options.parts.push(part),
                None => bail!(
                    "bench knows --costs, --sizes, --pages, --jobs, --segments, --latency, --large, --host, --store, --isolation, --start, --instructions and --all, --rounds N, --mb N, --seconds N and --write, not '{other}'"
                ),
            },
        }
    }
    if options.parts.is_empty() {
        options.parts.push(Part::Costs);
    }
    Ok(options)
}

/// What users install, as they build it, with the clients that call it; the peers with the optimisation that their authors would use;
/// the servers apart, because their engines would add features. What no part needs is left out.
fn build(parts: &[Part]) -> anyhow::Result<()> {
    run(&mut cargo(&[
        "build",
        "--release",
        "-p",
        "host-harness",
        "-p",
        "dynamo-plugin",
        "-p",
        "benches",
    ]))?;
    if parts.iter().any(|part| part.has_peers_in_rust()) {
        run(&mut cargo(&[
            "build",
            "--profile",
            "peers",
            "-p",
            "benches",
        ]))?;
    }
    run(&mut cargo(&[
        "build",
        "--release",
        "-p",
        "bench-server",
        "-p",
        "harness-tests",
        "--bins",
    ]))
}

/// A program of the release profile.
pub(crate) fn release(name: &str) -> PathBuf {
    target().join("release").join(name)
}

pub(crate) fn library() -> PathBuf {
    release("libdynamo_plugin.so")
}

fn measure(rounds: usize, megabytes: usize, clients: &[Client]) -> anyhow::Result<Costs> {
    let servers: Vec<Server> = DATA_SETS
        .iter()
        .map(|data_set| Server::start(data_set, megabytes))
        .collect::<anyhow::Result<_>>()?;
    let mut costs = Costs::new();
    for round in 1..=rounds {
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
    // The first touch of memory that a virtual machine had given back would fall on one client or another by chance.
    run(pinned(CLIENT_CORE)
        .arg(release("benches"))
        .args(["touch", "-"]))?;
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
                    .arg(release("benches"))
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
        // The host's client would build the workspace once more, while it is measured.
        ("HARNESS_BUILT", "1"),
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
