//! Random histories of a store with crashes in them, beside a map that keeps the same jobs.
//!
//! A crash is what SIGKILL leaves: the files as they are at that moment, without what the process had in memory. The next store opens a
//! copy of them.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;

/// What happens to a store; a number chooses among the jobs there are.
#[derive(Debug, Clone)]
enum Step {
    Accept,
    /// Its record as running may wait for a later commit, and be lost with a crash.
    Run(usize),
    Finish(usize, Outcome),
    /// The result is written, and the host dies before the record.
    ResultWithoutRecord(usize),
    Delete(usize),
    Crash,
    Restart,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Outcome {
    Small,
    Large,
    Failed,
}

/// What must be there of a job.
#[derive(Debug, Clone)]
struct Kept {
    job: Arc<JobRecord>,
    /// A record that was put and not acknowledged: it, or the one before.
    unsure: Option<Arc<JobRecord>>,
    outcome: Option<Outcome>,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let which = || 0..1_000_usize;
    let outcome = prop_oneof![
        Just(Outcome::Small),
        Just(Outcome::Large),
        Just(Outcome::Failed)
    ];
    let step = prop_oneof![
        6 => Just(Step::Accept),
        4 => which().prop_map(Step::Run),
        6 => (which(), outcome).prop_map(|(which, outcome)| Step::Finish(which, outcome)),
        2 => which().prop_map(Step::ResultWithoutRecord),
        2 => which().prop_map(Step::Delete),
        3 => Just(Step::Crash),
        1 => Just(Step::Restart),
    ];
    prop::collection::vec(step, 1..40)
}

fn bytes_of(seq: i64, outcome: Outcome) -> Bytes {
    let length = if outcome == Outcome::Large {
        100_000
    } else {
        20
    };
    Bytes::from(format!("{seq}:").repeat(length).into_bytes())
}

fn with_status(job: &JobRecord, status: JobStatus) -> Arc<JobRecord> {
    Arc::new(JobRecord {
        status,
        ..job.clone()
    })
}

/// A store, what it must hold, and where it lies.
struct History {
    store: Store,
    directory: TestDirectory,
    kept: BTreeMap<i64, Kept>,
}

impl History {
    /// The n-th of the jobs that have not ended.
    fn unfinished(&self, which: usize) -> Option<i64> {
        let open: Vec<i64> = self
            .kept
            .iter()
            .filter(|(_, kept)| kept.outcome.is_none())
            .map(|(seq, _)| *seq)
            .collect();
        open.get(which % open.len().max(1)).copied()
    }

    async fn step(&mut self, step: Step) {
        match step {
            Step::Accept => {
                let job = job(&self.store, "alice", JobStatus::New);
                self.store.put(Put::record(Arc::clone(&job))).await.unwrap();
                let kept = Kept {
                    job: Arc::clone(&job),
                    unsure: None,
                    outcome: None,
                };
                self.kept.insert(job.seq, kept);
            }
            Step::Run(which) => {
                let Some(seq) = self.unfinished(which) else {
                    return;
                };
                let kept = self.kept.get_mut(&seq).unwrap();
                let running = with_status(&kept.job, JobStatus::Running);
                self.store.put_lazily(Arc::clone(&running));
                kept.unsure = Some(running);
            }
            Step::Finish(which, outcome) => {
                if let Some(seq) = self.unfinished(which) {
                    self.finish(seq, outcome).await;
                }
            }
            Step::ResultWithoutRecord(which) => {
                let Some(seq) = self.unfinished(which) else {
                    return;
                };
                let bytes = bytes_of(seq, Outcome::Large);
                self.store.write_result_file(seq, &bytes).unwrap();
                self.crash();
            }
            Step::Delete(which) => {
                let ended: Vec<(i64, bool)> = self
                    .kept
                    .iter()
                    .filter_map(|(seq, kept)| Some((*seq, kept.outcome? == Outcome::Large)))
                    .collect();
                let Some(&job) = ended.get(which % ended.len().max(1)) else {
                    return;
                };
                self.store.delete(vec![job]).await.unwrap();
                self.kept.remove(&job.0);
            }
            Step::Crash => self.crash(),
            Step::Restart => {
                self.store.close();
                self.reopen_at(None);
                // A planned end commits what waits.
                for kept in self.kept.values_mut() {
                    kept.job = kept.unsure.take().unwrap_or(Arc::clone(&kept.job));
                }
            }
        }
    }

