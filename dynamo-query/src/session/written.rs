//! Credentials as JSON, as a helper prints them and an instance's metadata service gives them.

use std::time::SystemTime;

use aws_credential_types::Credentials;
use aws_smithy_types::date_time::{DateTime, Format};
use serde::Deserialize;

/// The document. A helper calls the token `SessionToken`, the metadata service `Token`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Written {
    pub(super) version: Option<serde_json::Value>,
    /// What the metadata service says of success.
    pub(super) code: Option<String>,
    access_key_id: Option<String>,
    secret_access_key: Option<String>,
    #[serde(alias = "Token")]
    session_token: Option<String>,
    expiration: Option<String>,
    account_id: Option<String>,
}

/// The credentials in the document, or what it lacks.
pub(super) fn credentials(
    written: Written,
    provider: &'static str,
    account_id: Option<&str>,
) -> Result<Credentials, &'static str> {
    let filled = |field: Option<String>| field.filter(|text| !text.is_empty());
    let expiration = match written.expiration {
        None => None,
        Some(text) => {
            let time = DateTime::from_str(&text, Format::DateTimeWithOffset);
            let time = time.ok().and_then(|time| SystemTime::try_from(time).ok());
            Some(time.ok_or("an Expiration that is no time")?)
        }
    };
    let mut builder = Credentials::builder()
        .access_key_id(filled(written.access_key_id).ok_or("no AccessKeyId")?)
        .secret_access_key(filled(written.secret_access_key).ok_or("no SecretAccessKey")?)
        .provider_name(provider);
    builder.set_session_token(filled(written.session_token));
    builder.set_expiry(expiration);
    let account_id = filled(written.account_id).or(account_id.map(str::to_owned));
    builder.set_account_id(account_id.map(Into::into));
    Ok(builder.build())
}
