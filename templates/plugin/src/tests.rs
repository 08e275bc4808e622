//! The plugin as hosts reach it: linked in and loaded from its built file, through both sets of entry points.

use std::time::Duration;

use plugin_api::ErrorCode;
use plugin_host::{
    CallOptions,
    testing::{build_library, in_every_way},
};
use serde_json::{Value, json};

#[test]
fn answers_cancels_and_refuses_in_every_way_that_a_host_has() {
    let file = build_library(env!("CARGO_MANIFEST_DIR"), &[]);
    in_every_way(crate::root_module(), &file, |way| {
        let any = CallOptions::default();
        let job = json!({"id": "a", "context": {"text": "two words"}}).to_string();
        let result: Value = serde_json::from_slice(&way.run_job(&job, &any).unwrap()).unwrap();
        assert_eq!(result["data"], json!([["two", 3], ["words", 5]]));

        let error = way.run_job(r#"{"context":{"txt":"x"}}"#, &any).unwrap_err();
        assert_eq!(error.code, ErrorCode::INVALID_JOB);

        let slow =
            json!({"id": "slow", "context": {"text": "one", "pause_ms": 600_000}}).to_string();
        let brief = CallOptions {
            timeout: Some(Duration::from_millis(10)),
            ..Default::default()
        };
        assert_eq!(
            way.run_job(&slow, &brief).unwrap_err().code,
            ErrorCode::TIMEOUT
        );
        std::thread::scope(|scope| {
            let job = scope.spawn(|| way.run_job(&slow, &any).unwrap_err().code);
            while !way.library.cancel_job("slow") {
                std::thread::yield_now();
            }
            assert_eq!(job.join().unwrap(), ErrorCode::CANCELLED);
        });
    });
}
