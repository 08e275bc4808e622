//! Credentials that could not be had: which source, by which profile, why, and the one next step.
//!
//! The providers of `session/` turn every failure into an [`Error`] here, where its source is known; the SDK carries it back as the
//! cause of the request's failure.

use std::error::Error as StdError;

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_sts::{
    error::{ProvideErrorMetadata, SdkError},
    operation::{
        RequestId, assume_role::AssumeRoleError,
        assume_role_with_web_identity::AssumeRoleWithWebIdentityError,
    },
};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use plugin_api::{Error, ErrorCode};

use super::{causes, find, network, service, words};
use crate::{
    codes,
    session::{
        instance::Failed,
        source::{Source, needed_for},
        wire::{NetworkError, TooLong},
    },
};

/// What a request failed with, where it failed because of its credentials.
pub(super) fn error_of(error: &(dyn StdError + 'static)) -> Option<Error> {
    if let Some(named) = find::<Error>(error) {
        return Some(named.clone());
    }
    find::<CredentialsError>(error).map(|cause| match cause {
        CredentialsError::ProviderTimedOut(_) => Error::new(
            ErrorCode::UNAVAILABLE,
            "the source of the AWS credentials did not answer in time",
        )
        .hint("check the way to STS (sts_endpoint_url, proxy), or to the container's or instance's metadata service"),
        _ => Error::new(codes::CREDENTIALS, "the source of the AWS credentials failed")
            .hint("check where the host's process gets its AWS credentials from"),
    })
}

/// Nothing is there that gives credentials.
pub(crate) fn no_credentials(last: &str) -> Error {
    Error::new(codes::CREDENTIALS, format!("no AWS credentials were found: nothing in the environment, no profile, no web identity, no container, and {last}"))
        .hint("set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, or run where a container or instance role is at hand")
}

/// Why a source gave no credentials.
pub(crate) fn of_source(source: &Source, error: &(dyn StdError + 'static), region: &str) -> Error {
    // A role's credentials fail because those that it is assumed with cannot be had: that is what has to be put right.
    if let Some(base) = find::<Error>(error) {
        return match source {
            Source::Role { role, .. } => needed_for(base.clone(), role.arn()),
            _ => base.clone(),
        };
    }
    let refusal = refusal_of::<AssumeRoleError>(source, error, region)
        .or_else(|| refusal_of::<AssumeRoleWithWebIdentityError>(source, error, region));
    refusal
        .or_else(|| too_long(source, error))
        .or_else(|| unreached(source, error))
        .unwrap_or_else(|| by_kind(source, error))
}

/// STS answered.
fn refusal_of<E>(source: &Source, error: &(dyn StdError + 'static), region: &str) -> Option<Error>
where
    E: StdError + ProvideErrorMetadata + Send + Sync + 'static,
    E: RequestId,
{
    let failed = find::<SdkError<E, HttpResponse>>(error)?;
    match failed {
        SdkError::ServiceError(answer) => {
            let status = answer.raw().status().as_u16();
            Some(refused(
                source,
                answer.err(),
                answer.err().request_id(),
                status,
                region,
            ))
        }
        SdkError::ResponseError(_) if network::error_of(error).is_none() => Some(
            Error::new(
                codes::BAD_RESPONSE,
                "the answer of STS could not be understood",
            )
            .hint("check what answers at the endpoint of STS: a proxy's page, for example"),
        ),
        _ => None,
    }
}

fn refused(
    source: &Source,
    error: &impl ProvideErrorMetadata,
    request_id: Option<&str>,
    status: u16,
    region: &str,
) -> Error {
    let code = error.code().unwrap_or_default();
    let what = source.describe();
    let mut mapped = match code {
        code if service::is_credentials(code) => service::credentials(code, region),
        "Throttling" | "ThrottlingException" | "RequestLimitExceeded" => {
            Error::new(codes::THROTTLED, "STS is still throttled after the retries")
                .hint("send the job again later")
        }
        "InternalFailure" | "ServiceUnavailable" | "InternalError" | "IDPCommunicationError" => {
            unavailable(status)
        }
        "" if status >= 500 => unavailable(status),
        "" => Error::new(
            codes::BAD_RESPONSE,
            format!("the answer, HTTP {status}, is not that of STS"),
        )
        .hint("check what answers at the endpoint of STS: a proxy's page, for example"),
        "RegionDisabledException" => Error::new(
            codes::ASSUME_ROLE,
            format!("STS is not active in region {region}"),
        )
        .hint("activate STS for the region in the account's settings, or set another region"),
        "InvalidIdentityToken" | "IDPRejectedClaim" => {
            let words = words::plain(error.message().unwrap_or(code));
            Error::new(codes::CREDENTIALS, format!("STS did not accept the token of {what}: {words}"))
                .hint("check that the token's file is renewed, and that the account knows the token's OIDC provider")
        }
        code => {
            let words = words::plain(error.message().unwrap_or(code));
            Error::new(codes::ASSUME_ROLE, format!("STS refused {what}: {words}"))
                .hint(service::role_hint(code, &words))
        }
    };
    mapped.aws_code = words::name(code);
    mapped.request_id = request_id.and_then(words::name);
    mapped
}

fn unavailable(status: u16) -> Error {
    Error::new(
        ErrorCode::UNAVAILABLE,
        format!("STS answered with a failure of its own, HTTP {status}"),
    )
    .hint("send the job again later")
}

fn too_long(source: &Source, error: &(dyn StdError + 'static)) -> Option<Error> {
    find::<TooLong>(error).map(|too_long| {
        Error::new(
            codes::BAD_RESPONSE,
            format!(
                "the answer of {} could not be understood: {too_long}",
                source.service()
            ),
        )
        .hint("check what answers there")
    })
}

/// STS or the agent was not reached.
fn unreached(source: &Source, error: &(dyn StdError + 'static)) -> Option<Error> {
    // Without it, what failed was a file.
    find::<NetworkError>(error)?;
    let mut unreached = network::error_of(error)?;
    let (service, what) = (source.service(), source.describe());
    let asked = match source {
        Source::Container { .. } | Source::Instance { .. } => format!("{what} could not be asked"),
        _ => format!("{service} could not be asked for the credentials of {what}"),
    };
    unreached.message = format!("{asked}: {}", unreached.message);
    Some(unreached)
}

fn by_kind(source: &Source, error: &(dyn StdError + 'static)) -> Error {
    let what = source.describe();
    let failed = |why: &str| {
        Error::new(
            codes::CREDENTIALS,
            format!("{what} gave no credentials: {why}"),
        )
    };
    match source {
        Source::Sso { profile, .. } => {
            let login = match profile.as_str() {
                "default" => "aws sso login".to_owned(),
                profile => format!("aws sso login --profile {profile}"),
            };
            failed(sso(error)).hint(format!("run `{login}` as the user of this process"))
        }
        Source::Container { .. } => container(source, error),
        // What another provider says may quote what it read, so it stays out.
        _ => failed("its source failed")
            .hint("check where the host's process gets its AWS credentials from"),
    }
}

/// Why a login gives nothing, by the SDK's words for it: those of version 1.13.
fn sso(error: &(dyn StdError + 'static)) -> &'static str {
    let words: Vec<String> = causes(error).map(ToString::to_string).collect();
    let says = |sign: &str| words.iter().any(|words| words.contains(sign));
    if says("failed to open") || says("failed to read") || says("No such file") {
        "nobody has logged in"
    } else if says("expired") {
        "the login has expired"
    } else if says("Unauthorized") {
        "AWS SSO does not accept the login"
    } else if says("Forbidden") || says("AccessDenied") {
        "AWS SSO does not give this account and role to the user who logged in"
    } else if says("ResourceNotFound") {
        "AWS SSO knows no such account or role"
    } else if says("home directory") {
        "HOME is not set, so the login's file cannot be found"
    } else {
        "the login cannot be used"
    }
}

fn container(source: &Source, error: &(dyn StdError + 'static)) -> Error {
    let what = source.describe();
    let words: Vec<String> = causes(error).map(ToString::to_string).collect();
    let status = words.iter().find_map(|words| {
        let (_, rest) = words.split_once("Non-success status from HTTP credential provider: ")?;
        let digits: String = rest.chars().filter(char::is_ascii_digit).take(3).collect();
        digits.parse::<u16>().ok()
    });
    let says = |sign: &str| words.iter().any(|words| words.contains(sign));
    match status {
        Some(status) if status >= 500 => {
            Error::new(ErrorCode::UNAVAILABLE, format!("{what} answered HTTP {status}")).hint("send the job again later")
        }
        Some(status) => Error::new(codes::CREDENTIALS, format!("{what} answered HTTP {status}"))
            .hint("check AWS_CONTAINER_AUTHORIZATION_TOKEN or its file, and that the task or pod has a role"),
        None if says("auth token") => Error::new(codes::CREDENTIALS, format!("the authorization token for {what} holds a character that no HTTP header may hold"))
            .hint("write AWS_CONTAINER_AUTHORIZATION_TOKEN or its file again, without a line end"),
        None if says("allowed IP") => Error::new(codes::CREDENTIALS, format!("{what} is at an address that is neither this machine's nor an agent's of AWS"))
            .hint("use https, or an agent on this machine"),
        None if says("DNS lookup") => Error::new(ErrorCode::UNAVAILABLE, format!("the host name of {what} does not resolve"))
            .hint("check the variable and this machine's DNS"),
        None if causes(error).any(|cause| cause.is::<std::io::Error>()) => Error::new(codes::CREDENTIALS, format!("the file with the authorization token for {what} cannot be read"))
            .hint("check AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE, and that this process may read the file"),
        None => Error::new(codes::BAD_RESPONSE, format!("the answer of {what} is not the JSON of credentials"))
            .hint("check what answers at the agent's address"),
    }
}

/// Why an instance gave no credentials.
pub(crate) fn of_instance(source: &Source, is_named: bool, failed: &Failed) -> Error {
    let what = source.describe();
    match failed {
        // Nobody said that there is one: this is the end of the chain, not a failure on the way.
        Failed::Absent(_) if !is_named && source.profile().is_none() => {
            no_credentials("no instance's metadata service answers")
        }
        Failed::Absent(error) => too_long(source, error.as_ref())
            .or_else(|| unreached(source, error.as_ref()))
            .unwrap_or_else(|| {
                Error::new(
                    ErrorCode::UNAVAILABLE,
                    format!("{what} did not answer a request for credentials"),
                )
                .hint("check that the metadata service of the instance is enabled (version 2)")
            }),
        Failed::NoRole => Error::new(
            codes::CREDENTIALS,
            format!("{what} gave no credentials: the instance has no role"),
        )
        .hint("attach an instance profile to the instance, or name another source of credentials"),
        Failed::Status(status) if *status >= 500 => Error::new(
            ErrorCode::UNAVAILABLE,
            format!("{what} answered HTTP {status}"),
        )
        .hint("send the job again later"),
        Failed::Status(status) => {
            Error::new(codes::CREDENTIALS, format!("{what} answered HTTP {status}"))
                .hint("check that the metadata service of the instance is enabled (version 2)")
        }
        Failed::Malformed(given) => {
            Error::new(codes::BAD_RESPONSE, format!("{what} answered with {given}"))
                .hint("check what answers at the address of the instance's metadata service")
        }
    }
}
