//! The interceptor in the SDK's own client, over real sockets, against a server that answers from a script.

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
    time::Duration,
};

use aws_sdk_dynamodb::{
    Client,
    config::{
        BehaviorVersion, Credentials, Region, StalledStreamProtectionConfig, retry::RetryConfig,
    },
    error::SdkError,
    operation::execute_statement::{ExecuteStatementError, ExecuteStatementOutput},
};
use dynamo_decode::{DecodeError, Stats, Table};

use super::{AnswerInterceptor, decode_error};

type SendResult = Result<ExecuteStatementOutput, SdkError<ExecuteStatementError>>;

const GOOD: &str = r#"{"Items":[{"id":{"S":"a"}},{"id":{"S":"b"},"n":{"N":"1"}}],"NextToken":"next","ConsumedCapacity":{"TableName":"t","CapacityUnits":0.5}}"#;
const OTHER: &str = r#"{"Items":[{"other":{"NULL":true},"id":{"N":"1"}},{"id":{"#;

/// One answer of the scripted server.
struct Answer {
    status: u16,
    body: String,
    headers: String,
    /// How many bytes of the body are sent before the connection is cut.
    cut: Option<usize>,
    /// A pause after each byte.
    pause: Duration,
}

fn answer(body: &str) -> Answer {
    Answer {
        status: 200,
        body: body.to_owned(),
        headers: String::new(),
        cut: None,
        pause: Duration::ZERO,
    }
}

fn with_crc(body: &str, crc: u32) -> Answer {
    Answer {
        headers: format!("x-amz-crc32: {crc}\r\n"),
        ..answer(body)
    }
}

/// Serves the answers, one a connection, then ends; gives its address.
fn serve(answers: Vec<Answer>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    std::thread::spawn(move || {
        for answer in answers {
            let Ok((mut stream, _)) = listener.accept() else {
                return;
            };
            read_request(&mut stream);
            // The client may have had enough: that is its right.
            let _ = write_answer(&mut stream, &answer);
        }
    });
    format!("http://{address}")
}

fn read_request(stream: &mut TcpStream) {
    let mut request = Vec::new();
    let mut piece = [0; 4096];
    loop {
        let n_bytes = stream.read(&mut piece).expect("a request");
        request.extend_from_slice(&piece[..n_bytes]);
        let text = String::from_utf8_lossy(&request).to_lowercase();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head
                .lines()
                .find_map(|line| line.strip_prefix("content-length: "))
                .map_or(0, |length| length.parse().expect("a number"));
            if body.len() >= length {
                return;
            }
        }
        assert!(n_bytes > 0, "the request broke off");
    }
}

fn write_answer(stream: &mut TcpStream, answer: &Answer) -> std::io::Result<()> {
    let Answer {
        status,
        body,
        headers,
        cut,
        pause,
    } = answer;
    write!(
        stream,
        "HTTP/1.1 {status} x\r\nconnection: close\r\ncontent-type: application/x-amz-json-1.0\r\ncontent-length: {}\r\n{headers}\r\n",
        body.len()
    )?;
    let bytes = &body.as_bytes()[..cut.unwrap_or(body.len())];
    if pause.is_zero() {
        return stream.write_all(bytes);
    }
    stream.set_nodelay(true)?;
    bytes.iter().try_for_each(|byte| {
        std::thread::sleep(*pause);
        stream.write_all(&[*byte])
    })
}

/// What a `send()` gave, and the table and interceptor after it.
struct Outcome {
    result: SendResult,
    table: Arc<Mutex<Table>>,
    interceptor: AnswerInterceptor,
}

impl Outcome {
    /// The rows after committing the page.
    fn rows(self) -> String {
        self.result.expect("a page");
        let mut table = self.table.lock().expect("not poisoned");
        table.commit_page();
        let table = std::mem::replace(&mut *table, Table::new(None, None, 0));
        String::from_utf8(table.finish(&Stats::default()).expect("a document")).expect("UTF-8")
    }

    fn cause(&self) -> Option<DecodeError> {
        let error = self.result.as_ref().expect_err("no page");
        decode_error(error).cloned()
    }
}

async fn send(answers: Vec<Answer>) -> Outcome {
    send_to(answers, 1 << 20, StalledStreamProtectionConfig::disabled()).await
}

async fn send_to(
    answers: Vec<Answer>,
    max_result_bytes: u64,
    protection: StalledStreamProtectionConfig,
) -> Outcome {
    let retries = RetryConfig::standard()
        .with_max_attempts(3)
        .with_initial_backoff(Duration::from_millis(1));
    let config = aws_sdk_dynamodb::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::new("id", "key", None, None, "test"))
        .endpoint_url(serve(answers))
        .retry_config(retries)
        .stalled_stream_protection(protection)
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .build();
    let table = Arc::new(Mutex::new(Table::new(None, None, max_result_bytes)));
    let interceptor = AnswerInterceptor::new(Arc::clone(&table));
    let result = Client::from_conf(config)
        .execute_statement()
        .statement("SELECT * FROM t")
        .customize()
        .interceptor(interceptor.clone())
        .send()
        .await;
    Outcome {
        result,
        table,
        interceptor,
    }
}

