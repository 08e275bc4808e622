//! A server that pages exactly as DynamoDB does over items that a test makes up.
//!
//! A request evaluates items in order until 1 MB of them or its `Limit` is reached, and only then filters. A page
//! may thus be empty and still carry a NextToken; stopping exactly at a limit gives one even behind the last item;
//! a token holds only for the statement and parameters that it was given for. The statement itself is not parsed:
//! the filter is a Rust function. Every request is recorded.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    io,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use base64::{Engine, engine::general_purpose::URL_SAFE};
use serde_json::{Value, json};

use crate::{
    http::{Answer, Call, Server},
    item_size,
    recording::Recording,
    wire::{self, Statement},
};

/// The most bytes of items that one request evaluates.
pub const PAGE_BYTES: usize = 1024 * 1024;

/// The table that a [`Paging`] server serves, whatever table a statement names.
#[derive(Debug)]
pub struct Table {
    rows: Vec<Row>,
    latency: Duration,
    page_bytes: usize,
    binds_limit: bool,
    reports_capacity: bool,
}

/// One item, measured and filtered once so that requests cost little.
#[derive(Debug)]
struct Row {
    size: usize,
    /// The item as sent, or `None` where the filter drops it.
    sent: Option<String>,
}

impl Table {
    /// A table of typed items, of which a statement returns those that `matches` accepts, whole.
    pub fn new(items: impl IntoIterator<Item = Value>, matches: impl Fn(&Value) -> bool) -> Table {
        Table::projected(items, |item| matches(&item).then_some(item))
    }

    /// As [`Table::new`], with a function that gives what the statement returns of an item (`None`: filtered out).
    pub fn projected(
        items: impl IntoIterator<Item = Value>,
        returned: impl Fn(Value) -> Option<Value>,
    ) -> Table {
        let rows = items.into_iter().map(|item| Row {
            size: item_size::of(&item),
            sent: returned(item).map(|item| item.to_string()),
        });
        Table {
            rows: rows.collect(),
            latency: Duration::ZERO,
            page_bytes: PAGE_BYTES,
            binds_limit: false,
            reports_capacity: true,
        }
    }

    /// The same table, answering each request this much later.
    #[must_use]
    pub fn with_latency(self, latency: Duration) -> Table {
        Table { latency, ..self }
    }

    /// The same table, a request evaluating at most so many bytes of items instead of 1 MB.
    #[must_use]
    pub fn with_page_bytes(self, page_bytes: usize) -> Table {
        Table { page_bytes, ..self }
    }

    /// The same table, refusing a token that comes with another `Limit` than the request that gave it.
    #[must_use]
    pub fn binding_tokens_to_limits(self) -> Table {
        Table {
            binds_limit: true,
            ..self
        }
    }

    /// The same table, saying nothing of the capacity that a request consumed.
    #[must_use]
    pub fn without_capacity(self) -> Table {
        Table {
            reports_capacity: false,
            ..self
        }
    }
}

/// What one request asked for and what it cost.
#[derive(Debug, Clone)]
pub struct Seen {
    /// When it arrived.
    pub at: Instant,
    /// The access key that signed it.
    pub access_key: Option<String>,
    /// What it asked for.
    pub statement: Statement,
    /// How many items were evaluated.
    pub evaluated: usize,
    /// How many items were returned.
    pub returned: usize,
    /// The capacity units consumed.
    pub capacity_units: f64,
}

/// The server under way; it stops when dropped.
pub type Paging = Recording<Seen>;

impl Paging {
    /// Serves `table` on a free loopback port.
    ///
    /// # Errors
    /// No port or no thread was to be had.
    pub fn start(table: Table) -> io::Result<Paging> {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let latency = table.latency;
        let shared = Arc::new((table, seen.clone()));
        let server = Server::start(move |call| {
            let shared = shared.clone();
            Box::pin(async move {
                if !latency.is_zero() {
                    tokio::time::sleep(latency).await;
                }
                let (table, seen) = &*shared;
                Some(answer(table, seen, &call))
            })
        })?;
        Ok(Self::new(server, seen))
    }

    /// How many items all requests so far evaluated.
    pub fn evaluated(&self) -> usize {
        self.seen().iter().map(|seen| seen.evaluated).sum()
    }
}

