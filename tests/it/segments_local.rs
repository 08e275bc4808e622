//! Generated statements over generated items, read in one segment and in several: the same rows, or the same refusal.
//!
//! The proof is DynamoDB Local's. `SEGMENT_ROUNDS` sets how many statements (default 300), `SEGMENT_SEED` where they begin.

#![expect(
    clippy::cast_possible_truncation,
    clippy::type_complexity,
    reason = "random numbers are small, and a table of cases is easiest to read as tuples"
)]

use std::{
    collections::BTreeMap,
    env,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

use engines::{
    faults::{Fault, Faults},
    local, skip_or_fail,
};
use harness_tests::{job, run};
use serde_json::{Value, json};

const N_ITEMS: u64 = 60;
const N_THREADS: u64 = 4;

/// Numbers that a seed determines.
struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % n
    }

    fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    fn pick<'a>(&mut self, list: &[&'a str]) -> &'a str {
        list[self.below(list.len() as u64) as usize]
    }
}

/// Attributes that a condition may name; the first six are keys of the table or of an index.
const PATHS: [&str; 17] = [
    "pk",
    "sk",
    "g",
    "gs",
    "ls",
    "\"pk\"",
    "n",
    "s",
    "b",
    "x",
    "m.k",
    "m.j",
    "m",
    "l",
    "l[0]",
    "ss",
    "\"odd name\"",
];
/// Entries of a SELECT list, which have names of their own.
const ENTRIES: [&str; 12] = [
    "pk",
    "sk",
    "g",
    "n",
    "s",
    "x",
    "m.k",
    "m.j.deep",
    "l",
    "ss",
    "\"odd name\"",
    "bin",
];
const STRINGS: [&str; 9] = ["p0", "p1", "p2", "g0", "", "a", "ab", "it's", "é"];
const NUMBERS: [&str; 7] = ["0", "1", "2", "1.0", "-5", "3.25", "100"];
const TYPES: [&str; 6] = ["S", "N", "BOOL", "NULL", "M", "SS"];

/// Any value, typed.
fn value(random: &mut Random, depth: u64) -> Value {
    match random.below(if depth < 2 { 9 } else { 5 }) {
        0 | 1 => json!({"S": random.pick(&STRINGS)}),
        2 | 3 => json!({"N": random.pick(&NUMBERS)}),
        4 => match random.below(3) {
            0 => json!({"NULL": true}),
            kind => json!({"BOOL": kind == 1}),
        },
        5 => json!({"SS": ["a", "ab"]}),
        6 => json!({"L": [value(random, depth + 1), value(random, depth + 1)]}),
        7 => {
            json!({"M": {"k": value(random, depth + 1), "j": {"M": {"deep": value(random, depth + 2)}}}})
        }
        _ => json!({"B": "AQI="}),
    }
}

fn item(number: u64, random: &mut Random) -> Value {
    let mut item = json!({
        "pk": {"S": format!("p{}", number % 4)},
        "sk": {"N": number.to_string()},
        "pad": {"S": "x".repeat(random.below(200) as usize)},
    });
    let mut put = |name: &str, value: Value| item[name] = value;
    if !random.one_in(5) {
        put("g", json!({"S": format!("g{}", number % 3)}));
        put("gs", json!({"N": random.pick(&NUMBERS)}));
    }
    if !random.one_in(5) {
        put("ls", json!({"S": random.pick(&STRINGS[..4])}));
    }
    for (name, kind) in [("n", "N"), ("s", "S")] {
        if !random.one_in(4) {
            let text = if kind == "N" {
                random.pick(&NUMBERS)
            } else {
                random.pick(&STRINGS)
            };
            put(name, json!({kind: text}));
        }
    }
    for name in ["b", "x", "m", "l", "ss", "odd name", "bin"] {
        if !random.one_in(3) {
            put(name, value(random, 0));
        }
    }
    item
}

fn table(name: &str, random: &mut Random) -> Value {
    let items: Vec<Value> = (0..N_ITEMS).map(|number| item(number, random)).collect();
    json!({name: {
        "key": ["pk:S", "sk:N"],
        "indexes": {"global": ["g:S", "gs:N"]},
        "local_indexes": {"local": ["pk:S", "ls:S"]},
        "items": items,
    }})
}

/// A statement with its parameters.
struct Generated {
    text: String,
    parameters: Vec<Value>,
}

impl Generated {
    fn new(table: &str, random: &mut Random) -> Self {
        let mut new = Self {
            text: String::new(),
            parameters: Vec::new(),
        };
        let list = if random.one_in(2) {
            "*".to_owned()
        } else {
            entries(random)
        };
        let from = match random.below(5) {
            0 => format!("\"{table}\".\"global\""),
            1 => format!("\"{table}\".\"local\""),
            _ => table.to_owned(),
        };
        let condition = if random.one_in(12) {
            String::new()
        } else {
            format!(" WHERE {}", new.condition(random, 0))
        };
        new.text = format!("SELECT {list} FROM {from}{condition}");
        new
    }

