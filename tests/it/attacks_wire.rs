//! Requests that no well-meant client sends: each is refused or answered as it should be, in bounded memory, and the host goes on.

use std::{
    io::{Read, Write},
    net::{Shutdown, TcpStream},
    thread,
    time::{Duration, Instant},
};

use harness_tests::dynamo;
use plugin_host::CallOptions;
use serde_json::{Value, json};

use crate::attacks::{Target, get, job, post, status};

/// Longer than anything here may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// All that comes until the host ends the connection or has said nothing for a while.
fn answers(mut stream: TcpStream, silence: Duration) -> String {
    stream.set_read_timeout(Some(silence)).unwrap();
    let mut all = Vec::new();
    let mut some = [0; 16 << 10];
    while let Ok(n @ 1..) = stream.read(&mut some) {
        all.extend_from_slice(&some[..n]);
    }
    String::from_utf8_lossy(&all).into_owned()
}

/// The statuses of all answers on a connection.
fn statuses(text: &str) -> Vec<u16> {
    let heads = text.match_indices("HTTP/1.1 ");
    heads
        .filter_map(|(at, head)| text[at + head.len()..].get(..3)?.parse().ok())
        .collect()
}

fn one_answer(target: &Target, request: impl AsRef<[u8]>) -> Vec<u16> {
    statuses(&answers(target.send(request), Duration::from_secs(5)))
}

#[test]
fn heads_that_come_a_byte_at_a_time_are_given_up() {
    let target = Target::new(
        "60 heads, a byte now and then",
        "read_header_timeout: 2",
        "",
    );
    let mut slow: Vec<_> = (0..60)
        .map(|_| target.send("GET /livez HTTP/1.1\r\nX-A: "))
        .collect();
    let began = Instant::now();
    let mut open = slow.len();
    while open > 0 {
        assert!(began.elapsed() < PATIENCE, "{open} are open still");
        thread::sleep(Duration::from_millis(200));
        slow.retain_mut(|stream| stream.write_all(b"a").is_ok());
        open = slow.len();
    }
    target.survived(60);
}

#[test]
fn heads_that_are_too_large_are_refused() {
    let target = Target::new("10,000 headers; a header of 8 MB; a path of 1 MB", "", "");
    let many = "X-A: b\r\n".repeat(10_000);
    let long = format!("X-A: {}\r\n", "b".repeat(8 << 20));
    let path = format!("/{}", "a".repeat(1 << 20));
    for (head, path) in [(many.as_str(), "/livez"), (&long, "/livez"), ("", &path)] {
        let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n{head}\r\n");
        let mut stream = target.send("");
        // The host may have ended the connection before all of it is sent.
        let _ = stream.write_all(request.as_bytes());
        let found = statuses(&answers(stream, Duration::from_secs(5)));
        let refused = |status: &u16| [400, 404, 414, 431].contains(status);
        assert!(found.iter().all(refused), "{found:?}");
    }
    target.survived(60);
}

#[test]
fn requests_in_a_row_are_answered_in_order_and_no_more_is_held_than_is_read() {
    let target = Target::new("40 times 2,000 pipelined requests, unread", "", "");
    let row = get("/api/v1/jobs").repeat(2_000);
    let unread: Vec<_> = (0..40)
        .map(|_| {
            let mut stream = target.send("");
            stream
                .set_write_timeout(Some(Duration::from_millis(200)))
                .unwrap();
            let _ = stream.write_all(row.as_bytes());
            stream
        })
        .collect();
    target.survived(120);
    drop(unread);
    let few = get("/livez").repeat(20);
    assert_eq!(one_answer(&target, few), [200; 20]);
}

#[test]
fn chunks_that_lie_about_their_size_are_refused() {
    let target = Target::new(
        "chunk sizes of 2^64, extensions, endless chunks",
        "read_timeout: 3",
        "",
    );
    let head = "POST /api/v1/job HTTP/1.1\r\nHost: localhost\r\nX-Heimdall-User: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    for chunks in [
        "FFFFFFFFFFFFFFFFF\r\nx".to_owned(),
        "FFFFFFFFFFFFFFFF\r\nx".to_owned(),
        "-1\r\nx\r\n".to_owned(),
        "0x10\r\n0123456789abcdef\r\n0\r\n\r\n".to_owned(),
        format!("1;{}\r\nx\r\n", "a".repeat(100_000)),
        format!("{}0\r\n\r\n", "1;a=b\r\nx\r\n".repeat(20_000)),
    ] {
        let found = one_answer(&target, format!("{head}{chunks}"));
        assert!(
            found.iter().all(|status| [400, 408, 413].contains(status)) && found.len() <= 1,
            "{found:?} for {:?}",
            &chunks[..20.min(chunks.len())]
        );
    }
    let mut endless = target.send(head);
    let chunk = format!("10000\r\n{}\r\n", "x".repeat(0x10000));
    let sent = (0..2_000)
        .take_while(|_| endless.write_all(chunk.as_bytes()).is_ok())
        .count();
    assert!(sent < 2_000, "{sent} MB/16 were taken");
    target.survived(100);
}

