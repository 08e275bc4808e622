//! A host for job plugins that speaks Heimdall's configuration, job documents and HTTP interface.

#![forbid(unsafe_code)]

pub mod catalog;
pub mod config;
pub mod error;
pub mod job;
pub mod log;
pub mod metrics;
mod nearest;
pub mod plugins;
pub mod route;
pub mod store;
