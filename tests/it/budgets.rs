//! What a job may use up, and what the jobs of a cluster may consume together.

use std::{collections::HashSet, thread, time::Instant};

use engines::paging::{self, Paging};
use harness_tests::{job, logged, run, with_deadline};
use serde_json::{Value, json};

/// A table of that many items of 1 KB, 20 of them a page; each page consumes 2.5 or 3 units.
fn table(n_items: usize) -> paging::Table {
    let items =
        (0..n_items).map(|n| json!({"id": {"N": n.to_string()}, "pad": {"S": "x".repeat(1000)}}));
    paging::Table::projected(items, |item| Some(json!({"id": item["id"]})))
        .with_page_bytes(20 << 10)
}

fn start(n_items: usize) -> Paging {
    Paging::start(table(n_items)).unwrap()
}

fn ask(server: &Paging, context: Value) -> Result<Value, plugin_api::Error> {
    let mut context = context;
    context["query"] = json!("SELECT id FROM t");
    run(&job(&server.url(), &context))
}

fn units(server: &Paging) -> f64 {
    server.seen().iter().map(|seen| seen.capacity_units).sum()
}

#[test]
fn no_request_is_begun_beyond_max_pages() {
    for (max_pages, outcome) in [(1, "exceeded"), (4, "exceeded"), (5, "whole"), (6, "whole")] {
        let server = start(90);
        let result = ask(&server, json!({"max_pages": max_pages}));
        assert_eq!(server.seen().len(), max_pages.min(5));
        match outcome {
            "whole" => assert_eq!(result.unwrap()["stats"]["rows"], json!(90)),
            _ => {
                let error = result.unwrap_err();
                assert_eq!(error.code, "BUDGET_EXCEEDED");
                assert!(!error.retryable);
                let consumed = units(&server);
                assert!(
                    error.message.contains(&format!("max_pages of {max_pages}"))
                        && error
                            .message
                            .contains(&format!("{consumed} capacity units")),
                    "{error}"
                );
                assert_eq!(error.partial.pages, max_pages as u64);
                assert_eq!(error.partial.rows, 20 * max_pages as u64);
                assert!(error.partial.next_token.is_some());
            }
        }
    }
}

#[test]
fn the_first_page_that_reaches_the_capacity_is_the_last() {
    for budget in [0.1, 2.5, 2.6, 7.0, 12.0] {
        let server = start(200);
        let error = ask(&server, json!({"max_consumed_capacity_units": budget})).unwrap_err();
        assert_eq!(error.code, "BUDGET_EXCEEDED");
        let seen = server.seen();
        let consumed = units(&server);
        let before_the_last = consumed - seen.last().unwrap().capacity_units;
        assert!(consumed >= budget && before_the_last < budget, "{budget}");
        assert_eq!(error.partial.pages, seen.len() as u64);
        for words in [
            format!("max_consumed_capacity_units of {budget}"),
            format!("{consumed} capacity units"),
        ] {
            assert!(error.message.contains(&words), "{error}");
        }
    }
    let server = start(200);
    let consumed = ask(&server, json!({"max_consumed_capacity_units": 1e9})).unwrap();
    assert_eq!(
        consumed["stats"]["consumed_capacity_units"]
            .as_f64()
            .unwrap(),
        units(&server)
    );
}

#[test]
fn a_job_may_take_the_rows_of_a_used_up_budget_and_go_on_later() {
    let server = start(90);
    let mut context = json!({"max_pages": 2, "on_budget": "truncate"});
    let mut ids = Vec::new();
    loop {
        let result = ask(&server, context.clone()).unwrap();
        ids.extend(
            result["data"]
                .as_array()
                .unwrap()
                .iter()
                .map(|row| row[0].as_u64().unwrap()),
        );
        let stats = &result["stats"];
        assert_eq!(stats["truncated"], json!(!stats["next_token"].is_null()));
        if stats["next_token"].is_null() {
            break;
        }
        assert_eq!(stats["pages"], json!(2));
        context["next_token"] = stats["next_token"].clone();
    }
    assert!(ids.iter().copied().eq(0..90));
    assert_eq!(server.seen().len(), 5);
}

#[test]
fn a_full_limit_needs_no_further_request_and_no_budget() {
    let server = start(90);
    let result = ask(&server, json!({"limit": 20, "max_pages": 1})).unwrap();
    assert_eq!(result["stats"]["rows"], json!(20));
    assert_eq!(result["stats"]["truncated"], json!(true));
    let result = ask(
        &server,
        json!({"limit": 5, "max_consumed_capacity_units": 0.1}),
    )
    .unwrap();
    assert_eq!(result["stats"]["rows"], json!(5));
}

