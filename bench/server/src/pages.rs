//! Page sizes: how many requests, items evaluated and how much time a limited, filtered job takes against a server that pages as
//! DynamoDB does and answers 20 ms late; beside it the naive rule, which sends the job's limit as the page size.
//!
//! In: the plugin's library. Out: a Markdown table.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context, anyhow, ensure};
use engines::{
    client,
    paging::{Paging, Table},
};
use plugin_host::{CallOptions, JobDocument, Library};
use serde_json::{Value, json};

const LATENCY: Duration = Duration::from_millis(20);
const LIMITS: [usize; 3] = [10, 100, 1000];
/// One item in so many passes the filter.
const RARITIES: [usize; 3] = [1, 10, 1000];
const STATEMENT: &str = "SELECT * FROM bench WHERE kind = 'wanted'";

/// What it took to have the rows.
struct Cost {
    requests: usize,
    evaluated: usize,
    wall: Duration,
}

/// The plugin's library, ready for jobs.
pub(crate) fn open(library: &Path) -> anyhow::Result<Library> {
    let library = Library::load(library, None)?;
    library
        .open("{}")
        .map_err(|error| anyhow!("{}", error.message))?;
    Ok(library)
}

/// Measures every limit at every rarity.
pub(crate) fn run(library: &Path) -> anyhow::Result<()> {
    let library = open(library)?;
    println!(
        "| limit | one item in | plugin: requests | evaluated | wall s | naive: requests | evaluated | wall s | best page: requests | evaluated | plugin within bounds |\n\
         |---|---|---|---|---|---|---|---|---|---|---|"
    );
    for rarity in RARITIES {
        for limit in LIMITS {
            // A tenth more than the job needs, so that the end of the table ends nothing.
            let n_items = (limit * rarity * 11 / 10).max(20_000);
            let plugin = through_plugin(&library, &table(n_items, rarity)?, limit)?;
            let naive = naively(&table(n_items, rarity)?, limit)?;
            let evaluated = limit * rarity;
            let requests = evaluated.div_ceil(items_a_page()).max(1);
            let within =
                plugin.evaluated <= 4 * evaluated + 1000 && plugin.requests <= requests + 8;
            println!(
                "| {limit} | {rarity} | {} | {} | {:.2} | {} | {} | {:.2} | {requests} | {evaluated} | {} |",
                plugin.requests,
                plugin.evaluated,
                plugin.wall.as_secs_f64(),
                naive.requests,
                naive.evaluated,
                naive.wall.as_secs_f64(),
                if within { "yes" } else { "NO" },
            );
        }
    }
    Ok(())
}

/// An item of about 100 bytes; every `rarity`-th is wanted.
pub(crate) fn item(number: usize, rarity: usize) -> Value {
    let kind = match (number + 1).is_multiple_of(rarity) {
        true => "wanted",
        false => "common",
    };
    json!({
        "id": {"S": format!("item-{number:010}")},
        "kind": {"S": kind},
        "note": {"S": "sixty bytes of text, more or less, to make the item larger"},
    })
}

pub(crate) fn items_a_page() -> usize {
    engines::paging::PAGE_BYTES / engines::item_size::of(&item(0, 1))
}

fn table(n_items: usize, rarity: usize) -> anyhow::Result<Paging> {
    let items = (0..n_items).map(|number| item(number, rarity));
    let table = Table::new(items, |item| item["kind"]["S"] == "wanted");
    Ok(Paging::start(table.with_latency(LATENCY))?)
}

fn through_plugin(library: &Library, server: &Paging, limit: usize) -> anyhow::Result<Cost> {
    let job = JobDocument {
        context: Some(&json!({"query": STATEMENT, "limit": limit})),
        cluster: Some(&json!({"context": {"endpoint_url": server.url(), "region": "us-east-1"}})),
        ..JobDocument::default()
    }
    .to_json();
    let begun = Instant::now();
    let result = library
        .run_job(&job, &CallOptions::default())
        .map_err(|error| anyhow!("{}", error.message))?;
    let wall = begun.elapsed();
    let result: Value = serde_json::from_slice(&result)?;
    ensure!(
        result["stats"]["rows"] == limit,
        "{limit} rows asked for: {}",
        result["stats"]
    );
    Ok(cost(server, wall))
}

fn naively(server: &Paging, limit: usize) -> anyhow::Result<Cost> {
    let begun = Instant::now();
    let (mut rows, mut request) = (0, json!({"Statement": STATEMENT, "Limit": limit}));
    loop {
        let mut page = client::dynamodb_ok(&server.url(), "ExecuteStatement", &request)?;
        rows += page["Items"].as_array().context("no Items")?.len();
        request["NextToken"] = page["NextToken"].take();
        if rows >= limit {
            return Ok(cost(server, begun.elapsed()));
        }
        ensure!(!request["NextToken"].is_null(), "the table ended early");
    }
}

fn cost(server: &Paging, wall: Duration) -> Cost {
    Cost {
        requests: server.seen().len(),
        evaluated: server.evaluated(),
        wall,
    }
}
