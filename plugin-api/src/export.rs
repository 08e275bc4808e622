//! The one line of a plugin author.

/// Makes a library of a [`Plugin`](crate::Plugin): both sets of entry points, for that one type. Once per library.
///
/// The library's version is the calling crate's Cargo version, or the one given: `export_plugin!(Mine, version = "2.1.0")`.
#[macro_export]
macro_rules! export_plugin {
    ($plugin:ty) => {
        $crate::export_plugin!($plugin, version = env!("CARGO_PKG_VERSION"));
    };
    ($plugin:ty, version = $version:expr) => {
        /// The root module that a Rust host reaches the plugin by.
        pub fn root_module() -> $crate::private::module::PluginModuleRef {
            use $crate::private::abi_stable::prefix_type::PrefixTypeTrait;
            heimdall_plugin_exports::MODULE.leak_into_prefix()
        }

        /// How a Rust host that the plugin is linked into starts jobs; it is not in the root module, which is ABI 1.0's.
        #[allow(dead_code, reason = "most plugins are only loaded")]
        pub const START_JOB: $crate::abi::StartFn = heimdall_plugin_exports::start_job;

        #[doc(hidden)]
        mod heimdall_plugin_exports {
            use $crate::private::{
                Slot,
                abi_stable::library::{
                    __call_root_module_loader, CheckTypeLayout, LibHeader, RootModuleResult,
                },
                entry_points,
                module::{PluginModule, PluginModuleRef, Reply},
                types::{DoneFn, HpBuffer, HpCall, HpHost, HpInfo},
                types_1_0,
            };

            use super::*;

            type Exported = $plugin;

            static SLOT: Slot<Exported> = Slot::new();
            static INFO: HpInfo = entry_points::info(
                $crate::c_text!(<Exported as $crate::Plugin>::NAME),
                $crate::c_text!($version),
                $crate::c_text!(<Exported as $crate::Plugin>::FEATURES),
                {
                    const ERRORS: &[$crate::ErrorInfo] = <Exported as $crate::Plugin>::ERRORS;
                    const LENGTH: usize = $crate::private::errors_json::<0>(ERRORS).1;
                    const JSON: [u8; LENGTH + 1] = $crate::private::errors_json(ERRORS).0;
                    entry_points::c_str(&JSON)
                },
            );

            pub(super) const MODULE: PluginModule = PluginModule {
                plugin_info: info,
                plugin_open: open,
                run_job: run,
                cancel_job: cancel,
                check_health: health,
                plugin_close: close,
                free_buffer: free,
                run_job_typed: run_typed,
            };

            // Private bodies, and exported symbols that jump to them: the module's table must not go through symbols that
            // another library of the process may have taken first.
            //
            // The module's table speaks of the structs as they were in ABI 1.0; their `struct_size` says what is behind a pointer.
            extern "C" fn info() -> *const types_1_0::HpInfo {
                (&raw const INFO).cast()
            }
            /// # Safety
            /// The host keeps to what the C header says of `plugin_open`.
            unsafe extern "C" fn open(
                host: *const HpHost,
                config: *const u8,
                config_len: usize,
                out: *mut HpBuffer,
            ) -> i32 {
                // SAFETY: the host's promise to this function is the one that the entry point asks for; so in all of these.
                unsafe { entry_points::plugin_open(&SLOT, host, config, config_len, out) }
            }
            /// # Safety
            /// The host keeps to what the C header says of `run_job`.
            unsafe extern "C" fn run(
                job: *const u8,
                job_len: usize,
                call: *const types_1_0::HpCall,
                out: *mut HpBuffer,
            ) -> i32 {
                // SAFETY: the host's promise, passed on.
                unsafe { entry_points::run_job(&SLOT, job, job_len, call.cast(), out) }
            }
            /// # Safety
            /// The host keeps to what the C header says of `run_job`.
            unsafe extern "C" fn run_typed(
                job: *const u8,
                job_len: usize,
                call: *const types_1_0::HpCall,
            ) -> Reply {
                // SAFETY: the host's promise, passed on.
                unsafe { entry_points::run_job_typed(&SLOT, job, job_len, call.cast()) }
            }
            /// # Safety
            /// The host keeps to what the C header says of `cancel_job`.
            unsafe extern "C" fn cancel(job_id: *const u8, job_id_len: usize) -> i32 {
                // SAFETY: the host's promise, passed on.
                unsafe { entry_points::cancel_job(&SLOT, job_id, job_id_len) }
            }
            /// # Safety
            /// The host keeps to what the C header says of `check_health`.
            unsafe extern "C" fn health(
                cluster: *const u8,
                cluster_len: usize,
                call: *const types_1_0::HpCall,
                out: *mut HpBuffer,
            ) -> i32 {
                // SAFETY: the host's promise, passed on.
                unsafe { entry_points::check_health(&SLOT, cluster, cluster_len, call.cast(), out) }
            }
            /// # Safety
            /// The host keeps to what the C header says of `plugin_close`.
            unsafe extern "C" fn close(within_ms: u64, out: *mut HpBuffer) -> i32 {
                // SAFETY: the host's promise, passed on.
                unsafe { entry_points::plugin_close(&SLOT, within_ms, out) }
            }
            /// # Safety
            /// The host keeps to what the C header says of `free_buffer`.
            unsafe extern "C" fn free(buffer: *mut HpBuffer) {
                // SAFETY: the host's promise, passed on.
                unsafe { entry_points::free_buffer(buffer) }
            }

            // What abi_stable's `export_root_module` writes; that attribute wants abi_stable among the author's own dependencies.
            extern "C" fn root_module_result() -> RootModuleResult {
                __call_root_module_loader(super::root_module)
            }
            #[unsafe(no_mangle)]
            #[expect(
                non_upper_case_globals,
                reason = "abi_stable's name for a library's header"
            )]
            static _1as_0lib_1header_0root_bmodule_bloader: LibHeader =
                // SAFETY: `root_module_result` is ours, and gives a module of this very type.
                unsafe {
                    LibHeader::from_constructor::<PluginModuleRef>(
                        root_module_result,
                        CheckTypeLayout::Yes,
                    )
                };

            #[unsafe(no_mangle)]
            extern "C" fn plugin_info() -> *const HpInfo {
                info().cast()
            }
            /// # Safety
            /// The host keeps to what the C header says of this function.
            #[unsafe(no_mangle)]
            unsafe extern "C" fn plugin_open(
                host: *const HpHost,
                config: *const u8,
                config_len: usize,
                out: *mut HpBuffer,
            ) -> i32 {
                // SAFETY: the host's promise, passed on.
                unsafe { open(host, config, config_len, out) }
            }
            /// # Safety
            /// The host keeps to what the C header says of this function.
            #[unsafe(no_mangle)]
            unsafe extern "C" fn run_job(
                job: *const u8,
                job_len: usize,
                call: *const HpCall,
                out: *mut HpBuffer,
            ) -> i32 {
                // SAFETY: the host's promise, passed on.
                unsafe { run(job, job_len, call.cast(), out) }
            }
            /// Since ABI 1.1, so not in the module: hosts look it up by this name.
            ///
            /// # Safety
            /// The host keeps to what the C header says of this function.
            #[unsafe(no_mangle)]
            pub(super) unsafe extern "C" fn start_job(
                job: *const u8,
                job_len: usize,
                call: *const HpCall,
                done: Option<DoneFn>,
                out: *mut HpBuffer,
            ) -> i32 {
                // SAFETY: the host's promise, passed on.
                unsafe { entry_points::start_job(&SLOT, job, job_len, call, done, out) }
            }
            /// # Safety
            /// The host keeps to what the C header says of this function.
            #[unsafe(no_mangle)]
            unsafe extern "C" fn cancel_job(job_id: *const u8, job_id_len: usize) -> i32 {
                // SAFETY: the host's promise, passed on.
                unsafe { cancel(job_id, job_id_len) }
            }
            /// # Safety
            /// The host keeps to what the C header says of this function.
            #[unsafe(no_mangle)]
            unsafe extern "C" fn check_health(
                cluster: *const u8,
                cluster_len: usize,
                call: *const HpCall,
                out: *mut HpBuffer,
            ) -> i32 {
                // SAFETY: the host's promise, passed on.
                unsafe { health(cluster, cluster_len, call.cast(), out) }
            }
            /// # Safety
            /// The host keeps to what the C header says of this function.
            #[unsafe(no_mangle)]
            unsafe extern "C" fn plugin_close(within_ms: u64, out: *mut HpBuffer) -> i32 {
                // SAFETY: the host's promise, passed on.
                unsafe { close(within_ms, out) }
            }
            /// # Safety
            /// The host keeps to what the C header says of this function.
            #[unsafe(no_mangle)]
            unsafe extern "C" fn free_buffer(buffer: *mut HpBuffer) {
                // SAFETY: the host's promise, passed on.
                unsafe { free(buffer) }
            }
        }
    };
}

/// A constant text as a C string, with the NUL put behind it at compile time.
#[doc(hidden)]
#[macro_export]
macro_rules! c_text {
    ($text:expr) => {{
        const TEXT: &str = $text;
        const BYTES: [u8; TEXT.len() + 1] = $crate::private::entry_points::with_nul(TEXT);
        $crate::private::entry_points::c_str(&BYTES)
    }};
}
