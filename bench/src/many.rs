//! Many small jobs at once on one library, beside the SDK alone with as many requests at once; and what a job that waits holds.
//!
//! A C caller waits in its call, so there is a thread a job in this process, as a host would have; the plugin itself has none. The
//! SDK is measured both ways: as tasks that nobody waits for in a thread, and with such a caller for each request.

use std::{
    fs,
    path::Path,
    sync::{
        Arc, Barrier,
        atomic::{AtomicU64, Ordering},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, anyhow};
use aws_sdk_dynamodb::Client;
use plugin_host::{CallOptions, Library};
use serde_json::{Value, json};
use tokio::runtime::{Builder, Runtime};

use crate::{
    aws::{client, request},
    measure::cpu_seconds,
    plugin::{job, open},
};

/// So many threads call at once.
const CALLERS: u32 = 1000;
/// So many jobs are run, by all together.
const JOBS: u32 = 30_000;
const CALLER_STACK: usize = 128 << 10;

/// Each caller runs its jobs through the library; what a job costs.
pub(crate) fn through_plugin(library: &Path, url: &str) -> anyhow::Result<Value> {
    let library = open(library)?;
    let call = call(&library, url);
    call()?;
    of_all_callers(call)
}

/// So many jobs at a time without a caller's thread: the end of each starts the next.
pub(crate) fn started(library: &Path, url: &str, at_once: u32) -> anyhow::Result<Value> {
    let library = open(library)?;
    call(&library, url)()?;
    let (ended, all_ended) = mpsc::channel();
    let chain = Arc::new(Chain {
        library,
        job: job(url),
        ended,
    });
    measured(at_once, |each| {
        for _ in 0..at_once {
            chain.start(each);
        }
        for _ in 0..at_once {
            all_ended.recv()??;
        }
        Ok(())
    })
}

/// Jobs one after another.
struct Chain {
    library: Library,
    job: Vec<u8>,
    ended: mpsc::Sender<anyhow::Result<()>>,
}

impl Chain {
    fn start(self: &Arc<Self>, left: u32) {
        if left == 0 {
            return self.end(Ok(()));
        }
        let chain = Arc::clone(self);
        let done = move |answer: Result<plugin_host::Document, plugin_api::Error>| match answer {
            Ok(_) => chain.start(left - 1),
            Err(error) => chain.end(Err(anyhow!("{:?}: {}", error.code, error.message))),
        };
        let options = CallOptions::default();
        if let Err(error) = self.library.start_job(&self.job, options, done) {
            self.end(Err(anyhow!("{:?}: {}", error.code, error.message)));
        }
    }

    fn end(&self, outcome: anyhow::Result<()>) {
        // Whoever waits has stopped at the first failure.
        let _ = self.ended.send(outcome);
    }
}

/// Each of so many tasks sends its requests with one client of the SDK and has the typed items.
pub(crate) fn through_sdk(url: &str, at_once: u32) -> anyhow::Result<Value> {
    let (runtime, client) = sdk(url)?;
    measured(at_once, |each| {
        runtime.block_on(async {
            let requests = async |client: Client, each: u32| {
                for _ in 0..each {
                    request(&client, None).send().await?;
                }
                anyhow::Ok(())
            };
            let tasks: Vec<_> = (0..at_once)
                .map(|_| tokio::spawn(requests(client.clone(), each)))
                .collect();
            for task in tasks {
                task.await??;
            }
            Ok(())
        })
    })
}

/// The same with a caller for each request that waits in a thread of its own, as those of a C function do.
pub(crate) fn through_sdk_for_threads(url: &str) -> anyhow::Result<Value> {
    let (runtime, client) = sdk(url)?;
    let call = || {
        let (answer, answered) = mpsc::sync_channel(1);
        let request = request(&client, None);
        runtime.spawn(async move { answer.send(request.send().await) });
        answered.recv()?.map(drop).map_err(anyhow::Error::from)
    };
    of_all_callers(call)
}

/// What it costs when every caller makes its calls in a thread of its own.
fn of_all_callers(call: impl Fn() -> anyhow::Result<()> + Sync) -> anyhow::Result<Value> {
    let failed = AtomicU64::new(0);
    let cost = measured(CALLERS, |each| {
        in_threads(&|| {
            for _ in 0..each {
                failed.fetch_add(u64::from(call().is_err()), Ordering::Relaxed);
            }
        })
    })?;
    none_failed(&failed)?;
    Ok(cost)
}

fn sdk(url: &str) -> anyhow::Result<(Runtime, Client)> {
    let runtime = Builder::new_multi_thread().enable_all().build()?;
    let client = client(url);
    runtime.block_on(async { request(&client, None).send().await.map(drop) })?;
    Ok((runtime, client))
}

/// Memory of the process with every caller's job waiting for its answer, over that with every caller waiting to begin.
pub(crate) fn idle(library: &Path, url: &str) -> anyhow::Result<Value> {
    let library = open(library)?;
    let call = call(&library, url);
    call()?;
    let all = usize::try_from(CALLERS)? + 1;
    let (ready, begin) = (Barrier::new(all), Barrier::new(all));
    let (failed, done) = (AtomicU64::new(0), AtomicU64::new(0));
    let idle = thread::scope(|scope| {
        for _ in 0..CALLERS {
            let (ready, begin, failed, done, call) = (&ready, &begin, &failed, &done, &call);
            let caller = move || {
                ready.wait();
                begin.wait();
                failed.fetch_add(u64::from(call().is_err()), Ordering::Relaxed);
                done.fetch_add(1, Ordering::Relaxed);
            };
            thread::Builder::new()
                .stack_size(CALLER_STACK)
                .spawn_scoped(scope, caller)?;
        }
        ready.wait();
        let before = status("VmRSS")?;
        begin.wait();
        while_waiting(before, &done)
    })?;
    none_failed(&failed)?;
    Ok(idle)
}

/// The same for as many tasks that wait for an answer to the SDK's request.
pub(crate) fn idle_sdk(url: &str) -> anyhow::Result<Value> {
    let (runtime, client) = sdk(url)?;
    let before = status("VmRSS")?;
    let done = Arc::new(AtomicU64::new(0));
    for _ in 0..CALLERS {
        let (request, done) = (request(&client, None), Arc::clone(&done));
        runtime.spawn(async move {
            let answer = request.send().await;
            done.fetch_add(1, Ordering::Relaxed);
            answer
        });
    }
    while_waiting(before, &done)
}

/// The most that the process holds until the first of those that wait is done; the server answers late enough for all to wait at once.
fn while_waiting(before: u64, done: &AtomicU64) -> anyhow::Result<Value> {
    let (mut during, mut threads) = (before, 0);
    while done.load(Ordering::Relaxed) == 0 {
        during = during.max(status("VmRSS")?);
        threads = threads.max(status("Threads")?);
        thread::sleep(Duration::from_millis(20));
    }
    Ok(json!({"kib_each": (during - before) / u64::from(CALLERS), "threads": threads}))
}

fn call<'l>(library: &'l Library, url: &str) -> impl Fn() -> anyhow::Result<()> + Sync + 'l {
    let job = job(url);
    move || {
        library
            .run_job_by_c(&job, &CallOptions::default())
            .map(drop)
            .map_err(|error| anyhow!("{:?}: {}", error.code, error.message))
    }
}

