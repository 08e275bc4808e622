//! Whole reads in segments: the rows of one segment, each once, whatever happens to single segments.

use std::{
    ops::ControlFlow,
    sync::{Arc, Mutex},
    thread,
};

use engines::{
    faults::Fault,
    replay::Replay,
    segmented::{Segmented, Table},
};
use harness_tests::{dynamo, job, logged, run};
use plugin_api::ErrorCode;
use plugin_host::CallOptions;
use serde_json::{Value, json};

/// A table of so many items with a number and, in every seventh, an attribute of its own.
fn items(n_items: usize) -> Vec<Value> {
    let item = |n: usize| {
        let mut item =
            json!({"n": {"N": n.to_string()}, "m": {"M": {"k": {"S": format!("k{n}")}}}});
        if n.is_multiple_of(7) {
            item[format!("only{n}")] = json!({"BOOL": true});
        }
        item
    };
    (0..n_items).map(item).collect()
}

fn serve(
    n_items: usize,
    faults: impl Fn(Option<u64>, usize) -> Fault + Send + Sync + 'static,
) -> Segmented {
    Segmented::start(Table {
        items: items(n_items),
        per_page: 3,
        faults: Box::new(faults),
        reports_capacity: true,
    })
    .unwrap()
}

fn honest(n_items: usize) -> Segmented {
    serve(n_items, |_, _| Fault::None)
}

fn ask(server: &Segmented, context: Value) -> Result<Value, plugin_api::Error> {
    let mut document = job(&server.url(), &json!({"query": "SELECT * FROM t"}));
    let given = context.as_object().unwrap().clone();
    document["context"].as_object_mut().unwrap().extend(given);
    run(&document)
}

/// Columns, and the rows in the order of their numbers: with several segments their order is not determined.
fn sorted(result: &Value) -> (Value, Vec<Value>) {
    let columns = result["columns"].clone();
    let at = columns
        .as_array()
        .unwrap()
        .iter()
        .position(|column| column["name"] == json!("n"))
        .unwrap();
    let mut rows = result["data"].as_array().unwrap().clone();
    rows.sort_by_key(|row| row[at].as_u64());
    (columns, rows)
}

#[test]
fn any_number_of_segments_gives_the_rows_and_columns_of_one() {
    let server = honest(100);
    let whole = ask(&server, json!({})).unwrap();
    assert_eq!(server.scans(), 0);
    assert_eq!(whole["stats"]["segments"], json!(1));
    for n_segments in [2, 3, 7, 64, 100, 300] {
        let server = honest(100);
        let result = ask(&server, json!({"total_segments": n_segments})).unwrap();
        assert_eq!(sorted(&result), sorted(&whole), "{n_segments} segments");
        let stats = &result["stats"];
        assert_eq!(stats["segments"], json!(n_segments));
        assert_eq!(stats["items_evaluated"], json!(100));
        assert_eq!(stats["pages"], json!(server.scans()));
        assert_eq!(stats["requests"], json!(server.scans() + 1));
        assert_eq!(stats["retries"], json!(0));
        assert_eq!(
            (&stats["truncated"], &stats["next_token"]),
            (&json!(false), &json!(null))
        );
        // The statement itself was sent first, for one item.
        let first = &server.seen()[0];
        assert_eq!((first.segment, &first.request["Limit"]), (None, &json!(1)));
        let segments: std::collections::BTreeSet<_> = server
            .seen()
            .iter()
            .filter_map(|seen| seen.segment)
            .collect();
        assert_eq!(segments.len(), n_segments);
    }
}

