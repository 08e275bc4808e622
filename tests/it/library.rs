//! A built library through the Rust entry points: what a host relies on.

use std::{
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

use harness_tests::library;
use plugin_api::ErrorCode;
use plugin_host::{CallOptions, Library};
use serde_json::{Value, json};

fn answer(library: &Library, job: &Value) -> Value {
    let document = library
        .run_job(job.to_string().as_bytes(), &CallOptions::default())
        .expect("the job succeeds");
    serde_json::from_slice(&document).expect("a result is JSON")
}

/// One process holds one slot per library, so everything about its life is one test.
#[test]
fn a_library_lives_from_its_first_job_to_close_and_opens_again() {
    let lines = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&lines);
    let echo = Library::load(
        &library("echo_plugin"),
        Some(Arc::new(move |_, target, message| {
            sink.lock().unwrap().push(format!("{target}: {message}"))
        })),
    )
    .unwrap();
    assert_eq!(
        (echo.info().name.as_str(), echo.info().version.as_str()),
        ("echo", "1.0.0")
    );
    assert_eq!(
        echo.info().features,
        ["cancel", "progress", "health", "rows", "start"]
    );

    echo.open("{}").unwrap();
    assert_eq!(
        echo.open("{}").unwrap_err().code,
        ErrorCode::INVALID_JOB,
        "open while open is wrong use"
    );
    assert_eq!(
        answer(&echo, &json!({"id": "a", "context": {"x": 1}}))["data"][0][1],
        json!({"x": 1})
    );
    assert_eq!(
        *lines.lock().unwrap(),
        ["echo: opened", "echo: job=a answered"]
    );

    // A panic is one job's failure.
    let error = echo
        .run_job(br#"{"context":{"panic":true}}"#, &CallOptions::default())
        .unwrap_err();
    assert_eq!(error.code, ErrorCode::INTERNAL);
    assert!(
        error.message.contains("lib.rs:") && !error.message.contains("asked to panic"),
        "{}",
        error.message
    );
    answer(&echo, &json!({}));

    // Cancel reaches a waiting job; a deadline ends one.
    thread::scope(|scope| {
        let waiting = scope.spawn(|| {
            echo.run_job(
                br#"{"id":"slow","context":{"sleep_ms":600000}}"#,
                &CallOptions::default(),
            )
            .unwrap_err()
        });
        while !echo.cancel_job("slow") {
            thread::yield_now();
        }
        assert_eq!(waiting.join().unwrap().code, ErrorCode::CANCELLED);
    });
    assert!(!echo.cancel_job("slow"), "a finished job is unknown");
    let options = CallOptions {
        timeout: Some(Duration::from_millis(20)),
        ..CallOptions::default()
    };
    assert_eq!(
        echo.run_job(br#"{"context":{"sleep_ms":600000}}"#, &options)
            .unwrap_err()
            .code,
        ErrorCode::TIMEOUT
    );

    // Close cancels what is left; several at once wait for the one; then no job is taken until the next open.
    thread::scope(|scope| {
        let waiting = scope.spawn(|| {
            echo.run_job(
                br#"{"id":"last","context":{"sleep_ms":600000}}"#,
                &CallOptions::default(),
            )
            .unwrap_err()
        });
        while !echo.cancel_job("last") {
            thread::yield_now();
        }
        for closer in [1, 2].map(|_| scope.spawn(|| echo.close(Duration::ZERO))) {
            closer.join().unwrap().unwrap();
        }
        assert_eq!(waiting.join().unwrap().code, ErrorCode::CANCELLED);
    });
    assert_eq!(
        echo.run_job(b"{}", &CallOptions::default())
            .unwrap_err()
            .code,
        ErrorCode::SHUTTING_DOWN
    );
    echo.close(Duration::ZERO).unwrap();
    echo.open("{}").unwrap();
    answer(&echo, &json!({}));
    echo.close(Duration::ZERO).unwrap();
}
