//! `bench-server DATASET MB`: the replay server in a process of its own. Out: its URL, as one line. It ends when its standard
//! input does, so it cannot outlive who started it.
//!
//! Eight ready-made pages of 1 MB are sent in turn; a request costs a look for its token and nothing else.
#![forbid(unsafe_code)]

mod items;

use std::io::{self, Read, Write};
use std::time::Duration;

use anyhow::{Context, bail};
use bytes::Bytes;
use engines::replay::Replay;

const PAGE_BYTES: usize = 1 << 20;
const DISTINCT_PAGES: u64 = 8;

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [data_set, megabytes] = &arguments[..] else {
        bail!("usage: bench-server flat|nested MB");
    };
    let item = match data_set.as_str() {
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
