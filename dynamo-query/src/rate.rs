//! `max_capacity_units_per_second`: what all jobs of a cluster may consume together, by what DynamoDB reports after each page.
//!
//! In: before a request, the units that it will probably cost; after it, those that were reported. Out: the wait until it may begin. A
//! bucket a cluster (all of its context but the session's name) fills at the rate and never holds more than a tenth of a second's units;
//! what a page cost beyond its reservation is a debt that later requests wait for. Jobs wait in a queue and go to its end after a page.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use tokio::sync::Notify;

use crate::job::Cluster;

/// What a job's first request is taken to cost.
pub(crate) const FIRST_COST: f64 = 1.0;

/// For so long a bucket fills until it is full.
const FULL_AFTER_SECONDS: f64 = 0.1;

/// The most buckets kept; one that nobody uses goes when there are more clusters.
const MAX_BUCKETS: usize = 1024;

/// The buckets of all clusters that set a rate.
#[derive(Debug, Default)]
pub(crate) struct Rates {
    buckets: Mutex<HashMap<Cluster, Arc<Bucket>>>,
}

impl Rates {
    /// The cluster's bucket; `None` where it sets no rate.
    pub(crate) fn of(&self, cluster: &Cluster) -> Option<Arc<Bucket>> {
        let rate = cluster.max_capacity_rate?.units_per_second();
        let mut key = cluster.clone();
        if let Some(role) = &mut key.role {
            role.session_name.clear();
        }
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if buckets.len() >= MAX_BUCKETS && !buckets.contains_key(&key) {
            let now = Instant::now();
            buckets
                .retain(|_, bucket| Arc::strong_count(bucket) > 1 || !bucket.level().is_full(now));
        }
        let bucket = buckets
            .entry(key)
            .or_insert_with(|| Arc::new(Bucket::new(rate)));
        Some(Arc::clone(bucket))
    }
}

/// One cluster's units.
#[derive(Debug)]
pub(crate) struct Bucket {
    /// Locked by the request that is next while it waits for its units; waiters get the lock in the order in which they asked for it.
    queue: tokio::sync::Mutex<()>,
    level: Mutex<Level>,
    /// The level rose otherwise than by time.
    risen: Notify,
}

impl Bucket {
    fn new(rate: f64) -> Self {
        Self {
            queue: tokio::sync::Mutex::new(()),
            level: Mutex::new(Level::new(rate, Instant::now())),
            risen: Notify::new(),
        }
    }

    /// Waits until no earlier request waits and its units are there, and takes them. Dropping the future lets the next request pass.
    pub(crate) async fn reserve(&self, units: f64) {
        let _guard = self.queue.lock().await;
        loop {
            let wait = self.level().take(Instant::now(), units);
            let Some(wait) = wait else { return };
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = self.risen.notified() => {}
            }
        }
    }

    /// Replaces what was reserved by what DynamoDB reported; says whether this is the first answer that reports nothing, so that the
    /// rate cannot be applied.
    pub(crate) fn report(&self, reserved: f64, units: Option<f64>) -> bool {
        let is_first_silence = self.level().correct(Instant::now(), reserved, units);
        self.risen.notify_one();
        is_first_silence
    }

    fn level(&self) -> std::sync::MutexGuard<'_, Level> {
        self.level.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How full a bucket is.
#[derive(Debug)]
struct Level {
    /// Units a second.
    rate: f64,
    /// Below 0: a debt.
    units: f64,
    /// When that was so.
    at: Instant,
    /// The last answer reported what it consumed, or there was none yet.
    is_applied: bool,
    has_been_silent: bool,
}

impl Level {
    fn new(rate: f64, now: Instant) -> Self {
        Self {
            rate,
            units: rate * FULL_AFTER_SECONDS,
            at: now,
            is_applied: true,
            has_been_silent: false,
        }
    }

    fn fill(&mut self, now: Instant) {
        let seconds = now.saturating_duration_since(self.at).as_secs_f64();
        self.units = (self.units + seconds * self.rate).min(self.rate * FULL_AFTER_SECONDS);
        self.at = now;
    }

    fn is_full(&mut self, now: Instant) -> bool {
        self.fill(now);
        self.units >= self.rate * FULL_AFTER_SECONDS
    }

    /// Takes units, or gives the wait until that may be tried again. A request that costs more than the bucket holds begins when it is
    /// full, and leaves a debt.
    fn take(&mut self, now: Instant, units: f64) -> Option<Duration> {
        if !self.is_applied {
            return None;
        }
        self.fill(now);
        let missing = units.min(self.rate * FULL_AFTER_SECONDS) - self.units;
        if missing > 0.0 {
            let wait = Duration::try_from_secs_f64(missing / self.rate).unwrap_or(Duration::MAX);
            // What rounds to no time at all must not be asked again at once.
            return Some(wait.max(Duration::from_micros(1)));
        }
        self.units -= units;
        None
    }

