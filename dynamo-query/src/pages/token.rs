//! `next_token`: where a job goes on that continues another, as text that the caller keeps and gives back.
//!
//! In: a position in the pages of one statement. Out: base64url of version, digest, DynamoDB's own token and its `Limit`, rows to skip, and
//! a checksum. The digest binds it to statement, parameters, consistency, endpoint, region, table and index: DynamoDB itself may take its
//! token under another statement. It holds on every host and in every process of the same major version. It is data: never logged.

use aws_sdk_dynamodb::types::AttributeValue;
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use plugin_api::{Error, ErrorCode};
use sha2::{Digest, Sha256};

use crate::{job::Job, session::Session, statement::Statement};

/// The form of what follows; another one is another number.
const VERSION: u8 = 1;
/// So much of the SHA-256 digest is kept: enough that no two statements meet by chance.
const DIGEST_BYTES: usize = 16;
/// The contract's most characters.
const MAX_CHARS: usize = 65_536;
/// Stands for a request without `Limit`.
const NO_LIMIT: u32 = 0;

/// A position between two rows of a statement's result.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct PagePosition {
    /// DynamoDB's token for the page in which the position lies; `None`: the first page.
    pub(crate) token: Option<String>,
    /// The `Limit` of the request that gave that token: a service may want it again with the token.
    pub(crate) limit: Option<i32>,
    /// Rows from the page's first one to the position, on into later pages where this one has fewer.
    pub(crate) skip: u64,
}

/// What a token is bound to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Binding([u8; DIGEST_BYTES]);

impl Binding {
    pub(crate) fn new(job: &Job, statement: &Statement, session: &Session) -> Self {
        let mut digest = Sha256::new();
        text(&mut digest, &statement.text);
        text(&mut digest, &statement.table);
        optional(&mut digest, statement.index.as_deref());
        values(&mut digest, &job.parameters);
        digest.update([u8::from(job.consistent_read)]);
        optional(&mut digest, session.endpoint.as_deref());
        text(&mut digest, &session.region);
        let mut kept = [0; DIGEST_BYTES];
        kept.copy_from_slice(&digest.finalize()[..DIGEST_BYTES]);
        Self(kept)
    }

    /// The token of a position; `None` where DynamoDB's own is longer than any that it gives.
    pub(crate) fn write(&self, position: &PagePosition) -> Option<String> {
        let mut bytes = vec![VERSION];
        bytes.extend_from_slice(&self.0);
        bytes.extend_from_slice(&position.skip.to_be_bytes());
        let limit = position.limit.and_then(|limit| u32::try_from(limit).ok());
        bytes.extend_from_slice(&limit.unwrap_or(NO_LIMIT).to_be_bytes());
        bytes.extend_from_slice(position.token.as_deref().unwrap_or_default().as_bytes());
        bytes.extend_from_slice(&crc32fast::hash(&bytes).to_be_bytes());
        Some(BASE64_URL_SAFE_NO_PAD.encode(bytes)).filter(|token| token.len() <= MAX_CHARS)
    }

    /// The position of a token.
    ///
    /// # Errors
    /// `INVALID_JOB` where it is damaged, of another major version or of another statement.
    pub(crate) fn read(&self, token: &str) -> Result<PagePosition, Error> {
        let bytes = BASE64_URL_SAFE_NO_PAD
            .decode(token)
            .map_err(|_| damaged())?;
        let (body, checksum) = bytes.split_last_chunk::<4>().ok_or_else(damaged)?;
        if crc32fast::hash(body) != u32::from_be_bytes(*checksum) {
            return Err(damaged());
        }
        match body.first() {
            Some(&VERSION) => self.read_body(&body[1..]),
            _ => Err(refused(
                "context.next_token is of another version of the plugin",
            )),
        }
    }

    fn read_body(&self, body: &[u8]) -> Result<PagePosition, Error> {
        let (digest, rest) = body.split_first_chunk().ok_or_else(damaged)?;
        let (skip, rest) = rest.split_first_chunk().ok_or_else(damaged)?;
        let (limit, token) = rest.split_first_chunk().ok_or_else(damaged)?;
        if *digest != self.0 {
            return Err(refused(
                "context.next_token is of another statement, parameters, consistent_read, endpoint or region",
            ));
        }
        let token = std::str::from_utf8(token).map_err(|_| damaged())?;
        Ok(PagePosition {
            token: Some(token.to_owned()).filter(|token| !token.is_empty()),
            limit: i32::try_from(u32::from_be_bytes(*limit))
                .ok()
                .filter(|limit| *limit > 0),
            skip: u64::from_be_bytes(*skip),
        })
    }
}

