//! The floor: the bodies fetched over one connection with hyper alone, counted and dropped. No SDK, no signature.

use anyhow::{Context, ensure};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpStream;

use crate::{
    aws::{STATEMENT, runtime},
    measure::{Made, measured},
    undecoded::Tail,
};

pub(crate) fn run(url: &str) -> anyhow::Result<Value> {
    let address = url.strip_prefix("http://").context("not an http:// URL")?;
    let runtime = runtime()?;
    measured(|| runtime.block_on(fetch(address)))
}

async fn fetch(address: &str) -> anyhow::Result<Made> {
    let stream = TcpStream::connect(address).await?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake::<_, Full<Bytes>>(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    let (mut wire_bytes, mut next_token) = (0, None::<String>);
    loop {
        let body = match next_token {
            Some(token) => json!({"Statement": STATEMENT, "NextToken": token}).to_string(),
            None => json!({"Statement": STATEMENT}).to_string(),
        };
        let request = Request::post("/")
            .header("host", address)
            .header("content-type", "application/x-amz-json-1.0")
            .header("x-amz-target", "DynamoDB_20120810.ExecuteStatement")
            .body(Full::new(Bytes::from(body)))?;
        let mut response = sender.send_request(request).await?;
        ensure!(response.status() == 200, "answered {}", response.status());
        let mut tail = Tail::default();
        while let Some(frame) = response.body_mut().frame().await {
            if let Ok(data) = frame?.into_data() {
                tail.take(&data);
            }
        }
        wire_bytes += tail.n_bytes();
        next_token = tail.next_token();
        if next_token.is_none() {
            return Ok(Made {
                wire_bytes,
                rows: 0,
                result_bytes: 0,
            });
        }
    }
}
