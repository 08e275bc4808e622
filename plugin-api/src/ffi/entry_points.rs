//! The bodies of the C symbols: check what came in, run it against the slot, write what goes out. No panic leaves here.
//!
//! Safety, for every function: the host promises what the C header asks of it. Pointers are null or lead to what the header says, for the
//! time of the call; `out` is null or writable.

use std::{
    ffi::CStr,
    time::{Duration, Instant},
};

use abi_stable::std_types::RVec;

use super::{
    callbacks::{CallerFunctions, DoneCallback, Inside, LogCallback, inside},
    fork::orphaned,
    input,
    module::Reply,
    types::{
        ABI_MAJOR, ABI_MINOR, DoneFn, HEIMDALL_PLUGIN_MAGIC, HpBuffer, HpCall, HpHost, HpInfo,
        size32,
    },
};
use crate::{
    Host, Plugin,
    panic::guard,
    slot::{CallInfo, Refusal, Slot, misuse},
};

/// Done; the document is in `out`.
pub const DONE: i32 = 0;
/// Failed; the error document is in `out`.
pub const FAILED: i32 = 1;
/// Wrong use; the error document is in `out` where `out` is usable.
pub const MISUSE: i32 = 2;

/// Builds the static `plugin_info` record.
#[must_use]
pub const fn info(
    name: &'static CStr,
    version: &'static CStr,
    features: &'static CStr,
    errors: &'static CStr,
) -> HpInfo {
    HpInfo {
        magic: HEIMDALL_PLUGIN_MAGIC,
        struct_size: size32::<HpInfo>(),
        abi_major: ABI_MAJOR,
        abi_minor: ABI_MINOR,
        name: name.as_ptr(),
        version: version.as_ptr(),
        features: features.as_ptr(),
        errors: errors.as_ptr(),
    }
}

/// A text with a NUL behind it; `N` is its length plus one.
#[must_use]
pub const fn with_nul<const N: usize>(text: &str) -> [u8; N] {
    let mut bytes = [0; N];
    let mut at = 0;
    while at < text.len() {
        bytes[at] = text.as_bytes()[at];
        at += 1;
    }
    bytes
}