    fn condition(&mut self, random: &mut Random, depth: u64) -> String {
        if depth < 3 && random.one_in(2) {
            let (left, right) = (
                self.condition(random, depth + 1),
                self.condition(random, depth + 1),
            );
            return match random.below(5) {
                0 | 1 => format!("{left} AND {right}"),
                2 | 3 => format!("{left} OR {right}"),
                _ => format!("NOT ({left} OR {right})"),
            };
        }
        let leaf = self.leaf(random);
        match random.below(8) {
            0 => format!("NOT {leaf}"),
            1 => format!("({leaf})"),
            _ => leaf,
        }
    }

    fn leaf(&mut self, random: &mut Random) -> String {
        let path = random.pick(&PATHS);
        match random.below(13) {
            0..=3 => {
                let comparison = random.pick(&["=", "<>", "<", "<=", ">", ">="]);
                let constant = self.constant(random);
                match random.below(5) {
                    0 => format!("{constant} {comparison} {path}"),
                    1 => format!("{path} {comparison} {}", random.pick(&PATHS)),
                    _ => format!("{path} {comparison} {constant}"),
                }
            }
            4 => {
                let not = random.pick(&["", "NOT "]);
                format!(
                    "{path} {not}BETWEEN {} AND {}",
                    self.constant(random),
                    self.constant(random)
                )
            }
            5 => {
                let not = random.pick(&["", "NOT "]);
                format!(
                    "{path} {not}IN [{}, {}]",
                    self.constant(random),
                    self.constant(random)
                )
            }
            6 => format!("{path} IS {}NULL", random.pick(&["", "NOT "])),
            7 => format!("{path} IS {}MISSING", random.pick(&["", "NOT "])),
            8 => format!("begins_with({path}, {})", self.constant(random)),
            9 => format!("contains({path}, {})", self.constant(random)),
            10 => format!(
                "size({path}) {} {}",
                random.pick(&[">", "<=", "="]),
                random.below(4)
            ),
            11 => format!("attribute_type({path}, '{}')", random.pick(&TYPES)),
            _ => format!(
                "{path} = {}",
                random.pick(&["NULL", "true", "<<'a', 'ab'>>", "['a', 1]", "{'k': 'a'}"])
            ),
        }
    }

    fn constant(&mut self, random: &mut Random) -> String {
        match random.below(8) {
            0..=2 => format!("'{}'", random.pick(&STRINGS).replace('\'', "''")),
            3..=5 => random.pick(&NUMBERS).to_owned(),
            6 => random.pick(&["true", "false"]).to_owned(),
            _ => {
                self.parameters.push(value(random, 1));
                "?".to_owned()
            }
        }
    }
}

fn entries(random: &mut Random) -> String {
    let mut entries = ENTRIES.to_vec();
    for at in (1..entries.len()).rev() {
        entries.swap(at, random.below(at as u64 + 1) as usize);
    }
    entries.truncate(1 + random.below(4) as usize);
    entries.join(", ")
}

/// Columns and rows without order, or the code of the refusal; and how many segments were read.
fn outcome(document: &Value) -> (Result<(Value, BTreeMap<String, usize>), String>, u64) {
    match run(document) {
        Ok(result) => {
            let mut rows = BTreeMap::new();
            for row in result["data"].as_array().unwrap() {
                *rows.entry(row.to_string()).or_default() += 1;
            }
            let segments = result["stats"]["segments"].as_u64().unwrap();
            (Ok((result["columns"].clone(), rows)), segments)
        }
        Err(error) => (Err(format!("{}: {}", error.code, error.message)), 0),
    }
}

fn setting(name: &str, default: u64) -> u64 {
    env::var(name)
        .ok()
        .map_or(default, |text| text.parse().expect("a number"))
}

