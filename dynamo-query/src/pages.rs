//! 4 · `ExecuteStatement` page by page until the statement or the limit is at its end.
//!
//! In: a client, a checked job, a checked statement. Out: a table whose every page is committed, and the totals. It never decodes
//! (the tap does) and never waits for anything but the SDK: deadline and cancel end it from outside, by dropping it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use aws_sdk_dynamodb::{
    error::SdkError,
    operation::{
        RequestId,
        execute_statement::{ExecuteStatementError, ExecuteStatementOutput},
    },
    types::{AttributeValue, ReturnConsumedCapacity},
};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use base64::{Engine, prelude::BASE64_STANDARD};
use plugin_api::{Error, ErrorCode, JobCtx, Partial};

use crate::{
    codes,
    decode::DecodeError,
    failure,
    job::Job,
    page_size::PageSize,
    session::Session,
    statement::Statement,
    table::{Stats, Table},
    tap::{Tap, decode_error},
};

/// The pages of one job: what was read, and how.
#[derive(Debug)]
pub(crate) struct Pages {
    table: Arc<Mutex<Table>>,
    tap: Tap,
    pages: u64,
    wire_bytes: u64,
    /// Requests begun, attempts at the same one counted once.
    begun: u64,
    /// `None` once a page did not say.
    capacity_units: Option<f64>,
    truncated: bool,
}

impl Pages {
    pub(crate) fn new(job: &Job, statement: &Statement) -> Self {
        let table = Arc::new(Mutex::new(Table::new(
            statement.columns.clone(),
            job.limit,
            job.max_result_bytes,
        )));
        Self {
            tap: Tap::new(Arc::clone(&table)),
            table,
            pages: 0,
            wire_bytes: 0,
            begun: 0,
            capacity_units: Some(0.0),
            truncated: false,
        }
    }

    /// Reads on until there is no more, or the limit is reached. The same text goes out on every page: `NextToken` is bound to it.
    pub(crate) async fn read(
        &mut self,
        session: &Session,
        job: &Job,
        statement: &Statement,
        ctx: &JobCtx,
    ) -> Result<(), Error> {
        let mut size = PageSize::new(job.limit, statement.selective);
        let mut next_token = None;
        loop {
            let rows = self.table().rows();
            let answer = self
                .request(session, job, statement, size.next(rows), next_token)
                .await;
            let answer = answer.map_err(|error| request_error(&error, session, job, statement))?;
            let full = self.commit(&answer)?;
            ctx.progress(self.table().rows(), self.pages, self.wire_bytes);
            next_token = answer.next_token;
            self.truncated = next_token.is_some() || self.table().dropped_rows();
            if full || next_token.is_none() {
                return Ok(());
            }
        }
    }

    async fn request(
        &mut self,
        session: &Session,
        job: &Job,
        statement: &Statement,
        limit: Option<i32>,
        next_token: Option<String>,
    ) -> Result<ExecuteStatementOutput, SdkError<ExecuteStatementError, HttpResponse>> {
        self.begun += 1;
        session
            .client
            .execute_statement()
            .statement(&statement.text)
            .set_parameters(
                Some(job.parameters.clone()).filter(|parameters| !parameters.is_empty()),
            )
            .set_consistent_read(job.consistent_read.then_some(true))
            .set_limit(limit)
            .set_next_token(next_token)
            .return_consumed_capacity(ReturnConsumedCapacity::Total)
            .customize()
            .interceptor(self.tap.clone())
            .send()
            .await
    }

    /// Keeps an answered page; whether the limit is reached.
    fn commit(&mut self, answer: &ExecuteStatementOutput) -> Result<bool, Error> {
        let Some(wire_bytes) = self.tap.wire_bytes() else {
            return Err(Error::new(
                ErrorCode::INTERNAL,
                "the SDK gave an answer without its body passing the decoder",
            )
            .hint("this is a bug in the plugin, with this version of the SDK"));
        };
        self.wire_bytes += wire_bytes;
        self.pages += 1;
        let units = answer
            .consumed_capacity
            .as_ref()
            .and_then(|capacity| capacity.capacity_units);
        self.capacity_units = self
            .capacity_units
            .zip(units)
            .map(|(sum, units)| sum + units);
        let mut table = self.table();
        table.commit_page();
        Ok(table.is_full())
    }

