//! An answer to a statement, made comparable: ours from its result document, an engine's from its raw pages.
//!
//! A row is an object of plain values by attribute name, absent and null alike left out, elements of arrays sorted (an
//! engine orders sets as it likes).

use std::fmt;

use engines::{client, tables};
use plugin_api::Error;
use serde_json::{Map, Value, json};

use super::Case;

/// What came back.
#[derive(PartialEq)]
pub(crate) enum Answer {
    /// The rows, in order.
    Rows(Vec<Value>),
    /// A refusal.
    Refused(Refusal),
}

/// A refusal.
#[derive(PartialEq)]
pub(crate) struct Refusal {
    /// Our code, or the engine's type without its namespace.
    pub(crate) code: String,
    /// What it says.
    pub(crate) message: String,
    /// Whether it says what to do.
    pub(crate) helps: bool,
    /// Whether it gives a line and column.
    pub(crate) placed: bool,
}

impl fmt::Display for Answer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Answer::Rows(rows) => {
                let s = if rows.len() == 1 { "" } else { "s" };
                write!(formatter, "{} row{s}: {}", rows.len(), json!(rows))
            }
            Answer::Refused(refusal) => {
                // A message of ours may show the statement with a caret beneath; its first line says it all.
                let first = refusal.message.lines().next().unwrap_or("");
                write!(formatter, "{}: {first}", refusal.code)
            }
        }
    }
}

/// Ours.
pub(crate) fn of_job(outcome: &Result<Vec<u8>, Error>) -> Answer {
    match outcome {
        Ok(document) => {
            let document = serde_json::from_slice(document).expect("a result is JSON");
            Answer::Rows(rows(&document))
        }
        Err(error) => Answer::Refused(Refusal {
            code: error.code.as_str().to_owned(),
            message: error.message.clone(),
            helps: error.hint.is_some(),
            placed: error.line.is_some(),
        }),
    }
}

fn rows(document: &Value) -> Vec<Value> {
    let columns = document["columns"]
        .as_array()
        .expect("a result has columns");
    let data = document["data"].as_array().expect("a result has data");
    let row = |cells: &Value| {
        let cells = cells.as_array().expect("a row is an array");
        let named = columns.iter().zip(cells);
        let named = named.map(|(column, cell)| {
            let name = column["name"].as_str().expect("a column has a name");
            (name.to_owned(), sorted(cell.clone()))
        });
        Value::Object(named.filter(|(_, cell)| !cell.is_null()).collect())
    };
    data.iter().map(row).collect()
}

/// An engine's, all pages of it.
pub(crate) fn raw(url: &str, case: &Case) -> Answer {
    let mut request = json!({"Statement": case.statement});
    if let Some(parameters) = &case.parameters {
        request["Parameters"] = parameters.clone();
    }
    let mut rows = Vec::new();
    loop {
        let reply =
            client::dynamodb(url, "ExecuteStatement", &request).expect("the engine answers");
        let body = reply.json();
        if reply.status != 200 {
            return refused(reply.status, &body);
        }
        let items = body["Items"].as_array().into_iter().flatten();
        rows.extend(items.map(|item| Value::Object(attributes(item))));
        if body["NextToken"].is_null() {
            return Answer::Rows(rows);
        }
        request["NextToken"] = body["NextToken"].clone();
    }
}

fn refused(status: u16, body: &Value) -> Answer {
    let kind = body["__type"].as_str().unwrap_or("no type");
    let kind = kind.rsplit('#').next().unwrap_or(kind);
    let message = [&body["message"], &body["Message"]];
    let message = message.iter().find_map(|message| message.as_str());
    Answer::Refused(Refusal {
        code: if status == 400 {
            kind.to_owned()
        } else {
            format!("{status} {kind}")
        },
        message: message.unwrap_or("").to_owned(),
        helps: false,
        placed: false,
    })
}

fn attributes(item: &Value) -> Map<String, Value> {
    let attributes = item.as_object().into_iter().flatten();
    let plain = attributes.map(|(name, value)| (name.clone(), sorted(plain(value))));
    plain.filter(|(_, value)| !value.is_null()).collect()
}

/// A typed value by the result document's rules.
fn plain(typed: &Value) -> Value {
    let Some((kind, value)) = typed.as_object().and_then(|typed| typed.iter().next()) else {
        return Value::Null;
    };
    let number = |text: &Value| {
        let text = text.as_str().expect("a number is sent as text");
        serde_json::from_str(text).expect("DynamoDB's numbers are JSON's")
    };
    let each = |convert: &dyn Fn(&Value) -> Value| {
        value
            .as_array()
            .into_iter()
            .flatten()
            .map(convert)
            .collect()
    };
    match kind.as_str() {
        "N" => number(value),
        "NS" => Value::Array(each(&number)),
        "L" => Value::Array(each(&plain)),
        "M" => {
            let members = value.as_object().into_iter().flatten();
            Value::Object(
                members
                    .map(|(name, value)| (name.clone(), plain(value)))
                    .collect(),
            )
        }
        "NULL" => Value::Null,
        _ => value.clone(),
    }
}

fn sorted(value: Value) -> Value {
    match value {
        Value::Array(elements) => {
            let mut elements: Vec<Value> = elements.into_iter().map(sorted).collect();
            elements.sort_by_cached_key(Value::to_string);
            Value::Array(elements)
        }
        Value::Object(members) => Value::Object(
            members
                .into_iter()
                .map(|(name, value)| (name, sorted(value)))
                .collect(),
        ),
        other => other,
    }
}

/// Makes the tables of `document` anew on an engine, whatever they hold now.
pub(crate) fn reload(url: &str, document: &Value) {
    let names =
        client::dynamodb_ok(url, "ListTables", &json!({})).expect("the engine lists its tables");
    for name in names["TableNames"].as_array().into_iter().flatten() {
        client::dynamodb_ok(url, "DeleteTable", &json!({"TableName": name}))
            .expect("a table can be deleted");
    }
    tables::load(url, document).expect("the corpus' tables load");
}
