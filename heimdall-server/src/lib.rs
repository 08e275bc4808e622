//! A server that speaks Heimdall's configuration, job documents and HTTP interface, and runs the jobs through plugins.
//!
//! In: a configuration file and a directory of plugins. Out: the HTTP interface ([`serve`]), and what a configuration would do
//! ([`check`]). A submitted job is routed ([`route`]) by the commands and clusters in force ([`catalog`]), queued and run
//! ([`dispatch`]), and kept ([`store`]) until it is removed ([`janitor`]).
#![forbid(unsafe_code)]

pub mod catalog;
pub mod check;
pub mod config;
pub mod dispatch;
pub mod error;
pub mod health;
pub mod janitor;
pub mod job;
pub mod log;
pub mod metrics;
pub mod plugins;
mod priority;
pub mod recover;
pub mod route;
pub mod serve;
pub mod store;
#[cfg(any(test, feature = "fuzzing"))]
#[cfg_attr(not(test), allow(dead_code, reason = "the tests use all of it"))]
#[allow(clippy::unwrap_used, reason = "only tests and fuzz targets use it")]
mod testing;
pub mod trace;
