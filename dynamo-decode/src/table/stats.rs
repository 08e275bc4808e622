//! The figures of a job, as the result document gives them.

use plugin_api::{Cost, Partial};
use serde::Serialize;

/// `stats` of the result document, in its key order. What is unknown is `None` there `null`, never 0.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Stats {
    /// Rows in `data`.
    pub rows: u64,
    /// Answers used.
    pub pages: u64,
    /// Items that DynamoDB looked at; PartiQL does not tell.
    pub items_evaluated: Option<u64>,
    /// Attempts sent to DynamoDB.
    pub requests: u64,
    /// Those of them that repeated one.
    pub retries: u64,
    /// As DynamoDB reports it; `None` if any page lacked it.
    pub consumed_capacity_units: Option<f64>,
    /// Bytes of the bodies of the answers used.
    pub wire_bytes: u64,
    /// From the start of the call, in milliseconds.
    pub elapsed_ms: u64,
    /// Whether DynamoDB had, or may have had, more rows.
    pub truncated: bool,
    /// Where a later job goes on, if this one is truncated and read in one segment.
    pub next_token: Option<String>,
    /// Segments that were read.
    pub segments: u32,
    /// Time spent waiting for the cluster's `max_capacity_units_per_second`, in milliseconds.
    pub waited_ms: u64,
}

impl Stats {
    /// Notes in an error document's `partial` what the job had cost. A job that had sent nothing has no figures.
    #[must_use]
    pub fn cost(&self, partial: Partial) -> Partial {
        if self.requests == 0 {
            return partial;
        }
        let mut cost = Cost::new(self.requests, self.retries, self.wire_bytes);
        cost.consumed_capacity_units = self.consumed_capacity_units;
        let mut partial = partial;
        partial.cost = Some(Box::new(cost));
        partial
    }
}
