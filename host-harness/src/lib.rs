//! A host for job plugins that speaks Heimdall's configuration, job documents and HTTP interface.

#![forbid(unsafe_code)]

pub mod config;
mod nearest;