/// Checks that NUL-ended bytes are a C string, at compile time.
///
/// # Panics
/// At compile time, where the text has a NUL inside.
#[must_use]
pub const fn c_str(bytes: &'static [u8]) -> &'static CStr {
    match CStr::from_bytes_with_nul(bytes) {
        Ok(text) => text,
        Err(_) => panic!("a plugin's name, version and features must not have a NUL inside"),
    }
}

/// `plugin_open`.
///
/// # Safety
/// The host's promise: see the file's head.
pub unsafe fn plugin_open<P: Plugin>(
    slot: &Slot<P>,
    host: *const HpHost,
    config: *const u8,
    config_len: usize,
    out: *mut HpBuffer,
) -> i32 {
    let open = || {
        may_be_called("plugin_open")?;
        // SAFETY: the host's promise.
        let host = unsafe { input::sized(host) }.map_err(Refusal::Misuse)?;
        // SAFETY: the host's promise.
        let config =
            unsafe { input::text(config, config_len, "config") }.map_err(Refusal::Misuse)?;
        let host = Host::new(host.as_ref().and_then(LogCallback::of));
        slot.open(
            host,
            config.filter(|config| !config.is_empty()).unwrap_or("{}"),
        )?;
        Ok(Vec::new())
    };
    // SAFETY: the host's promise.
    unsafe { answer(out, open) }
}

/// `run_job`.
///
/// # Safety
/// The host's promise: see the file's head.
pub unsafe fn run_job<P: Plugin>(
    slot: &Slot<P>,
    job: *const u8,
    job_len: usize,
    call: *const HpCall,
    out: *mut HpBuffer,
) -> i32 {
    // SAFETY: the host's promise, for `out` and for the job.
    unsafe { answer(out, || job_answer(slot, job, job_len, call)) }
}

/// `run_job` of the root module: the same, its document in a vector of `abi_stable`'s.
///
/// # Safety
/// The host's promise: see the file's head.
pub unsafe fn run_job_typed<P: Plugin>(
    slot: &Slot<P>,
    job: *const u8,
    job_len: usize,
    call: *const HpCall,
) -> Reply {
    // SAFETY: the host's promise.
    let (status, document) = settle(|| unsafe { job_answer(slot, job, job_len, call) });
    Reply {
        status,
        document: RVec::from(document),
    }
}

/// Runs a job; what the two entry points for jobs have in common.
///
/// # Safety
/// The host's promise for the job and the call: see the file's head.
unsafe fn job_answer<P: Plugin>(
    slot: &Slot<P>,
    job: *const u8,
    job_len: usize,
    call: *const HpCall,
) -> Result<Vec<u8>, Refusal> {
    may_be_called("run_job")?;
    // SAFETY: the host's promise.
    let job = unsafe { job_text(job, job_len) }?;
    // SAFETY: the host's promise.
    let call = unsafe { input::sized(call) }.map_err(Refusal::Misuse)?;
    Ok(slot.run_job(job, CallInfo::of(call.as_ref()))?)
}

/// The job document as text.
///
/// # Safety
/// The host's promise for the job: see the file's head. The text may be used only as long as the call that brought it.
unsafe fn job_text<'a>(job: *const u8, job_len: usize) -> Result<&'a str, Refusal> {
    // SAFETY: the host's promise.
    unsafe { input::text(job, job_len, "job") }
        .and_then(|job| job.ok_or_else(|| misuse("job is null")))
        .map_err(Refusal::Misuse)
}

/// `start_job`.
///
/// # Safety
/// The host's promise: see the file's head.
pub unsafe fn start_job<P: Plugin>(
    slot: &'static Slot<P>,
    job: *const u8,
    job_len: usize,
    call: *const HpCall,
    done: Option<DoneFn>,
    out: *mut HpBuffer,
) -> i32 {
    if out.is_null() {
        return MISUSE;
    }
    // Before the job begins: `done` may come before this returns, and the caller may end the life of `out` there.
    // SAFETY: not null, writable by the host's promise; unaligned and without a drop, since it may be uninitialised.
    unsafe { out.write_unaligned(HpBuffer::EMPTY) };
    // SAFETY: the host's promise.
    let (status, document) = settle(|| unsafe { start(slot, job, job_len, call, done) });
    if status != DONE {
        // SAFETY: as above; no job was started that could tell its end, so `out` is still the host's to lend.
        unsafe { out.write_unaligned(HpBuffer::from_vec(document)) };
    }
    status
}

/// Starts a job.
///
/// # Safety
/// The host's promise for the job and the call: see the file's head.
unsafe fn start<P: Plugin>(
    slot: &'static Slot<P>,
    job: *const u8,
    job_len: usize,
    call: *const HpCall,
    done: Option<DoneFn>,
) -> Result<Vec<u8>, Refusal> {
    if inside() != Inside::Done {
        may_be_called("start_job")?;
    }
    not_in_forked_child("start_job")?;
    if !P::FEATURES.split(' ').any(|feature| feature == "start") {
        return Err(Refusal::Misuse(misuse(
            "this plugin cannot start jobs: its features lack 'start'",
        )));
    }
    let done = done.ok_or_else(|| Refusal::Misuse(misuse("done is null")))?;
    // SAFETY: the host's promise.
    let job = unsafe { job_text(job, job_len) }?;
    // SAFETY: the host's promise.
    let call = unsafe { input::sized(call) }.map_err(Refusal::Misuse)?;
    let done = DoneCallback::new(done, call.as_ref());
    slot.start_job(
        job.to_owned(),
        CallInfo::of(call.as_ref()),
        move |outcome| {
            let (status, document) = settle(|| Ok(outcome?));
            done.call(status, HpBuffer::from_vec(document));
        },
    )?;
    Ok(Vec::new())
}

/// `check_health`.
///
/// # Safety
/// The host's promise: see the file's head.
pub unsafe fn check_health<P: Plugin>(
    slot: &Slot<P>,
    cluster: *const u8,
    cluster_len: usize,
    call: *const HpCall,
    out: *mut HpBuffer,
) -> i32 {
    let check = || {
        may_be_called("check_health")?;
        if cluster.is_null() && cluster_len > 0 {
            return Err(Refusal::Misuse(misuse(format!(
                "cluster is null, its length {cluster_len}"
            ))));
        }
        // SAFETY: the host's promise.
        let cluster =
            unsafe { input::text(cluster, cluster_len, "cluster") }.map_err(Refusal::Misuse)?;
        // SAFETY: the host's promise.
        let call = unsafe { input::sized(call) }.map_err(Refusal::Misuse)?;
        Ok(slot.check_health(cluster.unwrap_or("{}"), CallInfo::of(call.as_ref()))?)
    };
    // SAFETY: the host's promise.
    unsafe { answer(out, check) }
}

/// `cancel_job`: 0 asked to stop, 1 no such job, 2 wrong use.
///
/// # Safety
/// The host's promise: see the file's head.
pub unsafe fn cancel_job<P: Plugin>(slot: &Slot<P>, job_id: *const u8, job_id_len: usize) -> i32 {
    // SAFETY: the host's promise.
    match unsafe { input::text(job_id, job_id_len, "job_id") } {
        Ok(Some(id)) if !orphaned() => match guard(|| Ok(slot.cancel(id))) {
            Ok(true) => DONE,
            Ok(false) | Err(_) => FAILED,
        },
        _ => MISUSE,
    }
}

/// `plugin_close`.
///
/// # Safety
/// The host's promise: see the file's head.
pub unsafe fn plugin_close<P: Plugin>(slot: &Slot<P>, within_ms: u64, out: *mut HpBuffer) -> i32 {
    let close = || {
        may_be_called("plugin_close")?;
        slot.close(Duration::from_millis(within_ms))?;
        Ok(Vec::new())
    };
    // SAFETY: the host's promise.
    unsafe { answer(out, close) }
}

/// `free_buffer`.
///
/// # Safety
/// `buffer` is null or leads to a buffer that is empty or came from this library.
pub unsafe fn free_buffer(buffer: *mut HpBuffer) {
    // SAFETY: the host's promise.
    if let Some(buffer) = unsafe { buffer.as_mut() } {
        // SAFETY: the host's promise.
        drop(unsafe { buffer.take() });
    }
}

impl CallInfo {
    /// What a call without a struct, or with this one, says.
    fn of(call: Option<&HpCall>) -> Self {
        let started = Instant::now();
        let call = call.unwrap_or(&HpCall::NONE);
        let deadline = match call.timeout_ms {
            0 => None,
            // A time beyond what the clock can hold never comes.
            ms => started.checked_add(Duration::from_millis(ms)),
        };
        Self {
            started,
            deadline,
            functions: CallerFunctions::of(call),
            rows_after_bytes: call.rows_after_bytes,
        }
    }
}

fn may_be_called(function: &str) -> Result<(), Refusal> {
    if inside() != Inside::Nothing {
        return Err(Refusal::Misuse(misuse(format!(
            "{function} may not be called inside a callback"
        ))));
    }
    not_in_forked_child(function)
}

fn not_in_forked_child(function: &str) -> Result<(), Refusal> {
    if orphaned() {
        return Err(Refusal::Misuse(misuse(format!(
            "{function} may not be called in a process that was forked while the plugin was open"
        ))));
    }
    Ok(())
}

/// Runs `call` and writes its document to `out`; a null `out` is wrong use, and nothing runs.
///
/// # Safety
/// The host's promise for `out`: see the file's head.
unsafe fn answer(out: *mut HpBuffer, call: impl FnOnce() -> Result<Vec<u8>, Refusal>) -> i32 {
    if out.is_null() {
        return MISUSE;
    }
    let (status, document) = settle(call);
    // SAFETY: not null, writable by the host's promise; unaligned and without a drop, since it may be uninitialised.
    unsafe { out.write_unaligned(HpBuffer::from_vec(document)) };
    status
}

fn settle(call: impl FnOnce() -> Result<Vec<u8>, Refusal>) -> (i32, Vec<u8>) {
    let mut status = DONE;
    let document = guard(|| {
        call().map_err(|refusal| {
            let (refused, error) = match refusal {
                Refusal::Failed(error) => (FAILED, error),
                Refusal::Misuse(error) => (MISUSE, error),
            };
            status = refused;
            error
        })
    });
    match document {
        Ok(document) => (DONE, document),
        Err(error) => (status.max(FAILED), error.to_json()),
    }
}
