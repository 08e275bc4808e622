//! The host's side of the plugin interface: what a Rust program needs to load job plugins, to call them and to replace them
//! while jobs run.
//!
//! - [`Library`] loads one library and calls it through safe functions. It trusts the file.
//! - [`Registry`] keeps a whole directory of libraries. Each file is verified, tried in a child process
//!   and loaded beside the versions that are already there; a job takes a [`Lease`] on one version and finishes on it.
//!   A program that opens a registry calls [`child::run_if_asked`] first in its `main`; `examples/swap.rs` is a whole host.
//! - [`JobDocument`] writes what a job is given to a plugin as.
//! - [`inspect`] says whether a file would be accepted, and what lies in a directory.
//!
//! The crate has no HTTP server, no database and no command line. `docs/ABI.md` says what crosses the interface.
//!
//! # Example
//!
//! A plugin that is linked into the program, as tests use it; [`Library::load`] gives the same from a file.
//!
//! ```
//! use std::time::Duration;
//! use plugin_api::{Error, Host, JobCtx, Plugin};
//! use plugin_host::{CallOptions, Library};
//!
//! struct Upper;
//!
//! impl Plugin for Upper {
//!     const NAME: &'static str = "upper";
//!     fn open(_host: Host, _config: &str) -> Result<Self, Error> { Ok(Upper) }
//!     fn run_job(&self, job: &str, _ctx: &JobCtx) -> Result<Vec<u8>, Error> { Ok(job.to_uppercase().into_bytes()) }
//!     fn check_health(&self, _cluster: &str, _ctx: &JobCtx) -> Result<Vec<u8>, Error> { Ok(br#"{"status":"ok"}"#.to_vec()) }
//!     fn close(self, _within: Duration) -> Result<(), Error> { Ok(()) }
//! }
//!
//! plugin_api::export_plugin!(Upper);
//!
//! fn main() {
//!     let library = Library::linked(root_module(), None).unwrap();
//!     let answer = library.run_job(br#"{"a":1}"#, &CallOptions::default()).unwrap();
//!     assert_eq!(&*answer, br#"{"A":1}"#);
//! }
//! ```

pub mod child;
#[expect(
    unsafe_code,
    reason = "the fence: calls into loaded libraries and into the C library"
)]
mod ffi;
pub mod inspect;
mod instance;
mod job_document;
mod load;
mod probe;
pub mod refusal;
pub mod registry;
pub mod residue;
pub mod testing;
pub mod verify;
mod watch;
pub mod worker;

pub use self::{
    ffi::{
        call::{CallOptions, Document, Progress, RowsSink},
        library::{Info, Library, LoadError, LogSink},
        process::{free_thread_keys, give_large_blocks_back, glibc_version},
    },
    job_document::JobDocument,
    load::raise_file_limit,
    probe::ProbeReport,
    registry::{IsolationMode, Lease, Names, Registry, RegistryError, RegistryOptions},
};
