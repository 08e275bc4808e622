//! The rules of DynamoDB's pages, each asked over HTTP.

use serde_json::{Value, json};

use super::*;
use crate::client;

fn numbered(count: usize) -> impl Iterator<Item = Value> {
    (0..count).map(|n| json!({"id": {"N": n.to_string()}, "even": {"BOOL": n % 2 == 0}}))
}

fn ask(server: &Paging, request: &Value) -> Value {
    client::dynamodb_ok(&server.url(), "ExecuteStatement", request).unwrap()
}

/// Every page from the first to the one without a token.
fn pages(server: &Paging, request: Value) -> Vec<Value> {
    let mut request = request;
    let mut pages = Vec::new();
    loop {
        let page = ask(server, &request);
        request["NextToken"] = page["NextToken"].clone();
        pages.push(page);
        if request["NextToken"].is_null() {
            return pages;
        }
    }
}

fn counts(pages: &[Value]) -> Vec<usize> {
    pages
        .iter()
        .map(|page| page["Items"].as_array().unwrap().len())
        .collect()
}

#[test]
fn limit_counts_items_before_the_filter() {
    let table = Table::new(numbered(10), |item| item["even"]["BOOL"] == true);
    let server = Paging::start(table).unwrap();
    let pages = pages(&server, json!({"Statement": "SELECT", "Limit": 3}));
    assert_eq!(counts(&pages), [2, 1, 2, 0]);
    let evaluated: Vec<_> = server.seen().iter().map(|seen| seen.evaluated).collect();
    assert_eq!(evaluated, [3, 3, 3, 1]);
    assert_eq!(server.evaluated(), 10);
}

#[test]
fn an_empty_page_may_carry_a_token() {
    let table = Table::new(numbered(4), |item| item["id"]["N"] == "3");
    let server = Paging::start(table).unwrap();
    let pages = pages(&server, json!({"Statement": "SELECT", "Limit": 2}));
    assert_eq!(counts(&pages), [0, 1, 0]);
}

#[test]
fn stopping_exactly_at_a_limit_gives_a_token_behind_the_last_item() {
    let server = Paging::start(Table::new(numbered(2), |_| true)).unwrap();
    let pages = pages(&server, json!({"Statement": "SELECT", "Limit": 2}));
    assert_eq!(counts(&pages), [2, 0]);
}

#[test]
fn a_page_without_limit_ends_at_one_megabyte_of_items() {
    let text = "x".repeat(100_000);
    let items = (0..25).map(|n| json!({"id": {"N": n.to_string()}, "text": {"S": text}}));
    let server = Paging::start(Table::new(items, |_| true)).unwrap();
    let pages = pages(&server, json!({"Statement": "SELECT"}));
    assert_eq!(counts(&pages), [10, 10, 5]);
}

#[test]
fn a_token_holds_for_its_statement_and_parameters_only() {
    let server = Paging::start(Table::new(numbered(4), |_| true)).unwrap();
    let request = json!({"Statement": "SELECT ?", "Parameters": [{"S": "a"}], "Limit": 1});
    let token = ask(&server, &request)["NextToken"].clone();
    for (statement, parameter, status) in [
        ("SELECT ?", "a", 200),
        ("SELECT  ?", "a", 400),
        ("SELECT ?", "b", 400),
    ] {
        let request =
            json!({"Statement": statement, "Parameters": [{"S": parameter}], "NextToken": token});
        let reply = client::dynamodb(&server.url(), "ExecuteStatement", &request).unwrap();
        assert_eq!(reply.status, status, "{request}");
    }
}

#[test]
fn capacity_is_told_where_asked_and_only_there() {
    let server = Paging::start(Table::new(numbered(4), |_| true)).unwrap();
    let silent = ask(&server, &json!({"Statement": "SELECT"}));
    assert!(silent["ConsumedCapacity"].is_null());
    for (consistent, units) in [(false, 0.5), (true, 1.0)] {
        let request = json!({"Statement": "SELECT", "ReturnConsumedCapacity": "TOTAL", "ConsistentRead": consistent});
        assert_eq!(
            ask(&server, &request)["ConsumedCapacity"]["CapacityUnits"],
            units
        );
    }
}

#[test]
fn a_projection_may_leave_an_item_empty() {
    let table = Table::projected(numbered(1), |_| Some(json!({})));
    let server = Paging::start(table).unwrap();
    assert_eq!(
        ask(&server, &json!({"Statement": "SELECT nothing"}))["Items"],
        json!([{}])
    );
}

#[test]
fn latency_is_added_to_every_request() {
    let table = Table::new(numbered(1), |_| true).with_latency(Duration::from_millis(30));
    let server = Paging::start(table).unwrap();
    let started = Instant::now();
    ask(&server, &json!({"Statement": "SELECT"}));
    assert!(started.elapsed() >= Duration::from_millis(30));
}

#[test]
fn what_cannot_be_asked_is_refused() {
    let server = Paging::start(Table::new(numbered(1), |_| true)).unwrap();
    for (operation, request) in [
        (
            "ExecuteStatement",
            json!({"Statement": "SELECT", "Limit": 0}),
        ),
        (
            "ExecuteStatement",
            json!({"Statement": "SELECT", "NextToken": "garbage"}),
        ),
        ("Scan", json!({})),
    ] {
        let reply = client::dynamodb(&server.url(), operation, &request).unwrap();
        assert_eq!(reply.status, 400);
    }
    assert!(server.seen().is_empty());
}
