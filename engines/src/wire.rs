//! DynamoDB's wire form: an `ExecuteStatement` request read, and answers and errors written as the service does.
//!
//! Nothing here decides what to answer.

use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use serde_json::{Value, json};

use crate::http::{Answer, Call, Piece};

/// The full type of a validation error.
pub const VALIDATION: &str = "com.amazon.coral.validate#ValidationException";

/// One `ExecuteStatement` request.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Statement {
    /// The statement, as sent.
    pub text: String,
    /// Its parameters, as typed JSON; empty where there are none.
    pub parameters: Vec<Value>,
    /// `Limit`: the most items to evaluate.
    pub limit: Option<usize>,
    /// `NextToken`.
    pub next_token: Option<String>,
    /// `ConsistentRead`.
    pub consistent_read: bool,
    /// `ReturnConsumedCapacity` is `TOTAL` or `INDEXES`.
    pub wants_capacity: bool,
}

impl Statement {
    /// Reads a request; `None` where it is not an `ExecuteStatement` call in DynamoDB's JSON.
    pub fn read(call: &Call) -> Option<Statement> {
        if call.header("x-amz-target") != "DynamoDB_20120810.ExecuteStatement" {
            return None;
        }
        let mut body: Value = serde_json::from_slice(&call.body).ok()?;
        let limit = body["Limit"].as_u64();
        Some(Statement {
            text: body["Statement"].as_str()?.to_owned(),
            parameters: match body["Parameters"].take() {
                Value::Array(parameters) => parameters,
                _ => Vec::new(),
            },
            limit: limit.map(|limit| usize::try_from(limit).unwrap_or(usize::MAX)),
            next_token: body["NextToken"].as_str().map(str::to_owned),
            consistent_read: body["ConsistentRead"].as_bool().unwrap_or(false),
            wants_capacity: matches!(
                body["ReturnConsumedCapacity"].as_str(),
                Some("TOTAL" | "INDEXES")
            ),
        })
    }
}

/// An answer of this status as DynamoDB frames it: content type, request id and checksum.
pub fn answer(status: u16, body: impl Into<Bytes>) -> Answer {
    let body = body.into();
    let (length, checksum) = (body.len(), crc32fast::hash(&body));
    framed(status, checksum).with_pieces(length, vec![Piece::Data(body)])
}

/// The head of an answer whose body, still to be given, has this CRC-32.
pub fn framed(status: u16, checksum: u32) -> Answer {
    Answer::new(status, "")
        .with_header("content-type", "application/x-amz-json-1.0")
        .with_header("x-amzn-requestid", &request_id())
        .with_header("x-amz-crc32", &checksum.to_string())
}

/// An error as DynamoDB writes it. `shape` is the full type, `com.amazonaws.dynamodb.v20120810#…` or another
/// namespace; see [`dynamodb_error`] for the usual one.
pub fn error(status: u16, shape: &str, message: &str) -> Answer {
    let body = json!({"__type": shape, "message": message});
    answer(status, body.to_string())
}

/// An error whose type is DynamoDB's own: `name` as in `ResourceNotFoundException`.
pub fn dynamodb_error(status: u16, name: &str, message: &str) -> Answer {
    error(
        status,
        &format!("com.amazonaws.dynamodb.v20120810#{name}"),
        message,
    )
}

/// A request id of DynamoDB's shape (52 capitals and digits), another one each time.
pub fn request_id() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    format!("ENGINE{:046}", NEXT.fetch_add(1, Ordering::Relaxed))
}
