//! When jobs begin, where more of them come than the processors can serve.
//!
//! A job that has begun holds about 60 KiB, one that waits to begin holds its document. With a thousand of them begun, each step of each
//! finds its memory outside of the processor's caches and takes nearly twice as long. So a worker goes on with the jobs that it can go on
//! with, and begins a few new ones when it has none left, or has gone on with some. Where it is idle, jobs begin when they come.

use std::{
    future::Future,
    pin::Pin,
    time::{Duration, Instant},
};

use tokio::{
    runtime::Runtime,
    sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
    task::yield_now,
    time::timeout,
};

/// How many jobs a worker begins before others go on. It looks for tasks that have yielded after 61 others, and a small job is four.
const AT_ONCE: usize = 16;
/// After so long another worker begins jobs, where the one that should is kept by a long step of one job, as the end of a large result is.
const LONGEST_STEP: Duration = Duration::from_millis(5);
/// Who has waited for so long begins at once, so that a job's deadline, which it looks at itself once it has begun, is missed by less than
/// 250 ms. It is long enough for a thousand jobs at once to end as others do, at 4,400 a second.
const LONGEST: Duration = Duration::from_millis(230);

/// Jobs on their way to a runtime.
pub(crate) struct Starts(UnboundedSender<Waiting>);

struct Waiting {
    job: Pin<Box<dyn Future<Output = ()> + Send>>,
    since: Instant,
}

impl Starts {
    /// Jobs that run on `runtime`.
    pub(crate) fn on(runtime: &Runtime) -> Self {
        let (sender, waiting) = unbounded_channel();
        let at_once = AT_ONCE * runtime.metrics().num_workers();
        runtime.spawn(begin(waiting, at_once));
        Self(sender)
    }

    /// Runs `job` soon. It should make what is large when it is polled for the first time.
    pub(crate) fn push(&self, job: impl Future<Output = ()> + Send + 'static) {
        // A runtime that has ended drops a job, as it drops those that have begun.
        let _ = self.0.send(Waiting {
            job: Box::pin(job),
            since: Instant::now(),
        });
    }
}

async fn begin(mut waiting: UnboundedReceiver<Waiting>, at_once: usize) {
    let mut begun = 0;
    while let Some(Waiting { job, since }) = waiting.recv().await {
        tokio::spawn(job);
        if since.elapsed() < LONGEST {
            begun += 1;
        }
        if begun == at_once {
            begun = 0;
            // Either is as good.
            let _ = timeout(LONGEST_STEP, yield_now()).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::{
            Arc,
            atomic::{AtomicUsize, Ordering},
            mpsc,
        },
        task::Poll,
    };

    use tokio::runtime::Builder;

    use super::*;

    const JOBS: usize = 1000;

    fn runtime(workers: usize) -> Runtime {
        Builder::new_multi_thread()
            .worker_threads(workers)
            .enable_time()
            .build()
            .unwrap()
    }

    /// The most jobs that have begun and not ended at a time, of a thousand that came at this time.
    fn most_under_way(since: Instant) -> usize {
        let runtime = runtime(1);
        let starts = Starts::on(&runtime);
        let (under_way, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (ended, all_ended) = mpsc::channel();
        // No job begins before all have come.
        let (begin, begun) = mpsc::channel::<()>();
        starts.push(async move {
            let _ = begun.recv();
        });
        for _ in 0..JOBS {
            let (under_way, most, ended) =
                (Arc::clone(&under_way), Arc::clone(&most), ended.clone());
            let job = async move {
                most.fetch_max(
                    under_way.fetch_add(1, Ordering::Relaxed) + 1,
                    Ordering::Relaxed,
                );
                for _ in 0..3 {
                    goes_on_when_others_have().await;
                }
                under_way.fetch_sub(1, Ordering::Relaxed);
                ended.send(()).unwrap();
            };
            starts
                .0
                .send(Waiting {
                    job: Box::pin(job),
                    since,
                })
                .ok()
                .unwrap();
        }
        drop(begin);
        (0..JOBS).for_each(|_| all_ended.recv().unwrap());
        most.load(Ordering::Relaxed)
    }

    async fn goes_on_when_others_have() {
        let mut is_first = true;
        std::future::poll_fn(|context| {
            context.waker().wake_by_ref();
            match std::mem::take(&mut is_first) {
                true => Poll::Pending,
                false => Poll::Ready(()),
            }
        })
        .await;
    }

    #[test]
    fn jobs_that_have_begun_go_on_before_others_begin() {
        // However slow this machine is, they have not waited for long.
        let most = most_under_way(Instant::now() + Duration::from_secs(3600));
        assert!(most < JOBS / 10, "{most} of {JOBS}");
    }

    #[test]
    fn jobs_that_have_waited_for_long_begin_at_once() {
        let long_ago = Instant::now().checked_sub(LONGEST);
        let most = most_under_way(long_ago.expect("the machine has run for longer"));
        assert!(most > JOBS / 10, "{most} of {JOBS}");
    }

    #[test]
    fn a_job_that_keeps_a_worker_keeps_no_other_from_beginning() {
        let runtime = runtime(2);
        let starts = Starts::on(&runtime);
        let (ended, all_others_ended) = mpsc::channel();
        let (end, has_ended) = mpsc::channel();
        starts.push(async move {
            (1..JOBS).for_each(|_| all_others_ended.recv().unwrap());
            end.send(()).unwrap();
        });
        for _ in 1..JOBS {
            let ended = ended.clone();
            starts.push(async move { ended.send(()).unwrap() });
        }
        has_ended.recv().unwrap();
    }
}