    async fn finish(&mut self, seq: i64, outcome: Outcome) {
        let kept = self.kept.get_mut(&seq).unwrap();
        let status = match outcome {
            Outcome::Failed => JobStatus::Failed,
            _ => JobStatus::Succeeded,
        };
        kept.job = with_status(&kept.job, status);
        kept.unsure = None;
        kept.outcome = Some(outcome);
        let bytes = (outcome != Outcome::Failed).then(|| bytes_of(seq, outcome));
        let in_file = bytes.as_ref().is_some_and(|bytes| Store::wants_file(bytes));
        assert_eq!(in_file, outcome == Outcome::Large);
        if let Some(bytes) = bytes.as_ref().filter(|_| in_file) {
            self.store.write_result_file(seq, bytes).unwrap();
        }
        let put = Put {
            result: bytes,
            result_in_file: in_file,
            stderr: format!("of {seq}\n"),
            ..Put::record(Arc::clone(&kept.job))
        };
        self.store.put(put).await.unwrap();
    }

    /// The next store has the files of this one as they are now, and nothing else.
    fn crash(&mut self) {
        let next = test_directory();
        for (from, to) in [
            (&self.directory.jobs, &next.jobs),
            (&self.directory.results, &next.results),
        ] {
            std::fs::create_dir_all(to).unwrap();
            for entry in std::fs::read_dir(from).unwrap() {
                let entry = entry.unwrap();
                // The index of the write-ahead log lives in memory that a crash of the machine takes along.
                if !entry.file_name().to_string_lossy().ends_with("-shm") {
                    std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
                }
            }
        }
        self.reopen_at(Some(next));
    }

    fn reopen_at(&mut self, next: Option<TestDirectory>) {
        let elsewhere = test_directory();
        // The old store gives its lock back before the same place is opened.
        drop(std::mem::replace(&mut self.store, open(&elsewhere)));
        if let Some(next) = next {
            self.directory = next;
        }
        self.store = open(&self.directory);
    }

    /// Everything that was acknowledged is there as it was, and nothing besides.
    fn check(&mut self) {
        let mut files = BTreeSet::new();
        let mut unfinished = BTreeSet::new();
        for (&seq, kept) in &mut self.kept {
            let found = self.store.job(&kept.job.id).unwrap().unwrap();
            // The files of a crash decide, once and for all, whether the record that nobody waited for is among them.
            if let Some(unsure) = kept.unsure.take()
                && unsure.status == found.status
            {
                kept.job = unsure;
            }
            assert_eq!(found.status, kept.job.status, "{kept:?}");
            if !found.status.is_final() {
                unfinished.insert(seq);
            }
            match kept.outcome {
                None | Some(Outcome::Failed) => {
                    assert!(self.store.result(seq).unwrap().is_none());
                }
                Some(outcome) => {
                    assert_eq!(
                        text(self.store.result(seq).unwrap()),
                        bytes_of(seq, outcome)
                    );
                    if outcome == Outcome::Large {
                        files.insert(seq);
                    }
                }
            }
            if kept.outcome.is_some() {
                assert_eq!(self.store.stderr(seq).unwrap(), format!("of {seq}\n"));
            }
        }
        let of_store: BTreeSet<i64> = self
            .store
            .unfinished()
            .unwrap()
            .iter()
            .map(|recorded| match recorded {
                Recorded::Whole(job) => job.seq,
                Recorded::Unreadable(job, error) => panic!("{job:?}: {error}"),
            })
            .collect();
        assert_eq!(of_store, unfinished);
        let lying: BTreeSet<i64> = std::fs::read_dir(&self.directory.results)
            .unwrap()
            .map(|entry| {
                let name = entry.unwrap().file_name().into_string().unwrap();
                let seq = name.rsplit_once('-').unwrap().1.split_once('.').unwrap().0;
                seq.parse().unwrap()
            })
            .collect();
        assert_eq!(
            lying, files,
            "files of results that no record owns are gone"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn over_any_history_with_crashes_what_was_acknowledged_is_there_and_nothing_else(steps in steps()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let directory = test_directory();
        let mut history = History { store: open(&directory), directory, kept: BTreeMap::new() };
        runtime.block_on(async {
            for step in steps {
                let reopens = matches!(step, Step::Crash | Step::Restart | Step::ResultWithoutRecord(_));
                history.step(step).await;
                if reopens {
                    history.check();
                }
            }
            history.crash();
            history.check();
            let next = history.store.next_seq();
            assert!(history.kept.keys().all(|seq| *seq < next));
        });
    }
}

/// Histories to try; `HISTORIES` sets another number.
fn cases() -> u32 {
    std::env::var("HISTORIES").map_or(24, |text| text.parse().expect("HISTORIES is a number"))
}
