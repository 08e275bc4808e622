//! A scripted STS: `AssumeRole` and `AssumeRoleWithWebIdentity` in the query protocol, requests recorded whole.
//!
//! Sessions are as short as a test wants them, and each is another one, so that the access key in a later DynamoDB
//! request tells which call it came from. Signatures are not checked; the key that signed is recorded.

use std::{
    collections::BTreeMap,
    io,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use crate::{
    http::{Answer, Call, Server},
    recording::Recording,
    session::Session,
    wire,
};

/// How one call is answered.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Outcome {
    /// With a session.
    Grant,
    /// With a session, after this long.
    GrantLate(Duration),
    /// 403 `AccessDenied`: the role does not trust the caller.
    Refuse,
    /// 403 `ExpiredToken`: the caller's own credentials have expired.
    ExpiredToken,
    /// 403 `InvalidClientTokenId`: the caller's own credentials are unknown.
    InvalidClientToken,
    /// 400 `InvalidIdentityToken`: the web identity's token is not accepted.
    InvalidIdentityToken,
    /// 400 `Throttling`.
    Throttle,
    /// 500 `InternalFailure`.
    InternalFailure,
    /// A connection reset before any byte of an answer.
    Reset,
    /// Nothing, ever; the connection stays open.
    Stall,
}

/// How the server answers: the first calls by `script`, in the order of their arrival, all later ones with `after`.
#[derive(Debug, Clone, PartialEq)]
pub struct Script {
    /// Answers to the first calls.
    pub script: Vec<Outcome>,
    /// The answer to every other call.
    pub after: Outcome,
    /// How long a session lasts, whatever duration was asked for.
    pub lifetime: Duration,
}

impl Default for Script {
    /// Grants every call a session of an hour.
    fn default() -> Script {
        Script {
            script: Vec::new(),
            after: Outcome::Grant,
            lifetime: Duration::from_secs(3600),
        }
    }
}

/// One call and what it got.
#[derive(Debug, Clone)]
pub struct Seen {
    /// When it arrived.
    pub at: Instant,
    /// `AssumeRole` or `AssumeRoleWithWebIdentity`, or what else was asked.
    pub action: String,
    /// The access key that signed it; none for a web identity.
    pub access_key: Option<String>,
    /// Its parameters by STS's names: `RoleArn`, `ExternalId`, `RoleSessionName`, `Policy`, `DurationSeconds`, …
    pub parameters: BTreeMap<String, String>,
    /// How it was answered.
    pub outcome: Outcome,
    /// The session that it got, if any.
    pub session: Option<Session>,
}

impl Seen {
    /// One parameter, empty where it was not sent.
    pub fn parameter(&self, name: &str) -> &str {
        self.parameters.get(name).map_or("", String::as_str)
    }
}

/// The server under way; it stops when dropped.
pub type Sts = Recording<Seen>;

impl Sts {
    /// Serves on a free loopback port.
    ///
    /// # Errors
    /// No port or no thread was to be had.
    pub fn start(script: Script) -> io::Result<Sts> {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let record = seen.clone();
        let server = Server::start(move |call| {
            let seen = note(&script, &call, &record);
            Box::pin(answer(seen))
        })?;
        Ok(Self::new(server, seen))
    }

    /// The access keys of all sessions so far, in order.
    pub fn granted(&self) -> Vec<String> {
        let seen = self.seen();
        let sessions = seen.into_iter().filter_map(|seen| seen.session);
        sessions.map(|session| session.access_key).collect()
    }
}

fn note(script: &Script, call: &Call, record: &Mutex<Vec<Seen>>) -> Seen {
    let mut parameters: BTreeMap<String, String> =
        form_urlencoded::parse(&call.body).into_owned().collect();
    let mut record = record.lock().unwrap_or_else(PoisonError::into_inner);
    let number = record.len();
    let outcome = script.script.get(number).copied().unwrap_or(script.after);
    let granted = matches!(outcome, Outcome::Grant | Outcome::GrantLate(_));
    let seen = Seen {
        at: call.at,
        action: parameters.remove("Action").unwrap_or_default(),
        access_key: call.access_key().map(str::to_owned),
        parameters,
        outcome,
        session: granted.then(|| Session::issue("ROLE", number + 1, script.lifetime)),
    };
    record.push(seen.clone());
    seen
}

async fn answer(seen: Seen) -> Option<Answer> {
    match seen.outcome {
        Outcome::Reset => return None,
        Outcome::Stall => std::future::pending().await,
        Outcome::GrantLate(time) => tokio::time::sleep(time).await,
        _ => {}
    }
    Some(match &seen.session {
        Some(session) => grant(&seen, session),
        None => refusal(&seen),
    })
}

fn grant(seen: &Seen, session: &Session) -> Answer {
    let action = seen.action.as_str();
    if action != "AssumeRole" && action != "AssumeRoleWithWebIdentity" {
        return error(
            400,
            "InvalidAction",
            "only roles and web identities are served",
        );
    }
    let name = seen.parameter("RoleSessionName");
    let role = seen.parameter("RoleArn");
    let assumed = role
        .replace(":iam:", ":sts:")
        .replace(":role/", ":assumed-role/");
    let body = format!(
        "<{action}Response xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><{action}Result>\
         <AssumedRoleUser><AssumedRoleId>AROAENGINE:{name}</AssumedRoleId><Arn>{assumed}/{name}</Arn>\
         </AssumedRoleUser><Credentials><AccessKeyId>{}</AccessKeyId><SecretAccessKey>{}</SecretAccessKey>\
         <SessionToken>{}</SessionToken><Expiration>{}</Expiration></Credentials></{action}Result>\
         <ResponseMetadata><RequestId>{}</RequestId></ResponseMetadata></{action}Response>",
        session.access_key,
        session.secret,
        session.token,
        session.expiration,
        wire::request_id(),
    );
    Answer::new(200, body).with_header("content-type", "text/xml")
}

