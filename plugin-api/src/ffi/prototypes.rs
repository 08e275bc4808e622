//! The C prototypes, for `cbindgen` alone: the functions themselves are made by `export_plugin!`, which it cannot look into.
//!
//! Never compiled (see `ffi.rs`). A test compares the header that comes of this file and `types.rs` with the one checked in, and
//! another one links the header's prototypes with a built library.

#[cfg(any())]
unsafe extern "C" {
    /// What the library says of itself: static, never null, never freed. Needs no open library. Check `magic` and `abi_major`
    /// before anything else.
    pub fn plugin_info() -> *const HpInfo;

    /// Opens a library that is not open, also again after `plugin_close`; while it is open this answers 2 and changes nothing.
    ///
    /// `host` may be NULL (no log). `config` is a JSON object; NULL or length 0 is the same as `{}`. `out` stays empty on success.
    pub fn plugin_open(
        host: *const HpHost,
        config: *const u8,
        config_len: usize,
        out: *mut HpBuffer,
    ) -> i32;

    /// Runs one job and waits for it: its document in, its result document (or its error document) out.
    ///
    /// `call` may be NULL (no deadline, no progress). Opens the library with defaults where nobody has yet. After `plugin_close`
    /// it answers 1 with SHUTTING_DOWN until the next `plugin_open`.
    pub fn run_job(job: *const u8, job_len: usize, call: *const HpCall, out: *mut HpBuffer) -> i32;

    /// Since 1.1: starts one job and returns at once. With 0, `done` is called exactly once, on a thread of the plugin, with the status
    /// and the document that `run_job` would have given, after the job's last other callback; it may come before this returns. `out` is
    /// then left empty. With 1 (SHUTTING_DOWN, or the library could not be opened) or 2 `done` is never called and `out` says why.
    ///
    /// The `hp_buffer` that `done` gets is valid until `done` returns; its bytes are the caller's, to be given to `free_buffer` there
    /// or later (keep a copy of the struct). `done` must not block; inside it `start_job`, `cancel_job`, `plugin_info` and
    /// `free_buffer` may be called. Answers 2 where the plugin's `features` lack the word `start`.
    pub fn start_job(
        job: *const u8,
        job_len: usize,
        call: *const HpCall,
        done: Option<unsafe extern "C" fn(user: *mut c_void, status: i32, out: *mut HpBuffer)>,
        out: *mut HpBuffer,
    ) -> i32;

    /// Asks every job whose document's `id` is this to stop: 0 asked, 1 no such job (or not started yet), 2 wrong use.
    pub fn cancel_job(job_id: *const u8, job_id_len: usize) -> i32;

    /// Asks whether a cluster can be worked with: the job document's `cluster` object in (NULL with length 0: `{}`), a document with
    /// `status` out, or the error that a job there would end with.
    pub fn check_health(
        cluster: *const u8,
        cluster_len: usize,
        call: *const HpCall,
        out: *mut HpBuffer,
    ) -> i32;

    /// Takes no new jobs, gives those under way `within_ms` to finish, cancels what is left, joins every thread of the library.
    ///
    /// Closing what is closed answers 0; several at once all wait for the one. `out` stays empty on success.
    pub fn plugin_close(within_ms: u64, out: *mut HpBuffer) -> i32;

    /// Gives a buffer's memory back and empties the buffer, so that twice is fine; NULL and empty ones are fine too.
    pub fn free_buffer(buffer: *mut HpBuffer);
}
