//! The C surface as random sequences of calls, right and wrong: each answers 0, 1 or 2 with a buffer that can be freed, and a started
//! job's end is told once.
#![cfg_attr(feature = "libfuzzer", no_main)]
#![expect(unsafe_code, reason = "a caller in C")]

use std::{
    ffi::c_void,
    ptr,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use plugin_api::{
    Done, Error, ErrorCode, Host, JobCtx, Level, NotStarted, Plugin,
    abi::{DoneFn, HpBuffer, HpCall, HpHost, HpInfo, size32},
};

struct Small;

impl Plugin for Small {
    const NAME: &'static str = "small";

    fn open(host: Host, config: &str) -> Result<Self, Error> {
        host.log(Level::Info, "small", config);
        if config.contains("no") {
            return Err(Error::new(ErrorCode::UNAVAILABLE, "it was told to fail"));
        }
        Ok(Self)
    }

    fn run_job(&self, job: &str, ctx: &JobCtx) -> Result<Vec<u8>, Error> {
        ctx.progress(1, 2, 3);
        ctx.log(Level::Debug, "small", job);
        if job.contains("rows") {
            ctx.hand_over(b"{\"columns\":[\"a\"]}\n[1]\n")?;
        }
        if job.contains("fail") {
            return Err(Error::new(ErrorCode::UNAVAILABLE, "it was told to fail"));
        }
        Ok(job.to_uppercase().into_bytes())
    }

    fn start_job(&self, job: String, ctx: JobCtx, done: Done) -> Result<(), NotStarted> {
        done.finish(self.run_job(&job, &ctx));
        Ok(())
    }

    fn check_health(&self, cluster: &str, _ctx: &JobCtx) -> Result<Vec<u8>, Error> {
        Ok(cluster.as_bytes().to_vec())
    }

    fn close(self, _within: Duration) -> Result<(), Error> {
        Ok(())
    }
}

plugin_api::export_plugin!(Small);

unsafe extern "C" {
    safe fn plugin_info() -> *const HpInfo;
    fn plugin_open(host: *const HpHost, config: *const u8, len: usize, out: *mut HpBuffer) -> i32;
    fn run_job(job: *const u8, len: usize, call: *const HpCall, out: *mut HpBuffer) -> i32;
    fn start_job(
        job: *const u8,
        len: usize,
        call: *const HpCall,
        done: Option<DoneFn>,
        out: *mut HpBuffer,
    ) -> i32;
    fn cancel_job(id: *const u8, len: usize) -> i32;
    fn check_health(cluster: *const u8, len: usize, call: *const HpCall, out: *mut HpBuffer)
    -> i32;
    fn plugin_close(within_ms: u64, out: *mut HpBuffer) -> i32;
    fn free_buffer(buffer: *mut HpBuffer);
}

static ENDS: AtomicUsize = AtomicUsize::new(0);

unsafe extern "C" fn done(_user: *mut c_void, status: i32, out: *mut HpBuffer) {
    assert!((0..=1).contains(&status));
    ENDS.fetch_add(1, Ordering::SeqCst);
    // SAFETY: the callee may free what it is told.
    unsafe { free_buffer(out) };
}

unsafe extern "C" fn progress(_user: *mut c_void, _rows: u64, _pages: u64, _bytes: u64) {}

unsafe extern "C" fn rows(user: *mut c_void, lines: *const u8, len: usize) -> i32 {
    assert!(!lines.is_null() && len > 0);
    i32::from(user.is_null())
}

unsafe extern "C" fn log(
    _user: *mut c_void,
    level: i32,
    _target: *const std::ffi::c_char,
    _message: *const u8,
    _len: usize,
) {
    assert!((1..=5).contains(&level));
}

/// What the bytes still hold.
struct Script<'a>(&'a [u8]);

impl<'a> Script<'a> {
    fn byte(&mut self) -> u8 {
        let (first, rest) = self.0.split_first().unwrap_or((&0, &[]));
        self.0 = rest;
        *first
    }

