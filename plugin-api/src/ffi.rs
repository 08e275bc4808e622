//! The fence: every `unsafe` of the crate is in this folder, and of the project but for what a figure earns elsewhere.
//!
//! `types` the C structs, `types_1_0` their first form for the module · `input` what callers hand in and the buffers handed out ·
//! `callbacks` the host's functions · `fork` children of the host · `symbols` their names · `entry_points` the C symbols' bodies · `module` the `abi_stable` root
//! module · `prototypes` for the C header · `vector` blocks of bytes by AVX2. The host's side, with a fence of its own, is `plugin-host/src/ffi/`.

pub(crate) mod callbacks;
pub mod entry_points;
pub(crate) mod fork;
pub(crate) mod input;
pub(crate) mod memory;
pub mod module;
#[cfg(any())]
mod prototypes;
pub(crate) mod symbols;
pub mod types;
pub mod types_1_0;
#[cfg(target_arch = "x86_64")]
pub(crate) mod vector;
