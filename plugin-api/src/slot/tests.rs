//! The slot's life, with a plugin that does as it is told: which call is answered how in which phase, and what is over when.

use std::{
    cell::RefCell,
    ffi::{c_char, c_void},
    sync::{
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    thread,
};

use super::*;
use crate::{
    Level, NotStarted,
    ffi::{
        callbacks::{CallerFunctions, LogCallback},
        types::{HpCall, HpHost, size32},
    },
};

/// What a test and its plugin share.
#[derive(Default)]
struct Stage {
    opens: AtomicUsize,
    closes: AtomicUsize,
    /// So many opens fail from now on.
    failing_opens: AtomicUsize,
    /// Set where `close` shall panic.
    close_panics: AtomicUsize,
    /// Ends the jobs that do not heed a cancel.
    released: (Mutex<bool>, Condvar),
    /// Of the last job and of the open, kept past their end.
    kept: Mutex<(Option<JobCtx>, Option<Host>)>,
}

thread_local! {
    /// `Plugin::open` gets no test's handle, but runs on the thread that asked for it.
    static STAGE: RefCell<Arc<Stage>> = RefCell::default();
}

struct Actor(Arc<Stage>);

impl Plugin for Actor {
    const NAME: &'static str = "actor";

    fn open(host: Host, config: &str) -> Result<Self, Error> {
        let stage = STAGE.with_borrow(Arc::clone);
        stage.opens.fetch_add(1, Ordering::SeqCst);
        assert_ne!(config, "panic", "asked to panic");
        let fails = stage
            .failing_opens
            .try_update(Ordering::SeqCst, Ordering::SeqCst, |left| {
                left.checked_sub(1)
            });
        if fails.is_ok() {
            return Err(Error::new(ErrorCode::UNAVAILABLE, "asked to fail"));
        }
        stage.kept.lock().unwrap().1 = Some(host);
        Ok(Self(stage))
    }

    fn run_job(&self, job: &str, ctx: &JobCtx) -> Result<Vec<u8>, Error> {
        if job.contains("panic") {
            panic!("asked to panic");
        } else if job.contains("wait") {
            let for_ever = Instant::now() + Duration::from_secs(600);
            assert!(ctx.wait_cancelled(for_ever));
            return Err(Error::new(ErrorCode::CANCELLED, "it was cancelled"));
        } else if job.contains("deaf") {
            let mut released = self.0.released.0.lock().unwrap();
            while !*released {
                released = self.0.released.1.wait(released).unwrap();
            }
        }
        ctx.progress(1, 1, 1);
        self.0.kept.lock().unwrap().0 = Some(ctx.clone());
        Ok(b"done".to_vec())
    }

    /// Each job on a thread of its own. `refuse`, `drop` and `start panics` are words of their own.
    fn start_job(&self, job: String, ctx: JobCtx, done: Done) -> Result<(), NotStarted> {
        let actor = Self(Arc::clone(&self.0));
        if job.contains("refuse") {
            return Err(done.refuse(Error::new(ErrorCode::UNAVAILABLE, "asked to refuse")));
        }
        assert!(!job.contains("start panics"), "asked to panic");
        if job.contains("at once") {
            done.finish(actor.run_job(&job, &ctx));
            return Ok(());
        }
        thread::spawn(move || {
            if !job.contains("drop") {
                done.finish(guard(|| actor.run_job(&job, &ctx)));
            }
        });
        Ok(())
    }

    fn check_health(&self, cluster: &str, ctx: &JobCtx) -> Result<Vec<u8>, Error> {
        self.run_job(cluster, ctx)
    }

    fn close(self, _within: Duration) -> Result<(), Error> {
        self.0.closes.fetch_add(1, Ordering::SeqCst);
        assert_eq!(
            self.0.close_panics.load(Ordering::SeqCst),
            0,
            "asked to panic"
        );
        Ok(())
    }
}

/// A slot of the test's own, not too patient with jobs that do not stop.
fn slot() -> (Slot<Actor>, Arc<Stage>) {
    let slot = Slot {
        after_cancel: Duration::from_millis(50),
        ..Slot::new()
    };
    (slot, fresh_stage())
}

fn fresh_stage() -> Arc<Stage> {
    let stage = Arc::<Stage>::default();
    STAGE.set(Arc::clone(&stage));
    stage
}

fn call() -> CallInfo {
    CallInfo {
        started: Instant::now(),
        deadline: None,
        functions: None,
        rows_after_bytes: 0,
    }
}

fn run(slot: &Slot<Actor>, job: &str) -> Result<Vec<u8>, ErrorCode> {
    guard(|| slot.run_job(job, call())).map_err(|error| error.code)
}

fn open(slot: &Slot<Actor>, config: &str) -> Result<(), (u8, ErrorCode)> {
    slot.open(Host::new(None), config)
        .map_err(|refusal| match refusal {
            Refusal::Failed(error) => (1, error.code),
            Refusal::Misuse(error) => (2, error.code),
        })
}

fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let give_up = Instant::now() + Duration::from_secs(20);
    while !holds() {
        assert!(Instant::now() < give_up, "never: {what}");
        thread::yield_now();
    }
}

