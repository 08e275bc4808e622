//! Liveness and readiness.

use axum::{body::Body, http::StatusCode};
use serde_json::json;

use super::{api, api_with};
use crate::testing::CONFIG;

#[tokio::test]
async fn a_host_is_ready_while_one_active_command_has_its_plugin() {
    let api = api().await;
    for path in ["/livez", "/readyz"] {
        let answer = api.call("GET", path, None, Body::empty()).await;
        assert_eq!(
            (answer.status, answer.json()),
            (StatusCode::OK, json!({"status": "ok"}))
        );
        let post = api.call("POST", path, Some("a"), Body::empty()).await;
        assert_eq!(post.status, StatusCode::METHOD_NOT_ALLOWED);
    }
    for command in ["sync", "async", "ops"] {
        let path = format!("/api/v1/command/{command}/status");
        api.call("PUT", &path, Some("ops-1"), "{\"status\": \"inactive\"}")
            .await;
    }
    let answer = api.get("/readyz").await;
    assert_eq!(answer.code(), (503, "PLUGIN_UNAVAILABLE".into()));
    assert!(answer.json()["error"].as_str().unwrap().contains("'gone'"));
    assert_eq!(api.get("/livez").await.status, StatusCode::OK);
}

#[tokio::test]
async fn readiness_needs_no_token() {
    let tokens = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(tokens.path(), "secret\n").unwrap();
    let auth = format!("auth: {{token_file: {}}}\npool:", tokens.path().display());
    let api = api_with(&CONFIG.replace("pool:", &auth)).await;
    let ask = |path| api.call("GET", path, None, Body::empty());
    assert_eq!(ask("/api/v1/jobs").await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(ask("/livez").await.status, StatusCode::OK);
    assert_eq!(ask("/readyz").await.status, StatusCode::OK);
}

#[tokio::test]
async fn less_room_than_asked_for_refuses_new_jobs_and_says_so() {
    let limits = "limits: {min_free_bytes: 9223372036854775807, ";
    let api = api_with(&CONFIG.replace("limits: {", limits)).await;
    for command in ["sync", "async"] {
        let answer = api.submit(command, "rows").await;
        assert_eq!(answer.code(), (507, "STORAGE_FULL".into()));
        let body = answer.json();
        assert_eq!(body["details"]["retryable"], true);
        assert!(
            body["error"]
                .as_str()
                .unwrap()
                .contains("limits.min_free_bytes"),
            "{body}"
        );
    }
    assert_eq!(
        api.get("/readyz").await.code(),
        (503, "STORAGE_FULL".into())
    );
}
