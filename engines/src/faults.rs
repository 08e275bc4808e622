//! A DynamoDB that fails by script: one entry of the script answers one request, in DynamoDB's wire form.
//!
//! Honest answers are ready-made pages, picked by the request's token as in [`crate::replay`]; a fault that damages an
//! answer damages the very page that was asked for. A job that gets through can thus be compared with a clean run.
//! Every request is recorded with its time.

use std::{
    io,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use serde_json::json;

use crate::{
    client,
    http::{Answer, Call, Piece, Server},
    recording::Recording,
    replay, wire,
};

/// How one request is answered.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Fault {
    /// Honestly.
    None,
    /// 400 `ProvisionedThroughputExceededException` with a throttling reason.
    ProvisionedThroughputExceeded,
    /// 400 `ThrottlingException` with a throttling reason.
    Throttling,
    /// 400 `RequestLimitExceeded` with a throttling reason.
    RequestLimitExceeded,
    /// 500 `InternalServerError`.
    InternalServerError,
    /// 503 `ServiceUnavailable`.
    ServiceUnavailable,
    /// The connection is reset before any byte of an answer.
    ResetBeforeAnswer,
    /// The connection is reset half-way through the page.
    ResetMidBody,
    /// Not a byte, ever; the connection stays open.
    StallBeforeAnswer,
    /// Half the page, then not a byte; the connection stays open.
    StallMidBody,
    /// Half the page, then an ordinary close.
    Truncated,
    /// Half the page and rubbish, whole by its length and checksum.
    CorruptJson,
    /// The page with another page's checksum.
    WrongChecksum,
    /// Half the page under the whole page's checksum, and a `content-length` that is the half's.
    WrongLength,
    /// 200 with `{}`, whole by its length and checksum.
    NoItems,
    /// 200 with an empty body.
    EmptyBody,
    /// 200 with a web page, as a captive proxy gives.
    Html,
    /// 302 to another path of this server.
    Redirect,
    /// 400 `ExpiredTokenException`.
    ExpiredToken,
    /// 400 `InvalidSignatureException` from a service whose clock, told in `Date`, is this many seconds ahead.
    ClockSkew(i64),
    /// 400 `UnrecognizedClientException`.
    UnrecognizedClient,
    /// 400 `AccessDeniedException`, which names the missing action.
    AccessDenied,
    /// 400 `ResourceNotFoundException`.
    NotFound,
    /// 400 `ValidationException` with this message.
    Validation(&'static str),
    /// The page, but only after this long.
    Late(Duration),
    /// The page in eight parts with this long between them.
    Slow(Duration),
}

/// One request and how it was answered.
#[derive(Debug, Clone)]
pub struct Seen {
    /// The request, with its time.
    pub call: Call,
    /// How it was answered.
    pub fault: Fault,
}

/// The server under way; it stops when dropped.
pub type Faults = Recording<Seen>;

impl Faults {
    /// Answers the first requests as `script` says, in the order of their arrival, and every later one honestly.
    ///
    /// `pages` are the bodies that [`replay::chain`] or [`replay::page`] make.
    ///
    /// # Errors
    /// No port or no thread was to be had.
    pub fn start(pages: Vec<Bytes>, script: Vec<Fault>) -> io::Result<Faults> {
        Faults::by_number(pages, move |number| {
            script.get(number).copied().unwrap_or(Fault::None)
        })
    }

    /// Answers every request with the same fault.
    ///
    /// # Errors
    /// No port or no thread was to be had.
    pub fn always(pages: Vec<Bytes>, fault: Fault) -> io::Result<Faults> {
        Faults::by_number(pages, move |_| fault)
    }

    /// Answers each request as `fault_of` says of how many came before it.
    ///
    /// # Errors
    /// No port or no thread was to be had.
    pub fn by_number(
        pages: Vec<Bytes>,
        fault_of: impl Fn(usize) -> Fault + Send + Sync + 'static,
    ) -> io::Result<Faults> {
        let seen = Arc::new(Mutex::new(Vec::<Seen>::new()));
        let record = seen.clone();
        let server = Server::start(move |call| {
            let page = pages.get(replay::page_number(&call.body)).cloned();
            let fault = {
                let mut record = record.lock().unwrap_or_else(PoisonError::into_inner);
                let fault = fault_of(record.len());
                record.push(Seen { call, fault });
                fault
            };
            Box::pin(answer(fault, page))
        })?;
        Ok(Self::new(server, seen))
    }

    /// Passes every request on to the DynamoDB at `upstream`, and damages its answer as `fault_of` says of the request and of how many
    /// came before it. What is refused there is passed back as it is.
    ///
    /// # Errors
    /// No port or no thread was to be had.
    pub fn in_front_of(
        upstream: &str,
        fault_of: impl Fn(&Call, usize) -> Fault + Send + Sync + 'static,
    ) -> io::Result<Faults> {
        let seen = Arc::new(Mutex::new(Vec::<Seen>::new()));
        let record = seen.clone();
        let upstream: Arc<str> = upstream.into();
        let server = Server::start(move |call| {
            let fault = {
                let mut record = record.lock().unwrap_or_else(PoisonError::into_inner);
                let fault = fault_of(&call, record.len());
                let call = call.clone();
                record.push(Seen { call, fault });
                fault
            };
            let upstream = upstream.clone();
            Box::pin(async move {
                let reply = tokio::task::spawn_blocking(move || pass_on(&upstream, &call)).await;
                match reply {
                    Ok(Ok(reply)) if reply.status == 200 => answer(fault, Some(reply.body)).await,
                    Ok(Ok(reply)) => Some(wire::answer(reply.status, reply.body)),
                    _ => None,
                }
            })
        })?;
        Ok(Self::new(server, seen))
    }

    /// How many requests came so far.
    pub fn requests(&self) -> usize {
        self.seen
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .len()
    }
}

/// Answers as the fault has it; `page` is the honest answer's body, `None` where there is none.
pub(crate) async fn answer(fault: Fault, page: Option<Bytes>) -> Option<Answer> {
    if let Some(refusal) = refusal(fault) {
        return Some(refusal);
    }
    match fault {
        Fault::ResetBeforeAnswer => return None,
        Fault::StallBeforeAnswer => std::future::pending().await,
        Fault::Late(time) => tokio::time::sleep(time).await,
        _ => {}
    }
    let Some(page) = page else {
        return Some(wire::error(
            400,
            wire::VALIDATION,
            "NextToken does not match request",
        ));
    };
    Some(damaged(fault, &page))
}

fn pass_on(upstream: &str, call: &Call) -> anyhow::Result<client::Reply> {
    let target = call.header("x-amz-target");
    let (_, operation) = target.split_once('.').unwrap_or(("", target));
    client::dynamodb(upstream, operation, &serde_json::from_slice(&call.body)?)
}

/// The page as the fault leaves it.
fn damaged(fault: Fault, page: &Bytes) -> Answer {
    let half = page.slice(..page.len() / 2);
    let whole = wire::answer(200, page.clone());
    let cut = |end: Vec<Piece>| {
        let pieces = std::iter::once(Piece::Data(half.clone())).chain(end);
        whole.clone().with_pieces(page.len(), pieces.collect())
    };
    match fault {
        Fault::ResetMidBody => cut(vec![Piece::Reset]),
        Fault::StallMidBody => cut(vec![Piece::Stall]),
        // A second piece, or the body would tell its true length.
        Fault::Truncated => cut(vec![Piece::Wait(Duration::ZERO)]),
        // Inside a string or outside one: neither can end like this.
        Fault::CorruptJson => wire::answer(200, [&half[..], b"!]}"].concat()),
        Fault::WrongChecksum => {
            let wrong = crc32fast::hash(&half).to_string();
            whole.with_header("x-amz-crc32", &wrong)
        }
        Fault::WrongLength => {
            let length = half.len();
            whole.with_pieces(length, vec![Piece::Data(half)])
        }
        Fault::Slow(pause) => {
            let parts = page.chunks(page.len().div_ceil(8).max(1));
            let pieces =
                parts.flat_map(|part| [Piece::Data(page.slice_ref(part)), Piece::Wait(pause)]);
            whole.clone().with_pieces(page.len(), pieces.collect())
        }
        _ => whole,
    }
}

/// The answers that need no page.
fn refusal(fault: Fault) -> Option<Answer> {
    let service = |name: &str, message: &str| {
        wire::error(400, &format!("com.amazon.coral.service#{name}"), message)
    };
    Some(match fault {
        Fault::ProvisionedThroughputExceeded => throttled(
            "com.amazonaws.dynamodb.v20120810#ProvisionedThroughputExceededException",
            "The level of configured provisioned throughput for the table was exceeded. \
             Consider increasing your provisioning level with the UpdateTable API.",
            "TableReadProvisionedThroughputExceeded",
        ),
        Fault::Throttling => throttled(
            "com.amazon.coral.availability#ThrottlingException",
            "Throughput exceeds the current capacity of your table or index.",
            "TableReadKeyRangeThroughputExceeded",
        ),
        Fault::RequestLimitExceeded => throttled(
            "com.amazonaws.dynamodb.v20120810#RequestLimitExceeded",
            "Throughput exceeds the current throughput limit for your account.",
            "TableReadAccountLimitExceeded",
        ),
        Fault::InternalServerError => {
            wire::dynamodb_error(500, "InternalServerError", "Internal server error")
        }
        Fault::ServiceUnavailable => wire::error(
            503,
            "com.amazon.coral.availability#ServiceUnavailableException",
            "The service is unavailable. Please try again later.",
        ),
        Fault::ExpiredToken => service(
            "ExpiredTokenException",
            "The security token included in the request is expired",
        ),
        Fault::UnrecognizedClient => service(
            "UnrecognizedClientException",
            "The security token included in the request is invalid.",
        ),
        Fault::ClockSkew(seconds_ahead) => service(
            "InvalidSignatureException",
            "Signature expired: the request's time is more than 5 min. from the service's.",
        )
        .with_header("date", &date(seconds_ahead)),
        Fault::AccessDenied => access_denied(),
        Fault::NotFound => wire::dynamodb_error(
            400,
            "ResourceNotFoundException",
            "Requested resource not found",
        ),
        Fault::Validation(message) => wire::error(400, wire::VALIDATION, message),
        Fault::EmptyBody => Answer::new(200, ""),
        Fault::NoItems => wire::answer(200, "{}"),
        Fault::Html => Answer::new(
            200,
            "<html><body>Please log in to the network</body></html>",
        )
        .with_header("content-type", "text/html"),
        Fault::Redirect => Answer::new(302, "").with_header("location", "/elsewhere"),
        _ => return None,
    })
}

fn throttled(shape: &str, message: &str, reason: &str) -> Answer {
    // The service's model writes this one alone with a small letter.
    let reasons = if shape.ends_with("#ThrottlingException") {
        "throttlingReasons"
    } else {
        "ThrottlingReasons"
    };
    let body = json!({
        "__type": shape,
        "message": message,
        reasons: [{
            "reason": reason,
            "resource": "arn:aws:dynamodb:us-east-1:123456789012:table/my_table",
        }],
    });
    wire::answer(400, body.to_string())
}

/// This refusal alone writes its message with a capital.
fn access_denied() -> Answer {
    let message = "User: arn:aws:sts::123456789012:assumed-role/HeimdallDynamoQueryRole/heimdall is not authorized \
                   to perform: dynamodb:PartiQLSelect on resource: \
                   arn:aws:dynamodb:us-east-1:123456789012:table/my_table because no identity-based policy \
                   allows the dynamodb:PartiQLSelect action";
    let body =
        json!({"__type": "com.amazon.coral.service#AccessDeniedException", "Message": message});
    wire::answer(400, body.to_string())
}

/// The time of a clock that is this many seconds ahead (behind, where negative), as `Date` writes it.
fn date(seconds_ahead: i64) -> String {
    let offset = Duration::from_secs(seconds_ahead.unsigned_abs());
    let now = SystemTime::now();
    httpdate::fmt_http_date(if seconds_ahead < 0 {
        now - offset
    } else {
        now + offset
    })
}

#[cfg(test)]
mod tests;
