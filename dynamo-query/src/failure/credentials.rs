//! Credentials that could not be had: none found, STS refused the role, STS not reached.

use std::error::Error as StdError;

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_sts::{
    error::ProvideErrorMetadata,
    operation::{
        RequestId, assume_role::AssumeRoleError,
        assume_role_with_web_identity::AssumeRoleWithWebIdentityError,
    },
};
use plugin_api::{Error, ErrorCode};

use crate::codes;

use super::{Request, causes, find, network, service};

pub(super) fn error_of(error: &(dyn StdError + 'static), request: Request<'_>) -> Option<Error> {
    let mut layers = causes(error).filter_map(|cause| cause.downcast_ref::<CredentialsError>());
    let outermost = layers.next()?;
    // A role's credentials fail because those that it is assumed with cannot be had: that is what has to be put right.
    let base = layers.last();
    let cause = base.unwrap_or(outermost);
    let sts = find::<AssumeRoleError>(cause)
        .map(|error| refused(error, error.request_id(), request))
        .or_else(|| {
            find::<AssumeRoleWithWebIdentityError>(cause)
                .map(|error| refused(error, error.request_id(), request))
        });
    Some(
        sts.or_else(|| timed_out(cause))
            .or_else(|| unreached(cause, request).filter(|_| base.is_none()))
            .unwrap_or_else(|| unavailable(cause, request)),
    )
}

/// STS answered, with a refusal.
fn refused(
    error: &impl ProvideErrorMetadata,
    request_id: Option<&str>,
    request: Request<'_>,
) -> Error {
    let code = error.code().unwrap_or_default();
    let role = request.role.unwrap_or("that the AWS profile names");
    let mut mapped = match code {
        code if service::is_credentials(code) => service::credentials(code, request),
        "Throttling" | "ThrottlingException" | "RequestLimitExceeded" => {
            Error::new(codes::THROTTLED, "STS is still throttled after the retries")
                .hint("send the job again later")
        }
        "InternalFailure" | "ServiceUnavailable" | "InternalError" | "" => Error::new(
            ErrorCode::UNAVAILABLE,
            "STS answered with a failure of its own",
        )
        .hint("send the job again later"),
        "RegionDisabledException" => Error::new(
            codes::ASSUME_ROLE,
            format!("STS is not active in region {}", request.region),
        )
        .hint("activate STS for the region in the account's settings, or set another region"),
        code => {
            let words = error.message().unwrap_or(code);
            Error::new(codes::ASSUME_ROLE, format!("STS refused the role {role}: {words}"))
                .hint("check the role's trust policy and external_id, and that this process's identity is allowed sts:AssumeRole on it")
        }
    };
    mapped.aws_code = error.code().map(str::to_owned);
    mapped.request_id = request_id.map(str::to_owned);
    mapped
}

fn timed_out(cause: &CredentialsError) -> Option<Error> {
    matches!(cause, CredentialsError::ProviderTimedOut(_)).then(|| {
        Error::new(
            ErrorCode::UNAVAILABLE,
            "the source of the AWS credentials did not answer in time",
        )
        .hint(
            "check the way to STS (sts_endpoint_url, proxy), or to the machine's metadata service",
        )
    })
}

/// STS was not reached.
fn unreached(cause: &CredentialsError, request: Request<'_>) -> Option<Error> {
    request.role?;
    network::error_of(cause, request).map(|mut error| {
        error.message = format!("STS could not be asked for the role: {}", error.message);
        error
    })
}

fn unavailable(cause: &CredentialsError, request: Request<'_>) -> Error {
    let why = match cause {
        CredentialsError::CredentialsNotLoaded(_) => "no AWS credentials were found".to_owned(),
        // Messages of the SDK about its own files: they name profiles and files, never values.
        CredentialsError::InvalidConfiguration(_) => match causes(cause).last() {
            Some(last) => format!("the AWS configuration is not valid: {last}"),
            None => "the AWS configuration is not valid".to_owned(),
        },
        // What a provider says may quote a process's output or a token's file, so it stays out.
        _ => "the source of the AWS credentials failed".to_owned(),
    };
    let role = request
        .role
        .map(|role| format!(" (needed to assume {role})"))
        .unwrap_or_default();
    Error::new(codes::CREDENTIALS, format!("{why}{role}"))
        .hint("set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, or run where a container or instance role is at hand")
}