fn in_threads(work: &(impl Fn() + Sync)) -> anyhow::Result<()> {
    thread::scope(|scope| {
        for _ in 0..CALLERS {
            thread::Builder::new()
                .stack_size(CALLER_STACK)
                .spawn_scoped(scope, work)?;
        }
        Ok(())
    })
}

/// What it costs to run all jobs, so many at a time; `work` is given how many come one after another.
fn measured(at_once: u32, work: impl FnOnce(u32) -> anyhow::Result<()>) -> anyhow::Result<Value> {
    let each = JOBS / at_once.max(1);
    let (cpu, wall) = (cpu_seconds(), Instant::now());
    work(each)?;
    let (cpu, wall) = (cpu_seconds() - cpu, wall.elapsed());
    Ok(json!({"jobs": at_once * each, "cpu_s": cpu, "wall_s": wall.as_secs_f64()}))
}

fn none_failed(failed: &AtomicU64) -> anyhow::Result<()> {
    let failed = failed.load(Ordering::Relaxed);
    anyhow::ensure!(failed == 0, "{failed} jobs failed");
    Ok(())
}

/// A number of `/proc/self/status`: kibibytes, or threads.
fn status(name: &str) -> anyhow::Result<u64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find(|line| line.starts_with(name));
    let number = line.and_then(|line| line.split_whitespace().nth(1));
    Ok(number
        .with_context(|| format!("no {name} in /proc/self/status"))?
        .parse()?)
}
