//! Jobs, started jobs, cancels, opens and closes of one slot at once, in thousands of orders that the model checker shuttle chooses.
//!
//! `RUSTFLAGS="--cfg shuttle" cargo test -p plugin-api --lib model`, as `cargo xtask torture --only models` does. `SHUTTLE_ROUNDS` sets the
//! number of orders. A failure prints the schedule that `shuttle::replay` runs again.

use std::sync::atomic::{AtomicUsize, Ordering};

use shuttle::thread;

use super::*;
use crate::NotStarted;

/// What a round counts.
#[derive(Default)]
struct Counts {
    opens: AtomicUsize,
    closes: AtomicUsize,
    /// Jobs inside the plugin now.
    inside: AtomicUsize,
    answered: AtomicUsize,
    told: AtomicUsize,
}

thread_local! {
    static COUNTS: std::cell::RefCell<Arc<Counts>> = std::cell::RefCell::default();
}

struct Modelled(Arc<Counts>);

impl Plugin for Modelled {
    const NAME: &'static str = "modelled";

    fn open(_host: Host, _config: &str) -> Result<Self, Error> {
        // All threads of a round run on the one thread of its executor.
        let counts = COUNTS.with_borrow(Arc::clone);
        thread::yield_now();
        counts.opens.fetch_add(1, Ordering::SeqCst);
        Ok(Self(counts))
    }

    fn run_job(&self, job: &str, ctx: &JobCtx) -> Result<Vec<u8>, Error> {
        self.0.inside.fetch_add(1, Ordering::SeqCst);
        thread::yield_now();
        while job.contains("wait") && !ctx.is_cancelled() {
            thread::yield_now();
        }
        let open = self.0.opens.load(Ordering::SeqCst) - self.0.closes.load(Ordering::SeqCst);
        assert_eq!(open, 1, "a job runs in an open plugin");
        self.0.inside.fetch_sub(1, Ordering::SeqCst);
        Ok(Vec::new())
    }

    fn start_job(&self, job: String, ctx: JobCtx, done: Done) -> Result<(), NotStarted> {
        if job.contains("refuse") {
            return Err(done.refuse(Error::new(ErrorCode::UNAVAILABLE, "asked to refuse")));
        }
        let actor = Self(Arc::clone(&self.0));
        thread::spawn(move || {
            if job.contains("drop") {
                drop(done);
            } else {
                done.finish(actor.run_job(&job, &ctx));
            }
        });
        thread::yield_now();
        Ok(())
    }

    fn check_health(&self, cluster: &str, ctx: &JobCtx) -> Result<Vec<u8>, Error> {
        self.run_job(cluster, ctx)
    }

    fn close(self, _within: Duration) -> Result<(), Error> {
        assert_eq!(
            self.0.inside.load(Ordering::SeqCst),
            0,
            "no job is inside when the plugin ends"
        );
        thread::yield_now();
        self.0.closes.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }
}

fn call() -> CallInfo {
    CallInfo {
        started: Instant::now(),
        deadline: None,
        functions: None,
        rows_after_bytes: 0,
    }
}

