//! Attempts, limits, and what surrounds the items.

use super::{
    NO_LIMIT, add, assert_document, attempt, document, document_of, page, refusal, refusal_of,
};
use crate::{decode::DecodeError, table::Table};

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
        r#"{}"#,
        r#"{"Items":null,"NextToken":null}"#,
        r#"{"NextToken":"t"}"#,
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
fn a_name_twice_in_one_map_is_refused_however_it_is_written_and_where_the_map_lies() {
    let many: String = (0..40)
        .map(|n| format!(r#""n{n}":{{"N":"{n}"}},"#))
        .collect();
    for members in [
        r#""k":{"S":"x"},"k":{"S":"y"}"#.to_owned(),
        r#""k":{"S":"x"},"other":{"S":"z"},"\u006b":{"S":"y"}"#.to_owned(),
        format!(r#"{many}"n39":{{"N":"1"}}"#),
        format!(r#"{many}"n3":{{"N":"1"}}"#),
    ] {
        let map = format!(r#"{{"M":{{{members}}}}}"#);
        for value in [map.clone(), format!(r#"{{"L":[{{"N":"1"}},{map}]}}"#)] {
            // Items of the same kind come first, so that this one is predicted.
            let good = r#"{"a":{"M":{"k":{"S":"x"},"j":{"S":"y"}}}},"#.repeat(3);
            let error = refusal(&format!(r#"{good}{{"a":{value}}}"#));
            assert!(error.to_string().contains("a name twice"), "{error}");
        }
    }
}

#[test]
fn rows_to_skip_are_left_out_over_as_many_pages_as_it_takes_and_attempts_that_fail_skip_none() {
    let pages: Vec<String> = [[1, 2, 3], [4, 5, 6], [7, 8, 9]]
        .iter()
        .map(|page_of| {
            page(
                &page_of
                    .map(|n| format!(r#"{{"a":{{"N":"{n}"}},"x{n}":{{"NULL":true}}}}"#))
                    .join(","),
            )
        })
        .collect();
    for piece in [1, 7, usize::MAX] {
        let mut table = Table::new(Some(vec!["a".to_owned()]), Some(3), NO_LIMIT);
        table.skip(4);
        attempt(&mut table, &pages[0], piece).expect("good, but never committed");
        add(&mut table, &pages[0], piece);
        assert_eq!((table.rows(), table.to_skip()), (0, 1));
        add(&mut table, &pages[1], piece);
        assert_eq!((table.page_rows(), table.to_skip()), (2, 0));
        assert!(!table.dropped_rows());
        add(&mut table, &pages[2], piece);
        assert!(table.is_full() && table.dropped_rows());
        assert_eq!(table.page_rows(), 1);
        assert_document(
            &document(table),
            "a:long x5:null x6:null x7:null",
            "[5,null,null,null],[6,null,null,null],[7,null,null,null]",
        );
    }
}
