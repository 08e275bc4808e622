//! Proxies by the cluster's field or by the environment, as the AWS CLI understands them.
//!
//! In: the settings' texts. Out: for each target, the proxy to it or none. A setting that cannot be understood is an error, never a
//! direct connection; nothing here shows a proxy's user or password.

use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use plugin_api::{Error, ErrorCode};

use super::Environment;
use crate::job::is_url;

/// Where credentials of a machine or container come from; never through a proxy, which would give its own.
const METADATA_HOSTS: [&str; 5] = [
    "169.254.169.254",
    "169.254.170.2",
    "169.254.170.23",
    "[fd00:ec2::254]",
    "[fd00:ec2::23]",
];

/// One proxy.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct Proxy {
    /// Its URL in a form that every parser reads the same way.
    pub(super) url: String,
    /// Its host and port, for messages.
    pub(super) host: String,
    /// User and password, as they are sent.
    pub(super) login: Option<(String, String)>,
}

/// Which proxies are used for what.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(super) struct Proxies {
    http: Option<Proxy>,
    https: Option<Proxy>,
    /// `NO_PROXY` as it stands.
    except: String,
}

impl Proxies {
    /// The cluster's proxy for everything, else the environment's.
    pub(super) fn of(cluster: Option<&str>, environment: &Environment) -> Result<Self, Error> {
        if let Some(url) = cluster {
            let proxy = Proxy::parse("cluster.context.proxy", url)?;
            return Ok(Self {
                http: Some(proxy.clone()),
                https: Some(proxy),
                except: String::new(),
            });
        }
        let proxy = |name| {
            let variable = environment.proxy_variable(name);
            variable
                .map(|(name, url)| Proxy::parse(name, url))
                .transpose()
        };
        let except = environment.proxy_variable("no_proxy");
        Ok(Self {
            http: proxy("http_proxy")?,
            https: proxy("https_proxy")?,
            except: except.map_or_else(String::new, |(_, hosts)| hosts.to_owned()),
        })
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Proxy> {
        self.http.iter().chain(&self.https)
    }

    /// The proxy to a target, whose authority is as the request names it.
    pub(super) fn to(&self, is_https: bool, authority: &str) -> Option<&Proxy> {
        let proxy = if is_https { &self.https } else { &self.http };
        proxy.as_ref().filter(|_| !self.is_excepted(authority))
    }

    /// As Python's `urllib`, which the AWS CLI asks: `*` alone is everything; else names, addresses and suffixes, with a port or without.
    fn is_excepted(&self, authority: &str) -> bool {
        let authority = authority.to_ascii_lowercase();
        let host = host_of(&authority);
        if METADATA_HOSTS.contains(&host) || self.except.trim() == "*" {
            return true;
        }
        let names = self
            .except
            .split(',')
            .map(|name| name.trim().trim_start_matches('.').to_ascii_lowercase());
        names.filter(|name| !name.is_empty()).any(|name| {
            let is_it = |text: &str| {
                text == name
                    || text
                        .strip_suffix(name.as_str())
                        .is_some_and(|rest| rest.ends_with('.'))
            };
            is_it(host) || is_it(&authority) || host == format!("[{name}]")
        })
    }
}

/// The host of `HOST:PORT`; an IPv6 address keeps its brackets.
fn host_of(authority: &str) -> &str {
    match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => authority,
    }
}

impl Proxy {
    fn parse(setting: &str, url: &str) -> Result<Self, Error> {
        // The value may hold a password, so it is not shown.
        let unusable = |what: &str| {
            let error = Error::new(ErrorCode::INVALID_JOB, format!("{setting} {what}"))
                .hint("write it as http://HOST:PORT or http://USER:PASSWORD@HOST:PORT, with other characters than letters and digits of user and password as %XX");
            if setting.contains('.') {
                error.field(setting)
            } else {
                error
            }
        };
        if url
            .chars()
            .any(|c| c.is_whitespace() || c.is_control() || "\"'`\\".contains(c))
        {
            return Err(unusable(
                "holds a blank, a quote or a control character, so it is not a proxy's URL",
            ));
        }
        let url = match url.split_once("://") {
            Some(_) => url.to_owned(),
            None => format!("http://{}", url.trim_start_matches("//")),
        };
        let (scheme, rest) = url.split_once("://").unwrap_or_default();
        let scheme = scheme.to_ascii_lowercase();
        if scheme != "http" && scheme != "https" {
            let named: String = scheme
                .chars()
                .filter(char::is_ascii_alphanumeric)
                .take(10)
                .collect();
            return Err(unusable(&format!(
                "names the scheme {named}, which is not supported; only http and https are"
            )));
        }
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let (login, host) = match authority.rsplit_once('@') {
            Some((login, host)) => (Some(login), host),
            None => (None, authority),
        };
        if !is_url(&format!("http://{host}"), false) {
            return Err(unusable("is not a proxy's URL"));
        }
        let has_port = host_of(host) != host;
        let default_port = if scheme == "https" { 443 } else { 80 };
        // Without a password nothing is sent, as by the AWS CLI.
        let login = login
            .and_then(|login| login.split_once(':'))
            .map(|(user, password)| (decoded(user), decoded(password)));
        let encoded_login = login
            .as_ref()
            .map(|(user, password)| format!("{}:{}@", encoded(user), encoded(password)));
        Ok(Self {
            url: format!("{scheme}://{}{host}", encoded_login.unwrap_or_default()),
            host: if has_port {
                host.to_owned()
            } else {
                format!("{host}:{default_port}")
            },
            login,
        })
    }
}