    /// How far the job is, for an error document. Rows of an attempt under way do not count.
    pub(crate) fn partial(&self) -> Partial {
        let mut table = self.table();
        table.begin_attempt();
        Partial::new(table.rows(), self.pages)
    }

    /// The figures so far.
    pub(crate) fn stats(&self, ctx: &JobCtx) -> Stats {
        let requests = self.tap.attempts();
        Stats {
            rows: self.table().rows(),
            pages: self.pages,
            items_evaluated: None,
            requests,
            retries: requests.saturating_sub(self.begun),
            consumed_capacity_units: self.capacity_units.filter(|_| self.pages > 0),
            wire_bytes: self.wire_bytes,
            elapsed_ms: u64::try_from(ctx.started().elapsed().as_millis()).unwrap_or(u64::MAX),
            truncated: self.truncated,
            next_token: None,
            segments: 1,
            waited_ms: 0,
        }
    }

    /// The result document of what was read. The table is empty afterwards.
    pub(crate) fn finish(&self, stats: &Stats) -> Result<Vec<u8>, Error> {
        let table = std::mem::replace(&mut *self.table(), Table::new(None, Some(0), 0));
        table.finish(stats).map_err(|error| decoding(&error))
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn request_error(
    error: &SdkError<ExecuteStatementError, HttpResponse>,
    session: &Session,
    job: &Job,
    statement: &Statement,
) -> Error {
    if let Some(cause) = decode_error(error) {
        let mut refused = decoding(cause);
        refused.request_id = error.request_id().map(str::to_owned);
        return refused;
    }
    let secrets = scalars(&job.parameters);
    failure::error_of(
        error,
        failure::Request {
            query: &job.query,
            table: &statement.table,
            action: failure::Action::Select,
            secrets: &secrets,
            role: job.cluster.role.as_ref().map(|role| role.arn.as_str()),
            region: &session.region,
        },
    )
}

fn decoding(error: &DecodeError) -> Error {
    match error {
        DecodeError::TooLarge { .. } => Error::new(ErrorCode::RESULT_TOO_LARGE, error.to_string())
            .hint("set a limit, select fewer columns, or raise max_result_bytes as far as the command allows"),
        DecodeError::OutOfMemory { .. } => Error::new(ErrorCode::RESULT_TOO_LARGE, error.to_string())
            .hint("set a limit or a lower max_result_bytes, or give the host more memory"),
        DecodeError::Malformed { .. } | DecodeError::Checksum { .. } => {
            Error::new(codes::BAD_RESPONSE, format!("the answer cannot be understood: {error}"))
                .hint("send the job again; if it stays, check what answers at the cluster's endpoint")
        }
    }
}

/// The texts of all values in the parameters: strings, numbers, bytes as base64, and the keys of maps.
fn scalars(parameters: &[AttributeValue]) -> Vec<String> {
    fn collect(value: &AttributeValue, into: &mut Vec<String>) {
        match value {
            AttributeValue::S(text) | AttributeValue::N(text) => into.push(text.clone()),
            AttributeValue::Ss(texts) | AttributeValue::Ns(texts) => into.extend_from_slice(texts),
            AttributeValue::L(values) => values.iter().for_each(|value| collect(value, into)),
            AttributeValue::M(values) => values.iter().for_each(|(key, value)| {
                into.push(key.clone());
                collect(value, into);
            }),
            AttributeValue::B(bytes) => into.push(BASE64_STANDARD.encode(bytes)),
            AttributeValue::Bs(sets) => {
                into.extend(sets.iter().map(|bytes| BASE64_STANDARD.encode(bytes)))
            }
            _ => {}
        }
    }
    let mut texts = Vec::new();
    parameters
        .iter()
        .for_each(|value| collect(value, &mut texts));
    // Longest first, so that a value inside another does not leave half of that one.
    texts.sort_unstable_by_key(|text| std::cmp::Reverse(text.len()));
    texts
}
