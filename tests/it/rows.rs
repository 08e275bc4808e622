//! Rows as they come, through the built library: what a caller gets, and what its function may do.

use std::{
    ops::ControlFlow,
    path::Path,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use engines::{
    http::{Answer, Server},
    paging::{Paging, Table},
};
use harness_tests::{dynamo, job, library, with_deadline};
use plugin_api::{Error, ErrorCode};
use plugin_host::{CallOptions, RowsSink};
use serde_json::{Value, json};

use crate::hosts::{Bench, have, limited, succeeds, with_id};

/// Items of which a page of 20 KB holds twenty; every third has a further attribute.
fn table(n_items: usize) -> Table {
    let items = (0..n_items).map(|n| {
        let mut item = json!({"id": {"S": n.to_string()}, "z": {"S": "x".repeat(1000)}});
        if n % 3 == 2 {
            item["m"] = json!({"N": n.to_string()});
        }
        item
    });
    Table::new(items, |_| true).with_page_bytes(20 << 10)
}

/// The tests here share the plugin's threads for rows, and one of them needs all.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn select(server: &Paging, id: &str) -> Vec<u8> {
    with_id(id, job(&server.url(), &json!({"query": "SELECT * FROM t"})))
        .to_string()
        .into_bytes()
}

fn sink(take: impl Fn(&str) -> ControlFlow<()> + Send + Sync + 'static) -> Option<RowsSink> {
    Some(Arc::new(move |lines: &[u8]| {
        take(std::str::from_utf8(lines).unwrap())
    }))
}

fn run(job: &[u8], options: &CallOptions) -> Result<Value, Error> {
    let answer = dynamo().run_job(job, options)?;
    Ok(serde_json::from_slice(&answer).unwrap())
}

#[test]
fn lines_and_answer_hold_what_the_document_holds() {
    let _alone = alone();
    let server = Paging::start(table(90)).unwrap();
    let document = run(&select(&server, "document"), &CallOptions::default()).unwrap();
    let lines = Arc::new(Mutex::new(String::new()));
    let taken = Arc::clone(&lines);
    let options = CallOptions {
        rows: sink(move |more| {
            taken.lock().unwrap().push_str(more);
            ControlFlow::Continue(())
        }),
        ..CallOptions::default()
    };
    let answer = run(&select(&server, "lines"), &options).unwrap();
    let lines = lines.lock().unwrap().clone();
    let mut rows = Vec::new();
    let mut names = Vec::new();
    for line in lines.lines() {
        match serde_json::from_str(line).unwrap() {
            Value::Array(row) => rows.push(row),
            line => names.extend(line["columns"].as_array().unwrap().clone()),
        }
    }
    assert_eq!(names, ["id", "z", "m"]);
    let order: Vec<usize> = serde_json::from_value(answer["order"].clone()).unwrap();
    assert_eq!(order, [0, 2, 1], "a document has its columns by name");
    let cell = |row: &Vec<Value>, index: usize| row.get(index).cloned().unwrap_or(Value::Null);
    let rows: Vec<Vec<Value>> = rows
        .iter()
        .map(|row| order.iter().map(|&index| cell(row, index)).collect())
        .collect();
    assert_eq!(json!(rows), document["data"]);
    for figure in ["rows", "pages", "wire_bytes", "truncated"] {
        assert_eq!(answer["stats"][figure], document["stats"][figure]);
    }
    assert!(answer.get("data").is_none());

    // A caller that takes so much in one piece gets the document.
    let options = CallOptions {
        rows: sink(|_| panic!("the result is small")),
        rows_after_bytes: 1 << 20,
        ..CallOptions::default()
    };
    let whole = run(&select(&server, "small"), &options).unwrap();
    assert_eq!(whole["data"], document["data"]);
}

