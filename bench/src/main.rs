//! `benches CLIENT URL [LIBRARY]`: one client reads all pages behind URL once and prints what that cost as one line of JSON.
//!
//! A client a process, so that peak memory is its own and nothing is warm. Measured is what lies between the first request and
//! the finished result; starting the process and setting the client up is not. `touch` is no client, but what runs before each.
#![forbid(unsafe_code)]

mod aws;
mod bytes_only;
mod many;
mod measure;
mod plugin;
mod small;
mod touch;
mod typed_buffer;
mod typed_value;
mod undecoded;

use std::path::Path;

use anyhow::{Context, bail};

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (client, url, library) = match &arguments[..] {
        [client, url] => (client, url, None),
        [client, url, library] => (client, url, Some(Path::new(library))),
        _ => bail!("usage: benches CLIENT URL [LIBRARY]"),
    };
    let library = || library.context("this client needs the plugin's library");
    let cost = match client.as_str() {
        "bytes-only" => bytes_only::run(url)?,
        "sdk-undecoded" => undecoded::run(url)?,
        "plugin-c" => plugin::through_c(library()?, url)?,
        "plugin-typed" => plugin::through_typed(library()?, url)?,
        "typed-buffer" => typed_buffer::run(url)?,
        "typed-value" => typed_value::run(url)?,
        "many-plugin" => many::through_plugin(library()?, url)?,
        "many-sdk-threads" => many::through_sdk_for_threads(url)?,
        "idle-sdk" => many::idle_sdk(url)?,
        "idle-plugin" => many::idle(library()?, url)?,
        "touch" => {
            touch::touch();
            return Ok(());
        }
        "load" => plugin::load(library()?)?,
        other => match numbered(other) {
            Some(("segments", n_segments)) => plugin::in_segments(library()?, url, n_segments)?,
            Some(("many-started", at_once)) => many::started(library()?, url, at_once)?,
            Some(("many-sdk", at_once)) => many::through_sdk(url, at_once)?,
            Some(("small-plugin", n_jobs)) => small::through_plugin(library()?, url, n_jobs)?,
            Some(("small-sdk", n_requests)) => small::through_sdk(url, n_requests)?,
            _ => bail!("no client '{other}'"),
        },
    };
    println!("{cost}");
    Ok(())
}

/// The two parts of a client's name that ends with a number, such as `segments-16`.
fn numbered(client: &str) -> Option<(&str, u32)> {
    let (name, number) = client.rsplit_once('-')?;
    Some((name, number.parse().ok()?))
}