    /// A text, bytes that may be none, or nothing at all.
    fn input(&mut self) -> (*const u8, usize) {
        const TEXTS: [&str; 6] = [
            "{}",
            r#"{"id":"a"}"#,
            r#"{"id":"a","context":"rows"}"#,
            r#"{"id":"b","context":"fail"}"#,
            "no",
            "",
        ];
        match self.byte() {
            0 => (ptr::null(), 0),
            1 => (ptr::null(), 3),
            choice @ 2..=200 => {
                let text = TEXTS[usize::from(choice) % TEXTS.len()];
                (text.as_ptr(), text.len())
            }
            length => {
                let (raw, rest) = self.0.split_at(self.0.len().min(usize::from(length - 200)));
                self.0 = rest;
                (raw.as_ptr(), raw.len())
            }
        }
    }

    /// No call, one of today, one of ABI 1.0, and wrong ones.
    fn call(&mut self) -> Option<HpCall> {
        let choice = self.byte();
        let size = match choice % 8 {
            0 => return None,
            1 => 32,
            2 => u32::from(self.byte()),
            _ => HpCall::NONE.struct_size,
        };
        Some(HpCall {
            struct_size: size.min(HpCall::NONE.struct_size),
            reserved: u32::from(choice % 16 == 9),
            user: ptr::without_provenance_mut(usize::from(choice & 1)),
            timeout_ms: u64::from(choice & 6) * 1000,
            progress: (choice & 32 != 0).then_some(progress as _),
            rows: (choice & 64 != 0).then_some(rows as _),
            rows_after_bytes: u64::from(choice & 128),
        })
    }
}

fn one_call(script: &mut Script<'_>) {
    let mut out = HpBuffer {
        data: ptr::null_mut(),
        len: 0,
        capacity: 0,
    };
    let (input, len) = script.input();
    let call = script.call();
    let call = call.as_ref().map_or(ptr::null(), ptr::from_ref);
    let host = HpHost {
        struct_size: size32::<HpHost>(),
        reserved: 0,
        user: ptr::null_mut(),
        log: Some(log),
    };
    let host = if script.byte() & 1 == 1 {
        &raw const host
    } else {
        ptr::null()
    };
    // SAFETY: what the header asks for: inputs are null or readable for their length, structs are whole, `out` is ours.
    let status = unsafe {
        match script.byte() % 8 {
            0 => plugin_open(host, input, len, &mut out),
            1 | 2 => run_job(input, len, call, &mut out),
            3 => {
                let before = ENDS.load(Ordering::SeqCst);
                let status = start_job(input, len, call, Some(done), &mut out);
                // This plugin runs a started job before it returns.
                let ended = ENDS.load(Ordering::SeqCst) - before;
                assert_eq!(ended, usize::from(status == 0));
                status
            }
            4 => {
                assert!((0..=2).contains(&cancel_job(input, len)));
                return;
            }
            5 => check_health(input, len, call, &mut out),
            6 => plugin_close(u64::from(script.byte()), &mut out),
            _ => {
                let status = start_job(input, len, call, None, &mut out);
                assert_eq!(status, 2, "nobody would be told the end");
                status
            }
        }
    };
    assert!((0..=2).contains(&status));
    if !out.data.is_null() {
        // SAFETY: the document, and the NUL behind it.
        let document = unsafe { std::slice::from_raw_parts(out.data, out.len + 1) };
        assert_eq!(document.last(), Some(&0));
        if status != 0 {
            let error: serde_json::Value =
                serde_json::from_slice(&document[..out.len]).expect("an error document");
            assert!(error["error"]["code"].is_string());
        }
    }
    // SAFETY: the buffer is the plugin's, and what was freed is empty and may be freed again.
    unsafe {
        free_buffer(&mut out);
        assert!(out.data.is_null());
        free_buffer(&mut out);
        free_buffer(ptr::null_mut());
    }
}

/// Any bytes as up to 32 calls.
fn sequence(bytes: &[u8]) {
    assert!(!plugin_info().is_null());
    let mut script = Script(bytes);
    for _ in 0..32 {
        if script.0.is_empty() {
            break;
        }
        one_call(&mut script);
    }
}

fuzz::target!(|bytes: &[u8]| sequence(bytes));