fn jobs_under_way(slot: &Slot<Actor>) -> usize {
    slot.lock().jobs.len()
}

#[test]
fn a_deadline_that_passes_before_the_id_is_found_ends_the_job_and_no_plugin_is_asked() {
    let (slot, stage) = slot();
    // Longer than what is read before the clock is looked at (64 KiB); a million numbers would take Miri most of an hour.
    let filler = "1,".repeat(1 << 16);
    let passed = || CallInfo {
        deadline: Some(Instant::now()),
        ..call()
    };
    let late = slot.run_job(&format!(r#"{{"n":[{filler}1],"id":"a"}}"#), passed());
    assert_eq!(late.unwrap_err().code, ErrorCode::TIMEOUT);
    assert_eq!(stage.opens.load(Ordering::SeqCst), 0);
    // Whether a plugin is late is for the plugin to say, once the job has begun.
    let early = slot.run_job(&format!(r#"{{"id":"a","n":[{filler}1]}}"#), passed());
    assert_eq!(early.unwrap(), b"done");
}

#[test]
fn many_first_jobs_at_once_open_the_plugin_once() {
    let (slot, stage) = slot();
    thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| {
                STAGE.set(Arc::clone(&stage));
                assert_eq!(run(&slot, "{}").unwrap(), b"done");
            });
        }
    });
    assert_eq!(stage.opens.load(Ordering::SeqCst), 1);
    assert_eq!(
        open(&slot, "{}"),
        Err((2, ErrorCode::INVALID_JOB)),
        "a job has opened it"
    );
}

#[test]
fn an_open_that_fails_or_panics_leaves_the_slot_as_it_was() {
    let (slot, stage) = slot();
    stage.failing_opens.store(2, Ordering::SeqCst);
    assert_eq!(open(&slot, "{}"), Err((1, ErrorCode::UNAVAILABLE)));
    assert_eq!(
        run(&slot, "{}"),
        Err(ErrorCode::UNAVAILABLE),
        "a first job reports why it could not open"
    );
    assert_eq!(open(&slot, "panic"), Err((1, ErrorCode::INTERNAL)));
    assert_eq!(
        run(&slot, "{}").unwrap(),
        b"done",
        "still fresh, so a job opens it"
    );
    slot.close(Duration::ZERO).unwrap();
    stage.failing_opens.store(1, Ordering::SeqCst);
    assert_eq!(open(&slot, "{}"), Err((1, ErrorCode::UNAVAILABLE)));
    assert_eq!(
        run(&slot, "{}"),
        Err(ErrorCode::SHUTTING_DOWN),
        "still closed"
    );
    open(&slot, "{}").unwrap();
    assert_eq!(run(&slot, "{}").unwrap(), b"done");
}

#[test]
fn a_panic_is_the_end_of_its_call_only() {
    let (slot, stage) = slot();
    open(&slot, "{}").unwrap();
    for _ in 0..3 {
        assert_eq!(run(&slot, "panic"), Err(ErrorCode::INTERNAL));
        let health = guard(|| slot.check_health("panic", call()));
        assert_eq!(health.unwrap_err().code, ErrorCode::INTERNAL);
        assert_eq!(run(&slot, "{}").unwrap(), b"done");
    }
    assert_eq!(jobs_under_way(&slot), 0);
    stage.close_panics.store(1, Ordering::SeqCst);
    assert_eq!(
        slot.close(Duration::ZERO).unwrap_err().code,
        ErrorCode::INTERNAL
    );
    assert_eq!(run(&slot, "{}"), Err(ErrorCode::SHUTTING_DOWN));
    slot.close(Duration::ZERO)
        .expect("what did not close in order is closed all the same");
    open(&slot, "{}").unwrap();
    assert_eq!(run(&slot, "{}").unwrap(), b"done");
}

