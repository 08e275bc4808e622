//! The interface between a job host and its plugins, version 1.1.
//!
//! **For plugin authors:** implement [`Plugin`] for a type of yours and write one line, [`export_plugin!`]. The crate makes both
//! sets of entry points of the library, the C symbols and the `abi_stable` root module, keeps the life cycle (open, jobs, cancel, close), and
//! catches every panic. An author writes no `unsafe`.
//!
//! ```
//! use std::time::Duration;
//! use plugin_api::{Error, Host, JobCtx, Plugin};
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
//! # fn main() {}
//! ```
//!
//! **For hosts in Rust:** the crate `plugin-host`, which also has what an author's tests use (`plugin_host::testing`). **For hosts in other languages:** `include/heimdall_plugin.h`.
//! `docs/ABI.md` says what crosses, who owns it for how long, and what may change in which version.

mod error;
mod error_list;
mod export;
#[expect(unsafe_code, reason = "the fence: what crosses the C interface")]
mod ffi;
mod job;
pub mod json;
mod level;
mod nearest;
mod panic;
mod slot;
mod start;
mod sync;

use std::time::Duration;

#[cfg(target_arch = "x86_64")]
pub use self::ffi::vector::Avx2;
pub use self::{
    error::{Cost, Error, ErrorCode, ErrorInfo, Partial},
    ffi::memory::advise_huge_pages,
    job::{Host, JobCtx},
    level::Level,
    nearest::{near, nearest},
    panic::{catch_panics, quiet_panics_on_this_thread},
    start::{Done, NotStarted},
};

/// The binary interface itself: the C structs, the status numbers and the root module, for the crate that calls libraries
/// (`plugin-host`) and for tests of the layout. A plugin's author and a host's author need none of it.
pub mod abi {
    /// Structs in the form that they had in ABI 1.0, of which the root module speaks.
    pub use crate::ffi::types_1_0;
    pub use crate::ffi::{
        entry_points::{DONE, FAILED, MISUSE},
        module::{PluginModule, PluginModuleRef, Reply},
        symbols::{EXPORTED, NEWEST_GLIBC, REQUIRED},
        types::{
            ABI_MAJOR, ABI_MINOR, DoneFn, HEIMDALL_PLUGIN_MAGIC, HpBuffer, HpCall, HpHost, HpInfo,
            StartFn, size32,
        },
    };
}

/// What [`export_plugin!`] expands to needs; not for direct use.
#[doc(hidden)]
pub mod private {
    pub use abi_stable;

    pub use crate::{
        error_list::to_json as errors_json,
        ffi::{entry_points, module, types, types_1_0},
        slot::Slot,
    };
}

/// A plugin: what an author writes.
///
/// A library holds at most one open instance. `run_job` and `check_health` are called from any number of the host's threads at
/// once and may block them; a panic in any method is caught and becomes `INTERNAL`.
pub trait Plugin: Send + Sync + Sized + 'static {
    /// The name that a command's `plugin` asks for. No NUL inside.
    const NAME: &'static str;

    /// What this plugin can do beyond running jobs, space-separated: `cancel`, `progress`, `health`, `rows` (it hands rows over as they
    /// come), `start` (it has a [`Plugin::start_job`] of its own).
    const FEATURES: &'static str = "";

    /// The codes that its jobs can fail with, what each means and who can do something about it: hosts show it to their users.
    const ERRORS: &'static [ErrorInfo] = ErrorInfo::STANDARD;

    /// Makes the instance. `config` is a JSON object, `{}` where the host gave none.
    ///
    /// Start nothing here that the first job could start itself: a host opens libraries to look at them.
    ///
    /// # Errors
    /// `INVALID_JOB` for a config that is not understood; anything else that keeps the plugin from starting.
    fn open(host: Host, config: &str) -> Result<Self, Error>;

    /// Runs one job: its document in, its result document out (JSON both).
    ///
    /// # Errors
    /// Whatever keeps the job from giving its result, with the code that fits.
    fn run_job(&self, job: &str, ctx: &JobCtx) -> Result<Vec<u8>, Error>;

    /// Starts one job and returns at once; `done` is told its end, on a thread of the plugin. A job that waits must cost no thread.
    ///
    /// The library calls it only where [`Plugin::FEATURES`] has the word `start`.
    ///
    /// # Errors
    /// [`NotStarted`] where the plugin cannot take any job, for example where its threads cannot be started. Every error of the job
    /// itself, a malformed document too, is told to `done`.
    fn start_job(&self, job: String, ctx: JobCtx, done: Done) -> Result<(), NotStarted> {
        let _ = (job, ctx);
        Err(done.refuse(
            Error::new(
                ErrorCode::INTERNAL,
                "this plugin cannot start a job without waiting for it",
            )
            .hint("a plugin with the feature 'start' has a start_job of its own"),
        ))
    }

    /// Says whether a cluster can be worked with: the job document's `cluster` object in, a JSON object with `status` out.
    ///
    /// # Errors
    /// What a job on that cluster would fail with.
    fn check_health(&self, cluster: &str, ctx: &JobCtx) -> Result<Vec<u8>, Error>;

    /// Ends the instance: joins every thread that it started, gives back every byte.
    ///
    /// Called once, when no job runs any more. `within` is how long the host is willing to wait.
    ///
    /// # Errors
    /// What could not be ended; the instance is gone all the same.
    fn close(self, within: Duration) -> Result<(), Error>;
}
