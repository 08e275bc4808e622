//! Each fault as a client sees it.

use std::{
    io::{Read, Write},
    net::TcpStream,
    time::Instant,
};

use serde_json::Value;

use super::*;
use crate::client::{self, Reply};

fn pages() -> Vec<Bytes> {
    let rows: Vec<String> = (0..200)
        .map(|n| format!(r#"{{"id":{{"S":"{n}"}}}}"#))
        .collect();
    replay::chain(&[rows.clone(), rows])
}

fn ask(server: &Faults) -> anyhow::Result<Reply> {
    client::dynamodb(
        &server.url(),
        "ExecuteStatement",
        &json!({"Statement": "SELECT"}),
    )
}

fn answered(fault: Fault) -> Reply {
    ask(&Faults::always(pages(), fault).unwrap()).unwrap()
}

#[test]
fn refusals_carry_status_and_type() {
    for (fault, status, kind) in [
        (
            Fault::ProvisionedThroughputExceeded,
            400,
            "#ProvisionedThroughputExceededException",
        ),
        (Fault::Throttling, 400, "#ThrottlingException"),
        (Fault::RequestLimitExceeded, 400, "#RequestLimitExceeded"),
        (Fault::InternalServerError, 500, "#InternalServerError"),
        (
            Fault::ServiceUnavailable,
            503,
            "#ServiceUnavailableException",
        ),
        (Fault::ExpiredToken, 400, "#ExpiredTokenException"),
        (Fault::ClockSkew(600), 400, "#InvalidSignatureException"),
        (
            Fault::UnrecognizedClient,
            400,
            "#UnrecognizedClientException",
        ),
        (Fault::AccessDenied, 400, "#AccessDeniedException"),
        (Fault::NotFound, 400, "#ResourceNotFoundException"),
        (Fault::Validation("at 1:15"), 400, "#ValidationException"),
    ] {
        let reply = answered(fault);
        assert_eq!(reply.status, status, "{fault:?}");
        let shape = reply.json()["__type"].as_str().unwrap_or("").to_owned();
        assert!(shape.ends_with(kind), "{fault:?}: {shape}");
        assert_eq!(
            reply.header("x-amz-crc32"),
            crc32fast::hash(&reply.body).to_string()
        );
        assert_eq!(reply.header("content-type"), "application/x-amz-json-1.0");
        assert_eq!(reply.header("x-amzn-requestid").len(), 52);
    }
}

#[test]
fn broken_connections_are_errors_at_the_client() {
    for fault in [
        Fault::ResetBeforeAnswer,
        Fault::ResetMidBody,
        Fault::Truncated,
    ] {
        let server = Faults::always(pages(), fault).unwrap();
        assert!(ask(&server).is_err(), "{fault:?}");
        assert_eq!(server.requests(), 1);
    }
}

/// Sends a request byte by byte and gives what came back until the connection ended, and how it ended.
fn read_raw(server: &Faults) -> (Vec<u8>, io::Result<usize>) {
    let mut stream = connected(server);
    let mut received = Vec::new();
    let ended = stream.read_to_end(&mut received);
    (received, ended)
}

fn connected(server: &Faults) -> TcpStream {
    let mut stream = TcpStream::connect(server.server().address()).unwrap();
    stream
        .write_all(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n")
        .unwrap();
    stream
}

#[test]
fn half_a_page_arrives_before_a_reset_and_before_an_ordinary_close() {
    let page = &pages()[0];
    let length = format!("content-length: {}\r\n", page.len());
    for (fault, ends_with) in [
        (Fault::ResetMidBody, Err(io::ErrorKind::ConnectionReset)),
        (Fault::Truncated, Ok(())),
    ] {
        let server = Faults::always(pages(), fault).unwrap();
        let (received, ended) = read_raw(&server);
        assert!(received.ends_with(&page[..page.len() / 2]), "{fault:?}");
        assert!(
            String::from_utf8_lossy(&received).contains(&length),
            "{fault:?}"
        );
        let ended = ended.map(|_| ()).map_err(|error| error.kind());
        assert_eq!(ended, ends_with, "{fault:?}");
    }
}

#[test]
fn damaged_bodies_arrive_damaged() {
    let corrupt = answered(Fault::CorruptJson);
    assert_eq!(corrupt.json(), Value::Null);
    assert_eq!(
        corrupt.header("x-amz-crc32"),
        crc32fast::hash(&corrupt.body).to_string()
    );
    let wrong = answered(Fault::WrongChecksum);
    assert_eq!(wrong.body, pages()[0]);
    assert_ne!(
        wrong.header("x-amz-crc32"),
        crc32fast::hash(&wrong.body).to_string()
    );
    assert!(answered(Fault::EmptyBody).body.is_empty());
    assert_eq!(answered(Fault::Html).header("content-type"), "text/html");
    assert_eq!(answered(Fault::Redirect).status, 302);
}

#[test]
fn a_stall_lasts_until_the_client_hangs_up() {
    for fault in [Fault::StallBeforeAnswer, Fault::StallMidBody] {
        let server = Faults::always(pages(), fault).unwrap();
        let stream = connected(&server);
        wait_for(|| server.server().requests_under_way() == 1);
        drop(stream);
        wait_for(|| server.server().requests_under_way() == 0);
    }
}

fn wait_for(condition: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(5);
    while !condition() {
        assert!(Instant::now() < deadline, "not within 5 s");
        std::thread::yield_now();
    }
}

#[test]
fn slow_and_late_pages_are_whole() {
    let pause = Duration::from_millis(10);
    for (fault, at_least) in [(Fault::Late(pause), pause), (Fault::Slow(pause), 7 * pause)] {
        let started = Instant::now();
        assert_eq!(answered(fault).body, pages()[0], "{fault:?}");
        assert!(started.elapsed() >= at_least, "{fault:?}");
    }
}

#[test]
fn a_skewed_clock_shows_in_the_date() {
    for seconds in [600, -600] {
        let reply = answered(Fault::ClockSkew(seconds));
        let told = httpdate::parse_http_date(reply.header("date")).unwrap();
        let ahead = told > SystemTime::now();
        assert_eq!(ahead, seconds > 0);
    }
}

#[test]
fn after_the_script_pages_come_honestly() {
    let script = vec![Fault::Throttling, Fault::None, Fault::InternalServerError];
    let server = Faults::start(pages(), script).unwrap();
    let statuses: Vec<_> = (0..5).map(|_| ask(&server).unwrap().status).collect();
    assert_eq!(statuses, [400, 200, 500, 200, 200]);
    let seen = server.seen();
    assert_eq!(seen[0].fault, Fault::Throttling);
    assert_eq!(seen[0].call.access_key(), Some("AKIDEXAMPLE"));
    assert!(seen[0].call.at <= seen[4].call.at);
}
