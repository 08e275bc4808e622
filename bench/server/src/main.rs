//! `bench-server replay DATASET MB [LATENCY_MS]`: the replay server in a process of its own. Out: its URL, as one line. It ends when
//! its standard input does, so it cannot outlive who started it. `bench-server pages LIBRARY` measures page sizes, see [`pages`],
//! `bench-server far LIBRARY` a service at a distance, see [`far`].
//!
//! Eight ready-made pages of 1 MB are sent in turn; a request costs a look for its token and nothing else. Of the data set `one` there
//! is one page with one item, of `columns` one page with 10,000 items.
#![forbid(unsafe_code)]

mod far;
mod items;
mod pages;

use std::{
    io::{self, Read, Write},
    path::Path,
    time::Duration,
};

use anyhow::{Context, bail};
use bytes::Bytes;
use engines::replay::Replay;

const PAGE_BYTES: usize = 1 << 20;
const DISTINCT_PAGES: u64 = 8;

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["replay", data_set, megabytes] => replay(data_set, megabytes, "0"),
        ["replay", data_set, megabytes, latency] => replay(data_set, megabytes, latency),
        ["pages", library] => pages::run(Path::new(library)),
        ["far", library] => far::run(Path::new(library)),
        _ => bail!(
            "usage: bench-server replay DATASET MB [LATENCY_MS], or bench-server pages LIBRARY, or bench-server far LIBRARY"
        ),
    }
}

fn replay(data_set: &str, megabytes: &str, latency: &str) -> anyhow::Result<()> {
    let megabytes = number(megabytes)?;
    let latency = Duration::from_millis(u64::try_from(number(latency)?)?);
    let pages = |item: fn(u64) -> String| {
        let list = |page| list(page * 10_000, PAGE_BYTES, item);
        (0..DISTINCT_PAGES).map(list).collect::<Vec<_>>()
    };
    let (lists, n_pages) = match data_set {
        "flat" => (pages(items::flat), megabytes),
        "nested" => (pages(items::nested), megabytes),
        "shuffled" => (pages(items::shuffled), megabytes),
        "blanks" => (pages(items::blanks), megabytes),
        "wide" => (pages(items::wide), megabytes),
        "tiny" => (pages(items::tiny), megabytes),
        "one" => (vec![list(0, 1, items::flat)], 1),
        "columns" => (vec![columns()], 1),
        other => bail!(
            "no data set '{other}', only flat, nested, shuffled, blanks, wide, tiny, one and columns"
        ),
    };
    let server = Replay::repeat(&lists, n_pages, latency)?;
    println!("{}", server.url());
    io::stdout().flush()?;
    io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}

fn number(text: &str) -> anyhow::Result<usize> {
    text.parse()
        .with_context(|| format!("'{text}' is no number"))
}

fn columns() -> Bytes {
    let items: Vec<String> = (0..10_000).map(items::new_attribute).collect();
    items.join(",").into()
}

/// Items from number `first` on, until they are that long.
fn list(first: u64, bytes: usize, item: fn(u64) -> String) -> Bytes {
    let mut list = item(first);
    let mut number = first;
    while list.len() < bytes {
        number += 1;
        list.push(',');
        list.push_str(&item(number));
    }
    list.into()
}
