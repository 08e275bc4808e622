//! What a table should hold, made in the most obvious way: whole pages as JSON values, rows as maps.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

/// Names of the columns, and the rows' cells in that order.
pub(super) type Rows = (Vec<String>, Vec<Vec<Value>>);

/// The rows of the pages that were accepted. `None` where a page is damaged behind the limit, which is not looked at.
pub(super) fn rows(pages: &[&[u8]], select: Option<&[String]>, limit: Option<u64>) -> Option<Rows> {
    let most = limit.map_or(usize::MAX, |limit| usize::try_from(limit).expect("small"));
    let mut items = Vec::new();
    for page in pages {
        let page: Value = match serde_json::from_slice(page) {
            Ok(page) => page,
            Err(_) if limit.is_some() => return None,
            // Half a surrogate pair beside the items is for the SDK to refuse.
            Err(error) if error.to_string().contains("hex escape") => return None,
            Err(error) => panic!("accepted, but {error}"),
        };
        for item in page["Items"].as_array().into_iter().flatten() {
            if items.len() == most {
                break;
            }
            let item = item.as_object().expect("an item");
            let cells = item.iter().map(|(name, value)| (name.clone(), cell(value)));
            items.push(cells.collect::<BTreeMap<_, _>>());
        }
    }
    let mut columns = select.unwrap_or_default().to_vec();
    let names: BTreeSet<_> = items.iter().flat_map(BTreeMap::keys).cloned().collect();
    columns.extend(
        names
            .into_iter()
            .filter(|name| !select.unwrap_or_default().contains(name)),
    );
    let rows = items.iter().map(|item| {
        let cell = |name| item.get(name).cloned().unwrap_or(Value::Null);
        columns.iter().map(cell).collect()
    });
    let rows = rows.collect();
    Some((columns, rows))
}

fn cell(value: &Value) -> Value {
    let (tag, value) = value
        .as_object()
        .and_then(|value| value.iter().next())
        .expect("a type");
    let number = |value: &Value| serde_json::from_str(value.as_str().expect("text")).expect("JSON");
    let list = |each: &dyn Fn(&Value) -> Value| {
        value.as_array().expect("a list").iter().map(each).collect()
    };
    match tag.as_str() {
        "NULL" => Value::Null,
        "N" => number(value),
        "NS" => Value::Array(list(&number)),
        "L" => Value::Array(list(&cell)),
        "M" => {
            let members = value.as_object().expect("a map").iter();
            members
                .map(|(name, value)| (name.clone(), cell(value)))
                .collect()
        }
        _ => value.clone(),
    }
}

/// The same of a document.
pub(super) fn rows_of(document: &[u8]) -> Rows {
    let document: Value = serde_json::from_slice(document).expect("a document is JSON");
    let columns = document["columns"].as_array().expect("columns").iter();
    let name = |column: &Value| column["name"].as_str().expect("a name").to_owned();
    let rows = document["data"].as_array().expect("data").iter();
    let cells = |row: &Value| row.as_array().expect("a row").clone();
    (columns.map(name).collect(), rows.map(cells).collect())
}
