//! A result larger than memory, in each way that a user can have it: rows through the C entry points, `run` into a pipe and to Parquet,
//! and a host that stores it and serves it as JSON.
//!
//! `large URL`, the URL of a service with many pages. Out: a Markdown table of bytes, wall time and peak memory.
#![forbid(unsafe_code)]

use std::{
    fs,
    io::{Read, Write},
    net::TcpStream,
    path::Path,
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use harness_tests::{built, host, library, process::status, serving::TestHost, submission};
use serde_json::json;

const STATEMENT: &str = "SELECT * FROM bench";
const CONFIG: &str = "
server: {addr: '127.0.0.1:0'}
plugin_directory: ./plugins
commands: [{name: large, plugin: dynamo, tags: ['type:large']}]
clusters: [{name: main, tags: ['type:dynamodb']}]
";

fn main() -> anyhow::Result<()> {
    let url = std::env::args().nth(1).context("usage: large URL")?;
    println!("| result | bytes | wall s | peak memory, MB | over an idle process, MB | target |");
    println!("|---|---:|---:|---:|---:|---|");
    rows_through_c(&url)?;
    piped(&url)?;
    parquet(&url)?;
    stored_and_served(&url)
}

fn row(what: &str, bytes: u64, wall: Duration, peak_kb: u64, idle_kb: Option<u64>, target: &str) {
    let mb = |kb: u64| format!("{:.0}", kb as f64 / 1024.0);
    let over = idle_kb.map_or("–".to_owned(), |idle| mb(peak_kb.saturating_sub(idle)));
    println!(
        "| {what} | {bytes} | {:.1} | {} | {over} | {target} |",
        wall.as_secs_f64(),
        mb(peak_kb),
    );
}

/// `tests/c/rows.c`, which counts what its callback is given.
fn rows_through_c(url: &str) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let program = folder.path().join("rows");
    let top = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .context("the tests lie in the workspace")?;
    let compiled = Command::new("gcc")
        .args(["-std=gnu11", "-O2", "-o"])
        .arg(&program)
        .args(["plugin-api/include", "examples/c", "tests/c"].map(|dir| format!("-I{dir}")))
        .args(["tests/c/rows.c", "-ldl", "-lpthread"])
        .current_dir(top)
        .status()
        .context("cannot start gcc")?;
    ensure!(compiled.success(), "tests/c/rows.c does not compile");
    let job = folder.path().join("job.json");
    fs::write(
        &job,
        harness_tests::job(url, &json!({"query": STATEMENT})).to_string(),
    )?;
    let begun = Instant::now();
    let output = Command::new(program)
        .arg(library("dynamo_plugin"))
        .arg(job)
        .stderr(Stdio::inherit())
        .output()?;
    ensure!(output.status.success(), "rows ended with {}", output.status);
    let wall = begun.elapsed();
    let said = String::from_utf8(output.stdout)?;
    let figure = |name: &str| -> anyhow::Result<u64> {
        let found = said
            .split_whitespace()
            .find_map(|pair| pair.strip_prefix(name));
        Ok(found
            .with_context(|| format!("no {name} in {said}"))?
            .parse()?)
    };
    ensure!(figure("first_call_after_pages=")? <= 2, "{said}");
    row(
        "rows through the C entry points",
        figure("bytes=")?,
        wall,
        figure("peak_kb=")?,
        Some(figure("idle_kb=")?),
        "at most 64 over an idle process",
    );
    Ok(())
}

fn run_command(url: &str, options: &[&str]) -> Command {
    let mut command = Command::new(host());
    command
        .args([
            "run",
            "--quiet",
            "--endpoint-url",
            url,
            "--region",
            "us-east-1",
        ])
        .arg("--plugin-dir")
        .arg(built())
        .args(options)
        .arg(STATEMENT);
    command
}

fn piped(url: &str) -> anyhow::Result<()> {
    let begun = Instant::now();
    let mut run = run_command(url, &["--format", "ndjson"])
        .stdout(Stdio::piped())
        .spawn()?;
    let lines = run.stdout.take().context("its output is piped")?;
    let wc = Command::new("wc")
        .arg("-c")
        .stdin(lines)
        .stdout(Stdio::piped())
        .spawn()?;
    let peak = peak_until_its_end(&mut run)?;
    let wall = begun.elapsed();
    let counted = String::from_utf8(wc.wait_with_output()?.stdout)?;
    row(
        "`run --format ndjson`, into `wc`",
        counted.trim().parse()?,
        wall,
        peak,
        None,
        "at most 64 over an idle process",
    );
    Ok(())
}