fn decoded(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

fn encoded(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

/// Nothing of user and password is shown.
impl std::fmt::Debug for Proxy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Proxy").field(&self.host).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxies(variables: &[(&str, &str)]) -> Result<Proxies, Error> {
        Proxies::of(None, &Environment::of(variables))
    }

    /// The host and login of the proxy to a target.
    fn to(variables: &[(&str, &str)], target: &str) -> Option<(String, Option<(String, String)>)> {
        let (scheme, authority) = target.split_once("://").unwrap();
        let proxies = proxies(variables).unwrap();
        let proxy = proxies.to(scheme == "https", authority)?;
        Some((proxy.host.clone(), proxy.login.clone()))
    }

    #[test]
    fn a_setting_that_is_no_proxys_url_is_an_error_that_names_it_and_not_its_password() {
        for url in [
            "http://host:3128 ",
            " http://host:3128",
            "\"http://host:3128\"",
            "'http://host:3128'",
            "http://bob:sec ret@host:1",
            "http://",
            "http://:3128",
            "http://host:0",
            "http://host:99999",
            "http://host:x",
            "socks5://bob:secret@host:1080",
            "socks4://host",
            "ftp://host",
            "http://ho st",
            "http://bob:secret@",
            "://host",
            "http://[::1",
            "http://ho\u{fffd}st",
            "http://host\n",
            "http://bob:sec/ret@host",
        ] {
            for name in ["HTTP_PROXY", "https_proxy"] {
                let error = proxies(&[(name, url)]).unwrap_err();
                assert_eq!(error.code, ErrorCode::INVALID_JOB, "{url}");
                assert!(error.message.starts_with(name), "{url}: {error}");
                assert!(!format!("{error:?}").contains("sec"), "{url}: {error:?}");
            }
            assert!(
                Proxies::of(Some(url), &Environment::default())
                    .unwrap_err()
                    .message
                    .starts_with("cluster.context.proxy")
            );
        }
    }

    #[test]
    fn a_proxys_url_means_what_it_means_to_the_aws_cli() {
        let login = |user: &str, password: &str| Some((user.to_owned(), password.to_owned()));
        for (url, host, expected) in [
            ("http://host:3128", "host:3128", None),
            ("host:3128", "host:3128", None),
            ("//host:3128", "host:3128", None),
            ("HTTP://host", "host:80", None),
            ("https://host/", "host:443", None),
            ("http://bob:p@ss@host:1", "host:1", login("bob", "p@ss")),
            (
                "http://bob:p%40s%20s@host:1",
                "host:1",
                login("bob", "p@s s"),
            ),
            (
                "http://bob:p+s=&:x@host:1",
                "host:1",
                login("bob", "p+s=&:x"),
            ),
            ("http://bob:@host:1", "host:1", login("bob", "")),
            ("http://bob@host:1", "host:1", None),
            ("http://[::1]:3128", "[::1]:3128", None),
        ] {
            assert_eq!(
                to(&[("HTTP_PROXY", url)], "http://target:8000"),
                Some((host.to_owned(), expected)),
                "{url}"
            );
        }
    }

    #[test]
    fn lower_case_wins_and_empty_is_absent_and_each_scheme_has_its_own() {
        let both = [
            ("HTTP_PROXY", "http://upper:1"),
            ("http_proxy", "http://lower:1"),
        ];
        assert_eq!(to(&both, "http://t").unwrap().0, "lower:1");
        assert_eq!(
            to(
                &[("HTTP_PROXY", "http://upper:1"), ("http_proxy", "")],
                "http://t"
            )
            .unwrap()
            .0,
            "upper:1"
        );
        assert_eq!(to(&both, "https://t"), None);
        assert_eq!(
            to(&[("HTTPS_PROXY", "http://p:1")], "https://t").unwrap().0,
            "p:1"
        );
        assert_eq!(to(&[("HTTPS_PROXY", "http://p:1")], "http://t"), None);
    }

    #[test]
    fn no_proxy_is_read_as_pythons_urllib_reads_it() {
        for (except, target, direct) in [
            ("*", "127.0.0.1:8000", true),
            ("*", "dynamodb.us-east-1.amazonaws.com", true),
            ("localhost,*", "127.0.0.1:8000", false),
            ("127.0.0.1", "127.0.0.1:8000", true),
            ("127.0.0.1:8000", "127.0.0.1:8000", true),
            ("127.0.0.1:8001", "127.0.0.1:8000", false),
            ("127.0.0.0/8", "127.0.0.1:8000", false),
            ("::1", "[::1]:8000", true),
            ("[::1]", "[::1]:8000", true),
            ("amazonaws.com", "dynamodb.us-east-1.amazonaws.com", true),
            (".amazonaws.com", "dynamodb.us-east-1.amazonaws.com", true),
            (
                " a.b , .AmazonAWS.com ",
                "Dynamodb.us-east-1.amazonaws.com",
                true,
            ),
            ("*.amazonaws.com", "dynamodb.us-east-1.amazonaws.com", false),
            ("zonaws.com", "dynamodb.us-east-1.amazonaws.com", false),
            (",", "127.0.0.1", false),
            ("", "169.254.169.254", true),
            ("", "[fd00:ec2::254]:80", true),
        ] {
            let variables = [("HTTP_PROXY", "http://p:1"), ("NO_PROXY", except)];
            let through = to(&variables, &format!("http://{target}"));
            assert_eq!(through.is_none(), direct, "{except} for {target}");
        }
        let both = [
            ("HTTP_PROXY", "http://p:1"),
            ("NO_PROXY", "*"),
            ("no_proxy", "other"),
        ];
        assert!(to(&both, "http://t").is_some(), "lower case wins");
    }
}
