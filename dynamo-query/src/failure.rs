//! What the SDK says went wrong, as the contract's error document: who has to do what.
//!
//! In: an SDK error. Out: an [`Error`] with AWS's own code and request id where there are any. AWS's sentences pass only where they
//! cannot quote a credential, and parameter values are removed from them.

mod credentials;
mod network;
mod service;
mod words;

use std::{error::Error as StdError, io};

use aws_sdk_dynamodb::{
    error::{ProvideErrorMetadata, SdkError},
    operation::RequestId,
};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use plugin_api::{Error, ErrorCode};

pub(crate) use self::{
    credentials::{no_credentials, of_instance, of_source},
    service::quoted_apart,
};
use crate::{codes, session::wire::NetworkError};

/// What DynamoDB is asked to do. An IAM policy allows each on its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    /// `ExecuteStatement` with a SELECT.
    Select,
    /// `Scan`.
    Scan,
    /// `DescribeTable`.
    Describe,
}

impl Action {
    /// The operation's name in the API.
    pub(crate) fn operation(self) -> &'static str {
        match self {
            Self::Select => "ExecuteStatement",
            Self::Scan => "Scan",
            Self::Describe => "DescribeTable",
        }
    }

    /// The action's name in a policy.
    pub(crate) fn policy_action(self) -> &'static str {
        match self {
            Self::Select => "dynamodb:PartiQLSelect",
            Self::Scan => "dynamodb:Scan",
            Self::Describe => "dynamodb:DescribeTable",
        }
    }
}

/// What a failed request was about, for messages and hints.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Request<'a> {
    /// The user's statement.
    pub(crate) query: &'a str,
    /// Its table.
    pub(crate) table: &'a str,
    /// The operation that was asked for, as a policy names it.
    pub(crate) action: Action,
    /// Texts that must not appear: the parameters' scalars.
    pub(crate) secrets: &'a [String],
    /// The role that the identity assumes, if any.
    pub(crate) role: Option<&'a str>,
    /// The region that it is signed for.
    pub(crate) region: &'a str,
}

/// The error document's content for a request that failed for good.
pub(crate) fn error_of<E>(error: &SdkError<E, HttpResponse>, request: Request<'_>) -> Error
where
    E: ProvideErrorMetadata + StdError + 'static,
{
    let mut mapped = match error {
        SdkError::ServiceError(context) => {
            service::error_of(context.err(), context.raw().status().as_u16(), request)
        }
        _ => credentials::error_of(error)
            .or_else(|| endpoint_rules(error))
            .or_else(|| network::error_of_answer(error))
            .unwrap_or_else(|| not_understood(error)),
    };
    let request_id = mapped.request_id.as_deref().or(error.request_id());
    mapped.request_id = request_id.and_then(words::name);
    mapped.aws_code = mapped.aws_code.as_deref().and_then(words::name);
    mapped.message = words::on_a_terminal(&mapped.message);
    mapped
}

/// The SDK's endpoint rules found no endpoint for the settings; nothing was sent. They say so only in words.
fn endpoint_rules(error: &(dyn StdError + 'static)) -> Option<Error> {
    if find::<NetworkError>(error).is_some() {
        return None;
    }
    let words = causes(error).map(ToString::to_string);
    let mut words = words.filter(|words| {
        ["Configuration", "AccountId", "FIPS", "DualStack"]
            .iter()
            .any(|sign| words.contains(sign))
    });
    let words = words.next()?;
    Some(
        Error::new(ErrorCode::INVALID_JOB, format!("the settings name no endpoint of DynamoDB: {}", words::plain(&words)))
            .hint("correct AWS_ACCOUNT_ID_ENDPOINT_MODE (with AWS_ACCOUNT_ID), AWS_USE_FIPS_ENDPOINT and AWS_USE_DUALSTACK_ENDPOINT, or the same keys of the profile"),
    )
}

fn not_understood<E>(error: &SdkError<E, HttpResponse>) -> Error {
    match error {
        SdkError::ResponseError(_) => {
            Error::new(codes::BAD_RESPONSE, "the answer is not DynamoDB's")
                .hint("check what answers at the cluster's endpoint: a proxy's page, for example")
        }
        _ => Error::new(ErrorCode::INTERNAL, "the request could not be made").hint(
            "this is a bug in the plugin, or a setting of the AWS profile that it does not know",
        ),
    }
}

/// The first error of that type in a chain of causes.
fn find<'e, T: StdError + 'static>(error: &'e (dyn StdError + 'static)) -> Option<&'e T> {
    causes(error).find_map(|cause| cause.downcast_ref::<T>())
}

/// An error and what caused it, outermost first. An I/O error passes over what it wraps, so that is looked for apart.
fn causes<'e>(
    error: &'e (dyn StdError + 'static),
) -> impl Iterator<Item = &'e (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |&error| {
        let wrapped = error
            .downcast_ref::<io::Error>()
            .and_then(io::Error::get_ref);
        wrapped
            .map(|wrapped| wrapped as &(dyn StdError + 'static))
            .or_else(|| error.source())
    })
}
