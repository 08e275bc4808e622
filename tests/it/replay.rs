//! A stock Heimdall client works unchanged: what a running Heimdall answered, asked of our host.
//!
//! The 57 recorded exchanges are replayed in order against the host, started with the recording's own configuration over its own
//! tables. Each answer has the recorded fields and values, or differs as `tests/heimdall/differences.txt` lists, line by line.
//! `BLESS=1` renews the list: read the diff.

use std::{collections::BTreeMap, env, fs, path::PathBuf};

use engines::embedded::Embedded;
use harness_tests::serving::{Serving, TestHost};
use serde_json::{Map, Value, json};

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("heimdall")
}

/// What one replay knows: our ids for the recorded ones, and the last cursor.
#[derive(Default)]
struct Replay {
    ids: BTreeMap<String, String>,
    cursor: String,
    differences: Vec<String>,
}

#[test]
fn every_recorded_exchange_is_answered_as_recorded_or_differs_as_listed() {
    let read = |name: &str| fs::read_to_string(folder().join(name)).unwrap();
    let engine = Embedded::start().unwrap();
    engine
        .load(&serde_json::from_str(&read("tables.json")).unwrap())
        .unwrap();
    // The one change to the recorded configuration: a port of its own.
    let config = read("config.yaml").replace("127.0.0.1:9090", "127.0.0.1:0");
    let directory = TestHost::new(&config, &engine.url());
    let host = directory.serve();

    let mut replay = Replay::default();
    let exchanges: Vec<Value> = read("api.jsonl")
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(exchanges.len(), 57);
    for exchange in &exchanges {
        replay.exchange(&host, exchange);
    }
    println!(
        "57 exchanges replayed, {} differences listed",
        replay.differences.len()
    );

    let found = replay.differences.join("\n") + "\n";
    let list = folder().join("differences.txt");
    if env::var_os("BLESS").is_some() {
        fs::write(&list, &found).unwrap();
    }
    let listed = fs::read_to_string(&list).unwrap_or_default();
    for (found, listed) in found.lines().zip(listed.lines()) {
        assert_eq!(found, listed);
    }
    assert_eq!(found.lines().count(), listed.lines().count(), "{found}");
}

#[test]
fn what_means_nothing_here_is_named_once_at_the_start() {
    let config = fs::read_to_string(folder().join("config.yaml"))
        .unwrap()
        .replace("127.0.0.1:9090", "127.0.0.1:0");
    let directory = TestHost::new(&config, "http://127.0.0.1:1");
    let lines = directory.serve().lines().join("\n");
    for key in ["database", "sleep", "plugin"] {
        assert_eq!(lines.matches(&format!("'{key}' of ")).count(), 1, "{lines}");
    }
}

impl Replay {
    fn exchange(&mut self, host: &Serving, exchange: &Value) {
        let name = exchange["name"].as_str().unwrap();
        let request = &exchange["request"];
        let mut path = request["path"].as_str().unwrap().to_owned();
        for (recorded, ours) in &self.ids {
            path = path.replace(recorded, ours);
        }
        if let Some((before, _)) = path.split_once("cursor=ey") {
            path = format!("{before}cursor={}", self.cursor);
        }
        // The recording looked when the async jobs had ended.
        if name.contains("async job") && path.starts_with("/api/v1/job/") {
            host.ended(path.split('/').nth(4).unwrap());
        }
        let body = match &request["body"] {
            Value::Null => String::new(),
            Value::String(text) => text.clone(),
            document => document.to_string(),
        };
        let reply = host.call(
            request["method"].as_str().unwrap(),
            &path,
            request["user"].as_str(),
            &body,
        );
        let recorded = &exchange["response"];
        let status = recorded["status"].as_u64().unwrap();
        if status != u64::from(reply.status) {
            self.differ(
                name,
                &format!(
                    "status {status} is {} here, {}",
                    reply.status,
                    reply.json()["code"]
                ),
            );
        }
        let kind = recorded["content_type"].as_str().unwrap();
        if kind != reply.header("content-type") {
            self.differ(
                name,
                &format!("content type {kind} is {}", reply.header("content-type")),
            );
        }
        if kind == "text/plain" {
            // Lines of the job may be there; the recording has none.
            return;
        }
        let ours = reply.json();
        if let Some(cursor) = ours["next_cursor"].as_str() {
            self.cursor = cursor.to_owned();
        }
        let ordered = path.contains("order_by");
        self.compare(name, "", &recorded["body"], &ours, ordered);
    }

    fn differ(&mut self, name: &str, what: &str) {
        self.differences.push(format!("{name}: {what}"));
    }

