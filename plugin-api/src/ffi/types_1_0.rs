//! `HpInfo` and `HpCall` as they were in ABI 1.0, for the root module alone. Never change them.
//!
//! `abi_stable` follows the module's types into their fields and refuses a library or a host whose fields are others, in both
//! directions. So the module speaks of these for ever, whatever is added to the structs of `types`.

#![expect(missing_docs, reason = "the fields are documented in `types`")]

use std::ffi::{c_char, c_void};

use abi_stable::StableAbi;

/// The first 40 bytes of what a library says of itself.
#[repr(C)]
#[derive(Debug, StableAbi)]
pub struct HpInfo {
    pub magic: u32,
    pub struct_size: u32,
    pub abi_major: u32,
    pub abi_minor: u32,
    pub name: *const c_char,
    pub version: *const c_char,
    pub features: *const c_char,
}

/// The first 32 bytes of what a caller offers to one job.
#[repr(C)]
#[derive(Debug, Clone, Copy, StableAbi)]
pub struct HpCall {
    pub struct_size: u32,
    pub reserved: u32,
    pub user: *mut c_void,
    pub timeout_ms: u64,
    pub progress:
        Option<unsafe extern "C" fn(user: *mut c_void, rows: u64, pages: u64, wire_bytes: u64)>,
}

/// What every caller knows at least.
pub(crate) const CALL_BYTES: usize = size_of::<HpCall>();
