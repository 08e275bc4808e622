//! Rows as lines: the rows of the document, cell for cell, and what leaves when.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{NO_LIMIT, add, attempt, page};
use crate::{
    decode::DecodeError,
    table::{Stats, Table},
};

/// What left a table, call by call, and its answer.
struct Left {
    calls: Vec<String>,
    answer: Value,
}

fn take_all(table: &mut Table, calls: &mut Vec<String>) {
    let mut lines = Vec::new();
    loop {
        let n_rows = table.take_lines(&mut lines);
        if lines.is_empty() {
            return;
        }
        let text = String::from_utf8(lines.clone()).expect("UTF-8");
        assert!(text.ends_with('\n'));
        assert!(text.len() <= 1 << 20 || text.lines().count() == 1);
        assert_eq!(
            n_rows,
            text.lines().filter(|line| line.starts_with('[')).count() as u64
        );
        calls.push(text);
    }
}

fn run(mut table: Table, pages: &[String], piece: usize) -> Left {
    let mut calls = Vec::new();
    for body in pages {
        add(&mut table, body, piece);
        take_all(&mut table, &mut calls);
    }
    let mut lines = Vec::new();
    table.take_columns_line(&mut lines);
    if !lines.is_empty() {
        calls.push(String::from_utf8(lines).expect("UTF-8"));
    }
    let answer = table.finish(&Stats::default()).expect("an answer");
    Left {
        calls,
        answer: serde_json::from_slice(&answer).expect("JSON"),
    }
}

fn table(select: Option<&[&str]>, limit: Option<u64>) -> Table {
    let select = select.map(|names| names.iter().map(|name| (*name).to_owned()).collect());
    Table::new(select, limit, NO_LIMIT)
}

