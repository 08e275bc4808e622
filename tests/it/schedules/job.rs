//! One job of a plan, against a server that injects the planned faults; and the job that goes on where it ended, without faults.

use std::{
    collections::HashMap,
    ops::ControlFlow,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
        mpsc::{self, RecvTimeoutError},
    },
    thread,
    time::{Duration, Instant},
};

use bytes::Bytes;
use engines::{
    faults::{Fault, Faults},
    segmented::{Segmented, Table},
};
use harness_tests::{dynamo, job};
use plugin_api::Error;
use plugin_host::CallOptions;
use serde_json::{Value, json};

use super::plan::{DeadlineOf, Ending, Plan, SEGMENTS, codes};

/// How long an attempt may wait for an answer; far longer than an honest one takes on a busy machine.
pub(super) const READ_TIMEOUT: Duration = Duration::from_secs(8);

/// What every plan reads.
pub(super) struct Source {
    pub(super) items: Vec<Value>,
    pub(super) pages: Vec<Bytes>,
}

/// A request, and how it was answered.
#[derive(Debug)]
pub(super) struct Seen {
    pub(super) segment: Option<u64>,
    /// What the page was asked with; empty for the first.
    pub(super) start: String,
    pub(super) fault: Fault,
    /// The answer was honest, and the same page was asked for again all the same.
    pub(super) given_up: bool,
}

impl Seen {
    /// The codes that are the truth where this was the last attempt; none for an answer that is whole and was taken.
    pub(super) fn codes(&self) -> &'static [&'static str] {
        if self.given_up {
            codes(Fault::StallBeforeAnswer)
        } else {
            codes(self.fault)
        }
    }
}

/// What a job gave.
#[derive(Debug)]
pub(super) struct Ran {
    pub(super) outcome: Result<Vec<u8>, Error>,
    pub(super) lines: String,
    pub(super) seen: Vec<Seen>,
    pub(super) elapsed: Duration,
    /// How much later than its deadline it ended.
    pub(super) overrun: Option<Duration>,
    /// How long after a cancel that was taken.
    pub(super) cancel_took: Option<Duration>,
}

enum Server {
    Paged(Faults),
    Segmented(Segmented),
}

/// A job with its server.
pub(super) struct Subject<'a> {
    plan: &'a Plan,
    id: String,
    server: Server,
    honest: Arc<AtomicBool>,
    cancelled: Arc<Mutex<Option<Instant>>>,
}

impl<'a> Subject<'a> {
    pub(super) fn new(plan: &'a Arc<Plan>, source: &Source) -> Self {
        let id = format!("faults-{}", plan.seed);
        let honest = Arc::new(AtomicBool::new(false));
        let cancelled = Arc::new(Mutex::new(None));
        let requests = AtomicUsize::new(0);
        let fault = {
            let (plan, id) = (Arc::clone(plan), id.clone());
            let (honest, cancelled) = (Arc::clone(&honest), Arc::clone(&cancelled));
            move |segment: Option<u64>, number: usize| {
                let request = requests.fetch_add(1, Ordering::SeqCst);
                if honest.load(Ordering::SeqCst) {
                    return Fault::None;
                }
                if matches!(plan.ending, Ending::CancelAtRequest(at) if at == request) {
                    cancel(&id, &cancelled);
                }
                plan.fault(segment, number)
            }
        };
        let server = if plan.segmented {
            let table = Table {
                items: source.items.clone(),
                // Three pages and a part of a fourth for each segment.
                per_page: source.items.len().div_ceil(SEGMENTS) / 3,
                faults: Box::new(fault),
                reports_capacity: true,
            };
            Server::Segmented(Segmented::start(table).unwrap())
        } else {
            let by_number = move |number| fault(None, number);
            Server::Paged(Faults::by_number(source.pages.clone(), by_number).unwrap())
        };
        Self {
            plan,
            id,
            server,
            honest,
            cancelled,
        }
    }

