//! The table that every schedule reads, and what a caller got of it.

use std::collections::BTreeMap;

use bytes::Bytes;
use engines::replay::chain;
use fastrand::Rng;
use serde::Deserialize;
use serde_json::{Value, json, value::RawValue};

use super::plan::PAGES;

/// A row as a caller has it: each cell's very text by its column, nulls left out.
pub(super) type Row = BTreeMap<String, String>;

/// Items of the typed form, in the order of `n`; some attributes come late, and some change their type.
pub(super) fn items() -> Vec<Value> {
    let mut random = Rng::with_seed(1);
    (0..600)
        .map(|n| {
            let mut item = json!({"n": {"N": n.to_string()}, "text": {"S": text(&mut random)}});
            if n % 7 == 3 {
                item["price"] = json!({"N": format!("{n}.{:035}", random.u64(..))});
            }
            if n % 5 == 1 {
                item["deep"] = json!({"M": {"a\"b": {"L": [{"NULL": true}, {"B": "AAECAw=="}, {"SS": ["x", "ü"]}]}}});
            }
            if n > 450 {
                item["late"] = if n % 2 == 0 { json!({"BOOL": true}) } else { json!({"S": "no"}) };
            }
            if n % 97 == 0 {
                item[format!("only{n}")] = json!({"NULL": true});
            }
            if n % 150 == 149 {
                // Longer than what a socket gives at once.
                item["blob"] = json!({"S": "0123456789abcdef".repeat(8000)});
            }
            item
        })
        .collect()
}

fn text(random: &mut Rng) -> String {
    const PARTS: [&str; 6] = ["a", "\"", "\\", "\u{1F600}", "\n", "ß, "];
    (0..random.usize(..20))
        .filter_map(|_| random.choice(PARTS))
        .collect()
}

/// The items on pages, some of them empty.
pub(super) fn pages(items: &[Value]) -> (Vec<Bytes>, Vec<usize>) {
    let mut random = Rng::with_seed(2);
    let mut left: Vec<String> = items.iter().rev().map(Value::to_string).collect();
    let mut pages: Vec<Vec<String>> = Vec::new();
    for page in 1..PAGES {
        let room = 2 * left.len() / (PAGES - page + 1) + 1;
        let size = if page % 11 == 0 {
            0
        } else {
            random.usize(..room)
        };
        pages.push(
            left.split_off(left.len() - size.min(left.len()))
                .into_iter()
                .rev()
                .collect(),
        );
    }
    left.reverse();
    pages.push(left);
    let sizes = pages.iter().map(Vec::len).collect();
    (chain(&pages), sizes)
}

#[derive(Deserialize)]
struct ResultTable<'a> {
    columns: Vec<Column>,
    #[serde(borrow, default)]
    data: Vec<Vec<&'a RawValue>>,
    order: Option<Vec<usize>>,
    stats: Value,
}

#[derive(Deserialize, Debug, Clone, PartialEq)]
pub(super) struct Column {
    name: String,
    r#type: String,
}

/// What a job gave: columns in a document's order, rows in theirs, figures.
#[derive(Debug)]
pub(super) struct Given {
    pub(super) columns: Vec<Column>,
    pub(super) rows: Vec<Row>,
    pub(super) stats: Value,
}

/// Reads a document, or an answer and the lines before it.
pub(super) fn given(answer: &[u8], lines: &str) -> Result<Given, String> {
    let document: ResultTable =
        serde_json::from_slice(answer).map_err(|error| format!("the answer: {error}"))?;
    let Some(order) = document.order else {
        if !lines.is_empty() {
            return Err("a document after lines".to_owned());
        }
        let names: Vec<&str> = document.columns.iter().map(|c| c.name.as_str()).collect();
        let rows = document.data.iter().map(|cells| row(&names, cells));
        return Ok(Given {
            rows: rows.collect::<Result<_, _>>()?,
            columns: document.columns,
            stats: document.stats,
        });
    };
    let (names, rows) = read_lines(lines)?;
    let told: Vec<&String> = document.columns.iter().map(|column| &column.name).collect();
    if told != names.iter().collect::<Vec<_>>() {
        return Err(format!(
            "the lines have the columns {names:?}, the answer {told:?}"
        ));
    }
    let columns = order.iter().map(|&index| document.columns[index].clone());
    Ok(Given {
        columns: columns.collect(),
        rows,
        stats: document.stats,
    })
}

/// The columns and rows of lines that were handed over.
pub(super) fn read_lines(lines: &str) -> Result<(Vec<String>, Vec<Row>), String> {
    #[derive(Deserialize)]
    struct Columns {
        columns: Vec<String>,
    }
    if !lines.is_empty() && !lines.ends_with('\n') {
        return Err("the last line is not whole".to_owned());
    }
    let mut names: Vec<String> = Vec::new();
    let mut rows = Vec::new();
    for line in lines.lines() {
        let bad = |error| format!("the line {line:?}: {error}");
        if line.starts_with('{') {
            names.extend(serde_json::from_str::<Columns>(line).map_err(bad)?.columns);
        } else {
            let cells: Vec<&RawValue> = serde_json::from_str(line).map_err(bad)?;
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            rows.push(row(&names, &cells)?);
        }
    }
    Ok((names, rows))
}

fn row(names: &[&str], cells: &[&RawValue]) -> Result<Row, String> {
    if cells.len() != names.len() {
        return Err(format!("{} cells for {} columns", cells.len(), names.len()));
    }
    let cells = names.iter().zip(cells);
    let present = cells.filter(|(_, cell)| cell.get() != "null");
    Ok(present
        .map(|(name, cell)| ((*name).to_owned(), cell.get().to_owned()))
        .collect())
}

/// An item's number, from its row.
pub(super) fn number(row: &Row) -> Result<usize, String> {
    let number = row.get("n").and_then(|cell| cell.parse().ok());
    number.ok_or_else(|| format!("a row without a number: {row:?}"))
}
