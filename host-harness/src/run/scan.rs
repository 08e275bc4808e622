//! A word before a full scan: what EXPLAIN says of it, and how to bound it.

use std::collections::HashMap;

use serde::Deserialize;
use serde_json::Value;

use crate::terminal::{capacity, counted, grouped};

/// What to tell a person before the statement runs; `None` where it is no full scan. `explained` is EXPLAIN's result document.
pub(super) fn warning(explained: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Explained {
        data: Vec<(String, Value)>,
    }
    let explained: Explained = serde_json::from_slice(explained).ok()?;
    let rows: HashMap<String, Value> = explained.data.into_iter().collect();
    if rows.get("operation")? != "Scan" {
        return None;
    }
    let number = |property: &str| rows.get(property).and_then(Value::as_f64);
    let of = match rows.get("index").and_then(Value::as_str) {
        Some(index) => format!("the index {index}"),
        None => format!("the table {}", rows.get("table")?.as_str()?),
    };
    let mut costs = Vec::new();
    if let Some(pages) = rows.get("pages_estimate").and_then(Value::as_u64) {
        costs.push(counted(pages, "page", "pages"));
    }
    if let Some(units) = number("capacity_units_estimate") {
        costs.push(capacity(units));
    }
    let costs = if costs.is_empty() {
        String::new()
    } else {
        format!(", about {}", costs.join(" and "))
    };
    let items = match rows.get("table_items").and_then(Value::as_u64) {
        Some(items) => format!(" ({} items)", grouped(items)),
        None => String::new(),
    };
    let key = rows
        .get("keys")
        .and_then(|keys| keys.get(0))
        .and_then(Value::as_str)
        .map_or(String::new(), |key| format!(" {key}"));
    Some(format!(
        "this reads all of {of}{items}{costs}; --limit N, --max-pages N or a condition on the partition key{key} reads less"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn explained(rows: &str) -> Option<String> {
        warning(format!(r#"{{"columns":[],"data":[{rows}],"stats":{{}}}}"#).as_bytes())
    }

    #[test]
    fn a_scan_is_told_with_its_costs_and_a_query_is_not() {
        let scan = r#"["operation","Scan"],["table","films"],["index",null],["keys",["id"]],["table_items",1200],["pages_estimate",3],["capacity_units_estimate",300]"#;
        assert_eq!(
            explained(scan).unwrap(),
            "this reads all of the table films (1,200 items), about 3 pages and 300 capacity units; --limit N, --max-pages N or a condition on the partition key id reads less"
        );
        let unknown = r#"["operation","Scan"],["table","films"],["index","by_year"],["keys",null],["pages_estimate",null]"#;
        assert_eq!(
            explained(unknown).unwrap(),
            "this reads all of the index by_year; --limit N, --max-pages N or a condition on the partition key reads less"
        );
        assert_eq!(
            explained(r#"["operation","Query"],["table","films"]"#),
            None
        );
        assert_eq!(explained(r#"["operation",null],["table","films"]"#), None);
        assert_eq!(warning(b"nothing"), None);
    }
}
