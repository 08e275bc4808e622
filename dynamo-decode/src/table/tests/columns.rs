//! Names, order and types of columns.

use super::{
    NO_LIMIT, add, assert_document, check, check_pages, document, document_of, page, refusal,
};
use crate::table::{Stats, Table};

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
    let empty = || {
        vec![
            page(""),
            r#"{"Items":[],"NextToken":"t"}"#.to_owned(),
            page(""),
        ]
    };
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
