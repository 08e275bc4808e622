//! Random orders of every fault, over reads of fifty pages: a job gives the clean result or an error that is true, and ends in time.
//!
//! A seed decides on one segment or sixteen, a document or rows as they come, which fault which request meets, and what ends the job: its
//! deadline, a cancel, nothing. A job in one segment that ended early is gone on with, and both together are the clean result.
//! `cargo xtask torture --only faults` runs 2,000 seeds.

mod job;
mod judge;
mod plan;
mod table;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

use harness_tests::torture::{again, is_torture, seeds};

use self::{
    job::{Ran, Source, Subject},
    judge::{Clean, judge},
    plan::Plan,
};

/// Jobs at once.
const AT_ONCE: usize = 32;

/// The most that a job may outlive its deadline.
const LATE: Duration = Duration::from_millis(250);

/// The figures of all seeds.
#[derive(Default)]
struct Tally {
    seeds: u64,
    requests: usize,
    faulty: usize,
    given_up: usize,
    /// Rows that were handed over as they came.
    lines: usize,
    gone_on: usize,
    ends: BTreeMap<String, usize>,
    overruns: Vec<(Duration, u64)>,
    cancels: Vec<Duration>,
    wrong: Vec<String>,
}

#[test]
fn a_job_gives_the_clean_result_or_a_true_error_whatever_fault_it_meets() {
    let (source, clean) = clean();
    let tally = Mutex::new(Tally::default());
    let seeds = Mutex::new(seeds("FAULT_SEEDS", 60));
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                loop {
                    // A statement of its own, or the lock would be held while the seed runs.
                    let seed = seeds.lock().unwrap().next();
                    let Some(seed) = seed else { return };
                    let (ran, outcome) = one(seed, &source, &clean);
                    tally.lock().unwrap().add(seed, &ran, outcome);
                }
            });
        }
    });
    let mut tally = tally.into_inner().unwrap();
    if is_torture() {
        tally.repeat_late_ones(&source, &clean);
    }
    tally.print();
    assert!(tally.wrong.is_empty(), "{}", tally.wrong.join("\n"));
}

fn clean() -> (Source, Clean) {
    let items = table::items();
    let (pages, page_sizes) = table::pages(&items);
    let source = Source { items, pages };
    let plan = Arc::new(Plan::of(0));
    let answer = Subject::new(&plan, &source).rest(None).unwrap();
    let text = String::from_utf8(answer.clone()).unwrap();
    let given = table::given(&answer, "").unwrap();
    assert_eq!(given.rows.len(), source.items.len());
    let clean = Clean {
        text: text[..text.rfind(",\"stats\":").unwrap()].to_owned(),
        columns: given.columns,
        rows: given.rows,
        page_sizes,
    };
    (source, clean)
}

/// Runs one seed; its end, and whether it was gone on with.
fn one(seed: u64, source: &Source, clean: &Clean) -> (Ran, Result<(String, bool), String>) {
    let plan = Arc::new(Plan::of(seed));
    let subject = Subject::new(&plan, source);
    let ran = subject.run();
    let outcome = judge(&plan, &ran, clean).and_then(|verdict| {
        let Some(position) = verdict.goes_on else {
            return Ok((verdict.end, false));
        };
        if position.token.is_none() && position.rows > 0 {
            // It has all rows.
            return Ok((verdict.end, false));
        }
        let rest = subject.rest(position.token.as_deref());
        let rest = rest.map_err(|error| format!("it cannot be gone on with: {error:?}"))?;
        if table::given(&rest, "")?.rows != clean.rows[position.rows..] {
            return Err(format!(
                "after {} rows come others than the rest",
                position.rows
            ));
        }
        Ok((verdict.end, true))
    });
    let outcome = outcome.map_err(|wrong| {
        format!(
            "seed {seed}: {wrong}\n  {plan:?}\n  {}",
            again("faults", seed)
        )
    });
    (ran, outcome)
}

impl Tally {
    fn add(&mut self, seed: u64, ran: &Ran, outcome: Result<(String, bool), String>) {
        self.seeds += 1;
        self.requests += ran.seen.len();
        let faulty = ran.seen.iter().filter(|seen| !seen.codes().is_empty());
        self.given_up += ran.seen.iter().filter(|seen| seen.given_up).count();
        self.faulty += faulty.count();
        self.lines += ran
            .lines
            .lines()
            .filter(|line| line.starts_with('['))
            .count();
        self.overruns.extend(ran.overrun.map(|late| (late, seed)));
        self.cancels.extend(ran.cancel_took);
        match outcome {
            Ok((end, gone_on)) => {
                *self.ends.entry(end).or_default() += 1;
                self.gone_on += usize::from(gone_on);
            }
            Err(wrong) => self.wrong.push(wrong),
        }
    }

    /// Runs those that were late again, one at a time and up to three times: beside dozens of others, or on a machine that does other
    /// things, a job may just have waited for a processor.
    fn repeat_late_ones(&mut self, source: &Source, clean: &Clean) {
        for at in 0..self.overruns.len() {
            let (late, seed) = self.overruns[at];
            if late <= LATE {
                continue;
            }
            let mut alone = Duration::MAX;
            for _ in 0..3 {
                let again = one(seed, source, clean).0.overrun;
                alone = alone.min(again.unwrap_or_default());
                if alone <= LATE {
                    break;
                }
            }
            println!("seed {seed}: {late:?} late beside others, {alone:?} alone");
            self.overruns[at].0 = alone;
            if alone > LATE {
                let again = again("faults", seed);
                self.wrong
                    .push(format!("seed {seed}: {alone:?} late; {again}"));
            }
        }
    }

    fn print(&self) {
        let Self {
            seeds,
            requests,
            faulty,
            given_up,
            lines,
            gone_on,
            ..
        } = self;
        println!(
            "{seeds} seeds: {requests} requests, {faulty} of them with a fault, {given_up} honest ones not waited for; {lines} rows handed over as they came"
        );
        for (end, count) in &self.ends {
            println!("{count:>6} {end}");
        }
        println!("{gone_on} that ended early were gone on with, to the clean result");
        let late = self.overruns.iter().map(|(late, _)| *late).max();
        println!(
            "{} deadlines: at most {:?} late; {} cancels: at most {:?} until the job's end; {} wrong",
            self.overruns.len(),
            late.unwrap_or_default(),
            self.cancels.len(),
            self.cancels.iter().max().copied().unwrap_or_default(),
            self.wrong.len()
        );
    }
}
