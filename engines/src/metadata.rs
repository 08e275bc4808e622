//! Where a machine's own credentials come from: IMDSv2 of an instance and the credentials endpoint of a container.
//!
//! Both are on one loopback server; a test points `AWS_EC2_METADATA_SERVICE_ENDPOINT` at [`Metadata::url`] or
//! `AWS_CONTAINER_CREDENTIALS_FULL_URI` at [`Metadata::container_url`]. As in AWS, an instance answers nothing
//! without a token of its own, and a container's endpoint nothing without its authorization.

use std::{
    io,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use hyper::Method;
use serde_json::json;

use crate::{
    http::{Answer, Call, Server},
    session::Session,
};

/// What `AWS_CONTAINER_AUTHORIZATION_TOKEN` has to be.
pub const CONTAINER_AUTHORIZATION: &str = "EngineContainerAuthorization";

const INSTANCE_TOKEN: &str = "EngineInstanceToken";
const INSTANCE_ROLE: &str = "engine-instance-role";
const CREDENTIALS: &str = "/latest/meta-data/iam/security-credentials/";

/// The server under way; it stops when dropped.
#[derive(Debug)]
pub struct Metadata {
    server: Server,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Metadata {
    /// Serves both on a free loopback port; credentials last for `lifetime`, the instance is in `region`.
    ///
    /// # Errors
    /// No port or no thread was to be had.
    pub fn start(lifetime: Duration, region: &str) -> io::Result<Metadata> {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let record = seen.clone();
        let region = region.to_owned();
        let server = Server::start(move |call| {
            let number = {
                let mut record = record.lock().unwrap_or_else(PoisonError::into_inner);
                record.push(format!("{} {}", call.method, call.uri.path()));
                record.len()
            };
            let answer = answer(&call, number, lifetime, &region);
            Box::pin(std::future::ready(Some(answer)))
        })?;
        Ok(Metadata { server, seen })
    }

    /// The instance's metadata endpoint.
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// The container's credentials endpoint.
    pub fn container_url(&self) -> String {
        format!("{}/container-credentials", self.server.url())
    }

    /// Every request so far as `METHOD /path`, in order.
    pub fn seen(&self) -> Vec<String> {
        self.seen
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

fn answer(call: &Call, number: usize, lifetime: Duration, region: &str) -> Answer {
    let path = call.uri.path();
    if path == "/container-credentials" {
        if call.header("authorization") != CONTAINER_AUTHORIZATION {
            return Answer::new(401, "");
        }
        return credentials(&Session::issue("TASK", number, lifetime));
    }
    if path == "/latest/api/token" {
        return instance_token(call);
    }
    if call.header("x-aws-ec2-metadata-token") != INSTANCE_TOKEN {
        return Answer::new(401, "");
    }
    match path.strip_prefix(CREDENTIALS) {
        Some("") => Answer::new(200, INSTANCE_ROLE),
        Some(INSTANCE_ROLE) => credentials(&Session::issue("INST", number, lifetime)),
        _ if path == "/latest/meta-data/placement/region" => Answer::new(200, region.to_owned()),
        _ => Answer::new(404, ""),
    }
}

fn instance_token(call: &Call) -> Answer {
    let seconds = call.header("x-aws-ec2-metadata-token-ttl-seconds");
    if call.method != Method::PUT || seconds.is_empty() {
        return Answer::new(400, "");
    }
    Answer::new(200, INSTANCE_TOKEN).with_header("x-aws-ec2-metadata-token-ttl-seconds", seconds)
}

fn credentials(session: &Session) -> Answer {
    let body = json!({
        "Code": "Success",
        "Type": "AWS-HMAC",
        "AccessKeyId": session.access_key,
        "SecretAccessKey": session.secret,
        "Token": session.token,
        "Expiration": session.expiration,
    });
    Answer::new(200, body.to_string()).with_header("content-type", "application/json")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client;

    fn get(url: &str, headers: &[(&str, &str)]) -> client::Reply {
        client::send(Method::GET, url, headers, "").unwrap()
    }

    #[test]
    fn an_instance_answers_only_with_its_token() {
        let server = Metadata::start(Duration::from_secs(60), "eu-west-1").unwrap();
        let list = format!("{}{CREDENTIALS}", server.url());
        assert_eq!(get(&list, &[]).status, 401);
        let ttl = ("x-aws-ec2-metadata-token-ttl-seconds", "60");
        let token_url = format!("{}/latest/api/token", server.url());
        let token = client::send(Method::PUT, &token_url, &[ttl], "")
            .unwrap()
            .body;
        let token = (
            "x-aws-ec2-metadata-token",
            std::str::from_utf8(&token).unwrap(),
        );
        let role = get(&list, &[token]).body;
        let role = std::str::from_utf8(&role).unwrap().to_owned();
        let found = get(&format!("{list}{role}"), &[token]).json();
        assert!(
            found["AccessKeyId"]
                .as_str()
                .unwrap()
                .starts_with("ASIAINST")
        );
        let region = format!("{}/latest/meta-data/placement/region", server.url());
        assert_eq!(get(&region, &[token]).body, "eu-west-1");
        assert_eq!(server.seen()[1], "PUT /latest/api/token");
    }

    #[test]
    fn a_container_answers_only_with_its_authorization() {
        let server = Metadata::start(Duration::from_secs(60), "eu-west-1").unwrap();
        assert_eq!(get(&server.container_url(), &[]).status, 401);
        let authorized = [("authorization", CONTAINER_AUTHORIZATION)];
        let found = get(&server.container_url(), &authorized).json();
        assert!(
            found["AccessKeyId"]
                .as_str()
                .unwrap()
                .starts_with("ASIATASK")
        );
    }
}
