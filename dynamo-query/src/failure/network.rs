//! Connections that did not come about, broke, or stayed mute.

use std::{error::Error as StdError, io};

use aws_smithy_runtime_api::client::result::ConnectorError;
use plugin_api::{Error, ErrorCode};

use super::{Request, causes, find};

pub(super) fn error_of(error: &(dyn StdError + 'static), request: Request<'_>) -> Option<Error> {
    let connector = find::<ConnectorError>(error);
    if let Some(tls) = find::<rustls::Error>(error) {
        return Some(
            Error::new(ErrorCode::UNAVAILABLE, format!("the TLS connection failed: {tls}"))
                .hint("check the endpoint's certificate, and ca_bundle or AWS_CA_BUNDLE where a private authority signs it"),
        );
    }
    if is_name_lookup(error) {
        return Some(
            Error::new(ErrorCode::UNAVAILABLE, format!("the endpoint's host name does not resolve (region {})", request.region))
                .hint("check the region, which makes the host name, or endpoint_url, and this machine's DNS"),
        );
    }
    if let Some(refused) = of_proxy(error) {
        return Some(refused);
    }
    if let Some(io) = find::<io::Error>(error) {
        return Some(of_io(io));
    }
    if connector.is_some_and(ConnectorError::is_timeout) || is_time_out(error) {
        return Some(
            Error::new(ErrorCode::UNAVAILABLE, "the endpoint did not answer in time")
                .hint("check the way to the endpoint (VPC endpoint, proxy, firewall), or raise read_timeout_seconds"),
        );
    }
    connector.map(|_| {
        Error::new(
            ErrorCode::UNAVAILABLE,
            "the connection was lost before the answer was whole",
        )
        .hint("send the job again later")
    })
}

fn of_io(error: &io::Error) -> Error {
    let (message, hint) = match error.kind() {
        io::ErrorKind::ConnectionRefused => (
            "the connection was refused",
            "check the host and port of endpoint_url or proxy, and that something listens there",
        ),
        io::ErrorKind::TimedOut => (
            "the endpoint did not answer in time",
            "check the way to the endpoint (VPC endpoint, proxy, firewall)",
        ),
        io::ErrorKind::NetworkUnreachable | io::ErrorKind::HostUnreachable => (
            "there is no way to the endpoint's network",
            "check this machine's routes, VPC endpoint and proxy",
        ),
        _ => (
            "the connection was lost before the answer was whole",
            "send the job again later",
        ),
    };
    Error::new(ErrorCode::UNAVAILABLE, message).hint(hint)
}

/// The proxy answered, and opened no tunnel; hyper says so only in words.
fn of_proxy(error: &(dyn StdError + 'static)) -> Option<Error> {
    let mut words = causes(error).map(ToString::to_string);
    let words = words.find(|words| words.contains("tunnel error"))?;
    let (message, hint) = if words.contains("authorization") {
        (
            "the proxy asks for a user name and password",
            "write them into the proxy's URL, as http://USER:PASSWORD@HOST:PORT",
        )
    } else {
        (
            "the proxy did not open a connection to the endpoint",
            "check that the proxy lets this process through to the endpoint's host and port",
        )
    };
    Some(Error::new(ErrorCode::UNAVAILABLE, message).hint(hint))
}

/// hyper's resolver says so only in words.
fn is_name_lookup(error: &(dyn StdError + 'static)) -> bool {
    causes(error).any(|cause| {
        let words = cause.to_string();
        words.contains("failed to lookup address information") || words.contains("dns error")
    })
}

/// The SDK's guard against stalled bodies has no public type either; its words are those of version 1.16.
fn is_time_out(error: &(dyn StdError + 'static)) -> bool {
    causes(error).any(|cause| {
        let words = cause.to_string();
        ["timed out", "timeout", "minimum throughput"]
            .iter()
            .any(|sign| words.contains(sign))
    })
}
