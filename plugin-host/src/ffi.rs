//! The fence: every `unsafe` of the crate is in this folder.
//!
//! `library` opens a library and calls its functions · `call` what goes into a call and comes out of it · `start` a job that waits
//! without a thread · `c_symbols` the C function `run_job`, for tests and benchmarks · `process` what only C knows of the host's own process.

mod c_symbols;
pub(crate) mod call;
pub(crate) mod library;
pub(crate) mod process;
pub(crate) mod start;