fn parquet(url: &str) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("large.parquet");
    let begun = Instant::now();
    let output = file.to_str().context("a temporary path is text")?;
    let mut run = run_command(url, &["--output", output]).spawn()?;
    let peak = peak_until_its_end(&mut run)?;
    row(
        "`run --output x.parquet`",
        fs::metadata(&file)?.len(),
        begun.elapsed(),
        peak,
        None,
        "below 300",
    );
    Ok(())
}

/// Waits for a process that must succeed; its peak memory in kB.
fn peak_until_its_end(process: &mut Child) -> anyhow::Result<u64> {
    let mut peak = 0;
    loop {
        peak = peak.max(status(process.id(), "VmHWM").unwrap_or(0));
        if let Some(status) = process.try_wait()? {
            ensure!(status.success(), "it ended with {status}");
            return Ok(peak);
        }
        thread::sleep(Duration::from_millis(20));
    }
}

fn stored_and_served(url: &str) -> anyhow::Result<()> {
    let directory = TestHost::new(CONFIG, url);
    let host = directory.serve();
    let (done, watched) = (AtomicBool::new(false), host.id());
    let (peak, ended) = thread::scope(|scope| {
        let watcher = scope.spawn(|| {
            let mut peak = 0;
            while !done.load(Ordering::Relaxed) {
                peak = peak.max(status(watched, "VmRSS").unwrap_or(0));
                thread::sleep(Duration::from_millis(20));
            }
            peak
        });
        let served = store_and_serve(&host);
        done.store(true, Ordering::Relaxed);
        (watcher.join(), served)
    });
    let (stored, served, bytes) = ended?;
    let peak = peak.ok().context("the watcher panicked")?;
    row("the host: stored", bytes, stored, peak, None, "below 150");
    row(
        "the host: served as JSON",
        bytes,
        served,
        peak,
        None,
        "below 150",
    );
    Ok(())
}

/// How long the job took, how long its result as JSON, and that one's bytes.
fn store_and_serve(
    host: &harness_tests::serving::Serving,
) -> anyhow::Result<(Duration, Duration, u64)> {
    let job = submission("type:large", "type:dynamodb", &json!({"query": STATEMENT}));
    let begun = Instant::now();
    let submitted = host.call("POST", "/api/v1/job", Some("bench"), &job.to_string());
    let id = submitted.json()["id"].as_str().context("an id")?.to_owned();
    let record = loop {
        let record = host
            .call("GET", &format!("/api/v1/job/{id}"), None, "")
            .json();
        match record["status"].as_str() {
            Some("NEW" | "ACCEPTED" | "RUNNING") => thread::sleep(Duration::from_millis(100)),
            _ => break record,
        }
    };
    ensure!(record["status"] == "SUCCEEDED", "{record}");
    let stored = begun.elapsed();
    let begun = Instant::now();
    let bytes = download(host.url(), &format!("/api/v1/job/{id}/result"))?;
    Ok((stored, begun.elapsed(), bytes))
}

/// Reads an answer to its end without keeping it; its bytes, head and chunk sizes included.
fn download(url: &str, path: &str) -> anyhow::Result<u64> {
    let address = url.strip_prefix("http://").context("an address")?;
    let mut stream = TcpStream::connect(address)?;
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: {address}\r\nX-Heimdall-User: bench\r\nConnection: close\r\n\r\n"
    )?;
    let mut piece = vec![0; 1 << 20];
    let (mut bytes, mut end) = (0, Vec::new());
    loop {
        let read = stream.read(&mut piece)?;
        if read == 0 {
            break;
        }
        if bytes == 0 {
            ensure!(
                piece.starts_with(b"HTTP/1.1 200"),
                "{}",
                String::from_utf8_lossy(&piece[..read.min(500)])
            );
        }
        bytes += read as u64;
        end.extend_from_slice(&piece[read.saturating_sub(64)..read]);
        let keep = end.len().saturating_sub(64);
        end.drain(..keep);
    }
    // The end of a chunked body: nothing was cut.
    ensure!(
        end.ends_with(b"0\r\n\r\n"),
        "the answer was cut after {bytes} bytes"
    );
    Ok(bytes)
}
