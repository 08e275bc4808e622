//! Jobs of the built DynamoDB plugin, end to end: pages, limits, columns, refusals.

use std::{thread, time::Duration};

use engines::{
    embedded::Embedded,
    paging::{self, Paging},
    replay::{Replay, chain, page},
};
use harness_tests::{dynamo, job, query, run, with_deadline};
use plugin_api::ErrorCode;
use plugin_host::CallOptions;
use serde_json::{Value, json};

/// A server with these pages, each a list of items.
fn pages(pages: &[&[&str]]) -> Replay {
    let pages: Vec<Vec<&str>> = pages.iter().map(|items| items.to_vec()).collect();
    Replay::recording(&chain(&pages)).unwrap()
}

fn names(result: &Value) -> Vec<&str> {
    result["columns"]
        .as_array()
        .unwrap()
        .iter()
        .map(|column| column["name"].as_str().unwrap())
        .collect()
}

fn types(result: &Value) -> Vec<&str> {
    result["columns"]
        .as_array()
        .unwrap()
        .iter()
        .map(|column| column["type"].as_str().unwrap())
        .collect()
}

fn limited(url: &str, limit: u64) -> Value {
    run(&job(
        url,
        &json!({"query": "SELECT * FROM t", "limit": limit}),
    ))
    .unwrap()
}