fn answer(table: &Table, seen: &Mutex<Vec<Seen>>, call: &Call) -> Answer {
    let Some(statement) = Statement::read(call) else {
        return wire::error(
            400,
            "com.amazon.coral.service#UnknownOperationException",
            "only ExecuteStatement is answered here",
        );
    };
    let page = match page(table, &statement) {
        Ok(page) => page,
        Err(message) => return wire::error(400, wire::VALIDATION, message),
    };
    let record = Seen {
        at: call.at,
        access_key: call.access_key().map(str::to_owned),
        statement,
        evaluated: page.evaluated,
        returned: page.returned,
        capacity_units: page.capacity_units,
    };
    seen.lock()
        .unwrap_or_else(PoisonError::into_inner)
        .push(record);
    wire::answer(200, page.body)
}

struct Page {
    body: String,
    evaluated: usize,
    returned: usize,
    capacity_units: f64,
}

fn page(table: &Table, statement: &Statement) -> Result<Page, &'static str> {
    if statement.limit == Some(0) {
        return Err(
            "1 validation error detected: Value '0' at 'limit' failed to satisfy constraint: \
                    Member must have value greater than or equal to 1",
        );
    }
    let start = match &statement.next_token {
        None => 0,
        Some(token) => {
            read_token(token, table, statement).ok_or("NextToken does not match request")?
        }
    };
    let (end, bytes) = evaluate(table, start, statement.limit);
    let stopped = end < table.rows.len() || statement.limit == Some(end - start);
    let returned: Vec<&str> = table.rows[start..end]
        .iter()
        .filter_map(|row| row.sent.as_deref())
        .collect();
    let mut body = format!(r#"{{"Items":[{}]"#, returned.join(","));
    if stopped {
        let token = token(end, table, statement);
        body.push_str(&format!(
            r#","NextToken":"{token}","LastEvaluatedKey":{{"id":{{"N":"{end}"}}}}"#
        ));
    }
    let capacity_units = capacity_units(bytes, statement);
    if statement.wants_capacity && table.reports_capacity {
        let capacity = json!({"TableName": "paged", "CapacityUnits": capacity_units});
        body.push_str(&format!(r#","ConsumedCapacity":{capacity}"#));
    }
    body.push('}');
    Ok(Page {
        body,
        evaluated: end - start,
        returned: returned.len(),
        capacity_units,
    })
}

/// Where evaluation from `start` stops, and the bytes evaluated. One item always fits.
fn evaluate(table: &Table, start: usize, limit: Option<usize>) -> (usize, usize) {
    let mut bytes = 0;
    let mut end = start;
    let rows = table.rows[start..].iter();
    for row in rows.take(limit.unwrap_or(usize::MAX)) {
        if end > start && bytes + row.size > table.page_bytes {
            break;
        }
        bytes += row.size;
        end += 1;
    }
    (end, bytes)
}

/// A unit reads 4 KB, half a unit where reads need not be consistent.
fn capacity_units(bytes: usize, statement: &Statement) -> f64 {
    let blocks = u32::try_from(bytes.div_ceil(4096).max(1)).unwrap_or(u32::MAX);
    let per_block = if statement.consistent_read { 1.0 } else { 0.5 };
    f64::from(blocks) * per_block
}

fn token(position: usize, table: &Table, statement: &Statement) -> String {
    URL_SAFE.encode(format!("{position}/{:x}", fingerprint(table, statement)))
}

/// The position that a token stands for, if it was given for this statement with these parameters.
fn read_token(token: &str, table: &Table, statement: &Statement) -> Option<usize> {
    let plain = String::from_utf8(URL_SAFE.decode(token).ok()?).ok()?;
    let (position, mark) = plain.split_once('/')?;
    let given = u64::from_str_radix(mark, 16).ok()?;
    (given == fingerprint(table, statement)).then_some(position.parse().ok()?)
}

fn fingerprint(table: &Table, statement: &Statement) -> u64 {
    let mut hasher = DefaultHasher::new();
    statement
        .limit
        .filter(|_| table.binds_limit)
        .hash(&mut hasher);
    statement.text.hash(&mut hasher);
    for parameter in &statement.parameters {
        parameter.to_string().hash(&mut hasher);
    }
    hasher.finish()
}

#[cfg(test)]
mod tests;
