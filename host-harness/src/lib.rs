//! The command line of the host: `run`, `serve`, `check`, `plugins`, `probe`, `explain`.
//!
//! What the commands do is in other crates: `heimdall-server` serves, `plugin-host` loads plugins, `results` writes results.
#![forbid(unsafe_code)]

pub mod cli;
pub mod explain;
pub mod inspect;
pub mod render;
pub mod run;