/// Runs a round with a slot of its own, in many orders.
fn check(round: impl Fn(&'static Slot<Modelled>, &Arc<Counts>) + Send + Sync + 'static) {
    let rounds = std::env::var("SHUTTLE_ROUNDS").map_or(2_000, |text| {
        text.parse().expect("SHUTTLE_ROUNDS is a number")
    });
    let once = Arc::new(move || {
        let counts = Arc::new(Counts::default());
        COUNTS.set(Arc::clone(&counts));
        let slot: &'static Slot<Modelled> = Box::leak(Box::new(Slot::new()));
        round(slot, &counts);
        assert_eq!(
            counts.opens.load(Ordering::SeqCst),
            counts.closes.load(Ordering::SeqCst),
            "what was opened was closed"
        );
        assert!(slot.lock().jobs.is_empty());
    });
    let random = Arc::clone(&once);
    shuttle::check_random(move || random(), rounds);
    shuttle::check_pct(move || once(), rounds, 3);
}

fn job(
    slot: &'static Slot<Modelled>,
    counts: &Arc<Counts>,
    text: &'static str,
) -> thread::JoinHandle<()> {
    let counts = Arc::clone(counts);
    thread::spawn(move || {
        match slot.run_job(text, call()) {
            Ok(_) => counts.answered.fetch_add(1, Ordering::SeqCst),
            Err(error) => {
                assert_eq!(error.code, ErrorCode::SHUTTING_DOWN);
                0
            }
        };
    })
}

fn started(
    slot: &'static Slot<Modelled>,
    counts: &Arc<Counts>,
    text: &'static str,
) -> thread::JoinHandle<()> {
    let counts = Arc::clone(counts);
    thread::spawn(move || {
        let (once, end) = (Arc::new(AtomicUsize::new(0)), Arc::clone(&counts));
        let told = Arc::clone(&once);
        let outcome = slot.start_job(text.to_owned(), call(), move |_| {
            assert_eq!(
                told.fetch_add(1, Ordering::SeqCst),
                0,
                "an end is told once"
            );
            end.told.fetch_add(1, Ordering::SeqCst);
        });
        match outcome {
            Ok(()) => {
                while once.load(Ordering::SeqCst) == 0 {
                    thread::yield_now();
                }
                counts.answered.fetch_add(1, Ordering::SeqCst);
            }
            Err(_) => assert_eq!(
                once.load(Ordering::SeqCst),
                0,
                "a job that never began has no end"
            ),
        }
    })
}

fn join(threads: Vec<thread::JoinHandle<()>>) {
    for thread in threads {
        thread.join().expect("no thread of a round panics");
    }
}

#[test]
fn a_close_among_jobs_waits_for_them_and_ends_the_plugin_once() {
    check(|slot, counts| {
        let threads = vec![
            job(slot, counts, r#"{"id":"a"}"#),
            job(slot, counts, r#"{"id":"wait"}"#),
            started(slot, counts, r#"{"id":"s"}"#),
            started(slot, counts, r#"{"id":"drop"}"#),
            started(slot, counts, r#"{"id":"refuse"}"#),
            thread::spawn(move || {
                slot.close(Duration::ZERO)
                    .expect("every job heeds a cancel")
            }),
            thread::spawn(move || {
                slot.close(Duration::ZERO)
                    .expect("every job heeds a cancel")
            }),
        ];
        join(threads);
        slot.close(Duration::ZERO).expect("nothing is left");
        let late = slot.run_job("{}", call());
        assert_eq!(
            late.err().map(|error| error.code),
            Some(ErrorCode::SHUTTING_DOWN)
        );
    });
}

#[test]
fn a_cancel_reaches_every_job_that_is_under_way_and_no_other() {
    check(|slot, counts| {
        let waiting = [
            job(slot, counts, r#"{"id":"wait"}"#),
            started(slot, counts, r#"{"id":"wait"}"#),
        ];
        let other = job(slot, counts, r#"{"id":"other"}"#);
        while counts.answered.load(Ordering::SeqCst) < 3 {
            slot.cancel("wait");
            assert!(!slot.cancel("nobody"));
            thread::yield_now();
        }
        join(waiting.into_iter().chain([other]).collect());
        slot.close(Duration::ZERO).expect("nothing is left");
    });
}

#[test]
fn a_slot_that_is_opened_and_closed_at_once_has_one_plugin_at_a_time() {
    check(|slot, counts| {
        let open = move || {
            thread::spawn(move || match slot.open(Host::new(None), "{}") {
                Ok(()) | Err(Refusal::Misuse(_)) => {}
                Err(Refusal::Failed(error)) => panic!("{error:?}"),
            })
        };
        let close =
            move || thread::spawn(move || slot.close(Duration::ZERO).expect("no job hangs"));
        join(vec![
            open(),
            close(),
            job(slot, counts, r#"{"id":"a"}"#),
            open(),
            // Not one that waits for a cancel: it may begin after both closes, in a slot that was opened again.
            started(slot, counts, r#"{"id":"s"}"#),
            close(),
        ]);
        slot.close(Duration::ZERO).expect("nothing is left");
    });
}
