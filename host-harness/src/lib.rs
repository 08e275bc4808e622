//! A host for job plugins that speaks Heimdall's configuration, job documents and HTTP interface.

#![forbid(unsafe_code)]

pub mod catalog;
pub mod check;
pub mod cli;
pub mod config;
pub mod demo;
pub mod dispatch;
pub mod error;
pub mod explain;
pub mod health;
pub mod inspect;
pub mod janitor;
pub mod job;
pub mod log;
pub mod metrics;
mod nearest;
pub mod plugins;
pub mod recover;
pub mod render;
pub mod route;
pub mod run;
pub mod serve;
pub mod store;
#[cfg(test)]
mod testing;
