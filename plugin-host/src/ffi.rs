//! The fence: every `unsafe` of the crate is in this folder.
//!
//! `library` opens a library and calls its functions · `c_door` the C function `run_job`, for tests and benchmarks · `process` what
//! only C knows of the host's own process.

mod c_door;
pub(crate) mod library;
pub(crate) mod process;
