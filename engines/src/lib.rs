//! What answers like AWS on loopback: the engines that the demo, the tests and the benchmarks run against.
//!
//! | module | answers like | use it for |
//! |---|---|---|
//! | [`embedded`] | DynamoDB, in this process | the demo and the default tests |
//! | [`paging`] | DynamoDB's pages, to the letter | limits, page sizes, empty pages |
//! | [`faults`] | a DynamoDB that fails by script | retries, error codes |
//! | [`sts`] | STS: roles and web identities | assumed roles, refresh |
//! | [`metadata`] | the instance's and the container's metadata | the default credential chain |
//! | [`proxy`] | a company's HTTP proxy | proxy settings |
//! | [`tls`] | any of these over TLS, under a private CA | `ca_bundle`, TLS failures |
//! | [`distant`] | any of these from far away | round trips, handshakes, reuse of connections |
//! | [`local`] | Amazon's own DynamoDB Local | the reference for grammar, errors and pages |
//! | [`moto`] | moto's STS | a second opinion on assumed roles |
//! | [`readers`] | pyarrow, duckdb, polars, boto3 | what others read in our files, what boto3 answers |
//! | [`endpoints`] | nobody: refused, unresolvable, mute | connection errors |
//! | [`segmented`] | DynamoDB read in segments, each with faults of its own | parallel Scan |
//! | [`endless`] | a server whose answers never end | bounds on what is read |
//! | [`replay`] | ready-made pages, byte for byte | odd bodies, benchmarks |
//!
//! Every engine listens on 127.0.0.1 at a port of its own choice, runs on a thread of its own (callers stay
//! synchronous), and is gone, threads and sockets included, when its handle is dropped. None of them reaches
//! beyond loopback; what is of
//! other people's making ([`local`], [`moto`], [`readers`]) is fetched once into the target folder by [`install_all`].
#![forbid(unsafe_code)]

mod child_guard;
pub mod client;
pub mod distant;
pub mod embedded;
pub mod endless;
pub mod endpoints;
pub mod faults;
pub mod http;
mod install;
pub mod item_size;
mod line;
pub mod local;
pub mod metadata;
pub mod moto;
pub mod paging;
pub mod proxy;
pub mod readers;
pub mod recording;
pub mod replay;
pub mod sample;
mod scripted_body;
pub mod segmented;
mod server_process;
pub mod session;
mod skip;
pub mod sts;
pub mod tables;
pub mod tls;
pub mod wire;
mod worker;

pub use self::skip::{Skip, skip_or_fail};

/// Installs every engine that can be had; gives what cannot, and why.
#[must_use]
pub fn install_all() -> Vec<Skip> {
    let installed = [
        local::install(),
        moto::install(),
        readers::install(),
        readers::jq(),
    ];
    installed.into_iter().filter_map(Result::err).collect()
}