/// The document that a caller makes of lines and answer, its columns and rows.
fn rebuilt(left: &Left) -> (Value, Vec<Value>) {
    let mut names: Vec<Value> = Vec::new();
    let mut rows: Vec<Vec<Value>> = Vec::new();
    let text = left.calls.concat();
    assert!(
        text.starts_with(r#"{"columns":["#),
        "the first line names columns"
    );
    for line in text.lines() {
        match serde_json::from_str(line).expect("each line is JSON") {
            Value::Array(row) => {
                assert_eq!(
                    row.len(),
                    names.len(),
                    "a cell for each column known by then"
                );
                rows.push(row);
            }
            line => names.extend(line["columns"].as_array().expect("a list").iter().cloned()),
        }
    }
    let columns = left.answer["columns"].as_array().expect("columns");
    assert!(columns.iter().map(|column| &column["name"]).eq(&names));
    let order: Vec<usize> = serde_json::from_value(left.answer["order"].clone()).expect("places");
    let columns = order.iter().map(|&place| columns[place].clone()).collect();
    let cell = |row: &[Value], place: usize| row.get(place).cloned().unwrap_or(Value::Null);
    let rows = rows
        .iter()
        .map(|row| order.iter().map(|&place| cell(row, place)).collect())
        .collect();
    (columns, rows)
}

#[test]
fn columns_come_in_order_of_appearance_and_by_name_inside_one_item() {
    let pages = [
        page(r#"{"z":{"N":"1"},"m":{"S":"x"}}"#),
        page(r#"{"b":{"S":"\n"},"a":{"L":[{"N":"1"}]},"z":{"N":"2.5"}},{},{"q":{"NULL":true}}"#),
    ];
    let left = run(table(None, None).with_lines(0, None), &pages, 7);
    assert_eq!(
        left.calls,
        [
            "{\"columns\":[\"m\",\"z\"]}\n[\"x\",1]\n",
            "{\"columns\":[\"a\",\"b\"]}\n[null,2.5,[1],\"\\n\"]\n[null,null,null,null]\n{\"columns\":[\"q\"]}\n[null,null,null,null,null]\n",
        ]
    );
    let column = |name: &str, kind: &str| json!({"name": name, "type": kind});
    assert_eq!(
        left.answer["columns"],
        json!([
            column("m", "string"),
            column("z", "float"),
            column("a", "array"),
            column("b", "string"),
            column("q", "null")
        ])
    );
    assert_eq!(left.answer["order"], json!([2, 3, 0, 4, 1]));
    assert!(left.answer.get("data").is_none());
    assert_eq!(left.answer.as_object().map(serde_json::Map::len), Some(3));
}

#[test]
fn the_select_list_comes_first_in_its_order() {
    let pages = [page(
        r#"{"a":{"N":"1"},"x":{"N":"2"}},{"c":{"N":"3"},"b":{"N":"4"}}"#,
    )];
    let left = run(
        table(Some(&["c", "a"]), None).with_lines(0, None),
        &pages,
        5,
    );
    assert_eq!(
        left.calls,
        ["{\"columns\":[\"c\",\"a\",\"x\"]}\n[null,1,2]\n{\"columns\":[\"b\"]}\n[3,null,null,4]\n"]
    );
    assert_eq!(left.answer["order"], json!([0, 1, 3, 2]));
}

#[test]
fn a_result_without_rows_has_one_line_of_columns() {
    for pages in [vec![page("")], vec![page(""), page("")]] {
        let left = run(
            table(Some(&["c", "a"]), None).with_lines(0, None),
            &pages,
            5,
        );
        assert_eq!(left.calls, ["{\"columns\":[\"c\",\"a\"]}\n"]);
        assert_eq!(left.answer["order"], json!([0, 1]));
        let left = run(table(None, None).with_lines(0, None), &pages, 5);
        assert_eq!(left.calls, ["{\"columns\":[]}\n"]);
        assert_eq!(left.answer["columns"], json!([]));
    }
    let left = run(table(None, None).with_lines(0, None), &[page("{},{}")], 5);
    assert_eq!(left.calls, ["{\"columns\":[]}\n[]\n[]\n"]);
}

#[test]
fn data_of_exactly_the_threshold_stays_a_document() {
    let pages = [
        page(r#"{"b":{"S":"x"}},{"a":{"N":"1"}}"#),
        page(r#"{"c":{"N":"1"},"b":{"S":"y"}}"#),
    ];
    let document = table(None, None);
    let document = run(document, &pages, 9).answer;
    let data = document["data"].to_string();
    let bytes = data.len() as u64;
    let stays = run(table(None, None).with_lines(bytes, None), &pages, 9);
    assert!(stays.calls.is_empty());
    assert_eq!(stays.answer, document);
    let left = run(table(None, None).with_lines(bytes - 1, None), &pages, 9);
    assert_eq!(
        left.calls.concat(),
        "{\"columns\":[\"b\"]}\n[\"x\"]\n{\"columns\":[\"a\"]}\n[null,1]\n{\"columns\":[\"c\"]}\n[\"y\",null,1]\n"
    );
}

#[test]
fn one_call_carries_a_megabyte_at_most_or_one_line() {
    let text = |bytes: usize| format!(r#"{{"s":{{"S":"{}"}}}}"#, "x".repeat(bytes));
    let items: Vec<String> = [300_000, 300_000, 300_000, 300_000, 1_500_000, 10, 10]
        .map(text)
        .to_vec();
    for after_bytes in [0, 1 << 20] {
        let left = run(
            table(None, None).with_lines(after_bytes, None),
            &[page(&items.join(","))],
            10_000,
        );
        let rows: Vec<usize> = left
            .calls
            .iter()
            .map(|call| call.matches('[').count())
            .collect();
        // The first call has the line of columns, too.
        assert_eq!(rows, [4, 1, 1, 2], "after {after_bytes}");
    }
}

#[test]
fn only_committed_pages_leave_and_a_failed_attempt_hands_over_nothing() {
    let mut table = table(None, None).with_lines(0, None);
    let mut calls = Vec::new();
    add(&mut table, &page(r#"{"a":{"N":"1"}}"#), 3);
    take_all(&mut table, &mut calls);
    attempt(&mut table, r#"{"Items":[{"b":{"N":"2"}},{"#, 3).expect_err("cut off");
    take_all(&mut table, &mut calls);
    attempt(&mut table, &page(r#"{"c":{"N":"3"}}"#), 3).expect("good, but not committed");
    table.begin_attempt();
    take_all(&mut table, &mut calls);
    assert_eq!(calls, ["{\"columns\":[\"a\"]}\n[1]\n"]);
    add(&mut table, &page(r#"{"d":{"N":"4"}}"#), 3);
    take_all(&mut table, &mut calls);
    assert_eq!(calls[1..], ["{\"columns\":[\"d\"]}\n[null,4]\n"]);
    assert_eq!(table.rows(), 2);
}

#[test]
fn the_size_of_all_lines_may_be_exactly_what_is_allowed() {
    let pages = [
        page(r#"{"a":{"N":"1"}},{"b":{"N":"1"}}"#),
        page(r#"{"a":{"N":"1"},"c":{"S":"ä\""}}"#),
    ];
    for after_bytes in [0, 12, 1000] {
        let lines = run(table(None, None).with_lines(0, None), &pages, 9)
            .calls
            .concat();
        let of = |max: usize| {
            let mut table = table(None, None).with_lines(after_bytes, Some(max as u64));
            let mut calls = Vec::new();
            for body in &pages {
                attempt(&mut table, body, 9)?;
                table.commit_page();
                take_all(&mut table, &mut calls);
            }
            Ok(())
        };
        assert_eq!(of(lines.len()), Ok(()));
        let limit = lines.len() as u64 - 1;
        assert_eq!(of(lines.len() - 1), Err(DecodeError::TooLarge { limit }));
    }
}

#[test]
fn a_limit_cuts_lines_as_it_cuts_a_document() {
    let pages = [
        page(r#"{"a":{"N":"1"}},{"a":{"N":"2"}}"#),
        page(r#"{"a":{"N":"3"}},{"b":{"N":"4"}}"#),
    ];
    let left = run(table(None, Some(3)).with_lines(0, None), &pages, 9);
    assert_eq!(
        left.calls.concat(),
        "{\"columns\":[\"a\"]}\n[1]\n[2]\n[3]\n"
    );
    assert_eq!(left.answer["order"], json!([0]));
}

/// Blanks between tokens are DynamoDB's to send; a newline inside a line would break it in two.
#[test]
fn no_line_has_a_newline_inside() {
    let body = "{ \"Items\" : [ {\n\"m\" :\n{ \"M\" : {\n \"k\" : { \"L\" :\n[ { \"N\" : \"1\" } ,\n{ \"S\" : \"a\\nb\" } ]\n}\n}\n}\n,\n\"s\" : { \"SS\" :\n[ \"x\" ,\n\"y\"\n] }\n}\n] }";
    let left = run(
        table(None, None).with_lines(0, None),
        &[body.to_owned()],
        11,
    );
    assert_eq!(left.calls.concat().lines().count(), 2);
    rebuilt(&left);
}

fn a_cell() -> impl Strategy<Value = String> {
    prop_oneof![
        Just(r#"{"NULL":true}"#.to_owned()),
        (-50_i64..50).prop_map(|n| format!(r#"{{"N":"{n}"}}"#)),
        "[a-z\"\\\\\\[\\],{}\n]{0,12}".prop_map(|text| json!({"S": text}).to_string()),
        Just(r#"{"L":[{"S":"],["},{"N":"1"},{"M":{"x":{"S":"\""}}}]}"#.to_owned()),
        Just(r#"{"M":{"k":{"BOOL":false},"a,b":{"S":","}}}"#.to_owned()),
    ]
}

fn an_item() -> impl Strategy<Value = String> {
    proptest::collection::hash_map("[a-f]{1,2}", a_cell(), 0..6).prop_map(|cells| {
        let cells: Vec<_> = cells
            .iter()
            .map(|(name, cell)| format!(r#""{name}":{cell}"#))
            .collect();
        format!("{{{}}}", cells.join(","))
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn lines_hold_the_rows_of_the_document(
        pages in proptest::collection::vec(proptest::collection::vec(an_item(), 0..6), 1..6),
        after_bytes in prop_oneof![Just(0), 1_u64..400],
        listed in any::<bool>(),
        limit in proptest::option::of(0_u64..20),
    ) {
        let pages: Vec<String> = pages.iter().map(|items| page(&items.join(","))).collect();
        let select: Option<&[&str]> = listed.then_some(&["c", "zz", "a"]);
        let document = run(table(select, limit), &pages, 50).answer;
        let left = run(table(select, limit).with_lines(after_bytes, None), &pages, 50);
        if left.calls.is_empty() {
            prop_assert!(document["data"].to_string().len() as u64 <= after_bytes);
            prop_assert_eq!(left.answer, document);
        } else {
            let (columns, rows) = rebuilt(&left);
            prop_assert_eq!(columns, document["columns"].clone());
            prop_assert_eq!(json!(rows), document["data"].clone());
        }
    }
}
