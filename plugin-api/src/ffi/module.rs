//! The Rust entry points: a root module whose layout `abi_stable` checks when a library is loaded.
//!
//! It carries the C functions of ABI 1.0 plus one that hands its document over in an `RVec`, without a copy. It stays as it is:
//! `abi_stable` lets a longer module into an older host, but not a shorter one into a newer host. What came later, such as `start_job`,
//! is a C symbol that a host looks up by its name.

use abi_stable::{
    StableAbi, library::RootModule, package_version_strings, sabi_types::VersionStrings,
    std_types::RVec,
};

use super::{
    types::{HpBuffer, HpHost},
    types_1_0::{HpCall, HpInfo},
};

/// A job's answer through the Rust entry points.
#[repr(C)]
#[derive(Debug, StableAbi)]
pub struct Reply {
    /// 0 done, 1 failed, 2 wrong use: as the C function's status.
    pub status: i32,
    /// The result document, or the error document where `status` is not 0.
    pub document: RVec<u8>,
}

/// The functions of a plugin library. The tables are made of the library's private functions, so that a host that itself has
/// a symbol named `run_job` cannot put its own in their place.
#[repr(C)]
#[derive(Debug, StableAbi)]
#[sabi(kind(Prefix(prefix_ref = PluginModuleRef)))]
#[sabi(missing_field(panic))]
pub struct PluginModule {
    /// See the C header, as for all of these.
    pub plugin_info: extern "C" fn() -> *const HpInfo,
    /// `plugin_open`.
    pub plugin_open: unsafe extern "C" fn(
        host: *const HpHost,
        config: *const u8,
        config_len: usize,
        out: *mut HpBuffer,
    ) -> i32,
    /// `run_job`.
    pub run_job: unsafe extern "C" fn(
        job: *const u8,
        job_len: usize,
        call: *const HpCall,
        out: *mut HpBuffer,
    ) -> i32,
    /// `cancel_job`.
    pub cancel_job: unsafe extern "C" fn(job_id: *const u8, job_id_len: usize) -> i32,
    /// `check_health`.
    pub check_health: unsafe extern "C" fn(
        cluster: *const u8,
        cluster_len: usize,
        call: *const HpCall,
        out: *mut HpBuffer,
    ) -> i32,
    /// `plugin_close`.
    pub plugin_close: unsafe extern "C" fn(within_ms: u64, out: *mut HpBuffer) -> i32,
    /// `free_buffer`.
    pub free_buffer: unsafe extern "C" fn(buffer: *mut HpBuffer),
    /// `run_job` with its document in a vector that frees itself.
    #[sabi(last_prefix_field)]
    pub run_job_typed:
        unsafe extern "C" fn(job: *const u8, job_len: usize, call: *const HpCall) -> Reply,
}

impl RootModule for PluginModuleRef {
    abi_stable::declare_root_module_statics! {PluginModuleRef}
    const BASE_NAME: &'static str = "heimdall_plugin";
    const NAME: &'static str = "heimdall_plugin";
    const VERSION_STRINGS: VersionStrings = package_version_strings!();
}
