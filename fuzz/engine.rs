//! An embedded engine with a few tables, one for each thread. Two fuzz targets and a test of dynamo-query include this file.

use std::collections::HashMap;

use dynoxide::{
    Database,
    actions::{list_tables::ListTablesRequest, scan::ScanRequest},
    types::Item,
};
use serde_json::{Value, json};

/// Names that a table of the tests' own may have; a name with a hyphen needs quotes in a statement.
const TABLES: [&str; 3] = ["books", "my_table", "my-table"];

/// Every table with an index `by-category` and items of every type.
pub(crate) fn tables() -> Database {
    let database = Database::memory().expect("a database in memory opens");
    for table in TABLES {
        let request = from_json(json!({
            "TableName": table,
            "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
            "AttributeDefinitions": [
                {"AttributeName": "id", "AttributeType": "S"},
                {"AttributeName": "category", "AttributeType": "S"}],
            "GlobalSecondaryIndexes": [{
                "IndexName": "by-category",
                "KeySchema": [{"AttributeName": "category", "KeyType": "HASH"}],
                "Projection": {"ProjectionType": "ALL"}}],
            "BillingMode": "PAY_PER_REQUEST"}));
        database.create_table(request).expect("the table is new");
        for item in items() {
            let request = from_json(json!({"TableName": table, "Item": item}));
            database.put_item(request).expect("the item is valid");
        }
    }
    database
}

fn items() -> [Value; 5] {
    [
        json!({"id": {"S": "1"}, "category": {"S": "a"}, "title": {"S": "The 'book'"}, "price": {"N": "5"}}),
        json!({"id": {"S": "2"}, "category": {"S": "a"}, "title": {"S": "b"}, "price": {"N": "12.5"}}),
        json!({"id": {"S": "a"}, "a": {"N": "1"}, "b": {"S": "xa"}, "c": {"L": [{"N": "1"}, {"S": "a"}, {"M": {"k": {"S": "v"}}}]},
            "d": {"NULL": true}, "e": {"M": {"k": {"NS": ["1", "2"]}, "b": {"BOOL": true}, "a": {"M": {"b": {"N": "3"}}}}}}),
        json!({"id": {"S": "b"}, "a": {"S": "x"}, "b": {"N": "-1"}, "c": {"SS": ["a", "xa"]}, "d": {"BOOL": true},
            "e": {"B": "AQID"}}),
        json!({"id": {"S": "c"}, "a": {"M": {"b": {"L": [{"S": "first"}, {"N": "1"}]}, "c": {"NULL": true}}}, "b": {"BS": ["AQ=="]},
            "c": {"NS": ["1", "10"]}, "d": {"S": ""}, "price": {"S": "a"}}),
    ]
}

fn from_json<T: serde::de::DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).expect("a request of the tests' own")
}

/// Everything that there is: each table's name with its items.
pub(crate) fn contents(database: &Database) -> HashMap<String, Vec<Item>> {
    let names = database
        .list_tables(ListTablesRequest::default())
        .expect("tables can be listed")
        .table_names;
    let items = |table: &String| {
        let request = ScanRequest {
            table_name: table.clone(),
            ..ScanRequest::default()
        };
        let answer = database.scan(request).expect("the table was listed");
        answer.items.expect("a scan gives items")
    };
    names
        .into_iter()
        .map(|table| (table.clone(), items(&table)))
        .collect()
}

thread_local! {
    static DATABASE: Database = tables();
    static UNTOUCHED: HashMap<String, Vec<Item>> = DATABASE.with(contents);
}

/// The answer to a request, where the engine does not refuse it.
pub(crate) fn ask(operation: &str, body: &[u8]) -> Option<Vec<u8>> {
    DATABASE.with(|database| match operation {
        "ExecuteStatement" => {
            let request = serde_json::from_slice(body).ok()?;
            to_json(&database.execute_statement(request).ok()?)
        }
        "Scan" => {
            let request = serde_json::from_slice(body).ok()?;
            to_json(&database.scan(request).ok()?)
        }
        other => panic!("{other} is no operation that reads"),
    })
}

fn to_json(answer: &impl serde::Serialize) -> Option<Vec<u8>> {
    Some(serde_json::to_vec(answer).expect("an answer is JSON"))
}

/// Sends a statement, after which all tables are as they were.
pub(crate) fn writes_nothing(body: &[u8]) {
    let _ = ask("ExecuteStatement", body);
    let now = DATABASE.with(contents);
    UNTOUCHED.with(|untouched| assert_eq!(&now, untouched, "{}", String::from_utf8_lossy(body)));
}