    /// Runs the job to its planned or other end.
    pub(super) fn run(&self) -> Ran {
        let mut document = self.document();
        let fields = self.plan.fields.as_object().unwrap().clone();
        document["context"].as_object_mut().unwrap().extend(fields);
        if self.plan.segmented {
            document["context"]["total_segments"] = json!(SEGMENTS);
        }
        let lines = Arc::new(Mutex::new(String::new()));
        let mut options = CallOptions::default();
        if let Some(after) = self.plan.rows_after {
            let taken = Arc::clone(&lines);
            options.rows_after_bytes = after;
            options.rows = Some(Arc::new(move |more: &[u8]| {
                let more = std::str::from_utf8(more).expect("lines are UTF-8");
                taken.lock().unwrap().push_str(more);
                ControlFlow::Continue(())
            }));
        }
        let mut deadline = None;
        if let Ending::Deadline(time, of) = self.plan.ending {
            deadline = Some(time);
            match of {
                DeadlineOf::Job => {
                    document["context"]["timeout_seconds"] = json!(time.as_secs_f64())
                }
                DeadlineOf::Caller => options.timeout = Some(time),
            }
        }
        let document = document.to_string();
        let (begun, outcome) = thread::scope(|scope| {
            let (over, ended) = mpsc::channel::<()>();
            if let Ending::CancelAfter(time) = self.plan.ending {
                scope.spawn(move || {
                    if ended.recv_timeout(time) == Err(RecvTimeoutError::Timeout) {
                        cancel(&self.id, &self.cancelled);
                    }
                });
            }
            let begun = Instant::now();
            let outcome = dynamo().run_job(document.as_bytes(), &options);
            drop(over);
            (begun, outcome)
        });
        let elapsed = begun.elapsed();
        Ran {
            outcome: outcome.map(|answer| answer.to_vec()),
            lines: lines.lock().unwrap().clone(),
            seen: self.seen(),
            elapsed,
            overrun: deadline.map(|deadline| elapsed.saturating_sub(deadline)),
            cancel_took: self.cancelled.lock().unwrap().map(|at| at.elapsed()),
        }
    }

    /// The rows from a position on, as a document, with nothing in the way.
    pub(super) fn rest(&self, token: Option<&str>) -> Result<Vec<u8>, Error> {
        self.honest.store(true, Ordering::SeqCst);
        let mut document = self.document();
        document["context"]["next_token"] = json!(token);
        let outcome = dynamo().run_job(document.to_string().as_bytes(), &CallOptions::default());
        outcome.map(|answer| answer.to_vec())
    }

    fn document(&self) -> Value {
        let url = match &self.server {
            Server::Paged(server) => server.url(),
            Server::Segmented(server) => server.url(),
        };
        let mut document = job(&url, &json!({"query": "SELECT * FROM my_table"}));
        document["id"] = json!(self.id);
        document["cluster"]["context"]["read_timeout_seconds"] = json!(READ_TIMEOUT.as_secs());
        document
    }

    fn seen(&self) -> Vec<Seen> {
        let all: Vec<(Option<u64>, String, Fault)> = match &self.server {
            Server::Paged(server) => {
                let seen = server.seen().into_iter().map(|seen| {
                    let request: Value = serde_json::from_slice(&seen.call.body).unwrap();
                    (None, text(&request["NextToken"]), seen.fault)
                });
                seen.collect()
            }
            Server::Segmented(server) => {
                let seen = server.seen().into_iter().map(|seen| {
                    let after = text(&seen.request["ExclusiveStartKey"]["n"]["N"]);
                    (seen.segment, after, seen.fault)
                });
                seen.collect()
            }
        };
        // From the end, where it is known what each segment asked for next.
        let mut next: HashMap<Option<u64>, String> = HashMap::new();
        let seen = all.into_iter().rev().map(|(segment, start, fault)| {
            let is_repeated = next.insert(segment, start.clone()).as_ref() == Some(&start);
            Seen {
                segment,
                start,
                fault,
                given_up: is_repeated && codes(fault).is_empty(),
            }
        });
        let mut seen: Vec<Seen> = seen.collect();
        seen.reverse();
        seen
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or("").to_owned()
}

fn cancel(id: &str, cancelled: &Mutex<Option<Instant>>) {
    if dynamo().cancel_job(id) {
        *cancelled.lock().unwrap() = Some(Instant::now());
    }
}
