//! What each value becomes, and what is no value.

use super::{NO_LIMIT, check, refusal, refusal_of};
use crate::table::Table;

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