#[test]
fn an_attribute_first_seen_on_the_last_page_is_a_column_of_every_row() {
    let server = pages(&[
        &[r#"{"id":{"S":"1"}}"#, r#"{"id":{"S":"2"}}"#],
        &[r#"{"id":{"S":"3"}}"#],
        &[r#"{"id":{"S":"4"},"late":{"N":"1"},"a":{"BOOL":true}}"#],
    ]);
    let result = query(&server.url(), "SELECT * FROM t").unwrap();
    assert_eq!(names(&result), ["a", "id", "late"]);
    assert_eq!(types(&result), ["boolean", "string", "long"]);
    assert_eq!(
        result["data"],
        json!([
            [null, "1", null],
            [null, "2", null],
            [null, "3", null],
            [true, "4", 1]
        ])
    );
}

#[test]
fn empty_pages_with_a_token_are_passed_over_wherever_they_are() {
    let server = pages(&[
        &[],
        &[r#"{"id":{"S":"1"}}"#],
        &[],
        &[],
        &[r#"{"id":{"S":"2"}}"#],
        &[],
    ]);
    let result = query(&server.url(), "SELECT * FROM t").unwrap();
    assert_eq!(result["data"], json!([["1"], ["2"]]));
    assert_eq!(
        (&result["stats"]["pages"], &result["stats"]["requests"]),
        (&json!(6), &json!(6))
    );
    assert_eq!(result["stats"]["truncated"], json!(false));
}

#[test]
fn a_token_after_the_last_row_is_followed_to_the_end() {
    let server = Replay::recording(&[
        page(&[r#"{"id":{"S":"1"}}"#], Some(1)),
        page::<&str>(&[], None),
    ])
    .unwrap();
    let result = query(&server.url(), "SELECT * FROM t").unwrap();
    assert_eq!(result["data"], json!([["1"]]));
}

#[test]
fn no_rows_at_all_give_empty_data_and_the_columns_of_the_select_list() {
    let server = pages(&[&[]]);
    let all = query(&server.url(), "SELECT * FROM t").unwrap();
    assert_eq!((&all["columns"], &all["data"]), (&json!([]), &json!([])));
    let listed = query(&server.url(), "SELECT b, a.c[0] FROM t").unwrap();
    assert_eq!(
        listed["columns"],
        json!([{"name": "b", "type": "null"}, {"name": "c[0]", "type": "null"}])
    );
    assert_eq!(listed["data"], json!([]));
}

#[test]
fn an_item_without_any_selected_attribute_is_a_row_of_nulls() {
    let server = pages(&[&["{}", r#"{"b":{"S":"x"}}"#]]);
    let result = query(&server.url(), "SELECT a, b FROM t").unwrap();
    assert_eq!(result["data"], json!([[null, null], [null, "x"]]));
    assert_eq!(types(&result), ["null", "string"]);
}

#[test]
fn limits_are_exact_below_at_and_above_a_page_boundary_and_the_row_count() {
    let items: Vec<String> = (0..7)
        .map(|n| format!(r#"{{"id":{{"N":"{n}"}}}}"#))
        .collect();
    let refs: Vec<&str> = items.iter().map(String::as_str).collect();
    let server = pages(&[&refs[..3], &refs[3..6], &refs[6..]]);
    for (limit, rows, truncated) in [
        (1, 1, true),
        (2, 2, true),
        (3, 3, true),
        (4, 4, true),
        (6, 6, true),
        (7, 7, false),
        (8, 7, false),
        (0, 7, false),
    ] {
        let result = limited(&server.url(), limit);
        assert_eq!(
            result["data"].as_array().unwrap().len(),
            rows,
            "limit {limit}"
        );
        assert_eq!(result["stats"]["rows"], json!(rows), "limit {limit}");
        assert_eq!(
            result["stats"]["truncated"],
            json!(truncated),
            "limit {limit}"
        );
    }
}

#[test]
fn columns_and_types_come_from_the_rows_of_the_result_not_from_rows_that_the_limit_cut_off() {
    let server = pages(&[&[
        r#"{"id":{"N":"1"}}"#,
        r#"{"id":{"S":"two"},"other":{"S":"x"}}"#,
    ]]);
    let result = limited(&server.url(), 1);
    assert_eq!(result["columns"], json!([{"name": "id", "type": "long"}]));
}

#[test]
fn one_match_in_ten_thousand_takes_few_requests_although_the_limit_is_small() {
    let items = (0..100_000).map(|n| json!({"id": {"N": n.to_string()}, "pad": {"S": "x".repeat(44)}, "hit": {"BOOL": n % 10_000 == 9_999}}));
    let server = Paging::start(paging::Table::new(items, |item| {
        item["hit"]["BOOL"] == json!(true)
    }))
    .unwrap();
    let result = run(&job(
        &server.url(),
        &json!({"query": "SELECT * FROM t WHERE hit = true", "limit": 10}),
    ))
    .unwrap();
    assert_eq!(result["data"].as_array().unwrap().len(), 10);
    assert!(
        server.seen().len() <= 12,
        "{} requests",
        server.seen().len()
    );
}

#[test]
fn a_limit_without_a_filter_evaluates_no_item_more() {
    let items = (0..5000).map(|n| json!({"id": {"N": n.to_string()}}));
    let server = Paging::start(paging::Table::new(items, |_| true)).unwrap();
    limited(&server.url(), 100);
    assert_eq!((server.seen().len(), server.evaluated()), (1, 100));
}

#[test]
fn names_with_dots_quotes_unicode_case_and_type_letters_are_columns_like_any_other() {
    let server = pages(&[&[
        r#"{"S":{"N":"1"},"a.b":{"S":"dot"},"q\"uote":{"S":"q"},"Ünïcode \ud83d\ude00":{"S":"u"},"case":{"S":"l"},"Case":{"S":"u"},"M":{"M":{"S":{"S":"in"}}}}"#,
    ]]);
    let result = query(&server.url(), "SELECT * FROM t").unwrap();
    assert_eq!(
        names(&result),
        ["Case", "M", "S", "a.b", "case", "q\"uote", "Ünïcode 😀"]
    );
    assert_eq!(
        result["data"],
        json!([["u", {"S": "in"}, 1, "dot", "l", "q", "u"]])
    );
}

#[test]
fn an_item_of_400_kb_and_one_of_32_levels_come_through_whole() {
    let large = "x".repeat(400 * 1024);
    let deep = (0..32).fold(r#"{"S":"end"}"#.to_owned(), |inner, _| {
        format!(r#"{{"L":[{inner}]}}"#)
    });
    let server = pages(&[&[
        &format!(r#"{{"large":{{"S":"{large}"}}}}"#),
        &format!(r#"{{"deep":{deep}}}"#),
    ]]);
    let result = query(&server.url(), "SELECT * FROM t").unwrap();
    assert_eq!(result["data"][0][1], json!(large));
    assert_eq!(
        result["data"][1][0].to_string(),
        format!("{}\"end\"{}", "[".repeat(32), "]".repeat(32))
    );
}

#[test]
fn the_same_tables_give_the_same_document_however_the_engine_shuffles_attributes() {
    let engine = Embedded::start().unwrap();
    engine.load(&engines::sample::tables()).unwrap();
    let document = job(&engine.url(), &json!({"query": "SELECT * FROM every_type"})).to_string();
    let answer = || {
        let result = dynamo()
            .run_job(document.as_bytes(), &CallOptions::default())
            .unwrap();
        let result = String::from_utf8(result.to_vec()).unwrap();
        result.split(",\"stats\":").next().unwrap().to_owned()
    };
    let first = answer();
    assert!(
        first.contains("12345678901234567890123456789012345678"),
        "38 digits survive"
    );
    for _ in 0..10 {
        assert_eq!(answer(), first);
    }
}

#[test]
fn parameters_plain_and_typed_reach_dynamodb() {
    let engine = Embedded::start().unwrap();
    engine.load(&engines::sample::tables()).unwrap();
    let ask = |query: &str, parameters: Value| {
        run(&job(
            &engine.url(),
            &json!({"query": query, "parameters": parameters}),
        ))
        .unwrap()["data"]
            .clone()
    };
    assert_eq!(
        ask(
            "SELECT id FROM my_table WHERE category = ? AND price > ?",
            json!(["books", 13])
        ),
        json!([["124"]])
    );
    assert_eq!(
        ask(
            "SELECT id FROM my_table WHERE price = ?",
            json!([{"N": "12.99"}])
        ),
        json!([["123"]])
    );
    assert_eq!(
        ask(
            "SELECT id FROM every_type WHERE digits = ?",
            json!([{"N": "12345678901234567890123456789012345678"}])
        ),
        json!([["a-1"]])
    );
}

#[test]
fn two_hundred_threads_at_once_each_get_their_own_answer() {
    let engine = Embedded::start().unwrap();
    let items: Vec<Value> = (0..200)
        .map(|n| json!({"id": {"S": format!("id-{n}")}, "n": {"N": n.to_string()}}))
        .collect();
    engine.load(&json!({"numbers": items})).unwrap();
    let url = engine.url();
    thread::scope(|scope| {
        for n in 0..200 {
            let url = &url;
            scope.spawn(move || {
                let context = json!({"query": "SELECT n FROM numbers WHERE id = ?", "parameters": [format!("id-{n}")]});
                assert_eq!(run(&job(url, &context)).unwrap()["data"], json!([[n]]));
            });
        }
    });
}

#[test]
fn a_result_over_max_result_bytes_is_refused_and_one_that_just_fits_is_not() {
    let server = pages(&[&[r#"{"id":{"S":"0123456789"}}"#; 100]]);
    let at = |max: usize| {
        run(&job(
            &server.url(),
            &json!({"query": "SELECT * FROM t", "max_result_bytes": max}),
        ))
    };
    let error = at(500).unwrap_err();
    assert_eq!(
        (error.code, error.retryable),
        (ErrorCode::RESULT_TOO_LARGE, false)
    );
    assert!(at(5000).is_ok());
}

#[test]
fn the_deadline_ends_a_job_and_tells_how_far_it_came() {
    let server = Replay::start(
        &chain(&vec![vec![r#"{"id":{"S":"1"}}"#]; 1000]),
        Duration::from_millis(50),
    )
    .unwrap();
    let error = with_deadline(|deadline| {
        let context =
            json!({"query": "SELECT * FROM t", "timeout_seconds": deadline.as_secs_f64()});
        let error = run(&job(&server.url(), &context)).unwrap_err();
        (error.partial.pages > 0).then_some(error)
    });
    assert_eq!((error.code, error.retryable), (ErrorCode::TIMEOUT, true));
    assert_eq!(error.partial.rows, error.partial.pages);
}

#[test]
fn statements_that_are_no_select_are_refused_before_any_request() {
    let server = pages(&[&[]]);
    for (statement, code) in [
        (
            "DELETE FROM t WHERE id = '1'",
            ErrorCode::new("NOT_READ_ONLY"),
        ),
        (
            "/* x */ insert into t value {'id':'1'}",
            ErrorCode::new("NOT_READ_ONLY"),
        ),
        ("FROM t SELECT *", ErrorCode::new("NOT_READ_ONLY")),
        (
            "SELECT * FROM t; DELETE FROM t",
            ErrorCode::new("NOT_READ_ONLY"),
        ),
        ("SELECT * FROM t LIMIT 5", ErrorCode::new("INVALID_QUERY")),
        ("SELECT", ErrorCode::new("INVALID_QUERY")),
        ("SELECT a.x, b.x FROM t", ErrorCode::new("INVALID_QUERY")),
    ] {
        let error = query(&server.url(), statement).unwrap_err();
        assert_eq!(error.code, code, "{statement}: {error}");
        assert!(
            error.hint.is_some() && error.line.is_some() && error.column.is_some(),
            "{statement}: {error:?}"
        );
    }
    assert_eq!(server.requests(), 0);
}

#[test]
fn a_table_that_the_command_does_not_allow_is_refused_before_any_request() {
    let server = pages(&[&[]]);
    let ask = |table: &str| {
        let mut document = job(
            &server.url(),
            &json!({"query": format!("SELECT * FROM {table}")}),
        );
        document["command"] = json!({"context": {"tables": ["orders", "logs-*-eu"]}});
        run(&document).map_err(|error| error.code)
    };
    assert!(ask("orders").is_ok());
    assert!(ask("\"logs-2026-eu\"").is_ok());
    let asked = server.requests();
    for table in ["customers", "\"logs-2026-us\"", "Orders", "\"orders \""] {
        assert_eq!(
            ask(table),
            Err(ErrorCode::new("TABLE_NOT_ALLOWED")),
            "{table}"
        );
    }
    assert_eq!(server.requests(), asked);
}

#[test]
fn a_missing_table_is_not_found() {
    let engine = Embedded::start().unwrap();
    let error = query(&engine.url(), "SELECT * FROM nothing_here").unwrap_err();
    assert_eq!(
        (error.code, error.aws_code.as_deref()),
        (
            ErrorCode::new("NOT_FOUND"),
            Some("ResourceNotFoundException")
        )
    );
}
