//! Who calls, and whether they may.
//!
//! In: a request's headers. Out: the caller, or a refusal. Where the operator gave tokens, each request carries one, and the token's
//! role says what its holder may do. A token with a name is the caller; else the name comes from the header that Heimdall uses, and
//! is as trustworthy as whoever holds the token.

use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use axum::{
    extract::{Request, State},
    http::{HeaderMap, HeaderName, Method, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use serde_json::json;

use super::{
    Shared, paths, site,
    tokens::{LONGEST_NAME, Role, TokenError, Tokens},
};
use crate::{
    config::{Auth, Server},
    error::{Code, HostError},
};

/// The caller of a request, where it is named.
#[derive(Debug, Clone, Default)]
pub(super) struct Caller {
    /// Who calls.
    pub(super) name: Option<String>,
    /// The name of the token, where another one than the caller's.
    pub(super) through: Option<String>,
}

impl Caller {
    /// The caller's name.
    ///
    /// # Errors
    /// Nobody is named: 401.
    pub(super) fn must(&self) -> Result<String, HostError> {
        self.name.clone().ok_or_else(|| {
            HostError::new(
                Code::Unauthenticated,
                "cannot identify the caller: its header is missing or empty",
            )
            .hint("send the caller's name in the header of auth.context.header")
        })
    }
}

/// The rules in force.
#[derive(Debug)]
pub(super) struct Authenticator {
    header: HeaderName,
    /// Empty: none is asked for.
    tokens: RwLock<Arc<Tokens>>,
    /// Names that a host without tokens goes by, beside loopback names and addresses.
    allowed_hosts: Vec<String>,
    has_web_ui: bool,
    pub(super) isolate_users: bool,
}

impl Authenticator {
    pub(super) fn new(auth: &Auth, server: &Server) -> Result<Self, TokenError> {
        Ok(Self {
            header: HeaderName::try_from(auth.header.as_str())
                .expect("the configuration is checked"),
            tokens: RwLock::new(Arc::new(Tokens::load(auth)?)),
            allowed_hosts: server.allowed_hosts.clone(),
            has_web_ui: server.web_ui.is_some(),
            isolate_users: auth.isolate_users,
        })
    }

    pub(super) fn has_tokens(&self) -> bool {
        !self.tokens().is_empty()
    }

    /// Whether these tokens may take the place of those in force.
    ///
    /// # Errors
    /// See [`Tokens::may_replace`].
    pub(super) fn may_take(&self, tokens: &Tokens) -> Result<(), TokenError> {
        tokens.may_replace(&self.tokens())
    }

    /// Puts other tokens in force, for every request from now on.
    pub(super) fn take(&self, tokens: Tokens) {
        *self.tokens.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(tokens);
    }

    fn tokens(&self) -> RwLockReadGuard<'_, Arc<Tokens>> {
        self.tokens.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// The caller of a request that may pass.
    ///
    /// # Errors
    /// 400 for a header given twice, 403 for another host's name or page and for a role that does not reach, 401 without a token
    /// or without a caller.
    fn admit(&self, request: &Request) -> Result<Caller, HostError> {
        let (headers, uri) = (request.headers(), request.uri());
        site::check_once(headers, &self.header)?;
        let tokens = Arc::clone(&self.tokens());
        let named = self.name_in(headers);
        if tokens.is_empty() {
            if !is_probe(uri.path()) {
                site::check_host(headers, uri, &self.allowed_hosts)?;
            }
            site::check_origin(headers, uri)?;
            return self.must_be_named(
                request,
                Caller {
                    name: named,
                    through: None,
                },
            );
        }
        let is_page = paths::is_page(uri.path()) || (uri.path() == "/" && !self.has_web_ui);
        if is_probe(uri.path()) || is_link(uri.path()) || (is_page && reads(request.method())) {
            return Ok(Caller::default());
        }
        let token = headers
            .get(header::AUTHORIZATION)
            .and_then(|value| bearer(value.as_bytes()))
            .and_then(|given| tokens.find(given))
            .ok_or_else(|| {
                HostError::new(
                    Code::Unauthenticated,
                    "the bearer token is missing or wrong",
                )
                .hint("send 'Authorization: Bearer TOKEN' with a token from the host's token file")
            })?;
        let needed = match needed(request.method(), uri.path()) {
            Role::Admin if self.is_for_web_ui(uri.path()) => Role::User,
            needed => needed,
        };
        if token.role < needed {
            // The log line of a refusal has this message: it tells the operator who was refused.
            let whose = token
                .name
                .as_deref()
                .map_or_else(|| "this one".to_owned(), |name| format!("that of '{name}'"));
            let message = format!(
                "a token of the role {} is needed for this, and {whose} has the role {}",
                needed.as_str(),
                token.role.as_str()
            );
            return Err(HostError::new(Code::Forbidden, message)
                .hint("the roles stand in the host's token file: reader, user or admin"));
        }
        let caller = match (&token.name, named) {
            (Some(own), Some(other)) if *own != other => {
                if token.role < Role::Admin {
                    let message = format!(
                        "the token is '{own}', and the header {} names somebody else",
                        self.header
                    );
                    return Err(HostError::new(Code::Forbidden, message).hint(
                        "leave the header out; only a token of the role admin speaks for others",
                    ));
                }
                Caller {
                    name: Some(other),
                    through: Some(own.clone()),
                }
            }
            (own, named) => Caller {
                name: own.clone().or(named),
                through: None,
            },
        };
        self.must_be_named(request, caller)
    }

    fn must_be_named(&self, request: &Request, caller: Caller) -> Result<Caller, HostError> {
        let unnamed_is_fine = reads(request.method()) || self.is_for_web_ui(request.uri().path());
        if caller.name.is_some() || unnamed_is_fine {
            return Ok(caller);
        }
        let message = format!(
            "cannot identify the caller: the header {} is missing or empty",
            self.header
        );
        Err(HostError::new(Code::Unauthenticated, message).hint("send the caller's name in it"))
    }

    /// Whether a path is answered by Heimdall's web UI, which has no rules of its own for callers without a name.
    fn is_for_web_ui(&self, path: &str) -> bool {
        self.has_web_ui && !paths::is_ours(path)
    }

    fn name_in(&self, headers: &HeaderMap) -> Option<String> {
        let name = std::str::from_utf8(headers.get(&self.header)?.as_bytes()).ok()?;
        let name = name.trim();
        (!name.is_empty() && name.len() <= LONGEST_NAME).then(|| name.to_owned())
    }
}

/// What a supervisor asks before it lets requests come.
fn is_probe(path: &str) -> bool {
    matches!(path, "/livez" | "/readyz")
}

/// A link to a result is itself the permission.
fn is_link(path: &str) -> bool {
    path.starts_with("/api/v1/result/")
}

fn reads(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD)
}

/// The least role that a request needs: reading, jobs, or the host itself (plugins, and the status of commands and clusters).
fn needed(method: &Method, path: &str) -> Role {
    if reads(method) {
        Role::Reader
    } else if path == "/api/v1/job" || (path.starts_with("/api/v1/job/") && method == Method::POST)
    {
        Role::User
    } else {
        Role::Admin
    }
}

fn bearer(value: &[u8]) -> Option<&[u8]> {
    let (scheme, token) = value.split_at_checked(7)?;
    scheme
        .eq_ignore_ascii_case(b"bearer ")
        .then(|| token.trim_ascii())
}

/// Lets a request through with its caller, or refuses it.
pub(super) async fn check(State(app): State<Shared>, mut request: Request, next: Next) -> Response {
    let caller = match app.authenticator.admit(&request) {
        Ok(caller) => caller,
        Err(error) => return error.into_response(),
    };
    let spoken_for = caller.through.is_some() && !reads(request.method());
    if spoken_for {
        let fields = [
            ("user", json!(caller.name)),
            ("token", json!(caller.through)),
            ("method", json!(request.method().as_str())),
            ("path", json!(request.uri().path())),
        ];
        app.log.event(
            plugin_api::Level::Info,
            "a token speaks for another user",
            &fields,
        );
    }
    request.extensions_mut().insert(caller.clone());
    let mut response = next.run(request).await;
    // For the line of a refusal.
    response.extensions_mut().insert(caller);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_request_needs_the_least_role_that_fits() {
        for (method, path, role) in [
            ("GET", "/api/v1/plugins", Role::Reader),
            ("HEAD", "/api/v1/jobs", Role::Reader),
            ("POST", "/api/v1/job", Role::User),
            ("POST", "/api/v1/job/x/cancel", Role::User),
            ("POST", "/api/v1/job/x/result/link", Role::User),
            ("POST", "/api/v1/plugins/reload", Role::Admin),
            ("POST", "/api/v1/plugins/dynamo/use", Role::Admin),
            ("PUT", "/api/v1/command/x/status", Role::Admin),
            ("PUT", "/api/v1/cluster/x/status", Role::Admin),
            ("POST", "/what/comes/later", Role::Admin),
        ] {
            let method = Method::from_bytes(method.as_bytes()).unwrap();
            assert_eq!(needed(&method, path), role, "{method} {path}");
        }
    }

    #[test]
    fn a_bearer_token_is_what_follows_the_scheme() {
        for (value, token) in [
            ("Bearer a-token", Some("a-token")),
            ("bearer  a-token ", Some("a-token")),
            ("Bearer ", Some("")),
            ("Basic a-token", None),
            ("é", None),
        ] {
            assert_eq!(
                bearer(value.as_bytes()),
                token.map(str::as_bytes),
                "{value}"
            );
        }
    }
}