/// For the fuzz target: see [`crate::fuzzing::next_token`].
#[cfg(feature = "fuzzing")]
pub(crate) fn fuzz(bytes: &[u8]) {
    let (ours, others) = (Binding([7; DIGEST_BYTES]), Binding([8; DIGEST_BYTES]));
    if let Ok(text) = std::str::from_utf8(bytes) {
        assert!(ours.read(text).is_err(), "nobody made {text:?} of ours");
    }
    let mut body = [&[VERSION], &ours.0[..], bytes].concat();
    body.extend_from_slice(&crc32fast::hash(&body).to_be_bytes());
    let token = BASE64_URL_SAFE_NO_PAD.encode(&body);
    let Ok(position) = ours.read(&token) else {
        return;
    };
    assert!(others.read(&token).is_err());
    if let Some(written) = ours.write(&position) {
        assert_eq!(ours.read(&written).as_ref(), Ok(&position));
    }
}

fn damaged() -> Error {
    refused("context.next_token is damaged")
}

fn refused(message: &str) -> Error {
    Error::new(ErrorCode::INVALID_JOB, message)
        .field("context.next_token")
        .hint("give stats.next_token of a result unchanged, with the very job that it came from, or leave it out to start again")
}

/// Each text with its length, so that no two lists of texts give the same bytes.
fn text(digest: &mut Sha256, text: &str) {
    digest.update((text.len() as u64).to_be_bytes());
    digest.update(text);
}

fn optional(digest: &mut Sha256, value: Option<&str>) {
    digest.update([u8::from(value.is_some())]);
    text(digest, value.unwrap_or_default());
}

fn values(digest: &mut Sha256, list: &[AttributeValue]) {
    digest.update((list.len() as u64).to_be_bytes());
    list.iter().for_each(|item| value(digest, item));
}

fn value(digest: &mut Sha256, value: &AttributeValue) {
    let mut texts = |kind: &str, texts: &[&str]| {
        text(digest, kind);
        digest.update((texts.len() as u64).to_be_bytes());
        texts.iter().for_each(|one| text(digest, one));
    };
    match value {
        AttributeValue::S(one) => texts("S", &[one]),
        AttributeValue::N(one) => texts("N", &[one]),
        AttributeValue::Bool(one) => texts("BOOL", &[if *one { "true" } else { "false" }]),
        AttributeValue::Ss(list) => texts("SS", &strs(list)),
        AttributeValue::Ns(list) => texts("NS", &strs(list)),
        AttributeValue::B(one) => bytes(digest, "B", &[one]),
        AttributeValue::Bs(list) => bytes(digest, "BS", &list.iter().collect::<Vec<_>>()),
        AttributeValue::L(list) => {
            text(digest, "L");
            values(digest, list);
        }
        AttributeValue::M(map) => {
            text(digest, "M");
            let mut members: Vec<_> = map.iter().collect();
            members.sort_unstable_by_key(|(name, _)| *name);
            digest.update((members.len() as u64).to_be_bytes());
            for (name, member) in members {
                text(digest, name);
                self::value(digest, member);
            }
        }
        // NULL, and whatever an SDK of the future may add, which no parameter can be.
        _ => texts("NULL", &[]),
    }
}

fn strs(list: &[String]) -> Vec<&str> {
    list.iter().map(String::as_str).collect()
}

fn bytes(digest: &mut Sha256, kind: &str, list: &[&aws_sdk_dynamodb::primitives::Blob]) {
    text(digest, kind);
    digest.update((list.len() as u64).to_be_bytes());
    for one in list {
        digest.update((one.as_ref().len() as u64).to_be_bytes());
        digest.update(one.as_ref());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn position(token: Option<&str>, limit: Option<i32>, skip: u64) -> PagePosition {
        PagePosition {
            token: token.map(str::to_owned),
            limit,
            skip,
        }
    }

    const THIS: Binding = Binding([1; DIGEST_BYTES]);

    #[test]
    fn a_position_comes_back_as_it_was() {
        let longest = "t".repeat(32_768);
        for position in [
            PagePosition::default(),
            position(Some("token/+="), None, 0),
            position(Some(&longest), Some(i32::MAX), u64::MAX),
        ] {
            let token = THIS.write(&position).expect("short enough");
            assert!(token.len() <= 65_536);
            assert!(
                token
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
            );
            assert_eq!(THIS.read(&token).unwrap(), position);
        }
        assert_eq!(
            THIS.write(&position(Some(&"t".repeat(60_000)), None, 0)),
            None
        );
    }

    #[test]
    fn a_token_that_is_damaged_anywhere_or_of_another_statement_is_refused() {
        let token = THIS.write(&position(Some("abc"), Some(5), 7)).unwrap();
        for at in 0..token.len() {
            let mut damaged = token.clone().into_bytes();
            damaged[at] = if damaged[at] == b'A' { b'B' } else { b'A' };
            let damaged = String::from_utf8(damaged).unwrap();
            let error = THIS.read(&damaged).unwrap_err();
            assert_eq!(error.code, ErrorCode::INVALID_JOB);
            assert_eq!(error.field.as_deref(), Some("context.next_token"));
            assert!(THIS.read(&token[..at]).is_err());
        }
        let other = Binding([2; DIGEST_BYTES]).read(&token).unwrap_err();
        assert!(other.message.contains("another statement"), "{other}");
        for text in ["", "%", "page-1"] {
            assert!(THIS.read(text).is_err(), "{text}");
        }
    }
}
