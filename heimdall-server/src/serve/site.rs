//! Whether a request may come from a web page of somebody else.
//!
//! In: a request's headers and the names that the host goes by. Out: nothing, or a refusal. A host without tokens trusts whoever
//! reaches it, and a browser on the operator's machine reaches it for every page that it shows; so `Host` must be a name that no
//! foreign page can have, and `Origin` must be the host's own (DNS rebinding, cross-site requests).

use std::net::IpAddr;

use axum::http::{HeaderMap, HeaderName, Uri, header};

use crate::error::{Code, HostError};

/// Headers that a request has once at most: a second one would be read by one program and not by the next.
const ONCE: [HeaderName; 7] = [
    header::AUTHORIZATION,
    header::CONTENT_LENGTH,
    header::CONTENT_TYPE,
    header::HOST,
    header::ORIGIN,
    header::REFERER,
    header::USER_AGENT,
];

/// Refuses a request in which a header comes twice that must come once.
///
/// # Errors
/// 400, naming the header.
pub(super) fn check_once(headers: &HeaderMap, caller: &HeaderName) -> Result<(), HostError> {
    for name in ONCE.iter().chain([caller]) {
        if headers.get_all(name).iter().nth(1).is_some() {
            let message = format!("the header {name} is given twice");
            return Err(HostError::new(Code::InvalidRequest, message).hint("send it once"));
        }
    }
    Ok(())
}

/// Refuses a request whose `Host` is a name that this host does not go by.
///
/// # Errors
/// 403, naming the setting.
pub(super) fn check_host(
    headers: &HeaderMap,
    uri: &Uri,
    allowed: &[String],
) -> Result<(), HostError> {
    let Some(host) = host_of(headers, uri) else {
        return Err(forbidden("the request names no host")
            .hint("send the header Host, as every HTTP/1.1 client does"));
    };
    let known = Authority::parse(host).is_some_and(|host| {
        host.is_own()
            || allowed
                .iter()
                .any(|name| host.name.eq_ignore_ascii_case(name))
    });
    if known {
        return Ok(());
    }
    let message = format!("this host does not go by the name '{host}'");
    Err(forbidden(message)
        .hint("the operator can add the name to server.allowed_hosts, or set auth.token_file"))
}

/// Refuses a request that a page of another host sent.
///
/// # Errors
/// 403.
pub(super) fn check_origin(headers: &HeaderMap, uri: &Uri) -> Result<(), HostError> {
    let Some(origin) = headers.get(header::ORIGIN) else {
        return Ok(());
    };
    let own = host_of(headers, uri).and_then(Authority::parse);
    let same = own.zip(origin.to_str().ok()).is_some_and(|(own, origin)| {
        let (scheme, authority) = origin.split_once("://").unwrap_or_default();
        let port = match scheme {
            "http" => 80,
            "https" => 443,
            _ => return false,
        };
        Authority::parse(authority).is_some_and(|other| {
            own.name.eq_ignore_ascii_case(other.name)
                && own.port.unwrap_or(port) == other.port.unwrap_or(port)
        })
    });
    if same {
        return Ok(());
    }
    Err(
        forbidden("the request comes from a web page of another host")
            .hint("a page may call the host that it was loaded from, and no other"),
    )
}

fn forbidden(message: impl Into<String>) -> HostError {
    HostError::new(Code::Forbidden, message)
}

/// The `Host` header, or what stands in its place where the request line has the whole address.
fn host_of<'a>(headers: &'a HeaderMap, uri: &'a Uri) -> Option<&'a str> {
    match headers.get(header::HOST) {
        Some(host) => host.to_str().ok(),
        None => uri.authority().map(|authority| authority.as_str()),
    }
}

/// `NAME[:PORT]`.
struct Authority<'a> {
    name: &'a str,
    port: Option<u16>,
}