#[test]
fn a_request_inside_another_is_never_answered() {
    let target = Target::new(
        "smuggling: CL and TE, CL twice, TE twice, LF alone",
        "read_timeout: 3",
        "",
    );
    let inner = "GET /api/v1/jobs HTTP/1.1\r\nHost: localhost\r\n\r\n";
    for headers in [
        "Content-Length: 4\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nContent-Length: 4",
        "Content-Length: 0\r\nContent-Length: 44",
        "Content-Length: 0, 44",
        "Content-Length: +0",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
        "Transfer-Encoding: identity, chunked, identity",
        "Transfer-Encoding: xchunked",
        "Transfer-Encoding : chunked",
        " Transfer-Encoding: chunked",
    ] {
        let request = format!(
            "POST /api/v1/plugins/reload HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n\r\n0\r\n\r\n{inner}"
        );
        let text = answers(target.send(&request), Duration::from_secs(4));
        assert!(!text.contains("has_more"), "{headers}: {text}");
        let found = statuses(&text);
        assert!(
            found.len() <= 2 && !found.is_empty(),
            "{headers}: {found:?}"
        );
    }
    target.survived(60);
}

#[test]
fn other_protocols_and_methods_are_refused_at_once() {
    let target = Target::new(
        "websocket, h2c, CONNECT, absolute URIs; 3,000 HEAD, OPTIONS, TRACE",
        "",
        "",
    );
    for request in [
        "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n",
        "GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "CONNECT evil.example:443 HTTP/1.1\r\nHost: evil.example:443\r\n\r\n",
        "GET http://evil.example/api/v1/jobs HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "GET /livez HTTP/0.9\r\n\r\n",
        "\x16\x03\x01\x02\x00\x01\x00\x01\x2f\x03\x03",
    ] {
        let found = one_answer(&target, request);
        assert!(
            !found.contains(&101) && found.len() <= 1,
            "{found:?}: {request:?}"
        );
    }
    for method in ["HEAD", "OPTIONS", "TRACE"] {
        let request = format!("{method} /api/v1/jobs HTTP/1.1\r\nHost: localhost\r\n\r\n");
        let mut stream = target.send(
            request.repeat(999) + &request.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n"),
        );
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        let found = statuses(&text);
        assert_eq!(found.len(), 1000, "{method}");
        assert!(
            found
                .iter()
                .all(|status| [200, 401, 405, 429].contains(status)),
            "{method}"
        );
    }
    target.survived(60);
}

