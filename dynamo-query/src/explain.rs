//! EXPLAIN: what a statement would read, how much of it at most, and whether in segments; no item is read.
//!
//! In: a checked job whose text is EXPLAIN and a SELECT, and what `DescribeTable` says of its table. Out: an ordinary result document
//! with one row a property (contract, section 2).

use std::sync::Arc;

use dynamo_decode::Stats;
use plugin_api::{Error, ErrorCode, JobCtx};
use serde::Serialize;
use serde_json::{Value, json};

use crate::{
    codes,
    describe::{Attempts, Description, Descriptions, Part},
    job::Job,
    scan::{ScanRequest, refuse_query},
    session::Session,
    statement::{
        Statement,
        analysis::{Analysis, Operation},
        position,
    },
};

/// What DynamoDB calls a page.
const PAGE_BYTES: u64 = 1 << 20;

/// What a strongly consistent read of one capacity unit may return; an eventually consistent one returns twice as much.
const UNIT_BYTES: u64 = 4096;

/// Refuses fields of the job that mean nothing to EXPLAIN.
pub(crate) fn refuse_fields(job: &Job) -> Result<(), Error> {
    let field = if job.next_token.is_some() {
        "next_token"
    } else if job.segment.is_some() {
        "segment"
    } else {
        return Ok(());
    };
    Err(Error::new(
        ErrorCode::INVALID_JOB,
        format!("context.{field} cannot be given with EXPLAIN, which reads nothing"),
    )
    .field(format!("context.{field}"))
    .hint("leave it out, or leave EXPLAIN out"))
}

/// The figures of an EXPLAIN that is not over: only `DescribeTable` was asked.
pub(crate) fn stats(attempts: &Attempts, ctx: &JobCtx) -> Stats {
    Stats {
        items_evaluated: Some(0),
        requests: attempts.sent(),
        retries: attempts.retries(),
        consumed_capacity_units: Some(0.0),
        elapsed_ms: u64::try_from(ctx.started().elapsed().as_millis()).unwrap_or(u64::MAX),
        ..Stats::default()
    }
}

/// The rows of the result: a property's name and its value.
pub(crate) type Properties = Vec<(&'static str, Value)>;

/// Asks for the table's description and says what the statement would do.
///
/// # Errors
/// `NOT_FOUND` for a table or index that is not there; what any request can fail with.
pub(crate) async fn properties(
    session: &Session,
    job: &Job,
    statement: &Statement,
    descriptions: &Descriptions,
    attempts: &Attempts,
) -> Result<Properties, Error> {
    let description = descriptions
        .get(session, job, &statement.table, attempts)
        .await?;
    let part = part(description.as_ref(), statement, session)?;
    let explained = Explained {
        job,
        statement,
        analysis: &Analysis::of(statement),
        part,
    };
    Ok(explained.properties())
}

fn part<'d>(
    description: Option<&'d Arc<Description>>,
    statement: &Statement,
    session: &Session,
) -> Result<Option<&'d Part>, Error> {
    let index = statement.index.as_deref();
    let Some(description) = description else {
        return Ok(None);
    };
    match (description.part(index), index) {
        (None, Some(index)) => Err(Error::new(
            codes::NOT_FOUND,
            format!(
                "there is no index '{index}' of the table '{}' in region {}",
                statement.table, session.region
            ),
        )
        .hint("check the index's name, which is case-sensitive")),
        (part, _) => Ok(part),
    }
}

/// The result document.
pub(crate) fn document(properties: &Properties, stats: &Stats) -> Vec<u8> {
    #[derive(Serialize)]
    struct ExplainDocument<'a> {
        columns: [Column; 2],
        data: &'a Properties,
        stats: &'a Stats,
    }
    #[derive(Serialize)]
    struct Column {
        name: &'static str,
        r#type: &'static str,
    }
    let document = ExplainDocument {
        columns: [
            Column {
                name: "property",
                r#type: "string",
            },
            Column {
                name: "value",
                r#type: "any",
            },
        ],
        data: properties,
        stats: &Stats {
            rows: properties.len() as u64,
            ..stats.clone()
        },
    };
    serde_json::to_vec(&document).expect("texts, numbers and lists always serialize")
}

/// A statement with all that is known of it.
struct Explained<'a> {
    job: &'a Job,
    statement: &'a Statement,
    analysis: &'a Analysis,
    /// `None` where `DescribeTable` is denied.
    part: Option<&'a Part>,
}

