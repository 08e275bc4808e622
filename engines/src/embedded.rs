//! The embedded DynamoDB: a real engine over SQLite in memory, in this process, speaking DynamoDB's HTTP.
//!
//! Tables come in as JSON ([`crate::tables`]); jobs reach it at [`Embedded::url`]. It shuffles attributes in every
//! answer, has no 1 MB pages and takes some statements that DynamoDB refuses: for those, see [`crate::paging`]
//! and the reference engine.

use std::net::{SocketAddr, TcpListener};

use anyhow::Context;
use dynoxide::{Database, ImportOptions, types::Item};
use serde_json::Value;

use crate::{
    tables::{self, Table},
    worker::{self, Worker},
};

/// A running embedded DynamoDB; it stops, and its tables are gone, when this is dropped.
pub struct Embedded {
    address: SocketAddr,
    database: Database,
    _worker: Worker,
}

impl Embedded {
    /// Starts an empty one; takes a few milliseconds.
    ///
    /// # Errors
    /// No database, port or thread was to be had.
    pub fn start() -> anyhow::Result<Embedded> {
        Embedded::serve(worker::listen()?)
    }

    /// As [`Embedded::start`], at this port where it is free.
    ///
    /// # Errors
    /// As there.
    pub fn start_at(port: u16) -> anyhow::Result<Embedded> {
        Embedded::serve(worker::listen_at(port).or_else(|_| worker::listen())?)
    }

    fn serve((listener, address): (TcpListener, SocketAddr)) -> anyhow::Result<Embedded> {
        let database = Database::memory().context("cannot open the embedded DynamoDB")?;
        let served = database.clone();
        let worker = Worker::spawn("engine-embedded", move || async move {
            let listener =
                tokio::net::TcpListener::from_std(listener).expect("the listener is non-blocking");
            // It is ended by the runtime's drop: its own graceful end would wait for idle clients.
            let _ = dynoxide::server::serve_with_shutdown(listener, served, std::future::pending())
                .await;
        })?;
        Ok(Embedded {
            address,
            database,
            _worker: worker,
        })
    }

    /// `http://127.0.0.1:PORT`, the endpoint to give to a client.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Creates every table of a document and puts its items in (the forms of [`crate::tables`]).
    ///
    /// # Errors
    /// The document is malformed, a table exists already, or an item is not valid; the message names the table.
    pub fn load(&self, document: &Value) -> anyhow::Result<()> {
        for table in tables::read(document)? {
            let name = table.name.clone();
            self.load_table(table)
                .with_context(|| format!("cannot load table `{name}`"))?;
        }
        Ok(())
    }

    fn load_table(&self, table: Table) -> anyhow::Result<()> {
        self.database
            .create_table(serde_json::from_value(table.create)?)?;
        let items = table.items.into_iter().map(serde_json::from_value::<Item>);
        let items = items.collect::<Result<Vec<_>, _>>()?;
        self.database
            .import_items(&table.name, items, ImportOptions::default())?;
        Ok(())
    }

    /// Every item of a table as typed JSON, sorted, so that two dumps compare equal exactly if the tables are.
    ///
    /// # Errors
    /// There is no such table.
    pub fn dump(&self, table: &str) -> anyhow::Result<Vec<Value>> {
        let mut items = Vec::new();
        let mut start = None;
        loop {
            let request = dynoxide::actions::scan::ScanRequest {
                table_name: table.to_owned(),
                exclusive_start_key: start.take(),
                consistent_read: Some(true),
                ..Default::default()
            };
            let page = self.database.scan(request)?;
            for item in page.items.unwrap_or_default() {
                items.push(serde_json::to_value(item)?);
            }
            start = page.last_evaluated_key;
            if start.is_none() {
                break;
            }
        }
        items.sort_by_cached_key(Value::to_string);
        Ok(items)
    }

    /// [`Embedded::dump`] of every table, by name: what a write anywhere would change.
    ///
    /// # Errors
    /// The engine failed.
    pub fn dump_all(&self) -> anyhow::Result<Value> {
        let mut tables = serde_json::Map::new();
        for table in self.database.table_stats()? {
            let items = self.dump(&table.table_name)?;
            tables.insert(table.table_name, Value::Array(items));
        }
        Ok(Value::Object(tables))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{client, sample};

    fn select(url: &str, statement: &str) -> Value {
        client::dynamodb_ok(url, "ExecuteStatement", &json!({"Statement": statement})).unwrap()
    }

    #[test]
    fn the_sample_answers_over_http() {
        let engine = Embedded::start().unwrap();
        engine.load(&sample::tables()).unwrap();
        let books = "SELECT * FROM my_table WHERE category = 'books'";
        let answer = select(&engine.url(), books);
        let mut prices: Vec<_> = answer["Items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|item| item["price"]["N"].as_str().unwrap())
            .collect();
        prices.sort_unstable();
        assert_eq!(prices, ["12.99", "15.5"]);
        let digits = select(
            &engine.url(),
            "SELECT digits FROM every_type WHERE id = 'a-1'",
        );
        assert_eq!(
            digits["Items"][0]["digits"]["N"],
            "12345678901234567890123456789012345678"
        );
    }

    #[test]
    fn keys_and_indexes_of_the_long_form_can_be_queried() {
        let engine = Embedded::start().unwrap();
        let document = json!({"orders": {
            "key": ["customer:S", "number:N"],
            "indexes": {"by_day": ["day:S"]},
            "items": [{"customer": {"S": "a"}, "number": {"N": "1"}, "day": {"S": "mon"}},
                      {"customer": {"S": "a"}, "number": {"N": "2"}, "day": {"S": "tue"}}]}});
        engine.load(&document).unwrap();
        let answer = select(
            &engine.url(),
            "SELECT number FROM \"orders\".\"by_day\" WHERE day = 'tue'",
        );
        assert_eq!(answer["Items"], json!([{"number": {"N": "2"}}]));
    }

    #[test]
    fn a_write_shows_in_the_dump_and_a_read_does_not() {
        let engine = Embedded::start().unwrap();
        engine.load(&sample::tables()).unwrap();
        let before = engine.dump_all().unwrap();
        select(&engine.url(), "SELECT * FROM every_type");
        assert_eq!(engine.dump_all().unwrap(), before);
        select(&engine.url(), "DELETE FROM my_table WHERE id = '123'");
        assert_ne!(engine.dump_all().unwrap(), before);
        assert_eq!(engine.dump(sample::BOOKS).unwrap().len(), 2);
    }

    #[test]
    fn nothing_listens_after_the_drop() {
        let engine = Embedded::start().unwrap();
        let url = engine.url();
        select_fails_on_missing_table(&url);
        drop(engine);
        assert!(client::dynamodb(&url, "ListTables", &json!({})).is_err());
    }

    fn select_fails_on_missing_table(url: &str) {
        let body = json!({"Statement": "SELECT * FROM nowhere"});
        let reply = client::dynamodb(url, "ExecuteStatement", &body).unwrap();
        assert_eq!(reply.status, 400);
        assert!(
            reply.json()["__type"]
                .as_str()
                .unwrap()
                .ends_with("ResourceNotFoundException")
        );
    }

    #[test]
    fn a_bad_document_names_the_table() {
        let engine = Embedded::start().unwrap();
        for document in [json!({"t": 1}), json!({"t": [{"name": {"S": "no id"}}]})] {
            let error = format!("{:#}", engine.load(&document).unwrap_err());
            assert!(error.contains("`t`"), "{error}");
        }
    }
}
