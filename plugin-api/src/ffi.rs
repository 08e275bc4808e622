//! The fence: every `unsafe` of the crate is in this folder, and of the project but for what a figure earns elsewhere.
//!
//! `types` the C structs · `input` what callers hand in and the buffers handed out · `callbacks` the host's functions ·
//! `fork` children of the host · `door` the C symbols' bodies · `module` the `abi_stable` root module · `library` and `c_door` the host's
//! side · `process` the host's own process · `prototypes` for the C header.

mod c_door;
pub(crate) mod callbacks;
pub mod door;
pub(crate) mod fork;
pub(crate) mod input;
pub(crate) mod library;
pub(crate) mod memory;
pub mod module;
pub(crate) mod process;
#[cfg(any())]
mod prototypes;
pub mod types;