fn refusal(seen: &Seen) -> Answer {
    match seen.outcome {
        Outcome::Refuse => {
            let role = seen.parameter("RoleArn");
            let message = format!(
                "User: arn:aws:iam::123456789012:user/operator is not authorized to perform: sts:{} \
                 on resource: {role}",
                seen.action
            );
            error(403, "AccessDenied", &message)
        }
        Outcome::ExpiredToken => error(
            403,
            "ExpiredToken",
            "The security token included in the request is expired",
        ),
        Outcome::InvalidClientToken => error(
            403,
            "InvalidClientTokenId",
            "The security token included in the request is invalid.",
        ),
        Outcome::InvalidIdentityToken => error(
            400,
            "InvalidIdentityToken",
            "No OpenIDConnect provider found in your account",
        ),
        Outcome::Throttle => error(400, "Throttling", "Rate exceeded"),
        _ => error(500, "InternalFailure", "An internal error has occurred"),
    }
}

fn error(status: u16, code: &str, message: &str) -> Answer {
    let fault = if status >= 500 { "Receiver" } else { "Sender" };
    let id = wire::request_id();
    let body = format!(
        "<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><Error><Type>{fault}</Type>\
         <Code>{code}</Code><Message>{message}</Message></Error><RequestId>{id}</RequestId></ErrorResponse>"
    );
    Answer::new(status, body)
        .with_header("content-type", "text/xml")
        .with_header("x-amzn-requestid", &id)
}

#[cfg(test)]
mod tests {
    use hyper::Method;

    use super::*;
    use crate::client::{self, Reply};

    const ROLE: &str =
        "RoleArn=arn%3Aaws%3Aiam%3A%3A123456789012%3Arole%2FR&RoleSessionName=s&ExternalId=x%2By";

    fn assume(server: &Sts) -> Reply {
        let signed =
            "AWS4-HMAC-SHA256 Credential=AKIDBASE/20260101/us-east-1/sts/aws4_request, Signature=0";
        let headers = [("authorization", signed)];
        let body = format!("Action=AssumeRole&Version=2011-06-15&{ROLE}");
        client::send(Method::POST, &server.url(), &headers, body).unwrap()
    }

    #[test]
    fn each_call_gets_a_session_of_its_own_and_is_recorded() {
        let server = Sts::start(Script::default()).unwrap();
        for number in 1..=2 {
            let body = String::from_utf8(assume(&server).body.to_vec()).unwrap();
            assert!(body.contains(&format!("<AccessKeyId>ASIAROLE{number:012}</AccessKeyId>")));
            assert!(body.contains("<Arn>arn:aws:sts::123456789012:assumed-role/R/s</Arn>"));
        }
        assert_eq!(
            server.granted(),
            ["ASIAROLE000000000001", "ASIAROLE000000000002"]
        );
        let seen = &server.seen()[0];
        assert_eq!(seen.action, "AssumeRole");
        assert_eq!(seen.access_key.as_deref(), Some("AKIDBASE"));
        assert_eq!(seen.parameter("ExternalId"), "x+y");
        assert_eq!(seen.parameter("Policy"), "");
    }

    #[test]
    fn refusals_follow_the_script() {
        let outcomes = [
            (Outcome::Refuse, 403, "AccessDenied"),
            (Outcome::ExpiredToken, 403, "ExpiredToken"),
            (Outcome::InvalidClientToken, 403, "InvalidClientTokenId"),
            (Outcome::InvalidIdentityToken, 400, "InvalidIdentityToken"),
            (Outcome::Throttle, 400, "Throttling"),
            (Outcome::InternalFailure, 500, "InternalFailure"),
        ];
        let script = outcomes.iter().map(|(outcome, _, _)| *outcome).collect();
        let server = Sts::start(Script {
            script,
            ..Script::default()
        })
        .unwrap();
        for (outcome, status, code) in outcomes {
            let reply = assume(&server);
            let body = String::from_utf8(reply.body.to_vec()).unwrap();
            assert_eq!(reply.status, status, "{outcome:?}");
            assert!(body.contains(&format!("<Code>{code}</Code>")), "{body}");
        }
        assert_eq!(assume(&server).status, 200);
        assert_eq!(server.granted().len(), 1);
    }

    #[test]
    fn only_the_two_actions_are_served() {
        let server = Sts::start(Script::default()).unwrap();
        let asked = client::send(Method::POST, &server.url(), &[], "Action=GetSessionToken");
        assert_eq!(asked.unwrap().status, 400);
        let asked = client::send(
            Method::POST,
            &server.url(),
            &[],
            format!("Action=AssumeRoleWithWebIdentity&WebIdentityToken=t&{ROLE}"),
        );
        assert_eq!(asked.unwrap().status, 200);
        assert_eq!(server.seen()[1].parameter("WebIdentityToken"), "t");
    }
}
