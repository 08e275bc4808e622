//! Who calls.
//!
//! In: a request's headers. Out: the caller's name, or a refusal. Where the operator gave tokens, each request carries one;
//! the name comes from the header that Heimdall uses, and is as trustworthy as whoever holds a token.

use std::path::{Path, PathBuf};
use std::sync::{RwLock, RwLockReadGuard};

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use subtle::ConstantTimeEq;

use super::Shared;
use crate::config::Auth;
use crate::error::{Code, HostError};

/// Names longer than this are nobody's.
const LONGEST_NAME: usize = 256;

/// The caller of a request, where it is named.
#[derive(Debug, Clone, Default)]
pub(super) struct Caller(pub(super) Option<String>);

/// The rules in force.
#[derive(Debug)]
pub(super) struct Gate {
    header: HeaderName,
    /// Empty: none is asked for.
    tokens: RwLock<Vec<String>>,
    pub(super) isolate_users: bool,
}

/// Why a token file cannot be used. Operator: the file.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// It cannot be read.
    #[error("cannot read the token file {path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// It holds nothing that could be a token.
    #[error(
        "the token file {path} holds no token: write one a line, of printable characters without spaces"
    )]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// A running host asks for tokens, and its configuration no longer names any.
    #[error(
        "auth.token_file is gone, and a running host does not stop asking for tokens: start it again for that"
    )]
    Gone,
}

impl Gate {
    pub(super) fn new(auth: &Auth) -> Result<Self, TokenError> {
        Ok(Self {
            header: HeaderName::try_from(auth.header.as_str())
                .expect("the configuration is checked"),
            tokens: RwLock::new(tokens(auth)?),
            isolate_users: auth.isolate_users,
        })
    }

    pub(super) fn has_tokens(&self) -> bool {
        !self.tokens().is_empty()
    }

    /// Whether these tokens may take the place of those in force.
    ///
    /// # Errors
    /// They would open a host to everyone that asks for tokens now.
    pub(super) fn may_take(&self, tokens: &[String]) -> Result<(), TokenError> {
        if tokens.is_empty() && self.has_tokens() {
            return Err(TokenError::Gone);
        }
        Ok(())
    }

    /// Puts other tokens in force, for every request from now on.
    pub(super) fn take(&self, tokens: Vec<String>) {
        *self
            .tokens
            .write()
            .expect("nothing panics while it holds the tokens") = tokens;
    }

    fn tokens(&self) -> RwLockReadGuard<'_, Vec<String>> {
        self.tokens
            .read()
            .expect("nothing panics while it holds the tokens")
    }

    fn admits(&self, headers: &HeaderMap) -> bool {
        let tokens = self.tokens();
        if tokens.is_empty() {
            return true;
        }
        let Some(given) = headers
            .get(header::AUTHORIZATION)
            .and_then(|value| bearer(value.as_bytes()))
        else {
            return false;
        };
        // Every token is compared in full, so that the time tells nothing about any of them.
        tokens
            .iter()
            .fold(subtle::Choice::from(0), |found, token| {
                found | token.as_bytes().ct_eq(given)
            })
            .into()
    }

    fn caller(&self, headers: &HeaderMap) -> Caller {
        let name = headers
            .get(&self.header)
            .and_then(|value| std::str::from_utf8(value.as_bytes()).ok());
        let name = name
            .map(str::trim)
            .filter(|name| !name.is_empty() && name.len() <= LONGEST_NAME);
        Caller(name.map(str::to_owned))
    }
}

fn bearer(value: &[u8]) -> Option<&[u8]> {
    let (scheme, token) = value.split_at_checked(7)?;
    scheme
        .eq_ignore_ascii_case(b"bearer ")
        .then(|| token.trim_ascii())
}

/// The tokens that a configuration names; none where it names no file.
pub(super) fn tokens(auth: &Auth) -> Result<Vec<String>, TokenError> {
    auth.token_file
        .as_deref()
        .map_or_else(|| Ok(Vec::new()), read_tokens)
}

fn read_tokens(path: &Path) -> Result<Vec<String>, TokenError> {
    let text = std::fs::read_to_string(path).map_err(|source| TokenError::Read {
        path: path.to_owned(),
        source,
    })?;
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let tokens: Vec<String> = lines.map(str::to_owned).collect();
    if tokens.is_empty()
        || tokens
            .iter()
            .any(|token| !token.bytes().all(|byte| byte.is_ascii_graphic()))
    {
        return Err(TokenError::Empty {
            path: path.to_owned(),
        });
    }
    Ok(tokens)
}

/// Lets a request through with its caller, or refuses it.
pub(super) async fn check(State(app): State<Shared>, mut request: Request, next: Next) -> Response {
    if !app.gate.admits(request.headers()) {
        let error = HostError::new(
            Code::Unauthenticated,
            "the bearer token is missing or wrong",
        )
        .hint("send 'Authorization: Bearer TOKEN' with a token from the host's token file");
        return error.into_response();
    }
    let caller = app.gate.caller(request.headers());
    let reads = matches!(*request.method(), Method::GET | Method::HEAD);
    if caller.0.is_none() && !reads {
        let message = format!(
            "cannot identify the caller: the header {} is missing or empty",
            app.gate.header
        );
        let error =
            HostError::new(Code::Unauthenticated, message).hint("send the caller's name in it");
        return error.into_response();
    }
    request.extensions_mut().insert(caller);
    next.run(request).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_admit_exactly_themselves() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("tokens");
        std::fs::write(&file, "first-token\n\n second \n").unwrap();
        let auth = |token_file| Auth {
            header: "X-Heimdall-User".into(),
            token_file,
            isolate_users: false,
        };
        let gate = Gate::new(&auth(Some(file.clone()))).unwrap();
        for (value, admitted) in [
            (Some("Bearer first-token"), true),
            (Some("bearer second"), true),
            (Some("Bearer first-toke"), false),
            (Some("Bearer first-tokenx"), false),
            (Some("Bearer "), false),
            (Some("Basic first-token"), false),
            (Some("é"), false),
            (None, false),
        ] {
            let headers = value.map(|value| (header::AUTHORIZATION, value.parse().unwrap()));
            assert_eq!(
                gate.admits(&headers.into_iter().collect()),
                admitted,
                "{value:?}"
            );
        }
        assert!(Gate::new(&auth(None)).unwrap().admits(&HeaderMap::new()));
        std::fs::write(&file, "\n\n").unwrap();
        assert!(matches!(
            Gate::new(&auth(Some(file))),
            Err(TokenError::Empty { .. })
        ));
    }
}