    fn compare(&mut self, name: &str, at: &str, recorded: &Value, ours: &Value, ordered: bool) {
        match (recorded, ours) {
            (Value::String(text), _) if text.contains("<id-") && !at.ends_with("error") => {
                self.compare_id(name, at, text, ours)
            }
            (Value::String(text), _) if text == "<time>" || text == "<ms>" => {
                if !ours.is_u64() {
                    self.differ(name, &format!("{at} is no integer but {ours}"));
                }
            }
            (Value::String(text), Value::String(_)) if text == "<cursor>" => {}
            (Value::Object(recorded), Value::Object(ours)) if recorded.contains_key("columns") => {
                self.compare_results(name, at, recorded, ours);
            }
            (Value::Object(recorded), Value::Object(ours)) => {
                self.compare_objects(name, at, recorded, ours, ordered)
            }
            (Value::Array(recorded), Value::Array(ours)) => {
                let (recorded, ours) = if ordered {
                    (recorded.clone(), ours.clone())
                } else {
                    (sorted(recorded), sorted(ours))
                };
                for row in recorded.iter().skip(ours.len()) {
                    self.differ(name, &format!("{at} lacks {}", row["id"]));
                }
                for (index, (recorded, ours)) in recorded.iter().zip(&ours).enumerate() {
                    self.compare(name, &format!("{at}[{index}]"), recorded, ours, ordered);
                }
                for row in ours.iter().skip(recorded.len()) {
                    self.differ(name, &format!("{at} has {row} beside"));
                }
            }
            _ if recorded == ours => {}
            // Our words are ours; that there are some is what counts.
            (Value::String(_), Value::String(text))
                if at.ends_with("error") && !text.is_empty() =>
            {
                self.differ(name, &format!("{at} in our own words"));
            }
            _ => self.differ(name, &format!("{at} {recorded} is {ours}")),
        }
    }

    /// Binds a recorded id to ours where it is first seen, and holds both to it from then on.
    fn compare_id(&mut self, name: &str, at: &str, recorded: &str, ours: &Value) {
        let (prefix, placeholder) = recorded.split_at(recorded.find("<id-").unwrap());
        let Some(id) = ours.as_str().and_then(|text| text.strip_prefix(prefix)) else {
            return self.differ(name, &format!("{at} {recorded} is {ours}"));
        };
        let known = self
            .ids
            .entry(placeholder.to_owned())
            .or_insert_with(|| id.to_owned());
        if known != id {
            let known = known.clone();
            self.differ(
                name,
                &format!("{at} is {id}, but {placeholder} was {known}"),
            );
        }
    }

    fn compare_objects(
        &mut self,
        name: &str,
        at: &str,
        recorded: &Map<String, Value>,
        ours: &Map<String, Value>,
        ordered: bool,
    ) {
        for (key, recorded) in recorded {
            let at = if at.is_empty() {
                key.clone()
            } else {
                format!("{at}.{key}")
            };
            match ours.get(key) {
                Some(ours) => self.compare(name, &at, recorded, ours, ordered),
                None => self.differ(name, &format!("{at} is not there")),
            }
        }
        for (key, value) in ours.iter().filter(|(key, _)| !recorded.contains_key(*key)) {
            let at = if at.is_empty() {
                key.clone()
            } else {
                format!("{at}.{key}")
            };
            // Figures and texts of ours vary; what is listed is that they are there.
            let shown = if key == "code" {
                value.to_string()
            } else {
                "…".to_owned()
            };
            self.differ(name, &format!("{at} {shown} beside"));
        }
    }

    /// Rows keyed by column name, in any order.
    fn compare_results(
        &mut self,
        name: &str,
        at: &str,
        recorded: &Map<String, Value>,
        ours: &Map<String, Value>,
    ) {
        let types = |result: &Map<String, Value>| -> BTreeMap<String, Value> {
            let columns = result["columns"].as_array().unwrap().iter();
            columns
                .map(|column| {
                    (
                        column["name"].as_str().unwrap().to_owned(),
                        column["type"].clone(),
                    )
                })
                .collect()
        };
        let (recorded_types, our_types) = (types(recorded), types(ours));
        self.compare(
            name,
            &format!("{at}.columns"),
            &json!(recorded_types),
            &json!(our_types),
            false,
        );
        let rows = |result: &Map<String, Value>| -> Value {
            let names: Vec<_> = result["columns"]
                .as_array()
                .unwrap()
                .iter()
                .map(|column| column["name"].as_str().unwrap())
                .collect();
            let row = |row: &Value| -> Value {
                names
                    .iter()
                    .map(|name| (*name).to_owned())
                    .zip(row.as_array().unwrap().clone())
                    .collect::<Map<_, _>>()
                    .into()
            };
            result["data"].as_array().unwrap().iter().map(row).collect()
        };
        self.compare(
            name,
            &format!("{at}.data"),
            &rows(recorded),
            &rows(ours),
            false,
        );
        if ours.contains_key("stats") {
            self.differ(name, &format!("{at}.stats … beside"));
        }
    }
}

/// By text, rows of the recording's other plugin last: the configuration that came with it does not define them.
fn sorted(rows: &[Value]) -> Vec<Value> {
    let mut rows = rows.to_vec();
    rows.sort_by_key(|row| {
        let id = row["id"].as_str().unwrap_or_default();
        (
            id.contains("ping") || id.contains("localhost"),
            id.to_owned(),
            row.to_string(),
        )
    });
    rows
}