#[test]
fn bodies_that_are_made_to_be_hard_to_read_are_refused_fast() {
    let target = Target::new(
        "JSON: 500,000 deep, names twice, a number of 900,000 digits; a gzip bomb",
        "",
        "",
    );
    let part = |context: &str| {
        format!(
            r#"{{"command_criteria":["type:echo"],"cluster_criteria":["type:main"],"context":{context}}}"#
        )
    };
    let deep = |open: &str, close: &str| {
        part(&format!(
            "{}1{}",
            open.repeat(200_000),
            close.repeat(200_000)
        ))
    };
    for body in [
        deep("[", "]"),
        part(&format!(r#"{{"a":{}1{}}}"#, "[".repeat(450_000), "]".repeat(450_000))),
        part(&format!("{}1{}", r#"{"a":"#.repeat(100_000), "}".repeat(100_000))),
        r#"{"name":"a","name":"b","command_criteria":["type:echo"],"cluster_criteria":["type:main"]}"#.to_owned(),
        part(r#"{"\ud800":1}"#),
        "[".repeat(900_000),
    ] {
        let answer = target.host.call("POST", "/api/v1/job", Some("a"), &body);
        assert_eq!(answer.status, 400, "{:.60}: {:?}", body, answer.json());
    }
    let number = part(&format!(r#"{{"n":{}}}"#, "9".repeat(60_000)));
    let status_of_number = target
        .host
        .call("POST", "/api/v1/job", Some("a"), &number)
        .status;
    assert!([200, 400].contains(&status_of_number), "{status_of_number}");
    // What says that it is compressed is read as it is, and is then no JSON.
    let bomb = "POST /api/v1/job HTTP/1.1\r\nHost: localhost\r\nX-Heimdall-User: a\r\nContent-Encoding: gzip\r\nConnection: close\r\nContent-Length: 12\r\n\r\n\x1f\x08\x08\x00\x00\x00\x00\x00\x00\x00\x00\x00";
    assert!([400, 415].contains(&status(&mut target.send(bomb))));
    target.survived(100);
}

#[test]
fn documents_that_are_made_to_be_hard_to_read_are_refused_by_the_plugin() {
    let began = Instant::now();
    let deep = |open: &str, close: &str, n| format!("{}1{}", open.repeat(n), close.repeat(n));
    for parameters in [
        deep("[", "]", 200_000),
        deep(r#"{"M":{"a":"#, "}}", 100_000),
        deep(r#"{"L":["#, "]}", 100_000),
        format!(r#"[{{"N":"{}"}}]"#, "9".repeat(1 << 20)),
        format!("[1e{}]", "9".repeat(1 << 16)),
    ] {
        let document = format!(
            r#"{{"context":{{"query":"SELECT * FROM t WHERE a = ?","timeout_seconds":5,"parameters":{parameters}}},"cluster":{{"context":{{"endpoint_url":"http://127.0.0.1:9","region":"us-east-1","max_attempts":1}}}}}}"#
        );
        let error = dynamo()
            .run_job(document.as_bytes(), &CallOptions::default())
            .map(drop)
            .unwrap_err();
        assert!(
            ["INVALID_JOB", "UNAVAILABLE"].contains(&error.code.as_str()),
            "{error}"
        );
        assert!(
            error.message.len() < 5_000,
            "{} bytes of message",
            error.message.len()
        );
    }
    assert!(began.elapsed() < PATIENCE);
}

#[test]
fn ids_lead_nowhere_but_to_jobs() {
    let target = Target::new(
        "ids that are paths, percent-encoded, NUL, too long; 4,000 guessed links",
        "",
        "",
    );
    for id in [
        "../../../../etc/passwd",
        "..%2f..%2f..%2fetc%2fpasswd",
        "%2e%2e/%2e%2e/etc/passwd",
        "%00",
        "a%00b",
        "..%5c..%5c",
        "%ff%fe",
        "%C0%AE%C0%AE/",
        "%",
        "%zz",
        "'%20OR%201=1--",
        "\u{202e}",
        "//",
        ".",
        "..",
    ] {
        for path in [
            format!("/api/v1/job/{id}/result"),
            format!("/api/v1/job/{id}"),
            format!("/console/{id}"),
            format!("/{id}"),
        ] {
            let request = format!(
                "GET {path} HTTP/1.1\r\nHost: localhost\r\nX-Heimdall-User: a\r\nConnection: close\r\n\r\n"
            );
            let text = answers(target.send(&request), PATIENCE);
            assert!(!text.contains("root:"), "{path}");
            let found = statuses(&text);
            assert!(
                found
                    .iter()
                    .all(|status| [200, 303, 307, 308, 400, 401, 404, 405].contains(status)),
                "{path}: {found:?}"
            );
        }
    }
    let body = job(&json!({"answer_bytes": 100}));
    let answer = target
        .host
        .call("POST", "/api/v1/job", Some("a"), &body)
        .json();
    let link = format!("/api/v1/job/{}/result/link", answer["id"].as_str().unwrap());
    let url = target.host.call("POST", &link, Some("a"), "{}").json()["url"]
        .as_str()
        .unwrap()
        .to_owned();
    let path = url
        .split_once("/api/")
        .map_or(url.clone(), |(_, rest)| format!("/api/{rest}"));
    let (folder, secret) = path.rsplit_once('/').unwrap();
    let (secret, query) = secret
        .split_once('?')
        .map_or((secret, ""), |(secret, query)| (secret, query));
    assert!(secret.len() >= 22, "{secret} can be guessed");
    // One character wrong at each place, and many that are quite another.
    let mut row = String::new();
    for n in 0..4_000 {
        let mut guess = secret.as_bytes().to_vec();
        let at = n % guess.len();
        guess[at] = if guess[at] == b'0' + u8::try_from(n / 1000).unwrap() {
            b'f'
        } else {
            b'0' + u8::try_from(n / 1000).unwrap()
        };
        let guess = String::from_utf8(guess).unwrap();
        let close = if n == 3_999 {
            "Connection: close\r\n"
        } else {
            ""
        };
        row.push_str(&format!(
            "GET {folder}/{guess}?{query} HTTP/1.1\r\nHost: localhost\r\n{close}\r\n"
        ));
    }
    let mut stream = target.send("");
    let mut writing = stream.try_clone().unwrap();
    let found = thread::scope(|scope| {
        scope.spawn(move || writing.write_all(row.as_bytes()).unwrap());
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        statuses(&text)
    });
    assert_eq!(
        (found.len(), found.iter().all(|status| *status == 404)),
        (4_000, true)
    );
    assert_eq!(
        target.host.call("GET", &path, None, "").status,
        200,
        "the true one holds"
    );
    assert_eq!(target.host.call("GET", &path, None, "").status, 404, "once");
    target.survived(100);
}

#[test]
fn headers_with_odd_values_are_refused_or_shown_harmless() {
    let target = Target::new(
        "odd header values; ranges by the thousand; gzip asked for 30 times unread",
        "",
        "",
    );
    for user in [
        &b"\xff\xfe"[..],
        b"\x1b[2J",
        b"a\tb",
        "\u{202e}bob".as_bytes(),
        b"a\x00b",
        b"",
        b"   ",
    ] {
        let request = [&b"POST /api/v1/job HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nX-Heimdall-User: "[..], user, b"\r\nContent-Length: 2\r\n\r\n{}"].concat();
        let text = answers(target.send(&request), PATIENCE);
        assert!(
            statuses(&text)
                .iter()
                .all(|status| [400, 401].contains(status)),
            "{user:?}: {text}"
        );
        assert!(
            !text.contains('\u{1b}') && !text.contains('\u{202e}'),
            "{text}"
        );
    }
    let body = job(&json!({"answer_bytes": 3_000_000}));
    let answer = target
        .host
        .call("POST", "/api/v1/job", Some("a"), &body)
        .json();
    let path = format!("/api/v1/job/{}/result", answer["id"].as_str().unwrap());
    let ranges = (0..2_000)
        .map(|n| format!("{n}-"))
        .collect::<Vec<_>>()
        .join(",");
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: localhost\r\nX-Heimdall-User: a\r\nConnection: close\r\nRange: bytes={ranges}\r\n\r\n"
    );
    let text = answers(target.send(request), PATIENCE);
    assert!(text.len() < 3_100_000, "{} bytes were sent", text.len());
    assert!([vec![200], vec![416], vec![400]].contains(&statuses(&text)));
    let zipped = format!(
        "GET {path} HTTP/1.1\r\nHost: localhost\r\nX-Heimdall-User: a\r\nAccept-Encoding: gzip, gzip;q=1, *\r\n\r\n"
    );
    let unread: Vec<_> = (0..30).map(|_| target.send(&zipped)).collect();
    target.survived(120);
    drop(unread);
}

/// A client that goes away right after it has sent a job has not been told of it, and may still find it: it must not wait for ever.
#[test]
fn jobs_whose_senders_hang_up_come_to_an_end() {
    let target = Target::new("400 senders of jobs that hang up at once", "", "");
    let kinds = ["type:echo", "type:later"];
    thread::scope(|scope| {
        for sender in 0..8_u64 {
            let (target, kinds) = (&target, &kinds);
            scope.spawn(move || {
                let mut random = fastrand::Rng::with_seed(sender);
                for n in 0..50 {
                    let body = job(&json!({})).replace("type:echo", kinds[n % 2]);
                    let stream = target.send(post("/api/v1/job", "gone", &body));
                    thread::sleep(Duration::from_micros(random.u64(..3_000)));
                    let _ = stream.shutdown(Shutdown::Both);
                }
            });
        }
    });
    let deadline = Instant::now() + PATIENCE;
    loop {
        let page = target
            .host
            .call(
                "GET",
                "/api/v1/jobs?status=NEW,ACCEPTED,RUNNING,CANCELING",
                Some("a"),
                "",
            )
            .json();
        let left: Vec<Value> = page["data"].as_array().unwrap().clone();
        if left.is_empty() {
            break;
        }
        assert!(
            Instant::now() < deadline,
            "{} jobs never end, the first: {}",
            left.len(),
            left[0]
        );
        thread::sleep(Duration::from_millis(50));
    }
    target.survived(100);
}