#[test]
fn generated_statements_give_the_same_rows_in_any_number_of_segments() {
    let local = match local::shared() {
        Ok(local) => local,
        Err(skip) => return skip_or_fail(&skip),
    };
    let (rounds, seed) = (setting("SEGMENT_ROUNDS", 300), setting("SEGMENT_SEED", 1));
    let (in_segments, refused, with_rows) = (
        AtomicUsize::new(0),
        AtomicUsize::new(0),
        AtomicUsize::new(0),
    );
    thread::scope(|scope| {
        for worker in 0..N_THREADS {
            let (in_segments, refused, with_rows) = (&in_segments, &refused, &with_rows);
            scope.spawn(move || {
                for round in (worker..rounds).step_by(N_THREADS as usize) {
                    let mut random = Random((seed + round).wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
                    // A table for every hundred statements, so that items vary too.
                    let name = format!("segments_{seed}_{worker}_{}", round / 100 / N_THREADS);
                    if (round / N_THREADS).is_multiple_of(100) {
                        local.load(&table(&name, &mut random)).unwrap();
                    }
                    let statement = Generated::new(&name, &mut random);
                    let mut document = job(
                        local.url(),
                        &json!({"query": statement.text, "parameters": statement.parameters}),
                    );
                    // Some refusals are HTTP 500 here, and would be tried again.
                    document["cluster"]["context"]["max_attempts"] = json!(1);
                    let (one, _) = outcome(&document);
                    document["context"]["total_segments"] = json!(2 + random.below(5));
                    let (several, segments) = outcome(&document);
                    assert_eq!(
                        several,
                        one,
                        "seed {}: {} {:?}",
                        seed + round,
                        statement.text,
                        statement.parameters
                    );
                    in_segments.fetch_add(usize::from(segments > 1), Ordering::Relaxed);
                    refused.fetch_add(usize::from(one.is_err()), Ordering::Relaxed);
                    with_rows.fetch_add(
                        usize::from(segments > 1 && one.is_ok_and(|(_, rows)| !rows.is_empty())),
                        Ordering::Relaxed,
                    );
                }
            });
        }
    });
    let (in_segments, refused, with_rows) = (
        in_segments.into_inner() as u64,
        refused.into_inner(),
        with_rows.into_inner(),
    );
    println!(
        "{rounds} statements: {in_segments} read in segments ({with_rows} with rows), {refused} refused both ways"
    );
    assert!(
        in_segments > rounds / 4 && with_rows > 0,
        "too few were read in segments: {in_segments} of {rounds}"
    );
}

#[test]
fn faults_on_single_segments_of_generated_tables_lose_and_double_nothing() {
    let local = match local::shared() {
        Ok(local) => local,
        Err(skip) => return skip_or_fail(&skip),
    };
    let faults = [
        Fault::ProvisionedThroughputExceeded,
        Fault::InternalServerError,
        Fault::ResetBeforeAnswer,
        Fault::ResetMidBody,
        Fault::CorruptJson,
        Fault::WrongChecksum,
    ];
    let name = "segments_with_faults";
    local.load(&table(name, &mut Random(77))).unwrap();
    let (retries, with_rows) = (AtomicUsize::new(0), AtomicUsize::new(0));
    thread::scope(|scope| {
        for worker in 0..8 {
            let (retries, with_rows) = (&retries, &with_rows);
            scope.spawn(move || {
                for round in (worker..setting("SEGMENT_FAULT_ROUNDS", 48)).step_by(8) {
                    let mut random = Random((round + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15));
                    let statement = Generated::new(name, &mut random);
                    let fault = faults[random.below(6) as usize];
                    let bad = json!(random.below(4));
                    // The first request of one segment fails, or its first two.
                    let n_faults = 1 + random.below(2) as usize;
                    let failed = AtomicUsize::new(0);
                    let proxy = Faults::in_front_of(local.url(), move |call, _| {
                        let request: Value = serde_json::from_slice(&call.body).unwrap();
                        let is_bad = request["Segment"] == bad;
                        if is_bad && failed.fetch_add(1, Ordering::Relaxed) < n_faults {
                            fault
                        } else {
                            Fault::None
                        }
                    })
                    .unwrap();
                    let mut document = job(
                        local.url(),
                        &json!({"query": statement.text, "parameters": statement.parameters}),
                    );
                    document["cluster"]["context"]["max_attempts"] = json!(1);
                    let (one, _) = outcome(&document);
                    if one.is_err() {
                        continue;
                    }
                    document["context"]["total_segments"] = json!(4);
                    document["cluster"]["context"]["endpoint_url"] = json!(proxy.url());
                    document["cluster"]["context"]["max_attempts"] = json!(3);
                    let (several, segments) = outcome(&document);
                    assert_eq!(
                        several, one,
                        "{fault:?} in round {round}: {}",
                        statement.text
                    );
                    if segments > 1 {
                        retries.fetch_add(n_faults, Ordering::Relaxed);
                        with_rows.fetch_add(
                            usize::from(one.is_ok_and(|(_, rows)| !rows.is_empty())),
                            Ordering::Relaxed,
                        );
                    }
                }
            });
        }
    });
    let (retries, with_rows) = (retries.into_inner(), with_rows.into_inner());
    println!("{retries} faults passed, {with_rows} jobs with rows");
    assert!(retries > 0 && with_rows > 0);
}
