//! `host-pages URL`: a host runs one sync job that reads all pages behind URL; what that cost the host's process, as one line of JSON.
//!
//! The host runs on core 0 and this program, which only drops the result's bytes, where it was started.
#![forbid(unsafe_code)]

use std::time::Instant;

use harness_tests::{
    load::CONFIG,
    process::{cpu_seconds, status},
    serving::TestHost,
    submission,
};
use memchr::memmem;
use serde_json::{Value, json};

fn main() {
    let url = std::env::args().nth(1).expect("usage: host-pages URL");
    let directory = TestHost::new(CONFIG, &url);
    let host = directory.serve_on_core(0);
    let (cpu, began) = (cpu_seconds(host.id()), Instant::now());
    let job = submission(
        "type:sync",
        "type:dynamodb",
        &json!({"query": "SELECT * FROM bench"}),
    );
    let answer = host.call("POST", "/api/v1/job", Some("bench"), &job.to_string());
    let (cpu, wall) = (cpu_seconds(host.id()) - cpu, began.elapsed());
    assert_eq!(
        answer.status,
        200,
        "{:.500}",
        String::from_utf8_lossy(&answer.body)
    );
    let stats = stats(&answer.body);
    let figures = json!({
        "cpu_s": cpu,
        "wall_s": wall.as_secs_f64(),
        "peak_bytes": status(host.id(), "VmHWM").map(|kb| kb * 1024),
        "wire_bytes": stats["wire_bytes"],
        "rows": stats["rows"],
        "result_bytes": answer.body.len(),
    });
    println!("{figures}");
}

/// The result's `stats`, without reading its rows.
fn stats(answer: &[u8]) -> Value {
    const KEY: &[u8] = br#""stats":"#;
    let at = memmem::rfind(answer, KEY).expect("a result has stats") + KEY.len();
    let mut values = serde_json::Deserializer::from_slice(&answer[at..]).into_iter();
    values
        .next()
        .expect("stats have a value")
        .expect("stats are JSON")
}