#[test]
fn the_commands_budgets_hold_where_the_job_is_silent() {
    let server = start(90);
    let mut document = job(&server.url(), &json!({"query": "SELECT id FROM t"}));
    document["command"] = json!({"name": "c", "context": {"max_pages": 3}});
    let error = run(&document).unwrap_err();
    assert_eq!(
        (error.code.as_str(), error.partial.pages),
        ("BUDGET_EXCEEDED", 3)
    );
}

#[test]
fn a_budget_of_capacity_on_an_endpoint_that_reports_none_ends_the_job_and_says_so() {
    let server = Paging::start(table(90).without_capacity()).unwrap();
    let context = json!({"max_consumed_capacity_units": 1e9, "on_budget": "truncate"});
    let error = ask(&server, context).unwrap_err();
    assert_eq!(error.code, "BUDGET_EXCEEDED");
    assert!(error.message.contains("does not report"), "{error}");
    assert_eq!(server.seen().len(), 1);
    let result = ask(&server, json!({"max_pages": 5})).unwrap();
    assert_eq!(result["stats"]["consumed_capacity_units"], json!(null));
}

/// A job document with a rate on its cluster.
fn rated(server: &Paging, id: &str, units_per_second: f64) -> Value {
    let mut document = job(&server.url(), &json!({"query": "SELECT id FROM t"}));
    document["id"] = json!(id);
    document["cluster"]["context"]["max_capacity_units_per_second"] = json!(units_per_second);
    document
}

#[test]
fn ten_jobs_of_one_cluster_together_never_consume_more_than_its_rate() {
    let server = start(160);
    let rate = 200.0;
    let waited: Vec<u64> = thread::scope(|scope| {
        let jobs: Vec<_> = (0..10)
            .map(|n| {
                let mut document = rated(&server, &format!("rate-{n}"), rate);
                // Users with sessions of their own share the rate of their cluster.
                document["user"] = json!(format!("user-{n}"));
                scope.spawn(move || {
                    run(&document).unwrap()["stats"]["waited_ms"]
                        .as_u64()
                        .unwrap()
                })
            })
            .collect();
        jobs.into_iter().map(|job| job.join().unwrap()).collect()
    });
    assert!(waited.iter().sum::<u64>() > 0, "{waited:?}");
    let seen = server.seen();
    assert_eq!(seen.len(), 80);
    // The bucket's tenth of a second, and what each job's first page cost beyond the unit reserved for it.
    let most_at_once = rate / 10.0 + 10.0 * 3.0;
    let begin: Instant = seen[0].at;
    let mut consumed = 0.0;
    for request in &seen {
        let allowed = most_at_once + rate * request.at.duration_since(begin).as_secs_f64();
        assert!(
            consumed <= allowed,
            "{consumed} units where {allowed} were allowed"
        );
        consumed += request.capacity_units;
    }
}

#[test]
fn a_wait_for_the_rate_ends_with_the_deadline_and_other_clusters_do_not_wait() {
    let (error, n_requests) = with_deadline(|deadline| {
        let server = start(90);
        let mut document = rated(&server, "slow", 0.001);
        document["context"]["timeout_seconds"] = json!(deadline.as_secs_f64());
        let error = run(&document).unwrap_err();
        (error.partial.pages > 0).then(|| (error, server.seen().len()))
    });
    assert_eq!(error.code, "TIMEOUT");
    assert_eq!((error.partial.pages, n_requests), (1, 1));
    let server = start(90);
    let other = run(&rated(&server, "fast", 1e9)).unwrap();
    assert_eq!(other["stats"]["rows"], json!(90));
}

#[test]
fn a_rate_on_an_endpoint_that_reports_nothing_is_not_applied_with_one_warning() {
    let server = Paging::start(table(90).without_capacity()).unwrap();
    let ids: Vec<String> = (0..3).map(|n| format!("silent-{n}")).collect();
    for id in &ids {
        let result = run(&rated(&server, id, 0.001)).unwrap();
        assert_eq!(result["stats"]["rows"], json!(90));
    }
    let warnings: HashSet<String> = ids
        .iter()
        .flat_map(|id| logged(id))
        .filter(|line| line.contains("max_capacity_units_per_second is not applied"))
        .collect();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
}
