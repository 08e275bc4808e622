//! Jobs against a service at a distance of 1, 5, 20 and 80 ms, with and without TLS: how long they take, in how many requests, and how
//! many connections they open.
//!
//! In: the plugin's library. Out: a Markdown table. The round trip is that of every byte, so connecting costs one and TLS one more.

use std::{
    path::Path,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, anyhow, ensure};
use engines::{
    distant::Distant,
    paging::{Paging, Table},
    tls::{Authority, Front},
};
use plugin_host::{CallOptions, JobDocument, Library};
use serde_json::{Value, json};

use crate::pages::{item, items_a_page, open};

const ROUND_TRIPS_MS: [u64; 4] = [1, 5, 20, 80];
/// Items of the table: some 20 pages of 1 MB.
const ITEMS: usize = 200_000;
const ITEMS_A_KIND: usize = 10;
/// Callers of the last read.
const CALLERS: usize = 16;
const ALL: &str = "SELECT * FROM far";
const SOME: &str = "SELECT * FROM far WHERE kind = 'wanted'";

/// A job, and the least requests that could answer it.
struct Read {
    name: &'static str,
    context: Value,
    /// Whether its table lets through only some of the items; the server does not read statements.
    filtered: bool,
    rows: usize,
    least_requests: usize,
    callers: usize,
}

pub(crate) fn run(library: &Path) -> anyhow::Result<()> {
    let library = open(library)?;
    println!(
        "| round trip | TLS | read | requests (least) | wall ms | of these beyond the round trips | connections opened |\n\
         |---:|---|---|---|---:|---:|---:|"
    );
    for milliseconds in ROUND_TRIPS_MS {
        for tls in [false, true] {
            at(&library, Duration::from_millis(milliseconds), tls)?;
        }
    }
    Ok(())
}

/// A table at a distance.
struct Service {
    paging: Paging,
    distant: Distant,
    /// The context of the cluster that reaches it.
    cluster: Value,
    _front: Option<Front>,
}

impl Service {
    fn start(
        table: Table,
        round_trip: Duration,
        authority: Option<&Authority>,
    ) -> anyhow::Result<Self> {
        let paging = Paging::start(table)?;
        let address = paging.server().address();
        let front = match authority {
            Some(authority) => Some(authority.front(address, &[])?),
            None => None,
        };
        let near = front.as_ref().map_or(address, Front::address);
        let distant = Distant::start(near, round_trip)?;
        let scheme = if front.is_some() { "https" } else { "http" };
        let cluster = json!({
            "endpoint_url": format!("{scheme}://{}", distant.address()),
            "ca_bundle": authority.map(Authority::bundle),
            "region": "us-east-1",
        });
        Ok(Self {
            paging,
            distant,
            cluster,
            _front: front,
        })
    }
}

fn at(library: &Library, round_trip: Duration, tls: bool) -> anyhow::Result<()> {
    let authority = Authority::new()?;
    let authority = tls.then_some(&authority);
    let whole = Service::start(Table::new(items(), |_| true), round_trip, authority)?;
    let filtered = Table::new(items(), |item| item["kind"]["S"] == "wanted");
    let filtered = Service::start(filtered, round_trip, authority)?;
    for read in reads() {
        let service = if read.filtered { &filtered } else { &whole };
        let (asked, opened) = (service.paging.seen().len(), service.distant.connections());
        let begun = Instant::now();
        let rounds = callers(library, &service.cluster, &read)?;
        let wall = begun.elapsed();
        let asked = service.paging.seen().len() - asked;
        let opened = service.distant.connections() - opened;
        // What a caller has to wait for: its connection, TLS, and each request of a job that needs the one before.
        let handshakes = if opened == 0 { 0 } else { 1 + u32::from(tls) };
        let waits = round_trip * (handshakes + rounds);
        println!(
            "| {} ms | {} | {} | {asked} ({}) | {:.1} | {:.1} | {opened} |",
            round_trip.as_millis(),
            if tls { "yes" } else { "no" },
            read.name,
            read.least_requests * read.callers,
            wall.as_secs_f64() * 1e3,
            wall.saturating_sub(waits).as_secs_f64() * 1e3,
        );
    }
    Ok(())
}

fn reads() -> Vec<Read> {
    let n_pages = ITEMS.div_ceil(items_a_page());
    let one = |name, limit: Option<usize>, filtered, rows, least_requests| Read {
        name,
        context: json!({"query": if filtered { SOME } else { ALL }, "limit": limit}),
        filtered,
        rows,
        least_requests,
        callers: 1,
    };
    let at_once = |name| Read {
        callers: CALLERS,
        ..one(name, Some(10), false, 10, 1)
    };
    vec![
        one(
            "limit 10, the first job of a cluster",
            Some(10),
            false,
            10,
            1,
        ),
        one("limit 10", Some(10), false, 10, 1),
        one("all rows", None, false, ITEMS, n_pages),
        one("limit 100, one item in 10 fits", Some(100), true, 100, 1),
        one(
            "one item in 10 of all",
            None,
            true,
            ITEMS / ITEMS_A_KIND,
            n_pages,
        ),
        at_once("limit 10, 16 callers at once"),
        at_once("limit 10, 16 callers at once, again"),
    ]
}

/// Runs the read once for each of its callers, all at once; how many requests one job sent one after the other.
fn callers(library: &Library, cluster: &Value, read: &Read) -> anyhow::Result<u32> {
    let job = JobDocument {
        context: Some(&read.context),
        cluster: Some(&json!({"context": cluster})),
        ..JobDocument::default()
    }
    .to_json();
    let one = || -> anyhow::Result<u32> {
        let result = library
            .run_job(&job, &CallOptions::default())
            .map_err(|error| anyhow!("{}", error.message))?;
        let result: Value = serde_json::from_slice(&result)?;
        let stats = &result["stats"];
        ensure!(stats["rows"] == read.rows, "{}: {stats}", read.name);
        let requests = stats["requests"].as_u64().context("no requests in stats")?;
        Ok(u32::try_from(requests)?)
    };
    let rounds = thread::scope(|scope| {
        let all: Vec<_> = (0..read.callers).map(|_| scope.spawn(one)).collect();
        let ended = all.into_iter().map(|caller| caller.join());
        ended
            .map(|ended| ended.map_err(|_| anyhow!("a caller panicked"))?)
            .collect::<anyhow::Result<Vec<u32>>>()
    })?;
    rounds.into_iter().max().context("no caller")
}

fn items() -> impl Iterator<Item = Value> {
    (0..ITEMS).map(|number| item(number, ITEMS_A_KIND))
}
