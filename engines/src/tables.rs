//! Tables written down as JSON: from one document to the `CreateTable` requests and items that any engine loads.
//!
//! The short form is a table's name with its list of typed items; its key is then `id`, a string. The long form
//! names keys and indexes, each key as one or two `name:TYPE` texts (partition, sort):
//!
//! ```json
//! {"books":  [{"id": {"S": "1"}, "price": {"N": "12.99"}}],
//!  "orders": {"key": ["customer:S", "number:N"],
//!             "indexes": {"by_day": ["day:S"]}, "local_indexes": {"by_total": ["customer:S", "total:N"]},
//!             "items": []}}
//! ```
//!
//! Items are not checked here: the engine that takes them does.

use anyhow::{Context, anyhow, bail};
use serde_json::{Map, Value, json};

use crate::client;

/// How many items one `BatchWriteItem` may carry.
const BATCH: usize = 25;

/// One table of the document.
#[derive(Debug, Clone, PartialEq)]
pub struct Table {
    /// Its name.
    pub name: String,
    /// The `CreateTable` request that makes it.
    pub create: Value,
    /// Its items in DynamoDB's typed JSON, in the document's order.
    pub items: Vec<Value>,
}

/// Reads every table of a document.
///
/// # Errors
/// The document is not an object, or a table is of neither form; the message names the table.
pub fn read(document: &Value) -> anyhow::Result<Vec<Table>> {
    let tables = document
        .as_object()
        .ok_or_else(|| anyhow!("the tables document is not an object"))?;
    tables
        .iter()
        .map(|(name, table)| read_table(name, table).with_context(|| format!("table `{name}`")))
        .collect()
}

/// Creates every table of a document on the DynamoDB at `url` and puts its items in, by way of HTTP.
///
/// # Errors
/// The document is malformed, a table exists already, or an item is not valid; the message names the table.
pub fn load(url: &str, document: &Value) -> anyhow::Result<()> {
    for table in read(document)? {
        let name = &table.name;
        client::dynamodb_ok(url, "CreateTable", &table.create)
            .with_context(|| format!("cannot create table `{name}`"))?;
        for batch in table.items.chunks(BATCH) {
            let puts = batch
                .iter()
                .map(|item| json!({"PutRequest": {"Item": item}}));
            let request = json!({"RequestItems": {name: puts.collect::<Vec<_>>()}});
            client::dynamodb_ok(url, "BatchWriteItem", &request)
                .with_context(|| format!("cannot load table `{name}`"))?;
        }
    }
    Ok(())
}

fn read_table(name: &str, table: &Value) -> anyhow::Result<Table> {
    let short = json!({"items": table});
    let long = match table {
        Value::Array(_) => short.as_object(),
        _ => table.as_object(),
    };
    let long = long.ok_or_else(|| anyhow!("neither a list of items nor an object"))?;
    let known = ["key", "indexes", "local_indexes", "items"];
    if let Some(unknown) = long.keys().find(|key| !known.contains(&key.as_str())) {
        bail!("unknown field `{unknown}`");
    }
    let items = match long.get("items") {
        None => Vec::new(),
        Some(Value::Array(items)) => items.clone(),
        Some(_) => bail!("`items` is not a list"),
    };
    Ok(Table {
        name: name.to_owned(),
        create: create_request(name, long)?,
        items,
    })
}

fn create_request(name: &str, table: &Map<String, Value>) -> anyhow::Result<Value> {
    let mut attributes = Attributes::default();
    let key = match table.get("key") {
        None => attributes.key(&json!(["id:S"]))?,
        Some(key) => attributes.key(key)?,
    };
    let mut request =
        json!({"TableName": name, "KeySchema": key, "BillingMode": "PAY_PER_REQUEST"});
    for (field, member) in [
        ("indexes", "GlobalSecondaryIndexes"),
        ("local_indexes", "LocalSecondaryIndexes"),
    ] {
        let Some(indexes) = table.get(field) else {
            continue;
        };
        let indexes = indexes
            .as_object()
            .ok_or_else(|| anyhow!("`{field}` is not an object"))?;
        let described = indexes.iter().map(|(index, key)| {
            let key = attributes.key(key)?;
            Ok(json!({"IndexName": index, "KeySchema": key, "Projection": {"ProjectionType": "ALL"}}))
        });
        request[member] = Value::Array(described.collect::<anyhow::Result<_>>()?);
    }
    request["AttributeDefinitions"] = Value::Array(attributes.0);
    Ok(request)
}

/// The attributes that keys name, each once.
#[derive(Default)]
struct Attributes(Vec<Value>);

impl Attributes {
    /// The key schema of `["name:TYPE"]` or `["name:TYPE", "name:TYPE"]`.
    fn key(&mut self, key: &Value) -> anyhow::Result<Value> {
        let parts = key.as_array().map_or(&[][..], Vec::as_slice);
        if parts.is_empty() || parts.len() > 2 {
            bail!("a key is a list of one or two `name:TYPE`, not {key}");
        }
        let schema = parts.iter().zip(["HASH", "RANGE"]).map(|(part, role)| {
            let (name, kind) = part
                .as_str()
                .and_then(|part| part.rsplit_once(':'))
                .filter(|(_, kind)| matches!(*kind, "S" | "N" | "B"))
                .ok_or_else(|| anyhow!("{part} is not `name:TYPE` with a type S, N or B"))?;
            let definition = json!({"AttributeName": name, "AttributeType": kind});
            if !self.0.contains(&definition) {
                self.0.push(definition);
            }
            Ok(json!({"AttributeName": name, "KeyType": role}))
        });
        Ok(Value::Array(schema.collect::<anyhow::Result<_>>()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_items_makes_a_table_keyed_by_id() {
        let tables = read(&json!({"t": [{"id": {"S": "1"}}]})).unwrap();
        assert_eq!(tables[0].items.len(), 1);
        assert_eq!(
            tables[0].create,
            json!({"TableName": "t", "BillingMode": "PAY_PER_REQUEST",
                   "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
                   "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}]})
        );
    }

    #[test]
    fn keys_and_indexes_name_each_attribute_once() {
        let document = json!({"t": {"key": ["a:S", "b:N"], "indexes": {"i": ["c:S", "b:N"]},
                                    "local_indexes": {"l": ["a:S", "d:B"]}}});
        let create = read(&document).unwrap().remove(0).create;
        let names: Vec<_> = create["AttributeDefinitions"]
            .as_array()
            .unwrap()
            .iter()
            .map(|definition| definition["AttributeName"].as_str().unwrap())
            .collect();
        assert_eq!(names, ["a", "b", "c", "d"]);
        assert_eq!(create["GlobalSecondaryIndexes"][0]["IndexName"], "i");
        assert_eq!(
            create["LocalSecondaryIndexes"][0]["KeySchema"][1]["KeyType"],
            "RANGE"
        );
    }

    #[test]
    fn what_is_neither_form_is_refused_by_name() {
        for (document, said) in [
            (json!([]), "not an object"),
            (json!({"t": 1}), "neither a list"),
            (json!({"t": {"keys": []}}), "unknown field `keys`"),
            (json!({"t": {"key": ["id"]}}), "not `name:TYPE`"),
            (json!({"t": {"key": []}}), "one or two"),
            (json!({"t": {"items": {}}}), "`items` is not a list"),
        ] {
            let error = format!("{:#}", read(&document).unwrap_err());
            assert!(error.contains(said), "{document}: {error}");
        }
    }
}
