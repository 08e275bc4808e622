//! Made-up temporary credentials: what the scripted STS and the metadata endpoints hand out.
//!
//! Every set is numbered, so that a test can tell from a request's signature which one was used, and recognisable,
//! so that a test can search logs and errors for any part of one.

use std::time::{Duration, SystemTime};

use time::{OffsetDateTime, format_description::well_known::Rfc3339};

/// What the secret part of every set begins with.
pub const SECRET_MARK: &str = "EngineSecret";

/// What the token of every set begins with.
pub const TOKEN_MARK: &str = "EngineToken";

/// One set of temporary credentials.
#[derive(Debug, Clone, PartialEq)]
pub struct Session {
    /// The access key id: `ASIA`, the source in four capitals, and the number in twelve digits.
    pub access_key: String,
    /// The secret access key.
    pub secret: String,
    /// The session token.
    pub token: String,
    /// When it expires, in RFC 3339 as AWS writes it.
    pub expiration: String,
}

impl Session {
    /// Set `number` of `source` (four capitals), good for `lifetime` from now.
    pub(crate) fn issue(source: &str, number: usize, lifetime: Duration) -> Session {
        // AWS writes whole seconds; rounding down would make a session of under a second one of the past.
        let expires = OffsetDateTime::from(SystemTime::now() + lifetime) + time::Duration::SECOND;
        let expires = expires.replace_nanosecond(0).unwrap_or(expires);
        Session {
            access_key: format!("ASIA{source}{number:012}"),
            secret: format!("{SECRET_MARK}{source}{number:020}"),
            token: format!("{TOKEN_MARK}{source}{number:012}=="),
            expiration: expires
                .format(&Rfc3339)
                .expect("a date of this century can be written"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_have_the_shape_that_aws_gives_them() {
        let session = Session::issue("ROLE", 7, Duration::from_secs(60));
        assert_eq!(session.access_key, "ASIAROLE000000000007");
        assert_eq!(session.secret.len(), 36);
        assert_eq!(session.expiration.len(), "2026-01-01T00:00:00Z".len());
        assert!(session.expiration.ends_with('Z'));
    }
}
