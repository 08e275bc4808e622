//! A server that is read in segments: it answers `Scan` with `Segment` and `TotalSegments`, and `ExecuteStatement` with every item at once.
//!
//! Item number `n` belongs to segment `n` modulo `TotalSegments`. Filters and projections are not looked at. Faults come by script, each
//! segment's on its own, so that a test can fail one and watch the others. Every request is recorded.

use std::{
    collections::HashMap,
    io,
    sync::{Arc, Mutex, PoisonError},
};

use bytes::Bytes;
use serde_json::{Value, json};

use crate::{
    faults::{self, Fault},
    http::{Answer, Call, Server},
    recording::Recording,
    wire,
};

/// What a request asked for, and what it was answered.
#[derive(Debug, Clone, PartialEq)]
pub struct Seen {
    /// `None`: an `ExecuteStatement`.
    pub segment: Option<u64>,
    /// The request as it was sent.
    pub request: Value,
    /// How it was answered.
    pub fault: Fault,
}

/// What is served.
pub struct Table {
    /// Typed items.
    pub items: Vec<Value>,
    /// Items of one answer.
    pub per_page: usize,
    /// By segment (`None`: `ExecuteStatement`) and number of the request to it, from 0: how it is answered.
    pub faults: Box<dyn Fn(Option<u64>, usize) -> Fault + Send + Sync>,
    /// Whether answers say what they consumed: half a unit an item.
    pub reports_capacity: bool,
}

/// The server under way; it stops when dropped.
pub type Segmented = Recording<Seen>;

impl Segmented {
    /// Serves `table` on a free loopback port.
    ///
    /// # Errors
    /// No port or no thread was to be had.
    pub fn start(table: Table) -> io::Result<Segmented> {
        let seen = Arc::new(Mutex::new(Vec::<Seen>::new()));
        let numbers = Mutex::new(HashMap::<Option<u64>, usize>::new());
        let record = Arc::clone(&seen);
        let server = Server::start(move |call| {
            let Some((segment, request)) = read(&call) else {
                return Box::pin(std::future::ready(Some(refusal())));
            };
            let number = {
                let mut numbers = numbers.lock().unwrap_or_else(PoisonError::into_inner);
                let next = numbers.entry(segment).or_default();
                let number = *next;
                *next += 1;
                number
            };
            let fault = (table.faults)(segment, number);
            let page = page(&table, segment, &request);
            record
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(Seen {
                    segment,
                    request,
                    fault,
                });
            Box::pin(faults::answer(fault, Some(page)))
        })?;
        Ok(Self::new(server, seen))
    }

    /// How many of them were a `Scan`.
    pub fn scans(&self) -> usize {
        let seen = self.seen();
        seen.iter().filter(|seen| seen.segment.is_some()).count()
    }
}

/// The segment and the request; `None` where it is neither operation.
fn read(call: &Call) -> Option<(Option<u64>, Value)> {
    let request: Value = serde_json::from_slice(&call.body).ok()?;
    match call.header("x-amz-target") {
        "DynamoDB_20120810.Scan" => Some((Some(request["Segment"].as_u64()?), request)),
        "DynamoDB_20120810.ExecuteStatement" => Some((None, request)),
        _ => None,
    }
}

fn refusal() -> Answer {
    wire::error(
        400,
        "com.amazon.coral.service#UnknownOperationException",
        "only Scan in segments and ExecuteStatement are answered here",
    )
}

fn page(table: &Table, segment: Option<u64>, request: &Value) -> Bytes {
    let (first, step) = match (segment, request["TotalSegments"].as_u64()) {
        (Some(segment), Some(total)) => (number(segment), number(total.max(1))),
        _ => (0, 1),
    };
    let after = request["ExclusiveStartKey"]["n"]["N"].as_str();
    let after: Option<usize> = after.and_then(|after| after.parse().ok());
    let start = after.map_or(first, |after| after + step);
    let per_page = if segment.is_some() {
        table.per_page
    } else {
        table.items.len().max(1)
    };
    let numbers: Vec<usize> = (start..table.items.len())
        .step_by(step)
        .take(per_page)
        .collect();
    let items: Vec<&Value> = numbers.iter().map(|&number| &table.items[number]).collect();
    let mut body = json!({"Items": items});
    if segment.is_some() {
        body["Count"] = json!(items.len());
        body["ScannedCount"] = json!(items.len());
    }
    if let Some(last) = numbers
        .last()
        .filter(|&&last| last + step < table.items.len())
    {
        body["LastEvaluatedKey"] = json!({"n": {"N": last.to_string()}});
    }
    if table.reports_capacity {
        let units = 0.5 * f64::from(u32::try_from(items.len().max(1)).unwrap_or(u32::MAX));
        body["ConsumedCapacity"] = json!({"TableName": "t", "CapacityUnits": units});
    }
    body.to_string().into()
}

fn number(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client;

    #[test]
    fn the_segments_together_are_the_table() {
        let items: Vec<Value> = (0..23)
            .map(|n| json!({"n": {"N": n.to_string()}}))
            .collect();
        let server = Segmented::start(Table {
            items: items.clone(),
            per_page: 2,
            faults: Box::new(|_, _| Fault::None),
            reports_capacity: true,
        })
        .unwrap();
        let mut read = Vec::new();
        for segment in 0..4 {
            let mut request = json!({"TableName": "t", "TotalSegments": 4, "Segment": segment});
            loop {
                let reply = client::dynamodb(&server.url(), "Scan", &request).unwrap();
                let mut answer = reply.json();
                read.extend(answer["Items"].as_array().unwrap().clone());
                request["ExclusiveStartKey"] = answer["LastEvaluatedKey"].take();
                if request["ExclusiveStartKey"].is_null() {
                    break;
                }
            }
        }
        let number = |item: &Value| item["n"]["N"].as_str().unwrap().parse::<u32>().unwrap();
        read.sort_by_key(number);
        assert_eq!(read, items);
        let whole = client::dynamodb(&server.url(), "ExecuteStatement", &json!({})).unwrap();
        assert_eq!(whole.json()["Items"], json!(items));
    }
}
