//! A word before a full scan: what EXPLAIN says of it, and how to bound it.

use std::{collections::HashMap, time::Duration};

use serde::Deserialize;
use serde_json::{
    Value,
    value::{RawValue, to_raw_value},
};

use super::{members::Members, statement::is_select};
use crate::terminal::{capacity, counted, grouped};

/// How long EXPLAIN may hold up the job itself, which goes on without a warning then.
pub(crate) const WITHIN: Duration = Duration::from_secs(5);

/// The job that explains the SELECT of this one; `None` where something bounds what it reads, for then nobody needs to be warned.
pub(crate) fn explaining(job: &[u8]) -> Option<Vec<u8>> {
    let mut job: Members = serde_json::from_slice(job).ok()?;
    let mut context = job.object("context").ok()?;
    let command = job.object("command").ok()?.object("context").ok()?;
    let query: String = serde_json::from_str(context.get("query")?.get()).ok()?;
    if !is_select(&query) || is_bounded(&context, &command) {
        return None;
    }
    let explain = to_raw_value(&format!("EXPLAIN {query}")).expect("a text serializes");
    context.set("query", explain);
    let own = context.get("timeout_seconds");
    let is_shorter = |own: &RawValue| {
        own.get()
            .parse()
            .is_ok_and(|own: f64| own < WITHIN.as_secs_f64())
    };
    if !own.is_some_and(is_shorter) {
        let within = to_raw_value(&WITHIN.as_secs()).expect("a number serializes");
        context.set("timeout_seconds", within);
    }
    job.set_object("context", &context);
    Some(job.to_json())
}

fn is_bounded(job: &Members, command: &Members) -> bool {
    fn says<'m>(of: &'m Members, field: &str) -> Option<&'m str> {
        of.get(field)
            .map(RawValue::get)
            .filter(|value| *value != "null")
    }
    let has = |of, fields: &[&str]| fields.iter().any(|field| says(of, field).is_some());
    let limit = says(job, "limit").or_else(|| says(command, "limit"));
    let budgets = ["max_pages", "max_consumed_capacity_units"];
    limit.is_some_and(|limit| limit != "0")
        || has(job, &["segment", "next_token"])
        || has(job, &budgets)
        || has(command, &["max_limit"])
        || has(command, &budgets)
}

/// What to tell a person before the statement runs; `None` where it is no full scan. `explained` is EXPLAIN's result document.
pub(crate) fn warning(explained: &[u8]) -> Option<String> {
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
    fn a_select_that_nothing_bounds_is_explained() {
        let explaining = |context: &str, command: &str| {
            let job = format!(r#"{{"context":{context},"command":{{"context":{command}}}}}"#);
            explaining(job.as_bytes()).map(|job| String::from_utf8(job).unwrap())
        };
        assert_eq!(
            explaining(r#"{"query":"select * FROM t","max_pages":null}"#, "{}").unwrap(),
            r#"{"context":{"query":"EXPLAIN select * FROM t","max_pages":null,"timeout_seconds":5},"command":{"context":{}}}"#
        );
        let short = r#"{"query":"SELECT * FROM t","timeout_seconds":0.5}"#;
        assert!(explaining(short, "{}").unwrap().contains(":0.5}"));
        let select = r#"{"query":"SELECT * FROM t""#;
        for (context, command, is_explained) in [
            ("}", "null", true),
            (r#","limit":0}"#, r#"{"limit":10}"#, true),
            (r#","limit":0}"#, r#"{"max_limit":10}"#, false),
            (r#","limit":5}"#, "{}", false),
            (r#","max_pages":5}"#, "{}", false),
            (r#","max_consumed_capacity_units":0.5}"#, "{}", false),
            (r#","segment":0,"total_segments":2}"#, "{}", false),
            (r#","next_token":"x"}"#, "{}", false),
            ("}", r#"{"limit":10}"#, false),
            ("}", r#"{"max_pages":10}"#, false),
        ] {
            let context = format!("{select}{context}");
            let explained = explaining(&context, command);
            assert_eq!(explained.is_some(), is_explained, "{context} {command}");
        }
        assert_eq!(explaining(r#"{"query":"EXPLAIN SELECT 1"}"#, "{}"), None);
        assert_eq!(explaining("{}", "{}"), None);
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
