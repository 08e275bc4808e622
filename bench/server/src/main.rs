//! `bench-server replay DATASET MB`: the replay server in a process of its own. Out: its URL, as one line. It ends when its
//! standard input does, so it cannot outlive who started it. `bench-server pages LIBRARY` measures page sizes, see [`pages`].
//!
//! Eight ready-made pages of 1 MB are sent in turn; a request costs a look for its token and nothing else.
#![forbid(unsafe_code)]

mod items;
mod pages;

use std::io::{self, Read, Write};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, bail};
use bytes::Bytes;
use engines::replay::Replay;

const PAGE_BYTES: usize = 1 << 20;
const DISTINCT_PAGES: u64 = 8;

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["replay", data_set, megabytes] => replay(data_set, megabytes),
        ["pages", library] => pages::run(Path::new(library)),
        _ => bail!("usage: bench-server replay flat|nested MB, or bench-server pages LIBRARY"),
    }
}

fn replay(data_set: &str, megabytes: &str) -> anyhow::Result<()> {
    let item = match data_set {
        "flat" => items::flat,
        "nested" => items::nested,
        other => bail!("no data set '{other}', only flat and nested"),
    };
    let pages = megabytes
        .parse::<usize>()
        .with_context(|| format!("'{megabytes}' is no number of megabytes"))?;
    let lists: Vec<Bytes> = (0..DISTINCT_PAGES)
        .map(|page| list(page * 10_000, item))
        .collect();
    let server = Replay::repeat(&lists, pages, Duration::ZERO)?;
    println!("{}", server.url());
    io::stdout().flush()?;
    io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}

/// Items from number `first` on, as many as a page holds.
fn list(first: u64, item: fn(u64) -> String) -> Bytes {
    let mut list = item(first);
    let mut number = first;
    while list.len() < PAGE_BYTES {
        number += 1;
        list.push(',');
        list.push_str(&item(number));
    }
    list.into()
}