impl Explained<'_> {
    fn properties(&self) -> Properties {
        let keys = self.part.map(|part| &part.keys);
        let operation = self.analysis.operation(keys);
        let scanned_bytes = self
            .part
            .filter(|_| operation == Some(Operation::Scan))
            .and_then(|part| part.bytes);
        let one_segment = self.why_one_segment(operation);
        vec![
            ("operation", json!(operation.map(name))),
            ("table", json!(self.statement.table)),
            ("index", json!(self.statement.index)),
            (
                "keys",
                json!(keys.map(|keys| {
                    std::iter::once(&keys.partition)
                        .chain(&keys.sort)
                        .collect::<Vec<_>>()
                })),
            ),
            (
                "key_conditions",
                match (operation, keys) {
                    (Some(Operation::Scan), _) => json!([]),
                    (Some(Operation::Query), Some(keys)) => {
                        json!(self.analysis.key_conditions(keys))
                    }
                    _ => Value::Null,
                },
            ),
            // EXPLAIN itself is blank in the statement's text, so that positions are the user's.
            ("statement", json!(self.statement.text.trim_start())),
            ("table_items", json!(self.part.and_then(|part| part.items))),
            ("table_bytes", json!(self.part.and_then(|part| part.bytes))),
            (
                "pages_estimate",
                json!(scanned_bytes.map(|bytes| bytes.div_ceil(PAGE_BYTES))),
            ),
            (
                "capacity_units_estimate",
                json!(scanned_bytes.map(|bytes| bytes.div_ceil(self.bytes_a_unit()))),
            ),
            ("segments_possible", json!(one_segment.is_none())),
            ("notes", json!(self.notes(operation, one_segment))),
        ]
    }

    fn bytes_a_unit(&self) -> u64 {
        if self.job.consistent_read {
            UNIT_BYTES
        } else {
            2 * UNIT_BYTES
        }
    }

    /// Why segments are not possible; `None` where they are.
    fn why_one_segment(&self, operation: Option<Operation>) -> Option<String> {
        let keys = self.part.map(|part| &part.keys);
        if operation == Some(Operation::Query) {
            return refuse_query(self.analysis, keys).err();
        }
        ScanRequest::of(self.job, self.statement, self.analysis)
            .and_then(|_| refuse_query(self.analysis, keys))
            .err()
    }

    fn notes(&self, operation: Option<Operation>, one_segment: Option<String>) -> Vec<String> {
        let mut notes = Vec::new();
        notes.extend(operation.map(|operation| self.note_on_operation(operation)));
        if self.part.is_none() {
            notes.push(format!(
                "the keys and the size are not known, because DescribeTable is not allowed: allow dynamodb:DescribeTable on the table '{}'",
                self.statement.table
            ));
        }
        if operation.is_none() {
            notes.push(
                "whether it is a Query depends on the keys: it is one if the attribute that the WHERE compares by = or IN is the partition key"
                    .to_owned(),
            );
        }
        if let Some(unknown) = self
            .analysis
            .condition
            .as_ref()
            .and_then(|condition| condition.unknown())
        {
            let (line, column) = position::of(&self.statement.text, unknown.at);
            notes.push(format!(
                "the condition at line {line}, column {column} is not understood here; DynamoDB decides about it"
            ));
        }
        match one_segment {
            Some(why) => notes.push(format!("segments are not possible: {why}")),
            None if self.job.total_segments > 1 => notes.push(format!(
                "it would be read in {} segments",
                self.job.total_segments
            )),
            None => {}
        }
        if self.part.is_some_and(|part| part.is_global_index) {
            notes.push(if self.job.consistent_read {
                "DynamoDB refuses a strongly consistent read of a global index".to_owned()
            } else {
                "the index is eventually consistent: it is written after the table".to_owned()
            });
        }
        if self
            .part
            .is_some_and(|part| part.bytes.is_some() || part.items.is_some())
        {
            notes.push(
                "items and bytes are as DynamoDB last counted them, up to six hours ago".to_owned(),
            );
        }
        notes
    }

    fn note_on_operation(&self, operation: Operation) -> String {
        let what = if self.statement.index.is_some() {
            "index"
        } else {
            "table"
        };
        match operation {
            Operation::Scan if self.statement.selective => format!(
                "a full scan: every item of the {what} is read and paid for, and the WHERE only leaves out rows"
            ),
            Operation::Scan => format!("a full scan: every item of the {what} is read"),
            Operation::Query if self.analysis.is_plain_query() => {
                "only the partitions that the WHERE names are read".to_owned()
            }
            Operation::Query => {
                "a Query by AWS's rule for PartiQL; how much of a combined WHERE narrows the read is DynamoDB's decision"
                    .to_owned()
            }
        }
    }
}

fn name(operation: Operation) -> &'static str {
    match operation {
        Operation::Query => "Query",
        Operation::Scan => "Scan",
    }
}
