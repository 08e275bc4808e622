//! What answers like AWS on loopback: the engines that the demo, the tests and the benchmarks run against.
//!
//! | module | answers like | use it for |
//! |---|---|---|
//! | [`embedded`] | DynamoDB, in this process | the demo and the default tests |
//! | [`paging`] | DynamoDB's pages, to the letter | limits, page sizes, empty pages |
//! | [`faults`] | a DynamoDB that fails by script | retries, error codes |
//! | [`sts`] | STS: roles and web identities | assumed roles, refresh |
//! | [`metadata`] | the instance's and the container's metadata | the default credential chain |
//! | [`endpoints`] | nobody: refused, unresolvable, mute | connection errors |
//! | [`replay`] | ready-made pages, byte for byte | odd bodies, benchmarks |
//!
//! Every engine listens on 127.0.0.1 at a port of its own choice, runs on a thread of its own (callers stay
//! synchronous), and is gone, threads and sockets included, when its handle is dropped. None of them reaches
//! beyond loopback.
#![forbid(unsafe_code)]

pub mod client;
pub mod embedded;
pub mod endpoints;
pub mod faults;
pub mod http;
pub mod item_size;
mod line;
pub mod metadata;
pub mod paging;
pub mod replay;
pub mod sample;
pub mod session;
pub mod sts;
pub mod tables;
pub mod wire;
mod worker;
