//! A plain blocking HTTP client for engines' own loopback addresses: what loads tables, waits for start-up and
//! asks an engine for its raw answers.
//!
//! It follows no redirect, retries nothing and interprets nothing; it must not be called from inside a runtime.

use std::net::SocketAddr;

use anyhow::{Context, anyhow, bail};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{
    Method, Request,
    header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderMap},
};
use hyper_util::rt::TokioIo;
use serde_json::Value;

/// Well-formed credentials that open nothing: the engines want a signature to be there, none checks it.
const SIGNATURE: &str = "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20260101/us-east-1/dynamodb/aws4_request, \
                         SignedHeaders=host;x-amz-date;x-amz-target, Signature=00";

/// An answer, whole.
#[derive(Debug, Clone)]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
}

impl Reply {
    /// The body as JSON; `Null` where it is not.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    /// A header's text, empty where it is absent or not text.
    pub fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or("")
    }
}

/// Sends one DynamoDB operation (`operation` as in `ExecuteStatement`) and gives whatever came back.
///
/// # Errors
/// Nothing listens there, or the connection ended before the answer did.
pub fn dynamodb(url: &str, operation: &str, body: &Value) -> anyhow::Result<Reply> {
    let headers = [
        (CONTENT_TYPE.as_str(), "application/x-amz-json-1.0"),
        ("x-amz-target", &format!("DynamoDB_20120810.{operation}")),
        ("x-amz-date", "20260101T000000Z"),
        (AUTHORIZATION.as_str(), SIGNATURE),
    ];
    send(Method::POST, url, &headers, body.to_string())
}

/// As [`dynamodb`], but an answer other than 200 is an error that shows it.
///
/// # Errors
/// Those of [`dynamodb`], and any answer but 200.
pub fn dynamodb_ok(url: &str, operation: &str, body: &Value) -> anyhow::Result<Value> {
    let reply = dynamodb(url, operation, body)?;
    if reply.status != 200 {
        let text = String::from_utf8_lossy(&reply.body).into_owned();
        bail!("{operation} was answered {}: {text}", reply.status);
    }
    Ok(reply.json())
}

/// Sends one request to `url` (`http://ADDRESS[/path]`, the address numeric) and collects the answer.
///
/// # Errors
/// A URL of another shape, nothing listens there, or the connection ended before the answer did.
pub fn send(
    method: Method,
    url: &str,
    headers: &[(&str, &str)],
    body: impl Into<Bytes>,
) -> anyhow::Result<Reply> {
    let (address, path) = split(url)?;
    let mut request = Request::builder()
        .method(method)
        .uri(path)
        .header(HOST, address.to_string());
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Full::new(body.into()))?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(exchange(address, request))
}

fn split(url: &str) -> anyhow::Result<(SocketAddr, &str)> {
    let rest = url
        .strip_prefix("http://")
        .ok_or_else(|| anyhow!("`{url}` does not begin with http://"))?;
    let path_at = rest.find('/').unwrap_or(rest.len());
    let address = rest[..path_at]
        .parse()
        .with_context(|| format!("`{url}` has no numeric address with a port"))?;
    let path = &rest[path_at..];
    Ok((address, if path.is_empty() { "/" } else { path }))
}

async fn exchange(address: SocketAddr, request: Request<Full<Bytes>>) -> anyhow::Result<Reply> {
    let stream = tokio::net::TcpStream::connect(address).await?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    // Its error, if any, also fails the request below.
    let connection = tokio::spawn(connection);
    let (head, body) = sender.send_request(request).await?.into_parts();
    let body = body.collect().await?.to_bytes();
    connection.abort();
    Ok(Reply {
        status: head.status.as_u16(),
        headers: head.headers,
        body,
    })
}
