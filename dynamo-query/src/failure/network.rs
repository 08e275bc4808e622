//! Connections that did not come about, broke, or stayed mute. Each message names the host and port that were asked.

use std::{error::Error as StdError, io};

use aws_smithy_runtime_api::client::{
    orchestrator::HttpResponse,
    result::{ConnectorError, SdkError},
};
use plugin_api::{Error, ErrorCode};

use super::{causes, find};
use crate::session::wire::{NetworkError, ProxyAnswered, RequestedHost};

pub(super) fn error_of(error: &(dyn StdError + 'static)) -> Option<Error> {
    error_of_target(error, "the endpoint")
}

/// The same for a request to DynamoDB, whose answer may have begun.
pub(super) fn error_of_answer<E: StdError + 'static>(
    error: &SdkError<E, HttpResponse>,
) -> Option<Error> {
    let host = error
        .raw_response()
        .and_then(|answer| answer.extension::<RequestedHost>());
    error_of_target(error, host.map_or("the endpoint", |host| &host.0))
}

fn error_of_target(error: &(dyn StdError + 'static), host: &str) -> Option<Error> {
    let asked = find::<NetworkError>(error);
    let target = asked.map_or(host, |asked| asked.target.as_str());
    let what = what(error, asked, target)?;
    Some(Error::new(ErrorCode::UNAVAILABLE, what.0).hint(what.1))
}

/// A message and a hint.
type MessageAndHint = (String, String);

fn what(
    error: &(dyn StdError + 'static),
    asked: Option<&NetworkError>,
    target: &str,
) -> Option<MessageAndHint> {
    if let Some(tls) = find::<rustls::Error>(error) {
        return Some((
            format!("the TLS connection to {target} failed: {tls}"),
            "check the endpoint's certificate, and ca_bundle or AWS_CA_BUNDLE where a private authority signs it".to_owned(),
        ));
    }
    let proxy = asked.and_then(|asked| asked.proxy.as_deref());
    if let Some(asked) = asked
        && let Some(proxy) = proxy
        && let Some(refused) = of_proxy(error, asked, proxy)
    {
        return Some(refused);
    }
    let peer = match proxy {
        Some(proxy) => format!("the proxy {proxy} (for {target})"),
        None => target.to_owned(),
    };
    if is_name_lookup(error) {
        let host = proxy.unwrap_or(target);
        return Some((
            format!("the host name of {host} does not resolve"),
            "check the region, which makes the host name, or endpoint_url or proxy, and this machine's DNS".to_owned(),
        ));
    }
    if let Some(io) = find::<io::Error>(error) {
        return Some(of_io(io, &peer));
    }
    let connector = find::<ConnectorError>(error);
    if connector.is_some_and(ConnectorError::is_timeout) || is_time_out(error) {
        return Some(late(&peer));
    }
    (asked.is_some() || connector.is_some()).then(|| lost(target))
}

fn late(peer: &str) -> MessageAndHint {
    (
        format!("{peer} did not answer in time"),
        "check the way to the endpoint (VPC endpoint, proxy, firewall), or raise read_timeout_seconds".to_owned(),
    )
}

fn lost(target: &str) -> MessageAndHint {
    (
        format!("the connection to {target} was lost before the answer was whole"),
        "send the job again later".to_owned(),
    )
}

fn of_io(error: &io::Error, peer: &str) -> MessageAndHint {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => (
            format!("the connection to {peer} was refused"),
            "check the host and port of endpoint_url or proxy, and that something listens there"
                .to_owned(),
        ),
        io::ErrorKind::TimedOut => late(peer),
        io::ErrorKind::NetworkUnreachable | io::ErrorKind::HostUnreachable => (
            format!("there is no way to the network of {peer}"),
            "check this machine's routes, VPC endpoint and proxy".to_owned(),
        ),
        _ => lost(peer),
    }
}

/// The proxy answered, and passed nothing on; of a tunnel, hyper says so only in words.
fn of_proxy(
    error: &(dyn StdError + 'static),
    asked: &NetworkError,
    proxy: &str,
) -> Option<MessageAndHint> {
    let target = &asked.target;
    let words = || causes(error).map(|cause| cause.to_string());
    let status = match find::<ProxyAnswered>(error) {
        Some(answered) => Some(answered.status),
        None => words()
            .find(|words| {
                words.contains("tunnel error") && !words.contains("underlying connection")
            })
            .map(|words| {
                if words.contains("authorization") {
                    407
                } else {
                    0
                }
            }),
    }?;
    Some(match status {
        407 if asked.with_password => (
            format!("the proxy {proxy} refused the user name and password that it was given (for {target})"),
            "correct user and password in the proxy's URL; characters other than letters and digits are written as %XX".to_owned(),
        ),
        407 => (
            format!("the proxy {proxy} asks for a user name and password (for {target})"),
            "write them into the proxy's URL, as http://USER:PASSWORD@HOST:PORT".to_owned(),
        ),
        0 => (
            format!("the proxy {proxy} did not open a connection to {target}"),
            "check that the proxy lets this process through to that host and port, or name the host in NO_PROXY".to_owned(),
        ),
        status => (
            format!("the proxy {proxy} answered HTTP {status} instead of {target}"),
            "check that the proxy lets this process through to that host and port, or name the host in NO_PROXY".to_owned(),
        ),
    })
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
        [
            "timed out",
            "timeout",
            "minimum throughput",
            "deadline has elapsed",
        ]
        .iter()
        .any(|sign| words.contains(sign))
    })
}
