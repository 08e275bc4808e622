//! Wrong requests of every kind, made from the host's own description: never a 500, never a hang, always a reason.
//!
//! `WRONG_REQUESTS=N` for more; the seed is printed, and `WRONG_SEED=N` repeats a run.

use std::{
    env,
    time::{Duration, Instant, SystemTime},
};

use engines::embedded::Embedded;
use harness_tests::serving::{Serving, TestHost};
use serde_json::{Value, json};

const CONFIG: &str = "
server: {addr: '127.0.0.1:0'}
plugin_directory: ./plugins
limits: {max_body_bytes: 20000}
health_check: {timeout_seconds: 5}
commands:
- {name: sync, plugin: dynamo, is_sync: true, tags: ['type:sync'], cluster_tags: ['type:dynamodb'], context: {timeout_seconds: 5}}
- {name: async, plugin: dynamo, tags: ['type:async'], cluster_tags: ['type:dynamodb'], context: {timeout_seconds: 5}}
- {name: gone, plugin: gone, is_sync: true, tags: ['type:gone'], cluster_tags: ['type:dynamodb']}
clusters:
- {name: main, health_check: true, tags: ['type:dynamodb']}
";

/// A small generator of its own: a run is repeated by its seed alone.
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % n as u64).expect("it is below a usize")
    }

    fn one<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len())]
    }

    /// A word that somewhere means something, or nowhere anything.
    fn word(&mut self) -> String {
        let long = "x".repeat(5_000);
        let words = [
            "",
            "sync",
            "async",
            "main",
            "dynamo",
            "nope",
            "0",
            "1",
            "-1",
            "101",
            "102",
            "99999999999999999999",
            "1.5",
            "NaN",
            "true",
            "null",
            "%25",
            "%",
            "_",
            "%00",
            "%FF",
            "%C3%28",
            "..",
            "%2F",
            "a%20b",
            "'",
            "\"",
            "%22%7B",
            "asc",
            "DESC",
            "created_at",
            "SUCCEEDED,FAILED",
            "zzz",
            "eyJ2IjoxLCJpIjoxfQ",
            "eyJ2IjoieCIsImkiOjF9",
            "e30",
            "%5B",
            "%E2%80%AE",
            "*",
            "[",
            "\\",
            "&",
            "=",
            "#",
            "é",
            long.as_str(),
        ];
        (*self.one(&words)).to_owned()
    }

    fn json(&mut self, depth: usize) -> Value {
        match self.below(if depth == 0 { 7 } else { 9 }) {
            0 => Value::Null,
            1 => json!(self.below(2) == 0),
            2 => json!(*self.one(&[0_i64, 1, -1, i64::MAX, i64::MIN])),
            3 => json!(*self.one(&[0.5_f64, 1e300, -1e-300])),
            4 => json!(*self.one(&[
                "type:sync",
                "type:async",
                "type:gone",
                "type:dynamodb",
                "type:dynamo",
                "active",
                "1.0.0",
                "\u{0}",
                "\u{1F600}"
            ])),
            5 => json!("SELECT * FROM nosuch"),
            6 => json!(self.word()),
            7 => (0..self.below(4)).map(|_| self.json(depth - 1)).collect(),
            _ => self.object(depth - 1),
        }
    }

    /// An object with keys that mean something and others.
    fn object(&mut self, depth: usize) -> Value {
        let keys = [
            "name",
            "version",
            "description",
            "tags",
            "context",
            "command_criteria",
            "cluster_criteria",
            "status",
            "id",
            "user",
            "query",
            "limit",
            "parameters",
            "timeout_seconds",
            "x",
            "",
            "_id:",
        ];
        (0..self.below(6))
            .map(|_| ((*self.one(&keys)).to_owned(), self.json(depth)))
            .collect::<serde_json::Map<_, _>>()
            .into()
    }

    fn body(&mut self) -> String {
        match self.below(8) {
            0 => String::new(),
            1 => "garbage".to_owned(),
            2 => "[".repeat(10_000),
            3 => "x".repeat(30_000),
            4 | 5 => self.object(3).to_string(),
            6 => {
                // Nearly a job.
                let criteria = self
                    .one(&["type:sync", "type:async", "type:gone", "type:nope"])
                    .to_owned();
                json!({"name": self.json(0), "command_criteria": [criteria], "cluster_criteria": ["type:dynamodb"], "context": self.object(2)}).to_string()
            }
            _ => {
                let body = self.object(3).to_string();
                let cut = self.below(body.len() + 1);
                body.get(..cut).unwrap_or_default().to_owned()
            }
        }
    }
}