impl<'a> Authority<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let (name, port) = match text.strip_prefix('[') {
            Some(rest) => {
                let (name, port) = rest.split_once(']')?;
                let port = match port {
                    "" => None,
                    port => Some(port.strip_prefix(':')?),
                };
                (name, port)
            }
            None => match text.split_once(':') {
                Some((name, port)) => (name, Some(port)),
                None => (text, None),
            },
        };
        let digits =
            |port: &str| !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
        let port = match port {
            None => None,
            Some(port) if digits(port) => Some(port.parse().ok()?),
            Some(_) => return None,
        };
        (!name.is_empty()).then_some(Self { name, port })
    }

    /// A name that only this machine has, or an address: a foreign page can have neither.
    fn is_own(&self) -> bool {
        let name = self.name.strip_suffix('.').unwrap_or(self.name);
        let lower = name.to_ascii_lowercase();
        name.parse::<IpAddr>().is_ok() || lower == "localhost" || lower.ends_with(".localhost")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, value.parse().unwrap());
        }
        headers
    }

    #[test]
    fn only_loopback_names_addresses_and_allowed_names_are_the_hosts() {
        let allowed = ["jobs.example.org".to_owned()];
        for (host, taken) in [
            ("localhost", true),
            ("LOCALHOST:9090", true),
            ("app.localhost:1", true),
            ("localhost.", true),
            ("127.0.0.1:9090", true),
            ("192.0.2.7", true),
            ("[::1]:9090", true),
            ("[::1]", true),
            ("jobs.example.org:9090", true),
            ("Jobs.Example.org", true),
            ("evil.example", false),
            ("evil.example:9090", false),
            ("localhost.evil.example", false),
            ("127.0.0.1.evil.example", false),
            ("notlocalhost", false),
            ("localhost:x", false),
            ("localhost:", false),
            ("localhost:99999", false),
            ("[::1", false),
            ("", false),
            ("user@localhost", false),
        ] {
            let outcome = check_host(
                &headers(&[("host", host)]),
                &Uri::from_static("/"),
                &allowed,
            );
            assert_eq!(outcome.is_ok(), taken, "{host}: {outcome:?}");
        }
        let none = HeaderMap::new();
        assert!(check_host(&none, &Uri::from_static("/"), &allowed).is_err());
        let absolute = Uri::from_static("http://evil.example/");
        assert!(check_host(&none, &absolute, &allowed).is_err());
    }

    #[test]
    fn an_origin_has_the_host_and_port_of_host() {
        for (host, origin, taken) in [
            ("localhost:9090", "http://localhost:9090", true),
            ("localhost:9090", "https://LOCALHOST:9090", true),
            ("localhost", "http://localhost", true),
            ("localhost", "http://localhost:80", true),
            ("localhost:443", "https://localhost", true),
            ("[::1]:9090", "http://[::1]:9090", true),
            ("localhost", "https://localhost:80", false),
            ("localhost:9090", "http://localhost", false),
            ("localhost:9090", "http://localhost:9091", false),
            ("localhost:9090", "http://127.0.0.1:9090", false),
            ("localhost:9090", "http://evil.example", false),
            ("localhost:9090", "null", false),
            ("localhost:9090", "ftp://localhost:9090", false),
            ("localhost:9090", "http://localhost:9090/", false),
            ("localhost:9090", "", false),
        ] {
            let headers = headers(&[("host", host), ("origin", origin)]);
            let outcome = check_origin(&headers, &Uri::from_static("/"));
            assert_eq!(outcome.is_ok(), taken, "{host} {origin}: {outcome:?}");
        }
        assert!(check_origin(&headers(&[("host", "x")]), &Uri::from_static("/")).is_ok());
    }

    #[test]
    fn a_header_that_must_come_once_comes_once() {
        let caller = HeaderName::from_static("x-heimdall-user");
        for name in [
            "x-heimdall-user",
            "authorization",
            "host",
            "content-length",
            "origin",
        ] {
            let twice = headers(&[(name, "a"), (name, "a")]);
            let error = check_once(&twice, &caller).unwrap_err();
            assert!(error.message.contains(name), "{error}");
        }
        let fine = headers(&[("x-heimdall-user", "a"), ("accept", "a"), ("accept", "b")]);
        assert!(check_once(&fine, &caller).is_ok());
    }
}
