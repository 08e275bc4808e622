//! What a table makes of pages: each test feeds bodies whole, byte by byte and in odd pieces, and compares documents.

use super::{Stats, Table};
use crate::decode::DecodeError;

const NO_LIMIT: u64 = 1 << 40;

/// A body with these items.
fn page(items: &str) -> String {
    format!(r#"{{"Items":[{items}]}}"#)
}

/// Runs one attempt that must succeed, in pieces of a size, and commits it.
fn add(table: &mut Table, body: &str, piece: usize) {
    attempt(table, body, piece).expect("a good page");
    table.commit_page();
}

fn attempt(table: &mut Table, body: &str, piece: usize) -> Result<Vec<u8>, DecodeError> {
    table.begin_attempt();
    for frame in body.as_bytes().chunks(piece) {
        table.feed(frame)?;
    }
    table.end_attempt()
}

/// The document of a table, up to `stats`.
fn document(table: Table) -> String {
    let document = table.finish(&Stats::default()).expect("a document");
    assert!(document.capacity() > document.len(), "no room for the NUL");
    let text = String::from_utf8(document).expect("UTF-8");
    serde_json::from_str::<serde_json::Value>(&text).expect("valid JSON");
    let (rows, _) = text
        .split_once(r#","stats":{"rows":"#)
        .expect("stats come last");
    rows.to_owned()
}

/// The document of some pages, the same in whatever pieces they come.
fn document_of(pages: &[String], select: Option<&[&str]>, limit: Option<u64>) -> String {
    let select = || select.map(|names| names.iter().map(|name| (*name).to_owned()).collect());
    let in_pieces = |size| {
        let mut table = Table::new(select(), limit, NO_LIMIT);
        for body in pages {
            add(&mut table, body, size);
        }
        document(table)
    };
    let whole = in_pieces(usize::MAX);
    for size in [1, 2, 3, 7, 64, 1000] {
        if pages.iter().map(String::len).sum::<usize>() < 20_000 * size {
            assert_eq!(in_pieces(size), whole, "in pieces of {size}");
        }
    }
    whole
}

/// Columns as `name:type …`, and the rows, of one page of items.
#[track_caller]
fn check(items: &str, columns: &str, rows: &str) {
    check_pages(&[items], columns, rows);
}

#[track_caller]
fn check_pages(pages: &[&str], columns: &str, rows: &str) {
    let pages: Vec<_> = pages.iter().map(|items| page(items)).collect();
    assert_document(&document_of(&pages, None, None), columns, rows);
}

#[track_caller]
fn assert_document(document: &str, columns: &str, rows: &str) {
    let entries: Vec<_> = columns
        .split_whitespace()
        .map(|column| {
            let (name, kind) = column.rsplit_once(':').expect("name:type");
            format!(r#"{{"name":"{name}","type":"{kind}"}}"#)
        })
        .collect();
    let expected = format!(r#"{{"columns":[{}],"data":[{rows}]"#, entries.join(","));
    assert_eq!(document, expected);
}

/// The error that one page of items gives, in whatever pieces.
fn refusal(items: &str) -> DecodeError {
    refusal_of(&page(items))
}

fn refusal_of(body: &str) -> DecodeError {
    let refused = |piece| {
        let mut table = Table::new(None, None, NO_LIMIT);
        attempt(&mut table, body, piece).expect_err(body)
    };
    let whole = refused(usize::MAX);
    assert!(whole.is_retryable(), "{whole:?}");
    refused(1);
    refused(5);
    whole
}

#[test]
fn every_attribute_type_becomes_its_json_cell() {
    for (value, cell, kind) in [
        (r#"{"S":"text"}"#, r#""text""#, "string"),
        (r#"{"S":""}"#, r#""""#, "string"),
        (r#"{"N":"12.99"}"#, "12.99", "float"),
        (r#"{"N":"12"}"#, "12", "long"),
        (r#"{"BOOL":true}"#, "true", "boolean"),
        (r#"{"BOOL":false}"#, "false", "boolean"),
        (r#"{"NULL":true}"#, "null", "null"),
        (r#"{"B":"AAH/+w=="}"#, r#""AAH/+w==""#, "bytes"),
        (r#"{"SS":["b","a"]}"#, r#"["b","a"]"#, "array"),
        (r#"{"NS":["3","-1.50"]}"#, "[3,-1.50]", "array"),
        (r#"{"BS":["AA==","/w=="]}"#, r#"["AA==","/w=="]"#, "array"),
        (r#"{"L":[]}"#, "[]", "array"),
        (
            r#"{"L":[{"S":"a"},{"N":"1"},{"NULL":true},{"L":[{"BOOL":true}]}]}"#,
            r#"["a",1,null,[true]]"#,
            "array",
        ),
        (r#"{"M":{}}"#, "{}", "map"),
        (
            r#"{"M":{"z":{"N":"1"},"a":{"M":{"S":{"SS":["x"]}}}}}"#,
            r#"{"z":1,"a":{"S":["x"]}}"#,
            "map",
        ),
    ] {
        check(
            &format!(r#"{{"c":{value}}}"#),
            &format!("c:{kind}"),
            &format!("[{cell}]"),
        );
    }
}

#[test]
fn numbers_keep_the_very_digits_that_were_sent() {
    for (number, kind) in [
        ("12345678901234567890123456789012345678", "decimal"),
        ("-1234567890123456789012345678901234567.8", "decimal"),
        ("1E-130", "float"),
        ("-9.9999999999999999999999999999999999999E+125", "decimal"),
        ("-0", "long"),
        ("-5", "long"),
        ("1.10", "float"),
        ("1E+2", "float"),
        ("0.1", "float"),
        ("9223372036854775807", "long"),
        ("9223372036854775808", "decimal"),
        ("1234567890123456", "long"),
        ("123456789012345.6", "float"),
    ] {
        check(
            &format!(r#"{{"n":{{"N":"{number}"}},"l":{{"L":[{{"N":"{number}"}}]}}}}"#),
            &format!("l:array n:{kind}"),
            &format!("[[{number}],{number}]"),
        );
    }
}

#[test]
fn a_column_takes_its_type_from_all_its_values() {
    let column = |values: &[&str]| {
        let items: Vec<_> = values
            .iter()
            .map(|value| format!(r#"{{"c":{value}}}"#))
            .collect();
        let text = document_of(&[page(&items.join(","))], None, None);
        let (_, rest) = text.split_once(r#""type":""#).expect("a type");
        rest.split('"').next().expect("a word").to_owned()
    };
    let (null, string, bytes) = (r#"{"NULL":true}"#, r#"{"S":"a"}"#, r#"{"B":"AA=="}"#);
    let (long, float, decimal) = (
        r#"{"N":"1"}"#,
        r#"{"N":"1.5"}"#,
        r#"{"N":"0.12345678901234567890"}"#,
    );
    let (set, numbers, list) = (r#"{"SS":["a"]}"#, r#"{"NS":["1"]}"#, r#"{"L":[]}"#);
    for (values, expected) in [
        (&[null, null][..], "null"),
        (&[null, string, null], "string"),
        (&[long, null], "long"),
        (&[long, float], "float"),
        (&[float, long, decimal], "decimal"),
        (&[long, string], "any"),
        (&[string, bytes], "any"),
        (&[set, numbers, list], "array"),
        (&[list, r#"{"M":{}}"#], "any"),
        (&[r#"{"BOOL":true}"#, null], "boolean"),
        (&[r#"{"N":"9007199254740993"}"#, float], "decimal"),
        (&[r#"{"N":"9007199254740992"}"#, float], "float"),
    ] {
        assert_eq!(column(values), expected, "{values:?}");
    }
}

#[test]
fn an_attribute_first_seen_on_the_last_page_is_a_column_of_every_row() {
    check_pages(
        &[
            r#"{"b":{"S":"1"}},{"b":{"S":"]},,"},"d":{"L":[{"S":"x,]"}]}}"#,
            r#"{"d":{"M":{"k":{"S":"}"}}}}"#,
            "",
            r#"{"c":{"N":"5"}},{"a":{"BOOL":true},"b":{"NULL":true},"e":{"S":"\""}}"#,
        ],
        "a:boolean b:string c:long d:any e:string",
        r#"[null,"1",null,null,null],[null,"]},,",null,["x,]"],null],[null,null,null,{"k":"}"},null],[null,null,5,null,null],[true,null,null,null,"\""]"#,
    );
}

#[test]
fn an_item_without_any_attribute_is_a_row_of_nulls() {
    check("{}", "", "[]");
    check("{},{}", "", "[],[]");
    check(
        r#"{},{},{"a":{"N":"1"}},{},{"b":{"N":"2"}}"#,
        "a:long b:long",
        "[null,null],[null,null],[1,null],[null,null],[null,2]",
    );
}

#[test]
fn no_rows_leave_the_columns_of_the_select_list() {
    let empty = || vec![page(""), r#"{"NextToken":"t"}"#.to_owned(), page("")];
    assert_document(&document_of(&empty(), None, None), "", "");
    assert_document(
        &document_of(&empty(), Some(&["z", "a"]), None),
        "z:null a:null",
        "",
    );
    assert_document(&document(Table::new(None, None, NO_LIMIT)), "", "");
}

#[test]
fn select_list_columns_keep_its_order_and_strangers_follow_it() {
    assert_document(
        &document_of(
            &[
                page(r#"{"a":{"N":"1"},"z":{"S":"x"}}"#),
                page(r#"{"y":{"N":"3"},"b":{"N":"2"}}"#),
                page(r#"{"x":{"N":"4"}}"#),
            ],
            Some(&["z", "m", "a"]),
            None,
        ),
        "z:string m:null a:long b:long x:long y:long",
        r#"["x",null,1,null,null,null],[null,null,null,2,null,3],[null,null,null,null,4,null]"#,
    );
}

#[test]
fn the_order_of_attributes_inside_an_item_changes_nothing() {
    let a = r#"{"a":{"N":"1"},"b":{"S":"x"},"c":{"NULL":true}},{"c":{"BOOL":true},"d":{"N":"2"}}"#;
    let b = r#"{"c":{"NULL":true},"b":{"S":"x"},"a":{"N":"1"}},{"d":{"N":"2"},"c":{"BOOL":true}}"#;
    let of = |items| document_of(&[page(items), page(a)], None, None);
    assert_eq!(of(a), of(b));
}

#[test]
fn columns_are_sorted_bytewise_and_names_may_hold_anything() {
    check(
        r#"{"b.c":{"N":"1"},"S":{"N":"2"},"NULL":{"N":"3"},"":{"N":"4"},"é":{"N":"5"},"B":{"N":"6"},"b":{"N":"7"},"Items":{"N":"8"},"\"q\\":{"N":"9"},"😀":{"N":"10"},"a]}":{"N":"11"}}"#,
        r#":long \"q\\:long B:long Items:long NULL:long S:long a]}:long b:long b.c:long é:long 😀:long"#,
        "[4,9,6,8,3,2,11,7,1,5,10]",
    );
}

#[test]
fn a_name_escaped_in_another_way_is_the_same_column() {
    check(
        r#"{"ab":{"N":"1"}},{"\u0061b":{"N":"2"}},{"a\u0062":{"N":"3"}}"#,
        "ab:long",
        "[1],[2],[3]",
    );
    assert_eq!(
        refusal(r#"{"ab":{"N":"1"},"\u0061b":{"N":"2"}}"#).to_string(),
        "an item has an attribute twice at byte 34 of the answer"
    );
}

#[test]
fn strings_keep_their_escapes_and_their_unicode() {
    check(
        r#"{"s":{"S":"\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00 é 😀 \u0000"},"m":{"M":{"k\n\u00e9":{"B":"\/w=="}}}}"#,
        "m:map s:string",
        r#"[{"k\n\u00e9":"\/w=="},"\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00 é 😀 \u0000"]"#,
    );
    for half in [
        r"\ud83d",
        r"\ude00",
        r"\ud83dx",
        r"\ud83d\u0041",
        r"a\ude00\ud83d",
    ] {
        refusal(&format!(r#"{{"s":{{"S":"{half}"}}}}"#));
        refusal(&format!(r#"{{"s":{{"M":{{"{half}":{{"N":"1"}}}}}}}}"#));
        refusal(&format!(r#"{{"{half}":{{"S":"x"}}}}"#));
    }
}

#[test]
fn bytes_that_are_not_utf_8_are_refused() {
    for bad in [&b"\xff"[..], b"\xc3", b"a\xe2\x82", b"\xed\xa0\x80"] {
        for (before, after) in [
            (&br#"{"Items":[{"s":{"S":""#[..], &br#""}}]}"#[..]),
            (br#"{"Items":[{""#, br#"":{"S":"x"}}]}"#),
            (br#"{"Items":[{"m":{"M":{""#, br#"":{"S":"x"}}}}]}"#),
            (br#"{"Items":[{"m":{"L":[{"S":""#, br#""}]}}]}"#),
        ] {
            let mut table = Table::new(None, None, NO_LIMIT);
            table.begin_attempt();
            let body = [before, bad, after].concat();
            assert!(table.feed(&body).is_err(), "{body:?}");
        }
    }
}

#[test]
fn a_wide_item_passes_whole() {
    let text = "x".repeat(400 * 1024);
    check(
        &format!(r#"{{"a":{{"S":"{text}"}},"b":{{"N":"1"}}}},{{"b":{{"N":"2"}}}}"#),
        "a:string b:long",
        &format!(r#"["{text}",1],[null,2]"#),
    );
}

#[test]
fn values_nest_32_deep_but_not_without_bound() {
    let nested = |depth: usize| {
        let (mut value, mut cell) = (r#"{"S":"x"}"#.to_owned(), r#""x""#.to_owned());
        for level in 0..depth {
            (value, cell) = if level % 2 == 0 {
                (format!(r#"{{"L":[{value}]}}"#), format!("[{cell}]"))
            } else {
                (
                    format!(r#"{{"M":{{"k":{value}}}}}"#),
                    format!(r#"{{"k":{cell}}}"#),
                )
            };
        }
        (value, cell)
    };
    for depth in [31, 32, 60] {
        let (value, cell) = nested(depth);
        let kind = if depth % 2 == 1 { "array" } else { "map" };
        check(
            &format!(r#"{{"c":{value}}}"#),
            &format!("c:{kind}"),
            &format!("[{cell}]"),
        );
    }
    for depth in [61, 64, 1000] {
        let error = refusal(&format!(r#"{{"c":{}}}"#, nested(depth).0));
        assert!(
            error.to_string().starts_with("values are nested too deep"),
            "{error}"
        );
    }
    refusal(&format!(r#"{{"c":{}}}"#, r#"{"L":["#.repeat(100_000)));
    refusal(&format!(
        r#"{{"c":{}{}}}"#,
        r#"{"L":["#.repeat(100_000),
        "]}".repeat(100_000)
    ));
    refusal_of(&format!(r#"{{"Items":[],"x":{}}}"#, "[".repeat(100_000)));
}

#[test]
fn limit_counts_rows_exactly_and_columns_come_only_from_rows_kept() {
    let items = |from: usize, to: usize| {
        let items: Vec<_> = (from..to)
            .map(|n| format!(r#"{{"n":{{"N":"{n}"}},"c{n}":{{"BOOL":true}}}}"#))
            .collect();
        page(&items.join(","))
    };
    for (limit, n_rows, dropped) in [
        (0, 0, true),
        (1, 1, true),
        (3, 3, true),
        (5, 5, true),
        (6, 6, false),
        (7, 6, false),
    ] {
        let mut table = Table::new(None, Some(limit), NO_LIMIT);
        for body in [items(0, 3), items(3, 6)] {
            add(&mut table, &body, 10);
        }
        assert_eq!(table.rows(), n_rows, "limit {limit}");
        assert_eq!(table.is_full(), n_rows == limit, "limit {limit}");
        assert_eq!(table.dropped_rows(), dropped, "limit {limit}");
        let text = document(table);
        assert_eq!(text.matches(r#""type":"boolean""#).count() as u64, n_rows);
        assert_eq!(text.matches("true").count() as u64, n_rows);
    }
}

#[test]
fn an_attempt_that_is_not_committed_leaves_nothing() {
    let first = page(r#"{"a":{"N":"1"},"b":{"S":"x"}}"#);
    let bad = r#"{"Items":[{"a":{"S":"text"},"0":{"N":"1"}},{"new":{"N":"1"},"b":{"N":"1"}}"#;
    let second = page(r#"{"c":{"N":"7"},"a":{"N":"2"}}"#);
    let clean = document_of(&[first.clone(), second.clone()], None, None);

    let mut table = Table::new(None, Some(2), NO_LIMIT);
    assert!(attempt(&mut table, bad, 9).is_err());
    add(&mut table, &first, 9);
    assert!(attempt(&mut table, bad, 9).is_err());
    assert_eq!((table.rows(), table.page_rows()), (2, 1));
    assert!(attempt(&mut table, &format!("{bad}]}}x"), 11).is_err());
    assert!(table.dropped_rows());
    table.begin_attempt();
    assert_eq!((table.rows(), table.page_rows()), (1, 0));
    assert!(!table.dropped_rows());
    add(&mut table, &second, 9);
    assert_eq!((table.rows(), table.page_rows()), (2, 1));
    attempt(&mut table, &page(""), 9).expect("good, but never committed");
    assert_eq!(document(table), clean);

    let mut table = Table::new(None, None, NO_LIMIT);
    add(&mut table, &first, 9);
    attempt(&mut table, &second, 9).expect("good, but never committed");
    assert_eq!(document(table), document_of(&[first], None, None));
}

#[test]
fn columns_of_a_failed_attempt_do_not_lend_their_place_to_others() {
    let mut table = Table::new(None, None, NO_LIMIT);
    add(&mut table, &page(r#"{"m":{"N":"0"}}"#), 9);
    let bad = r#"{"Items":[{"z":{"N":"1"},"m":{"N":"2"}},{"z":{"N":"1"},"m":{"N":"2"}},"#;
    assert!(attempt(&mut table, bad, usize::MAX).is_err());
    let good = page(r#"{"a":{"N":"1"},"m":{"N":"2"}},{"a":{"N":"3"},"m":{"N":"4"}}"#);
    add(&mut table, &good, usize::MAX);
    assert_document(&document(table), "a:long m:long", "[null,0],[1,2],[3,4]");
}

#[test]
fn the_answer_without_its_items_is_what_the_sdk_reads() {
    let item = r#"{"a":{"S":"]}\""}}"#;
    let capacity = r#""ConsumedCapacity":{"TableName":"t","CapacityUnits":0.5}"#;
    for (body, rest, n_rows) in [
        (format!(r#"{{"Items":[{item}]}}"#), "{}".to_owned(), 1),
        (r#"{"Items":[]}"#.to_owned(), "{}".to_owned(), 0),
        (r#"{}"#.to_owned(), "{}".to_owned(), 0),
        (
            r#"{"Items":null,"NextToken":null}"#.to_owned(),
            r#"{"NextToken":null}"#.to_owned(),
            0,
        ),
        (
            format!(r#"{{"Items":[{item},{item}],"NextToken":"t/\"=="}}"#),
            r#"{"NextToken":"t/\"=="}"#.to_owned(),
            2,
        ),
        (
            format!(r#"{{{capacity},"Items":[{item}]}}"#),
            format!("{{{capacity}}}"),
            1,
        ),
        (
            format!(r#"{{{capacity},"Items":[{item}],"NextToken":"t"}}"#),
            format!(r#"{{{capacity},"NextToken":"t"}}"#),
            1,
        ),
        (
            format!(r#"{{"NextToken":"t",{capacity},"It\u0065ms":[{item}]}}"#),
            format!(r#"{{"NextToken":"t",{capacity}}}"#),
            1,
        ),
        (
            format!(
                r#"{{"NextToken":"{}","Items":[{item}]}}"#,
                "t".repeat(30_000)
            ),
            format!(r#"{{"NextToken":"{}"}}"#, "t".repeat(30_000)),
            1,
        ),
        (
            format!("\n{{ \"Items\" : [ {item} ,\r\n{item} ] , {capacity} }} "),
            format!("{{{capacity}}}"),
            2,
        ),
    ] {
        for piece in [1, 2, 13, usize::MAX] {
            let mut table = Table::new(None, None, NO_LIMIT);
            let answer = attempt(&mut table, &body, piece).expect(&body);
            assert_eq!(
                String::from_utf8(answer).expect("UTF-8"),
                rest,
                "{body} in pieces of {piece}"
            );
            assert_eq!(table.rows(), n_rows);
        }
    }
}

#[test]
fn damaged_answers_are_refused_wherever_they_are_cut_or_bent() {
    let body = r#"{"Items":[{"a":{"S":"x"},"b":{"L":[{"N":"1"},{"M":{"k":{"BOOL":false}}}]}},{"a":{"NULL":true}}],"NextToken":"t"}"#;
    for cut in 0..body.len() {
        refusal_of(&body[..cut]);
    }
    for bad in [
        r#"{"Items":[{"a":{"S":"x"}},]}"#,
        r#"{"Items":[,{"a":{"S":"x"}}]}"#,
        r#"{"Items":[{"a":{"S":"x"}}{"a":{"S":"x"}}]}"#,
        r#"{"Items":[{"a":{"S":"x"}}],}"#,
        r#"{"Items":[],"Items":[]}"#,
        r#"{"Items":[]}}"#,
        r#"{"Items":[]} x"#,
        r#"[]"#,
        r#"{"Items":[1]}"#,
        r#"{"Items":{}}"#,
        r#"{"Items":["a"]}"#,
        r#"{"NextToken":"a","NextToken":"b","Items":[]}"#,
        r#"{,"Items":[]}"#,
        "null",
        "<html>",
        "",
        "{\"Items\":[{\"a\":{\"S\":\"\n\"}}]}",
        "{\"Items\":[{\"a\":{\"S\":\"\0\"}}]}",
        "{\"Items\":[{\"\t\":{\"S\":\"\"}}]}",
    ] {
        refusal_of(bad);
    }
}

#[test]
fn attribute_values_of_the_wrong_shape_are_refused_without_quoting_them() {
    for value in [
        r#"{}"#,
        r#"{"S":1}"#,
        r#"{"S":null}"#,
        r#"{"S":["secret"]}"#,
        r#"{"N":1}"#,
        r#"{"N":"secret"}"#,
        r#"{"N":""}"#,
        r#"{"N":"NaN"}"#,
        r#"{"N":"+1"}"#,
        r#"{"N":"01"}"#,
        r#"{"N":" 1"}"#,
        r#"{"N":"1."}"#,
        r#"{"BOOL":"secret"}"#,
        r#"{"BOOL":1}"#,
        r#"{"NULL":false}"#,
        r#"{"NULL":null}"#,
        r#"{"B":5}"#,
        r#"{"SS":"secret"}"#,
        r#"{"SS":[1]}"#,
        r#"{"NS":[1]}"#,
        r#"{"NS":["x"]}"#,
        r#"{"BS":[null]}"#,
        r#"{"L":{}}"#,
        r#"{"L":["secret"]}"#,
        r#"{"M":[]}"#,
        r#"{"M":{"secret":1}}"#,
        r#"{"secret":"S"}"#,
        r#"{"S":"secret","N":"1"}"#,
        r#"{"S":"a","S":"secret"}"#,
        r#""secret""#,
        "null",
        "7",
        "[]",
        r#"{"SS":["a",]}"#,
        r#"{"L":[,]}"#,
    ] {
        let error = refusal(&format!(r#"{{"c":{value}}}"#));
        assert!(!error.to_string().contains("secret"), "{error}");
        refusal(&format!(r#"{{"ok":{{"S":"x"}},"c":{{"L":[{value}]}}}}"#));
    }
}

#[test]
fn errors_say_at_which_byte_of_the_body() {
    let body = page(r#"{"a":{"N":"1"}},{"a":{"N":"x"}}"#);
    let at = body.find('x').expect("there") as u64;
    for piece in [1, 4, usize::MAX] {
        let mut table = Table::new(None, None, NO_LIMIT);
        let error = attempt(&mut table, &body, piece).expect_err("bad");
        let DecodeError::Malformed { what, byte } = error else {
            panic!("{error:?}");
        };
        assert_eq!(what, "a number is not one");
        assert!(byte.abs_diff(at) <= 2, "{byte} is not near {at}");
    }
}

#[test]
fn the_document_may_be_exactly_as_large_as_allowed() {
    for pages in [
        vec![page(r#"{"a":{"N":"1"}}"#)],
        vec![
            page("{},{}"),
            page(r#"{"b":{"S":"x"},"c":{"N":"1"}},{"a":{"N":"1"}}"#),
            page(""),
        ],
    ] {
        let of = |max: usize| {
            let mut table = Table::new(None, None, max as u64);
            for body in &pages {
                attempt(&mut table, body, usize::MAX)?;
                table.commit_page();
            }
            table.finish(&Stats::default())
        };
        let size = of(1 << 20).expect("fits").len();
        assert_eq!(of(size).map(|document| document.len()), Ok(size));
        let limit = size as u64 - 1;
        assert_eq!(of(size - 1), Err(DecodeError::TooLarge { limit }));
    }
}

#[test]
fn too_large_is_told_as_soon_as_the_nulls_to_come_make_it_certain() {
    const LIMIT: u64 = 1_000_000;
    let mut table = Table::new(None, None, LIMIT);
    table.begin_attempt();
    table
        .feed(br#"{"Items":[{"c":{"N":"1"}}"#)
        .expect("the first");
    let mut n_rows = 1_u64;
    let error = loop {
        match table.feed(format!(r#",{{"c{n_rows}":{{"N":"1"}}}}"#).as_bytes()) {
            Ok(()) => n_rows += 1,
            Err(error) => break error,
        }
    };
    assert_eq!(error, DecodeError::TooLarge { limit: LIMIT });
    assert!(!error.is_retryable());
    // n rows of n cells, nearly all of them `null,`.
    let bytes = 5 * n_rows * n_rows;
    assert!(
        (bytes..bytes + 100 * n_rows).contains(&LIMIT),
        "after {n_rows} rows"
    );
}

#[test]
fn a_column_a_row_costs_what_its_nulls_cost() {
    const N: usize = 600;
    let mut table = Table::new(None, None, NO_LIMIT);
    // In this order every new column comes before all the others.
    for n in (0..N).rev() {
        add(
            &mut table,
            &page(&format!(r#"{{"c{n:04}":{{"N":"{n}"}}}}"#)),
            usize::MAX,
        );
    }
    let document = table.finish(&Stats::default()).expect("a document");
    let json: serde_json::Value = serde_json::from_slice(&document).expect("JSON");
    for (place, row) in json["data"].as_array().expect("rows").iter().enumerate() {
        let row = row.as_array().expect("cells");
        assert_eq!(row.len(), N);
        for (column, cell) in row.iter().enumerate() {
            assert_eq!(
                cell.as_u64(),
                (column == N - 1 - place).then_some(column as u64)
            );
        }
    }
}

#[test]
fn stats_keep_their_keys_order_and_nulls() {
    let stats = Stats {
        rows: 2,
        consumed_capacity_units: Some(0.5),
        elapsed_ms: 12,
        ..Stats::default()
    };
    let document = Table::new(None, None, NO_LIMIT)
        .finish(&stats)
        .expect("a document");
    assert_eq!(
        String::from_utf8(document).expect("UTF-8"),
        r#"{"columns":[],"data":[],"stats":{"rows":2,"pages":0,"items_evaluated":null,"requests":0,"retries":0,"consumed_capacity_units":0.5,"wire_bytes":0,"elapsed_ms":12,"truncated":false}}"#
    );
}