/// While the caller's function runs, no page is asked for beyond the one under way.
#[test]
fn a_caller_that_is_slow_stops_the_requests() {
    let _alone = alone();
    let server = Arc::new(Paging::start(table(200)).unwrap());
    let calls = Arc::new(AtomicUsize::new(0));
    let (seen_by, counted) = (Arc::clone(&server), Arc::clone(&calls));
    let options = CallOptions {
        rows: sink(move |_| {
            let n_calls = counted.fetch_add(1, Ordering::SeqCst) + 1;
            // Long enough for a request to arrive that should not have been sent.
            thread::sleep(Duration::from_millis(20));
            assert!(seen_by.seen().len() <= n_calls + 1, "after {n_calls} calls");
            ControlFlow::Continue(())
        }),
        ..CallOptions::default()
    };
    let answer = run(&select(&server, "slow caller"), &options).unwrap();
    assert_eq!(
        json!(calls.load(Ordering::SeqCst)),
        answer["stats"]["pages"]
    );
}

#[test]
fn a_caller_that_wants_no_more_ends_the_job_as_cancelled() {
    let _alone = alone();
    let server = Paging::start(table(200)).unwrap();
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    let options = CallOptions {
        rows: sink(move |_| match counted.fetch_add(1, Ordering::SeqCst) {
            0 => ControlFlow::Continue(()),
            _ => ControlFlow::Break(()),
        }),
        ..CallOptions::default()
    };
    let error = run(&select(&server, "break"), &options).unwrap_err();
    assert_eq!(error.code, ErrorCode::CANCELLED);
    assert_eq!(calls.load(Ordering::SeqCst), 2);
    assert_eq!((error.partial.pages, error.partial.rows), (2, 40));
    assert_eq!(server.seen().len(), 2);

    // The rows that it has got and those of the job that goes on are all rows, each once.
    let context = json!({"query": "SELECT * FROM t", "next_token": error.partial.next_token});
    let rest = harness_tests::run(&job(&server.url(), &context)).unwrap();
    let ids: Vec<&str> = rest["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row[0].as_str().unwrap())
        .collect();
    assert_eq!(ids, (40..200).map(|n| n.to_string()).collect::<Vec<_>>());
}

/// The first lines of a job whose caller does this with them and then wants more or not; none if the deadline came before them.
fn ends_in_its_caller(
    server: &Paging,
    id: &str,
    timeout: Option<Duration>,
    then: ControlFlow<()>,
    inside: impl Fn() + Send + Sync + 'static,
) -> Option<Error> {
    let n_returned = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&n_returned);
    let options = CallOptions {
        timeout,
        rows: sink(move |_| {
            inside();
            counted.fetch_add(1, Ordering::SeqCst);
            then
        }),
        ..CallOptions::default()
    };
    let error = run(&select(server, id), &options).unwrap_err();
    let n_returned = n_returned.load(Ordering::SeqCst);
    assert_eq!(error.partial.rows, 20 * n_returned as u64, "{id}");
    assert!(n_returned < 2, "{id}: it was called after the end");
    (n_returned == 1).then_some(error)
}

#[test]
fn a_cancel_or_deadline_takes_effect_when_the_callers_function_returns() {
    let _alone = alone();
    let server = Paging::start(table(200)).unwrap();
    let error = ends_in_its_caller(&server, "inside", None, ControlFlow::Continue(()), || {
        assert!(dynamo().cancel_job("inside"));
    });
    assert_eq!(error.unwrap().code, ErrorCode::CANCELLED);
    for (id, then, code) in [
        ("late", ControlFlow::Continue(()), ErrorCode::TIMEOUT),
        (
            "late and refused",
            ControlFlow::Break(()),
            ErrorCode::CANCELLED,
        ),
    ] {
        let error = with_deadline(|deadline| {
            let beyond = move || thread::sleep(deadline);
            ends_in_its_caller(&server, id, Some(deadline), then, beyond)
        });
        assert_eq!(error.code, code, "{id}");
    }
}

