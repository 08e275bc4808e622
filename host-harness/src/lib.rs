//! The command line of the host: `run`, `serve`, `check`, `plugins`, `probe`, `explain`, `completions`; and the client of a running one:
//! `submit`, `jobs`, `job`, `cancel`.
//!
//! What the commands do is in other crates: `heimdall-server` serves, `plugin-host` loads plugins, `results` writes results.
#![forbid(unsafe_code)]

pub mod cli;
pub mod client;
mod exit;
pub mod explain;
mod help;
pub mod inspect;
mod lift;
mod pages;
mod plugin_directory;
pub mod run;
mod terminal;
mod user;
