//! The requests of one job, and what a failed one means for it.
//!
//! In: the job, its statement and its session. Out: a request to send, or the job's error. No message repeats a parameter or a token.

use std::error::Error as StdError;

use aws_sdk_dynamodb::{
    error::{ProvideErrorMetadata, SdkError},
    operation::{
        RequestId,
        execute_statement::{ExecuteStatementError, builders::ExecuteStatementFluentBuilder},
    },
    types::{AttributeValue, ReturnConsumedCapacity},
};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use base64::{Engine, prelude::BASE64_STANDARD};
use dynamo_decode::DecodeError;
use plugin_api::{Error, ErrorCode};

use super::token::PagePosition;
use crate::{
    codes,
    failure::{self, Action},
    interceptor::decode_error,
    job::Job,
    session::Session,
    statement::Statement,
};

/// A statement as one job and one identity send it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reader<'a> {
    pub(super) session: &'a Session,
    pub(super) job: &'a Job,
    pub(super) statement: &'a Statement,
}

impl Reader<'_> {
    pub(super) fn request(
        &self,
        limit: Option<i32>,
        token: Option<String>,
    ) -> ExecuteStatementFluentBuilder {
        let parameters = Some(self.job.parameters.clone()).filter(|list| !list.is_empty());
        self.session
            .client
            .execute_statement()
            .statement(&self.statement.text)
            .set_parameters(parameters)
            .set_consistent_read(self.job.consistent_read.then_some(true))
            .set_limit(limit)
            .set_next_token(token)
            .return_consumed_capacity(ReturnConsumedCapacity::Total)
    }

    /// The job's error for a request that failed; `is_continued`: it was asked with a token that the job was given.
    pub(super) fn page_error(
        &self,
        error: &SdkError<ExecuteStatementError, HttpResponse>,
        position: &PagePosition,
        is_continued: bool,
    ) -> Error {
        let mapped = self.error_of(error, Action::Select, position.token.as_deref());
        if is_continued && mapped.code == codes::VALIDATION {
            return mapped
                .hint("DynamoDB may no longer take next_token: leave it out to start again");
        }
        mapped
    }

    /// The job's error for a request that failed; `token` must not appear in it, as no parameter may.
    pub(super) fn error_of<E>(
        &self,
        error: &SdkError<E, HttpResponse>,
        action: Action,
        token: Option<&str>,
    ) -> Error
    where
        E: ProvideErrorMetadata + StdError + 'static,
    {
        if let Some(cause) = decode_error(error) {
            let mut refused = decoding(cause);
            refused.request_id = error.request_id().map(str::to_owned);
            return refused;
        }
        let mut secrets = scalars(&self.job.parameters);
        secrets.extend(token.map(str::to_owned));
        let role = self.job.cluster.role.as_ref();
        failure::error_of(
            error,
            failure::Request {
                query: &self.job.query,
                table: &self.statement.table,
                action,
                secrets: &secrets,
                role: role.map(|role| role.arn.as_str()),
                region: &self.session.region,
            },
        )
    }
}

pub(super) fn is_validation<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> bool {
    error.code() == Some("ValidationException")
}

/// The job's error for an answer that the decoder refuses.
pub(super) fn decoding(error: &DecodeError) -> Error {
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