/// More callers block than there are threads for them; the job that waits for one still heeds its cancel.
#[test]
fn callers_that_block_hold_up_their_own_jobs_only() {
    let _alone = alone();
    let server = Paging::start(table(40)).unwrap();
    let gate = Arc::new((Mutex::new(false), std::sync::Condvar::new()));
    let blocked = Arc::new(AtomicUsize::new(0));
    thread::scope(|scope| {
        // However this ends, nobody waits for ever.
        let _opened_at_the_end = Opens(Arc::clone(&gate));
        for n in 0..16 {
            let (gate, blocked) = (Arc::clone(&gate), Arc::clone(&blocked));
            let job = select(&server, &format!("blocked {n}"));
            scope.spawn(move || {
                let options = CallOptions {
                    rows: sink(move |_| {
                        blocked.fetch_add(1, Ordering::SeqCst);
                        let open = gate.0.lock().unwrap();
                        drop(gate.1.wait_while(open, |open| !*open).unwrap());
                        ControlFlow::Continue(())
                    }),
                    ..CallOptions::default()
                };
                run(&job, &options).unwrap();
            });
        }
        while blocked.load(Ordering::SeqCst) < 16 {
            thread::yield_now();
        }
        let waiting = scope.spawn(|| {
            let options = CallOptions {
                timeout: Some(Duration::from_millis(300)),
                rows: sink(|_| panic!("there is no thread for it")),
                ..CallOptions::default()
            };
            run(&select(&server, "waits for a thread"), &options).unwrap_err()
        });
        let error = waiting.join().unwrap();
        assert_eq!((error.code, error.partial.rows), (ErrorCode::TIMEOUT, 0));
        // Jobs that need no such thread go on.
        run(&select(&server, "a document"), &CallOptions::default()).unwrap();
    });
}

struct Opens(Arc<(Mutex<bool>, std::sync::Condvar)>);

impl Drop for Opens {
    fn drop(&mut self) {
        *self.0.0.lock().unwrap() = true;
        self.0.1.notify_all();
    }
}

/// Pages of 1 MB, all the same but for their tokens.
fn large(megabytes: usize) -> Server {
    let item = format!(
        r#"{{"id":{{"S":"{}"}},"n":{{"N":"12345.678"}},"text":{{"S":"{}"}}}}"#,
        "k".repeat(30),
        "some text, ".repeat(30)
    );
    let items = vec![item.as_str(); (1 << 20) / item.len()].join(",");
    let asked = AtomicUsize::new(0);
    Server::start(move |_call| {
        let page = asked.fetch_add(1, Ordering::SeqCst) + 1;
        let next = if page < megabytes {
            format!(r#","NextToken":"page-{page}""#)
        } else {
            String::new()
        };
        let body = format!(r#"{{"Items":[{items}]{next}}}"#);
        Box::pin(async move {
            Some(Answer::new(200, body).with_header("content-type", "application/x-amz-json-1.0"))
        })
    })
    .unwrap()
}

/// The most memory, in MB over an idle process, that a C host needs for a result of that size.
fn memory_for(megabytes: usize, library: &Path) -> u64 {
    let bench = Bench::new();
    let program = bench.compile("rows", &[]);
    let server = large(megabytes);
    let job = bench.job(
        "large.json",
        &job(&server.url(), &json!({"query": "SELECT * FROM t"})),
    );
    let said = succeeds(limited(program).arg(library).arg(job));
    let figure = |name: &str| -> u64 {
        let (_, rest) = said.split_once(&format!("{name}=")).unwrap();
        rest.split_whitespace().next().unwrap().parse().unwrap()
    };
    println!("{said}");
    assert!(figure("bytes") > (megabytes as u64) << 19, "{said}");
    assert!(figure("first_call_after_pages") <= 2, "{said}");
    (figure("peak_kb") - figure("idle_kb")) >> 10
}

/// `ROWS_MEGABYTES=5000 ROWS_LIBRARY=target/release/libdynamo_plugin.so` measures what the documentation states.
#[test]
fn a_result_larger_than_memory_costs_little_of_it() {
    if !have("gcc") {
        return;
    }
    let megabytes = std::env::var("ROWS_MEGABYTES").map_or(100, |text| text.parse().unwrap());
    let file = std::env::var("ROWS_LIBRARY").map_or_else(|_| library("dynamo_plugin"), Into::into);
    let most = memory_for(megabytes, &crate::hosts::root().join(file));
    assert!(most <= 64, "{most} MB over an idle process");
}