#[test]
fn no_wrong_request_is_answered_with_500_or_not_at_all() {
    let number = |name: &str| {
        env::var(name)
            .ok()
            .and_then(|text| text.parse::<u64>().ok())
    };
    let rounds = number("WRONG_REQUESTS").unwrap_or(1_500);
    let clock = || {
        SystemTime::UNIX_EPOCH
            .elapsed()
            .map_or(1, |since| since.as_secs())
    };
    let seed = number("WRONG_SEED").unwrap_or_else(clock).max(1);
    println!("seed {seed}");
    let engine = Embedded::start().unwrap();
    engine
        .load(&json!({"my_table": [{"id": {"S": "1"}}]}))
        .unwrap();
    let directory = TestHost::new(CONFIG, &engine.url());
    let host = directory.serve();
    let described = host.call("GET", "/openapi.json", Some("a"), "").json();
    let operations = operations(&described);
    let mut random = Random(seed);
    let mut answers = std::collections::BTreeMap::new();
    for round in 0..rounds {
        let (method, path) = request(&mut random, &operations);
        let user = *random.one(&[
            Some("alice"),
            Some("alice"),
            Some("alice"),
            Some("bob"),
            Some(""),
            None,
        ]);
        let body = if method == "GET" {
            String::new()
        } else {
            random.body()
        };
        let status = send(
            &host,
            &method,
            &path,
            user,
            &body,
            &format!("seed {seed}, round {round}"),
        );
        *answers.entry(status).or_insert(0) += 1;
    }
    println!("{rounds} wrong requests: {answers:?}");
    // It still serves.
    assert_eq!(host.call("GET", "/api/v1/commands", None, "").status, 200);
}

/// Every path and method that is described.
fn operations(described: &Value) -> Vec<(String, String)> {
    let paths = described["paths"].as_object().unwrap().iter();
    paths
        .flat_map(|(path, methods)| {
            methods
                .as_object()
                .unwrap()
                .keys()
                .map(|method| (path.clone(), method.to_uppercase()))
        })
        .collect()
}

/// An operation of the description, now and then under another method, with words in its path and query.
fn request(random: &mut Random, operations: &[(String, String)]) -> (String, String) {
    let (path, method) = random.one(operations).clone();
    // Half of the wrong requests are jobs: they go deepest.
    let (mut path, mut method) = if random.below(2) == 0 {
        ("/api/v1/job".to_owned(), "POST".to_owned())
    } else {
        (path, method)
    };
    if random.below(10) == 0 {
        method = (*random.one(&["GET", "POST", "PUT", "DELETE", "PATCH"])).to_owned();
    }
    while path.contains("{id}") {
        path = path.replacen("{id}", &random.word(), 1);
    }
    if random.below(10) == 0 {
        path = format!("{path}/{}", random.word());
    }
    let names = [
        "id",
        "name",
        "version",
        "username",
        "command",
        "cluster",
        "plugin",
        "status",
        "tags",
        "limit",
        "order_by",
        "direction",
        "cursor",
        "created_after",
        "created_before",
        "nope",
        "",
    ];
    for n in 0..random.below(4) {
        let joint = if n == 0 { '?' } else { '&' };
        path = format!("{path}{joint}{}={}", random.one(&names), random.word());
    }
    (method, path)
}

fn send(host: &Serving, method: &str, path: &str, user: Option<&str>, body: &str, at: &str) -> u16 {
    // What a client library refuses to send never reaches the host.
    if path.parse::<hyper::Uri>().is_err() {
        return 0;
    }
    let began = Instant::now();
    let Some(reply) = host.try_call(method, path, user, body) else {
        // A body that is refused before it is sent whole may end in a closed connection.
        assert!(
            body.len() > 20_000,
            "{at}: {method} {path} {body}: no answer"
        );
        return 0;
    };
    let shown = String::from_utf8_lossy(&reply.body).into_owned();
    assert!(
        began.elapsed() < Duration::from_secs(20),
        "{at}: {method} {path} took {:?}",
        began.elapsed()
    );
    assert_ne!(reply.status, 500, "{at}: {method} {path} {body}: {shown}");
    if reply.status >= 400 && !path.contains("health") {
        let answer = reply.json();
        let told = ["error", "code"]
            .iter()
            .all(|key| answer[key].as_str().is_some_and(|text| !text.is_empty()));
        // hyper itself answers heads that are no HTTP, without a body.
        assert!(
            told || reply.body.is_empty() && matches!(reply.status, 400 | 414 | 431),
            "{at}: {method} {path}: {} {shown}",
            reply.status
        );
    }
    reply.status
}