#[test]
fn each_segment_is_read_alone_by_a_job_that_asks_for_it() {
    let server = honest(50);
    let whole = ask(&server, json!({})).unwrap();
    let mut rows = Vec::new();
    for segment in 0..4 {
        let part = ask(&server, json!({"total_segments": 4, "segment": segment})).unwrap();
        assert_eq!(part["stats"]["segments"], json!(1));
        rows.extend(
            part["data"]
                .as_array()
                .unwrap()
                .iter()
                .map(|row| row[1].clone()),
        );
    }
    rows.sort_by_key(Value::as_u64);
    let numbers: Vec<Value> = whole["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row[1].clone())
        .collect();
    assert_eq!(rows, numbers);
    let seen = server.seen();
    assert!(
        seen.iter()
            .filter(|seen| seen.segment.is_some())
            .all(|seen| seen.request["TotalSegments"] == json!(4))
    );
}

#[test]
fn faults_on_single_segments_lose_and_double_nothing() {
    let whole = sorted(&ask(&honest(60), json!({})).unwrap());
    let faults = [
        Fault::ProvisionedThroughputExceeded,
        Fault::Throttling,
        Fault::InternalServerError,
        Fault::ResetBeforeAnswer,
        Fault::ResetMidBody,
        Fault::Truncated,
        Fault::CorruptJson,
        Fault::WrongChecksum,
        Fault::EmptyBody,
    ];
    thread::scope(|scope| {
        for (number, fault) in faults.into_iter().enumerate() {
            let whole = &whole;
            scope.spawn(move || {
                let bad = number as u64 % 5;
                let server = serve(60, move |segment, request| {
                    if segment == Some(bad) && request % 2 == 0 {
                        fault
                    } else {
                        Fault::None
                    }
                });
                let result = ask(&server, json!({"total_segments": 5})).unwrap();
                assert_eq!(&sorted(&result), whole, "{fault:?}");
                let stats = &result["stats"];
                // Twelve items in each segment, three a page: each of its four pages failed once.
                assert_eq!(
                    (&stats["pages"], &stats["retries"]),
                    (&json!(20), &json!(4)),
                    "{fault:?}"
                );
            });
        }
    });
}

/// The numbers of the rows that a caller gets who takes them as they come, in that order, and the call's answer.
fn handed_over(
    server: &Segmented,
    n_segments: u64,
) -> (Vec<u64>, Result<Value, plugin_api::Error>) {
    let lines = Arc::new(Mutex::new(Vec::new()));
    let taken = Arc::clone(&lines);
    let options = CallOptions {
        rows: Some(Arc::new(move |more: &[u8]| {
            taken.lock().unwrap().extend_from_slice(more);
            ControlFlow::Continue(())
        })),
        ..CallOptions::default()
    };
    let context = json!({"query": "SELECT * FROM t", "total_segments": n_segments});
    let document = job(&server.url(), &context).to_string();
    let answer = dynamo().run_job(document.as_bytes(), &options);
    let answer = answer.map(|answer| serde_json::from_slice(&answer).unwrap());
    let (mut names, mut numbers) = (Vec::new(), Vec::new());
    for line in lines.lock().unwrap().split_inclusive(|byte| *byte == b'\n') {
        match serde_json::from_slice(line).unwrap() {
            Value::Array(row) => {
                let at = names.iter().position(|name| *name == json!("n")).unwrap();
                numbers.push(row[at].as_u64().unwrap());
            }
            line => names.extend(line["columns"].as_array().unwrap().clone()),
        }
    }
    (numbers, answer)
}

/// The numbers of one segment come in DynamoDB's order; item `n` lies in segment `n` modulo their number.
fn is_in_order(numbers: &[u64], n_segments: u64) -> bool {
    (0..n_segments).all(|segment| {
        let of_segment = numbers.iter().filter(|n| *n % n_segments == segment);
        of_segment.is_sorted()
    })
}

#[test]
fn rows_of_segments_are_handed_over_once_and_in_order_within_each_also_where_requests_fail() {
    let all: Vec<u64> = (0..60).collect();
    let faults = [
        Fault::None,
        Fault::Throttling,
        Fault::ResetMidBody,
        Fault::Truncated,
        Fault::CorruptJson,
        Fault::WrongChecksum,
    ];
    thread::scope(|scope| {
        for (number, fault) in faults.into_iter().enumerate() {
            let all = &all;
            scope.spawn(move || {
                let bad = number as u64 % 5;
                let server = serve(60, move |segment, request| match segment {
                    Some(segment) if segment == bad && request % 2 == 0 => fault,
                    _ => Fault::None,
                });
                let (mut numbers, answer) = handed_over(&server, 5);
                assert_eq!(answer.unwrap()["stats"]["rows"], json!(60), "{fault:?}");
                assert!(is_in_order(&numbers, 5), "{fault:?}: {numbers:?}");
                numbers.sort_unstable();
                assert_eq!(&numbers, all, "{fault:?}");
            });
        }
    });
}

#[test]
fn rows_of_segments_that_were_handed_over_before_a_failure_are_what_the_error_counts() {
    let server = serve(60, |segment, request| match segment {
        Some(3) if request > 0 => Fault::Throttling,
        _ => Fault::None,
    });
    let (mut numbers, answer) = handed_over(&server, 5);
    let error = answer.unwrap_err();
    assert_eq!(error.code, "THROTTLED");
    assert_eq!(error.partial.rows, numbers.len() as u64);
    assert!(is_in_order(&numbers, 5), "{numbers:?}");
    let n_rows = numbers.len();
    numbers.sort_unstable();
    numbers.dedup();
    assert_eq!(numbers.len(), n_rows, "none twice");
}

#[test]
fn a_segment_that_stays_broken_fails_the_job_truthfully() {
    let server = serve(60, |segment, _| match segment {
        Some(3) => Fault::Throttling,
        _ => Fault::None,
    });
    let error = ask(&server, json!({"total_segments": 5})).unwrap_err();
    assert_eq!((error.code.as_str(), error.retryable), ("THROTTLED", true));
    assert_eq!((error.partial.rows, error.partial.pages), (48, 16));
    assert_eq!(error.partial.next_token, None);
}

#[test]
fn what_cannot_be_read_in_segments_is_read_in_one_and_the_log_says_why() {
    for (id, context, words) in [
        ("limit", json!({"limit": 5}), "a limit of 5"),
        (
            "order",
            json!({"query": "SELECT * FROM t WHERE n = 1 ORDER BY n"}),
            "ORDER BY",
        ),
        ("index", json!({"query": "SELECT l[0] FROM t"}), "index"),
    ] {
        let server = honest(20);
        let mut document = job(
            &server.url(),
            &json!({"query": "SELECT * FROM t", "total_segments": 4}),
        );
        document["id"] = json!(format!("one-segment-{id}"));
        document["context"]
            .as_object_mut()
            .unwrap()
            .extend(context.as_object().unwrap().clone());
        let result = run(&document).unwrap();
        assert_eq!(result["stats"]["segments"], json!(1), "{id}");
        assert_eq!(server.scans(), 0, "{id}");
        let lines = logged(&format!("one-segment-{id}"));
        assert!(
            lines.iter().any(|line| line.starts_with("Info")
                && line.contains("one segment is read instead of 4")
                && line.contains(words)),
            "{lines:?}"
        );
        document["context"].as_object_mut().unwrap().remove("limit");
        document["context"]["segment"] = json!(1);
        if id != "limit" {
            let error = run(&document).unwrap_err();
            assert_eq!(error.code, ErrorCode::INVALID_JOB);
            assert_eq!(error.field.as_deref(), Some("context.segment"));
            assert!(error.message.contains(words), "{error}");
        }
    }
}

#[test]
fn a_scan_that_dynamodb_refuses_as_such_is_left_to_execute_statement() {
    let server = serve(20, |segment, _| match segment {
        Some(_) => Fault::Validation("Two document paths overlap with each other"),
        None => Fault::None,
    });
    let result = ask(&server, json!({"total_segments": 4})).unwrap();
    assert_eq!(result["stats"]["segments"], json!(1));
    assert_eq!(
        sorted(&result),
        sorted(&ask(&honest(20), json!({})).unwrap())
    );
    let error = ask(&server, json!({"total_segments": 4, "segment": 0})).unwrap_err();
    assert_eq!(error.code, ErrorCode::INVALID_JOB);
}

#[test]
fn what_the_statement_is_refused_for_is_refused_before_anything_is_read() {
    for (fault, code, words) in [
        (
            Fault::Validation("type does not match schema"),
            "VALIDATION",
            "schema",
        ),
        (Fault::AccessDenied, "ACCESS_DENIED", "PartiQLSelect"),
        (Fault::NotFound, "NOT_FOUND", "no table"),
    ] {
        let server = serve(20, move |segment, _| {
            if segment.is_none() {
                fault
            } else {
                Fault::None
            }
        });
        let error = ask(&server, json!({"total_segments": 4})).unwrap_err();
        assert_eq!(error.code, code);
        assert!(error.to_string().contains(words), "{error}");
        assert_eq!(server.scans(), 0);
    }
}

#[test]
fn a_policy_without_scan_is_named_in_the_hint() {
    let server = serve(20, |segment, _| {
        if segment.is_some() {
            Fault::AccessDenied
        } else {
            Fault::None
        }
    });
    let error = ask(&server, json!({"total_segments": 4})).unwrap_err();
    assert_eq!(error.code, "ACCESS_DENIED");
    assert!(error.hint.unwrap().contains("dynamodb:Scan"));
}

#[test]
fn budgets_count_all_segments_together() {
    for max_pages in [1, 3, 19] {
        let server = honest(60);
        let error = ask(
            &server,
            json!({"total_segments": 5, "max_pages": max_pages}),
        )
        .unwrap_err();
        assert_eq!(
            (error.code.as_str(), error.partial.pages),
            ("BUDGET_EXCEEDED", max_pages)
        );
        assert_eq!(server.scans() as u64, max_pages);
    }
    let server = honest(60);
    assert!(ask(&server, json!({"total_segments": 5, "max_pages": 20})).is_ok());

    let server = honest(60);
    let context =
        json!({"total_segments": 5, "max_consumed_capacity_units": 35, "on_budget": "truncate"});
    let result = ask(&server, context).unwrap();
    let stats = &result["stats"];
    // The first request alone costs 30 units, each page 1.5; at most five requests are under way when the sum is reached.
    let pages = stats["pages"].as_u64().unwrap();
    assert!((4..=9).contains(&pages), "{stats}");
    assert_eq!(
        (&stats["truncated"], &stats["next_token"]),
        (&json!(true), &json!(null))
    );
    assert_eq!(stats["rows"].as_u64().unwrap(), 3 * pages);
    assert_eq!(server.scans() as u64, pages);
}

#[test]
fn nested_paths_of_the_select_list_are_columns_as_ever() {
    let server = honest(30);
    let result = ask(
        &server,
        json!({"query": "SELECT m.k, n FROM t", "total_segments": 3}),
    )
    .unwrap();
    assert!(server.scans() > 0);
    let names: Vec<&Value> = result["columns"]
        .as_array()
        .unwrap()
        .iter()
        .map(|column| &column["name"])
        .collect();
    assert_eq!(names, [&json!("k"), &json!("n")]);
    let (_, rows) = sorted(&result);
    let expected: Vec<Value> = (0..30).map(|n| json!([format!("k{n}"), n])).collect();
    assert_eq!(rows, expected);
}

#[test]
fn a_page_that_names_its_own_key_as_the_last_is_a_bad_response() {
    let body = r#"{"Items":[{"n":{"N":"1"}}],"ScannedCount":1,"LastEvaluatedKey":{"n":{"N":"1"}}}"#;
    let server = Replay::recording(&[body.into()]).unwrap();
    let document = job(
        &server.url(),
        &json!({"query": "SELECT * FROM t", "total_segments": 2, "segment": 0}),
    );
    let error = run(&document).unwrap_err();
    assert_eq!(error.code, "BAD_RESPONSE");
    assert_eq!((error.partial.rows, error.partial.pages), (1, 1));
}

#[test]
fn the_result_of_segments_may_be_as_large_as_allowed_and_no_larger() {
    let server = honest(60);
    let result = ask(&server, json!({"total_segments": 4})).unwrap();
    assert_eq!(result["stats"]["rows"], json!(60));
    let error = ask(
        &server,
        json!({"total_segments": 4, "max_result_bytes": 2000}),
    )
    .unwrap_err();
    assert_eq!(error.code, ErrorCode::RESULT_TOO_LARGE);
    assert!(error.partial.rows < 60);
}

#[test]
fn the_rate_of_a_cluster_holds_for_segments_too() {
    let server = honest(60);
    let mut document = job(
        &server.url(),
        &json!({"query": "SELECT * FROM t", "total_segments": 5}),
    );
    document["cluster"]["context"]["max_capacity_units_per_second"] = json!(200);
    let result = run(&document).unwrap();
    assert_eq!(result["stats"]["rows"], json!(60));
    // 60 units in all, of which the bucket held 20 at first.
    assert!(result["stats"]["waited_ms"].as_u64().unwrap() > 0);
}
