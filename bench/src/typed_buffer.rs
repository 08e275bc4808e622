//! The best that the SDK's typed items allow: each row is written straight to the one result buffer.
//!
//! The data sets' items all have the same attributes, so the first item's are the columns; the column types are left out.

use std::collections::HashMap;

use anyhow::Context;
use aws_sdk_dynamodb::types::AttributeValue;
use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::{Value, json};

use crate::{
    aws::{client, read_typed, runtime},
    measure::{Made, measured},
};

pub(crate) fn run(url: &str) -> anyhow::Result<Value> {
    let (runtime, client) = (runtime()?, client(url));
    measured(|| {
        let mut rows = Rows::default();
        runtime.block_on(read_typed(&client, |page| {
            for item in page.items.unwrap_or_default() {
                rows.push(&item);
            }
        }))?;
        let n_rows = rows.n_rows;
        let result = rows.finish().context("no rows")?;
        Ok(Made {
            wire_bytes: 0,
            rows: n_rows,
            result_bytes: result.len() as u64,
        })
    })
}

#[derive(Default)]
struct Rows {
    columns: Vec<String>,
    out: Vec<u8>,
    n_rows: u64,
}

impl Rows {
    fn push(&mut self, item: &HashMap<String, AttributeValue>) {
        if self.n_rows == 0 {
            self.columns = item.keys().cloned().collect();
            self.columns.sort_unstable();
            let columns: Vec<Value> = self
                .columns
                .iter()
                .map(|name| json!({"name": name, "type": "any"}))
                .collect();
            let head = format!(r#"{{"columns":{},"data":["#, Value::from(columns));
            self.out.extend_from_slice(head.as_bytes());
        } else {
            self.out.push(b',');
        }
        self.n_rows += 1;
        self.out.push(b'[');
        for (index, column) in self.columns.iter().enumerate() {
            if index > 0 {
                self.out.push(b',');
            }
            match item.get(column) {
                Some(value) => cell(&mut self.out, value),
                None => self.out.extend_from_slice(b"null"),
            }
        }
        self.out.push(b']');
    }

    fn finish(mut self) -> Option<Vec<u8>> {
        self.out.extend_from_slice(b"]}");
        (self.n_rows > 0).then_some(self.out)
    }
}

fn cell(out: &mut Vec<u8>, value: &AttributeValue) {
    match value {
        AttributeValue::S(value) => text(out, value),
        AttributeValue::N(value) => out.extend_from_slice(value.as_bytes()),
        AttributeValue::Bool(value) => {
            let word: &[u8] = if *value { b"true" } else { b"false" };
            out.extend_from_slice(word);
        }
        AttributeValue::B(value) => binary(out, value.as_ref()),
        AttributeValue::Ss(values) => list(out, values, |out, value| text(out, value)),
        AttributeValue::Ns(values) => list(out, values, |out, value| {
            out.extend_from_slice(value.as_bytes());
        }),
        AttributeValue::Bs(values) => list(out, values, |out, value| binary(out, value.as_ref())),
        AttributeValue::L(values) => list(out, values, cell),
        AttributeValue::M(values) => {
            out.push(b'{');
            for (index, (name, value)) in values.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                text(out, name);
                out.push(b':');
                cell(out, value);
            }
            out.push(b'}');
        }
        _ => out.extend_from_slice(b"null"),
    }
}

fn list<Each>(out: &mut Vec<u8>, values: &[Each], write: impl Fn(&mut Vec<u8>, &Each)) {
    out.push(b'[');
    for (index, value) in values.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        write(out, value);
    }
    out.push(b']');
}

fn text(out: &mut Vec<u8>, text: &str) {
    serde_json::to_writer(out, text).expect("a buffer takes any text");
}

fn binary(out: &mut Vec<u8>, bytes: &[u8]) {
    out.push(b'"');
    out.extend_from_slice(BASE64_STANDARD.encode(bytes).as_bytes());
    out.push(b'"');
}
