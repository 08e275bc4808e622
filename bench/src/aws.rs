//! The SDK's client as the plugin sets it up (retries, stalled-stream protection, signing), for plain HTTP on loopback.

use anyhow::Context;
use aws_credential_types::Credentials;
use aws_sdk_dynamodb::{
    Client,
    config::{BehaviorVersion, Config, Region},
    operation::execute_statement::{
        ExecuteStatementOutput, builders::ExecuteStatementFluentBuilder,
    },
    types::ReturnConsumedCapacity,
};

/// The one statement of every client.
pub(crate) const STATEMENT: &str = "SELECT * FROM bench";

/// A runtime on this thread: the least that the SDK needs.
pub(crate) fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("no runtime")
}

pub(crate) fn client(url: &str) -> Client {
    let config = Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::from_static("us-east-1"))
        .endpoint_url(url)
        // Any will do: the server checks no signature.
        .credentials_provider(Credentials::new(
            "AKIDEXAMPLE",
            "bench",
            None,
            None,
            "bench",
        ))
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .build();
    Client::from_conf(config)
}

/// The request for the page that `next_token` asks for.
pub(crate) fn request(
    client: &Client,
    next_token: Option<String>,
) -> ExecuteStatementFluentBuilder {
    client
        .execute_statement()
        .statement(STATEMENT)
        .set_next_token(next_token)
        .return_consumed_capacity(ReturnConsumedCapacity::Total)
}

/// Reads all pages as the SDK's typed items; what each page holds goes to `take`.
pub(crate) async fn read_typed(
    client: &Client,
    mut take: impl FnMut(ExecuteStatementOutput),
) -> anyhow::Result<()> {
    let mut next_token = None;
    loop {
        let mut page = request(client, next_token).send().await?;
        next_token = page.next_token.take();
        take(page);
        if next_token.is_none() {
            return Ok(());
        }
    }
}