const GOOD_ROWS: &str = r#"{"columns":[{"name":"id","type":"string"},{"name":"n","type":"long"}],"data":[["a",null],["b",1]],"stats""#;

#[tokio::test]
async fn the_sdk_reads_the_rest_while_the_table_gets_the_items() {
    let crc = crc32fast::hash(GOOD.as_bytes());
    let outcome = send(vec![with_crc(GOOD, crc)]).await;
    let output = outcome.result.as_ref().expect("a page");
    assert_eq!(output.next_token(), Some("next"));
    assert_eq!(
        output.consumed_capacity().and_then(|c| c.capacity_units()),
        Some(0.5)
    );
    assert!(output.items.is_none(), "the interceptor was not called");
    assert_eq!(outcome.interceptor.attempts(), 1);
    assert_eq!(outcome.interceptor.wire_bytes(), Some(GOOD.len() as u64));
    assert!(outcome.rows().starts_with(GOOD_ROWS));
}

#[tokio::test]
async fn a_damaged_answer_is_asked_for_again_and_leaves_nothing() {
    let error = r#"{"__type":"com.amazonaws.dynamodb.v20120810#ThrottlingException","message":"slow down"}"#;
    let bad: Vec<fn() -> Answer> = vec![
        || answer(&OTHER.repeat(2)),
        || answer("<html>"),
        || answer(""),
        || answer(r#"{"Items":[{"id":{"S":"x"}}],"NextToken":5}"#),
        || answer(r#"{"Items":[{"id":{"S":"x"}}],"ConsumedCapacity":"x"}"#),
        || with_crc(GOOD, 7),
        || Answer {
            cut: Some(60),
            ..answer(GOOD)
        },
        || Answer {
            cut: Some(0),
            ..answer(GOOD)
        },
        || Answer {
            status: 500,
            ..answer("{}")
        },
    ];
    for bad in bad {
        let outcome = send(vec![bad(), answer(OTHER), answer(GOOD)]).await;
        assert_eq!(outcome.interceptor.attempts(), 3);
        assert!(outcome.rows().starts_with(GOOD_ROWS));
    }
    let throttled = Answer {
        status: 400,
        ..answer(error)
    };
    let outcome = send(vec![throttled, answer(GOOD)]).await;
    assert_eq!(outcome.interceptor.attempts(), 2);
    assert!(outcome.rows().starts_with(GOOD_ROWS));
}

#[tokio::test]
async fn a_damage_that_stays_is_told_by_its_cause() {
    let outcome = send(vec![answer(OTHER), answer(OTHER), answer(OTHER)]).await;
    assert_eq!(outcome.interceptor.attempts(), 3);
    assert_eq!(outcome.interceptor.wire_bytes(), None);
    assert!(matches!(
        outcome.cause(),
        Some(DecodeError::Malformed { .. })
    ));

    let outcome = send((0..3).map(|_| with_crc(GOOD, 7)).collect()).await;
    assert!(matches!(
        outcome.cause(),
        Some(DecodeError::Checksum { promised: 7, .. })
    ));

    let rest = || answer(r#"{"Items":[],"NextToken":5}"#);
    let outcome = send(vec![rest(), rest(), rest()]).await;
    assert_eq!(outcome.interceptor.attempts(), 3);
    assert!(matches!(
        outcome.cause(),
        Some(DecodeError::Malformed { .. })
    ));
}

#[tokio::test]
async fn a_result_too_large_ends_the_job_at_once() {
    let long = r#"{"id":{"S":"0123456789"}},"#.repeat(100);
    let body = format!(r#"{{"Items":[{long}"#);
    let cut = Answer {
        // More is promised than ever comes: the error must not wait for the end.
        cut: Some(body.len()),
        ..answer(&format!("{body}{}", " ".repeat(1000)))
    };
    let outcome = send_to(
        vec![cut, answer(GOOD)],
        500,
        StalledStreamProtectionConfig::disabled(),
    )
    .await;
    assert_eq!(outcome.cause(), Some(DecodeError::TooLarge { limit: 500 }));
    assert_eq!(outcome.interceptor.attempts(), 1);
}

#[tokio::test]
async fn an_error_answer_stays_the_sdks() {
    let body = r#"{"__type":"com.amazonaws.dynamodb.v20120810#ResourceNotFoundException","message":"no such table"}"#;
    let outcome = send(vec![Answer {
        status: 400,
        ..answer(body)
    }])
    .await;
    let Err(SdkError::ServiceError(error)) = &outcome.result else {
        panic!("{:?}", outcome.result);
    };
    assert!(error.err().is_resource_not_found_exception());
    assert_eq!(outcome.cause(), None);
    assert_eq!(outcome.interceptor.attempts(), 1);
}

/// Were the interceptor inside it, the protection would see no byte until the end and call the stream stalled.
#[tokio::test]
async fn stalled_stream_protection_sees_every_byte() {
    let slow = Answer {
        pause: Duration::from_millis(20),
        ..answer(GOOD)
    };
    let protection = StalledStreamProtectionConfig::enabled()
        .grace_period(Duration::from_millis(500))
        .build();
    let outcome = send_to(vec![slow], 1 << 20, protection).await;
    assert!(outcome.rows().starts_with(GOOD_ROWS));
}
