//! What most would write: the SDK's typed items become `serde_json::Value`s, rows of them a document, and that one its text.

use std::collections::{BTreeSet, HashMap};

use aws_sdk_dynamodb::types::AttributeValue;
use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::{Map, Number, Value, json};

use crate::{
    aws::{client, read_typed, runtime},
    measure::{Made, measured},
};

pub(crate) fn run(url: &str) -> anyhow::Result<Value> {
    let (runtime, client) = (runtime()?, client(url));
    measured(|| {
        let mut items = Vec::new();
        runtime.block_on(read_typed(&client, |page| {
            items.extend(page.items.unwrap_or_default().into_iter().map(object));
        }))?;
        let n_rows = items.len() as u64;
        let result = document(items).to_string();
        Ok(Made {
            wire_bytes: 0,
            rows: n_rows,
            result_bytes: result.len() as u64,
        })
    })
}

fn document(items: Vec<Map<String, Value>>) -> Value {
    let names: BTreeSet<String> = items.iter().flat_map(Map::keys).cloned().collect();
    let columns: Vec<Value> = names
        .iter()
        .map(|name| json!({"name": name, "type": "any"}))
        .collect();
    let data: Vec<Value> = items
        .into_iter()
        .map(|mut item| {
            let cells = names
                .iter()
                .map(|name| item.remove(name).unwrap_or_default());
            Value::Array(cells.collect())
        })
        .collect();
    json!({"columns": columns, "data": data})
}

fn object(item: HashMap<String, AttributeValue>) -> Map<String, Value> {
    item.into_iter()
        .map(|(name, value)| (name, plain(value)))
        .collect()
}

fn plain(value: AttributeValue) -> Value {
    match value {
        AttributeValue::S(value) => Value::String(value),
        AttributeValue::N(value) => number(&value),
        AttributeValue::Bool(value) => Value::Bool(value),
        AttributeValue::B(value) => Value::String(BASE64_STANDARD.encode(value)),
        AttributeValue::Ss(values) => values.into(),
        AttributeValue::Ns(values) => values.iter().map(|value| number(value)).collect(),
        AttributeValue::Bs(values) => values
            .into_iter()
            .map(|value| BASE64_STANDARD.encode(value))
            .collect(),
        AttributeValue::L(values) => values.into_iter().map(plain).collect(),
        AttributeValue::M(values) => Value::Object(object(values)),
        _ => Value::Null,
    }
}

fn number(digits: &str) -> Value {
    let number: Option<Number> = digits.parse().ok();
    number.map_or(Value::Null, Value::Number)
}