    fn correct(&mut self, now: Instant, reserved: f64, units: Option<f64>) -> bool {
        self.fill(now);
        let most = self.rate * FULL_AFTER_SECONDS;
        self.units = (self.units + reserved - units.unwrap_or(0.0)).min(most);
        self.is_applied = units.is_some();
        let is_first_silence = units.is_none() && !self.has_been_silent;
        self.has_been_silent |= units.is_none();
        is_first_silence
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `n_jobs` jobs consume in some seconds of a clock that only this counts: each reserves what its last page cost, and its page
    /// of `cost(number)` units takes `latency`.
    fn consumed(
        rate: f64,
        n_jobs: usize,
        seconds: u64,
        latency: Duration,
        cost: impl Fn(usize) -> f64,
    ) -> (f64, Vec<usize>) {
        let start = Instant::now();
        let end = start + Duration::from_secs(seconds);
        let mut level = Level::new(rate, start);
        // When each job's page is answered, what it reserved and what it costs; a job in the queue has none.
        let mut under_way: Vec<Option<(Instant, f64, f64)>> = vec![None; n_jobs];
        let mut queue: std::collections::VecDeque<usize> = (0..n_jobs).collect();
        let mut last = vec![FIRST_COST; n_jobs];
        let mut pages = vec![0; n_jobs];
        let (mut now, mut sum, mut number) = (start, 0.0, 0);
        while now < end {
            for job in 0..n_jobs {
                if let Some((at, reserved, units)) = under_way[job]
                    && at <= now
                {
                    level.correct(now, reserved, Some(units));
                    sum += units;
                    last[job] = units;
                    pages[job] += 1;
                    under_way[job] = None;
                    queue.push_back(job);
                }
            }
            while let Some(&job) = queue.front() {
                if level.take(now, last[job]).is_some() {
                    break;
                }
                under_way[job] = Some((now + latency, last[job], cost(number)));
                number += 1;
                queue.pop_front();
            }
            now += Duration::from_millis(1);
        }
        (sum, pages)
    }

    #[test]
    fn ten_jobs_keep_the_rate_within_a_tenth_over_ten_seconds_and_take_turns() {
        for (rate, latency) in [(1000.0, 5), (1000.0, 200), (5000.0, 20), (10_000.0, 50)] {
            let costs = |number: usize| [128.5, 64.0, 100.0, 0.5][number % 4];
            let (sum, pages) = consumed(rate, 10, 10, Duration::from_millis(latency), costs);
            let expected = rate * 10.0;
            assert!((sum - expected).abs() <= expected / 10.0, "{sum} at {rate}");
            let (least, most) = (pages.iter().min().unwrap(), pages.iter().max().unwrap());
            assert!(most - least <= 2, "{pages:?}");
        }
    }

    #[test]
    fn a_bucket_starts_with_a_tenth_of_a_second_and_holds_no_more() {
        let start = Instant::now();
        let mut level = Level::new(100.0, start);
        assert_eq!(level.take(start, 10.0), None);
        assert!(level.take(start, 1.0).is_some());
        let later = start + Duration::from_secs(3600);
        assert_eq!(level.take(later, 10.0), None);
        assert_eq!(level.take(later, 5.0), Some(Duration::from_secs_f64(0.05)));
    }

    #[test]
    fn what_a_page_costs_beyond_its_reservation_is_waited_for() {
        let start = Instant::now();
        let mut level = Level::new(100.0, start);
        assert_eq!(level.take(start, 1.0), None);
        assert!(!level.correct(start, 1.0, Some(130.0)));
        let wait = level.take(start, 1.0).unwrap();
        assert!((wait.as_secs_f64() - 1.21).abs() < 1e-9, "{wait:?}");
        // A page that costs more than the bucket holds begins when it is full.
        assert_eq!(level.take(start + Duration::from_millis(1300), 130.0), None);
    }

    #[test]
    fn an_endpoint_that_reports_nothing_is_told_once_and_not_waited_for() {
        let start = Instant::now();
        let mut level = Level::new(1.0, start);
        assert_eq!(level.take(start, 1.0), None);
        assert!(level.correct(start, 1.0, None));
        for _ in 0..100 {
            assert_eq!(level.take(start, 1000.0), None);
            assert!(!level.correct(start, 1000.0, None));
        }
        level.correct(start, 1.0, Some(5.0));
        assert!(level.take(start, 1.0).is_some());
    }

    #[tokio::test]
    async fn a_wait_ends_when_units_come_back_and_a_dropped_one_lets_the_next_pass() {
        let bucket = Bucket::new(1e-6);
        bucket.reserve(1.0).await;
        let mut first = Box::pin(bucket.reserve(1.0));
        let mut second = Box::pin(bucket.reserve(1.0));
        tokio::select! {
            biased;
            () = &mut first => panic!("there are no units"),
            () = &mut second => panic!("it is not its turn"),
            () = std::future::ready(()) => {}
        }
        drop(first);
        bucket.report(3.0, Some(0.0));
        second.await;
    }
}
