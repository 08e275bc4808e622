//! A running host: where it is, who asks, and requests to it.

use std::{
    fs,
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{
    HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri,
    header::{AUTHORIZATION, CONTENT_TYPE, RETRY_AFTER},
};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use plugin_api::{Error, ErrorCode};
use serde_json::value::RawValue;

use super::{
    args::HostArgs,
    connection::{Connection, cause},
    failure::Failure,
    record::Record,
};
use crate::{run::error::RunError, user};

/// How long a host may take to answer, and to send the next piece of an answer.
const ANSWER: Duration = Duration::from_secs(60);
/// The most bytes of an answer that tells of an error, or of jobs.
const SMALL: usize = 16 << 20;

/// A host to ask.
pub(super) struct Host {
    /// As the user wrote it, without a slash at its end.
    base: String,
    connection: Connection,
    /// `Bearer TOKEN`, and where it comes from.
    token: Option<(HeaderValue, String)>,
    user: Option<HeaderValue>,
    user_header: HeaderName,
    /// A token may name its holder, and a different name is refused; so without `--user` a name is sent only once the host asks for one.
    sends_user: AtomicBool,
    /// How long to try again.
    pub(super) retry_for: Duration,
}

impl Host {
    /// The host that the arguments and the environment name.
    pub(super) fn of(args: &HostArgs) -> Result<Self, RunError> {
        let base = args
            .url
            .clone()
            .or_else(|| variable("HEIMDALL_URL"))
            .unwrap_or_else(|| "http://127.0.0.1:9090".to_owned());
        let base = base.trim_end_matches('/').to_owned();
        let url = checked(&base).map_err(RunError::Usage)?;
        let token = token(args).map_err(RunError::Usage)?;
        let is_named = args.user.as_ref().is_some_and(|user| !user.is_empty());
        let user = user(args).map_err(RunError::Usage)?;
        let user_header = HeaderName::try_from(&args.user_header).map_err(|_| {
            RunError::Usage(format!(
                "--user-header '{}' is no header's name",
                args.user_header
            ))
        })?;
        Ok(Self {
            connection: Connection::to(&url).map_err(RunError::Usage)?,
            base,
            sends_user: AtomicBool::new(is_named || token.is_none()),
            token,
            user,
            user_header,
            retry_for: Duration::from_secs(args.retry_for.into()),
        })
    }

    /// A job's record.
    pub(super) async fn record(&self, id: &str) -> Result<Record, Failure> {
        let answer = self.get(&format!("/api/v1/job/{}", escaped(id))).await?;
        let body = self.whole(answer, SMALL).await?;
        Record::parse(body).map_err(|error| self.not_understood(&error))
    }

    /// The record of the job that carries this tag, where there is one.
    pub(super) async fn record_by_tag(&self, tag: &str) -> Result<Option<Record>, Failure> {
        let path = format!("/api/v1/jobs?limit=1&tags={}", escaped(tag));
        let answer = self.get(&path).await?;
        let body = self.whole(answer, SMALL).await?;
        Record::first_of_list(&body).map_err(|error| self.not_understood(&error))
    }

    /// A command as the host lists it.
    pub(super) async fn command(&self, id: &str) -> Result<Box<RawValue>, Failure> {
        let answer = self
            .get(&format!("/api/v1/command/{}", escaped(id)))
            .await?;
        let body = self.whole(answer, SMALL).await?;
        serde_json::from_slice(&body).map_err(|error| self.not_understood(&error))
    }

    /// Submits a job; the host's answer.
    pub(super) async fn submit(&self, job: Bytes) -> Result<Record, Failure> {
        let answer = self.ask(Method::POST, "/api/v1/job", job, None).await?;
        let body = self.whole(answer, SMALL).await?;
        Record::parse(body).map_err(|error| self.not_understood(&error))
    }

    /// Asks a job to stop.
    pub(super) async fn cancel(&self, id: &str) -> Result<(), Failure> {
        let path = format!("/api/v1/job/{}/cancel", escaped(id));
        let answer = self
            .ask(Method::POST, &path, Bytes::new(), Some(ANSWER))
            .await?;
        self.whole(answer, SMALL).await.map(drop)
    }

    /// A successful answer, whose body follows.
    pub(super) async fn get(&self, path: &str) -> Result<Response<Incoming>, Failure> {
        self.ask(Method::GET, path, Bytes::new(), Some(ANSWER))
            .await
    }

    /// A body as text.
    pub(super) async fn text(&self, path: &str) -> Result<String, Failure> {
        let answer = self.get(path).await?;
        let body = self.whole(answer, SMALL).await?;
        Ok(String::from_utf8_lossy(&body).into_owned())
    }

    /// A successful answer; `within` bounds the time until it begins. Where the host is busy it is asked again after the time that it
    /// names.
    pub(super) async fn ask(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
        within: Option<Duration>,
    ) -> Result<Response<Incoming>, Failure> {
        let begun = Instant::now();
        loop {
            let answer = self.once(&method, path, body.clone(), within).await?;
            let status = answer.status();
            if status.is_success() {
                return Ok(answer);
            }
            let pause = retry_after(&answer);
            let body = self.whole(answer, SMALL).await?;
            let failure = Failure::refused(status, &body);
            if status == StatusCode::UNAUTHORIZED && self.now_sends_user() {
                continue;
            }
            // A job that failed because a service was busy is not run again by itself.
            let is_outcome = method == Method::POST && failure.is_of_a_job();
            match pause {
                Some(pause) if !is_outcome && begun.elapsed() + pause <= self.retry_for => {
                    tokio::time::sleep(pause).await;
                }
                _ => return Err(self.explained(failure)),
            }
        }
    }

    async fn once(
        &self,
        method: &Method,
        path: &str,
        body: Bytes,
        within: Option<Duration>,
    ) -> Result<Response<Incoming>, Failure> {
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = method.clone();
        *request.uri_mut() = format!("{}{path}", self.base)
            .parse()
            .expect("the URL is checked and paths are escaped");
        let headers = request.headers_mut();
        if let Some((token, _)) = &self.token {
            headers.insert(AUTHORIZATION, token.clone());
        }
        if let Some(user) = &self.user
            && self.sends_user.load(Ordering::Acquire)
        {
            headers.insert(self.user_header.clone(), user.clone());
        }
        if method == Method::POST {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        let sent = self.connection.send(request);
        let answer = match within {
            Some(within) => tokio::time::timeout(within, sent)
                .await
                .map_err(|_| self.mute())?,
            None => sent.await,
        };
        answer.map_err(|error| match self.lost(&error) {
            Failure::Lost(document) if error.is_connect() => Failure::Absent(document),
            failure => failure,
        })
    }

    /// The next piece of a body; `None` where it ended whole.
    pub(super) async fn piece(&self, body: &mut Incoming) -> Result<Option<Bytes>, Failure> {
        loop {
            let frame = tokio::time::timeout(ANSWER, body.frame())
                .await
                .map_err(|_| self.mute())?;
            match frame {
                None => return Ok(None),
                Some(Err(error)) => return Err(self.lost(&error)),
                Some(Ok(frame)) => {
                    if let Ok(bytes) = frame.into_data() {
                        return Ok(Some(bytes));
                    }
                }
            }
        }
    }

    /// A body of at most so many bytes.
    pub(super) async fn whole(
        &self,
        answer: Response<Incoming>,
        most: usize,
    ) -> Result<Bytes, Failure> {
        let mut body = answer.into_body();
        let mut whole = Vec::new();
        while let Some(piece) = self.piece(&mut body).await? {
            if whole.len() + piece.len() > most {
                return Err(self.not_understood(&format!("it has more than {most} bytes")));
            }
            whole.extend_from_slice(&piece);
        }
        Ok(whole.into())
    }

    /// Sends the user's name from now on; whether that is new.
    fn now_sends_user(&self) -> bool {
        self.user.is_some() && !self.sends_user.swap(true, Ordering::AcqRel)
    }

    fn lost(&self, error: &(dyn std::error::Error + 'static)) -> Failure {
        Failure::Lost(
            Error::new(
                ErrorCode::UNAVAILABLE,
                format!("no answer from the host at {}: {}", self.base, cause(error)),
            )
            .hint(
                "start one with host-harness serve, or say where it is with --url or HEIMDALL_URL",
            ),
        )
    }

    fn mute(&self) -> Failure {
        let seconds = ANSWER.as_secs();
        Failure::Lost(
            Error::new(
                ErrorCode::UNAVAILABLE,
                format!("the host at {} is silent for {seconds} s", self.base),
            )
            .hint("look at its log, or say with --url or HEIMDALL_URL where another one is"),
        )
    }

    pub(super) fn not_understood(&self, why: &dyn std::fmt::Display) -> Failure {
        Failure::Lost(
            Error::new(
                ErrorCode::from("BAD_RESPONSE".to_owned()),
                format!("the answer of {} cannot be understood: {why}", self.base),
            )
            .hint("check --url, and whether a proxy stands between"),
        )
    }

    /// The refusal of a caller, with the setting that its token came from.
    fn explained(&self, failure: Failure) -> Failure {
        let Failure::Refused { status, error, id } = failure else {
            return failure;
        };
        let is_about_caller = status == StatusCode::UNAUTHORIZED || error.code == "FORBIDDEN";
        if !is_about_caller {
            return Failure::Refused { status, error, id };
        }
        let sent = match &self.token {
            _ if self.user.is_none() => "--user says who asks".to_owned(),
            Some((_, from)) => format!("the token that was sent is that of {from}"),
            None => {
                "no token was sent; --token-file, HEIMDALL_TOKEN or HEIMDALL_TOKEN_FILE gives one"
                    .to_owned()
            }
        };
        let hint = match &error.hint {
            Some(hint) => format!("{hint}; {sent}"),
            None => sent,
        };
        Failure::Refused {
            status,
            error: error.hint(hint),
            id,
        }
    }
}

/// A variable that is set and not empty.
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

fn checked(base: &str) -> Result<Uri, String> {
    let wrong = |why: &str| {
        format!("the host's URL '{base}' {why}; write http://HOST:PORT or https://HOST:PORT")
    };
    let url: Uri = base.parse().map_err(|_| wrong("cannot be read"))?;
    match (url.scheme_str(), url.authority()) {
        (Some("http" | "https"), Some(authority)) if authority.as_str().contains('@') => {
            // Never repeated: it may hold a password.
            Err("the host's URL holds a name or password; give a token with --token-file or HEIMDALL_TOKEN instead".to_owned())
        }
        (Some("http" | "https"), Some(_)) if url.query().is_some() => Err(wrong("has a query")),
        (Some("http" | "https"), Some(_)) => Ok(url),
        _ => Err(wrong("is neither http nor https")),
    }
}

/// The token as a header, and where it comes from; it is in no message.
fn token(args: &HostArgs) -> Result<Option<(HeaderValue, String)>, String> {
    let of_file = |path: &std::path::Path, from: String| {
        let text = fs::read_to_string(path)
            .map_err(|error| format!("cannot read the token file {}: {error}", path.display()))?;
        Ok::<_, String>(Some((text, from)))
    };
    let given = match (
        &args.token_file,
        variable("HEIMDALL_TOKEN"),
        variable("HEIMDALL_TOKEN_FILE"),
    ) {
        (Some(path), ..) => of_file(path, format!("--token-file {}", path.display()))?,
        (None, Some(token), _) => Some((token, "the HEIMDALL_TOKEN variable".to_owned())),
        (None, None, Some(path)) => of_file(path.as_ref(), format!("HEIMDALL_TOKEN_FILE, {path}"))?,
        (None, None, None) => None,
    };
    let Some((text, from)) = given else {
        return Ok(None);
    };
    let mut words = text.split_ascii_whitespace();
    let (Some(token), None) = (words.next(), words.next()) else {
        return Err(format!("{from} must hold a token and nothing else"));
    };
    let mut header = HeaderValue::try_from(format!("Bearer {token}"))
        .map_err(|_| format!("{from} holds a character that no token has"))?;
    header.set_sensitive(true);
    Ok(Some((header, from)))
}

fn user(args: &HostArgs) -> Result<Option<HeaderValue>, String> {
    let user = args
        .user
        .clone()
        .filter(|user| !user.is_empty())
        .or_else(user::name);
    user.map(|user| {
        HeaderValue::try_from(&user).map_err(|_| {
            format!(
                "the user '{}' cannot be sent in a header",
                user.escape_debug()
            )
        })
    })
    .transpose()
}

/// A part of a path or query, escaped.
pub(super) fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                escaped.push(byte.into());
            }
            _ => escaped.push_str(&format!("%{byte:02X}")),
        }
    }
    escaped
}

/// How long the host asks to wait before the next try; a date is as good as a second.
fn retry_after(answer: &Response<Incoming>) -> Option<Duration> {
    let value = answer.headers().get(RETRY_AFTER)?;
    let seconds = value.to_str().ok().and_then(|text| text.parse().ok());
    Some(Duration::from_secs(seconds.unwrap_or(1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_checked_and_never_repeats_a_password() {
        for good in ["http://127.0.0.1:9090", "https://heimdall.example/prefix"] {
            assert!(checked(good).is_ok(), "{good}");
        }
        for (wrong, why) in [
            ("127.0.0.1:9090", "neither http nor https"),
            ("ftp://host", "neither http nor https"),
            ("http://", "cannot be read"),
            ("http://a b", "cannot be read"),
            ("http://host?x=1", "has a query"),
        ] {
            let error = checked(wrong).unwrap_err();
            assert!(error.contains(why) && error.contains(wrong), "{error}");
        }
        let error = checked("http://alice:hush@host").unwrap_err();
        assert!(!error.contains("hush"), "{error}");
    }

    #[test]
    fn parts_of_a_path_are_escaped() {
        assert_eq!(escaped("a-1_Ü/?,:%"), "a-1_%C3%9C%2F%3F%2C%3A%25");
    }
}