#[test]
fn close_without_an_open_ends_the_default_opening() {
    let (slot, stage) = slot();
    slot.close(Duration::ZERO).unwrap();
    assert_eq!(run(&slot, "{}"), Err(ErrorCode::SHUTTING_DOWN));
    assert_eq!(stage.opens.load(Ordering::SeqCst), 0);
}

#[test]
fn a_cancel_stops_every_job_under_its_id_and_no_other() {
    let (slot, stage) = slot();
    open(&slot, "{}").unwrap();
    thread::scope(|scope| {
        let cancelled = [0, 1].map(|_| scope.spawn(|| run(&slot, r#"{"id":"a","do":"wait"}"#)));
        let others = [
            scope.spawn(|| run(&slot, r#"{"id":"b","do":"deaf"}"#)),
            scope.spawn(|| run(&slot, r#"{"do":"deaf"}"#)),
        ];
        wait_until("four jobs run", || jobs_under_way(&slot) == 4);
        assert!(slot.cancel("a"));
        for job in cancelled {
            assert_eq!(job.join().unwrap(), Err(ErrorCode::CANCELLED));
        }
        assert!(!slot.cancel("a") && !slot.cancel(""), "nobody is left");
        release(&stage);
        for job in others {
            assert_eq!(job.join().unwrap().unwrap(), b"done");
        }
    });
}

#[test]
fn close_waits_for_jobs_and_cancels_them_only_when_their_time_is_over() {
    let (slot, stage) = slot();
    open(&slot, "{}").unwrap();
    thread::scope(|scope| {
        let job = scope.spawn(|| run(&slot, "deaf"));
        wait_until("the job runs", || jobs_under_way(&slot) == 1);
        let closers =
            [0, 1, 2].map(|_| scope.spawn(|| slot.close(Duration::from_secs(600)).is_ok()));
        wait_until("closing has begun", || {
            matches!(slot.lock().phase, Phase::Closing(_))
        });
        assert_eq!(run(&slot, "{}"), Err(ErrorCode::SHUTTING_DOWN));
        // An open that comes during a close is for afterwards.
        let opener = scope.spawn(|| {
            fresh_stage();
            open(&slot, "{}")
        });
        release(&stage);
        assert_eq!(job.join().unwrap().unwrap(), b"done");
        assert!(closers.into_iter().all(|closer| closer.join().unwrap()));
        opener.join().unwrap().unwrap();
    });
    assert!(
        stage.closes.load(Ordering::SeqCst) == 1,
        "one close ended it"
    );
}

#[test]
fn close_reports_jobs_that_do_not_stop_and_a_later_close_ends_them() {
    let (slot, stage) = slot();
    open(&slot, "{}").unwrap();
    thread::scope(|scope| {
        let job = scope.spawn(|| run(&slot, "deaf"));
        wait_until("the job runs", || jobs_under_way(&slot) == 1);
        let closers = [0, 1].map(|_| scope.spawn(|| slot.close(Duration::ZERO)));
        for closer in closers {
            let error = closer.join().unwrap().unwrap_err();
            assert_eq!(
                (error.code, error.message.as_str()),
                (
                    ErrorCode::INTERNAL,
                    "1 jobs have not stopped after being cancelled"
                )
            );
        }
        assert_eq!(stage.closes.load(Ordering::SeqCst), 0);
        assert_eq!(run(&slot, "{}"), Err(ErrorCode::SHUTTING_DOWN));
        assert_eq!(open(&slot, "{}"), Err((2, ErrorCode::INVALID_JOB)));
        release(&stage);
        assert_eq!(job.join().unwrap().unwrap(), b"done");
    });
    slot.close(Duration::ZERO).unwrap();
    assert_eq!(stage.closes.load(Ordering::SeqCst), 1);
    open(&slot, "{}").unwrap();
}

fn release(stage: &Stage) {
    *stage.released.0.lock().unwrap() = true;
    stage.released.1.notify_all();
}

static LINES: AtomicUsize = AtomicUsize::new(0);
static PAGES: AtomicUsize = AtomicUsize::new(0);

/// # Safety
/// It reads none of its arguments.
unsafe extern "C" fn count_line(_: *mut c_void, _: i32, _: *const c_char, _: *const u8, _: usize) {
    LINES.fetch_add(1, Ordering::SeqCst);
}

/// # Safety
/// It reads none of its arguments.
unsafe extern "C" fn count_page(_: *mut c_void, _: u64, _: u64, _: u64) {
    PAGES.fetch_add(1, Ordering::SeqCst);
}

#[test]
fn no_callback_comes_after_its_time() {
    let (slot, stage) = slot();
    let host = HpHost {
        struct_size: size32::<HpHost>(),
        reserved: 0,
        user: std::ptr::null_mut(),
        log: Some(count_line),
    };
    let caller = HpCall {
        progress: Some(count_page),
        ..HpCall::NONE
    };
    assert!(slot.open(Host::new(LogCallback::of(&host)), "{}").is_ok());
    let call = CallInfo {
        functions: CallerFunctions::of(&caller),
        ..call()
    };
    slot.run_job("{}", call).unwrap();
    let (ctx, host) = stage.kept.lock().unwrap().clone();
    let (ctx, host) = (ctx.unwrap(), host.unwrap());
    ctx.progress(2, 2, 2);
    assert_eq!(PAGES.load(Ordering::SeqCst), 1, "the call has returned");
    ctx.log(Level::Info, "actor", "late, but the library is open");
    host.log(Level::Info, "actor", "so is this");
    assert_eq!(LINES.load(Ordering::SeqCst), 2);
    slot.close(Duration::ZERO).unwrap();
    ctx.log(Level::Info, "actor", "too late");
    host.log(Level::Info, "actor", "too late");
    assert_eq!(LINES.load(Ordering::SeqCst), 2, "the library is closed");
}

/// Where the answers of started jobs arrive.
type Answers = mpsc::Receiver<Result<Vec<u8>, ErrorCode>>;

/// Starts a job; what its end will be told through.
fn start(slot: &'static Slot<Actor>, job: &str) -> (Result<(), ErrorCode>, Answers) {
    let (end, told) = mpsc::channel();
    let started = slot.start_job(job.to_owned(), call(), move |outcome| {
        end.send(outcome.map_err(|error| error.code)).unwrap();
    });
    (started.map_err(|error| error.code), told)
}

#[test]
fn a_started_job_tells_its_end_exactly_once() {
    static SLOT: Slot<Actor> = Slot::new();
    let (slot, stage) = (&SLOT, fresh_stage());
    for (job, end) in [
        ("{}", Ok(b"done".to_vec())),
        ("at once", Ok(b"done".to_vec())),
        ("panic", Err(ErrorCode::INTERNAL)),
        ("drop", Err(ErrorCode::INTERNAL)),
        ("start panics", Err(ErrorCode::INTERNAL)),
    ] {
        let (started, told) = start(slot, job);
        assert_eq!(started, Ok(()), "{job}");
        assert_eq!(told.recv().unwrap(), end, "{job}");
        assert!(told.recv().is_err(), "{job}: nothing comes later");
    }
    let (started, told) = start(slot, "refuse");
    assert_eq!(started, Err(ErrorCode::UNAVAILABLE));
    assert!(told.recv().is_err(), "its end is never told");
    slot.close(Duration::ZERO).unwrap();
    assert_eq!(stage.closes.load(Ordering::SeqCst), 1);
    let (started, told) = start(slot, "{}");
    assert_eq!(started, Err(ErrorCode::SHUTTING_DOWN));
    assert!(told.recv().is_err());
}

#[test]
fn a_started_job_is_cancelled_by_its_id_and_close_waits_until_its_end_is_told() {
    static SLOT: Slot<Actor> = Slot::new();
    let (slot, _stage) = (&SLOT, fresh_stage());
    let (end, told) = mpsc::channel();
    let (go_on, may_go_on) = mpsc::channel();
    let job = r#"{"id":"a","context":"wait"}"#.to_owned();
    slot.start_job(job, call(), move |outcome| {
        end.send(outcome.unwrap_err().code).unwrap();
        may_go_on.recv().unwrap();
    })
    .unwrap();
    assert!(slot.cancel("a"));
    assert_eq!(told.recv().unwrap(), ErrorCode::CANCELLED);
    let closer = thread::spawn(|| slot.close(Duration::from_secs(600)));
    wait_until("close has begun", || {
        matches!(slot.lock().phase, Phase::Closing(_))
    });
    assert_eq!(jobs_under_way(slot), 1);
    assert!(!closer.is_finished(), "its end is still being told");
    go_on.send(()).unwrap();
    closer.join().unwrap().unwrap();
}
