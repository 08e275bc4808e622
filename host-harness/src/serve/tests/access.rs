//! Who is let in, and to which jobs.

use axum::body::Body;
use axum::http::{Request, header};
use serde_json::json;

use super::api_with;
use crate::testing::CONFIG;

#[tokio::test]
async fn with_tokens_nobody_else_is_let_in() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("token");
    std::fs::write(&file, "secret-token\n").unwrap();
    let api = api_with(&format!(
        "auth: {{token_file: {}}}\n{CONFIG}",
        file.display()
    ))
    .await;
    assert_eq!(
        api.get("/metrics").await.code(),
        (401, "UNAUTHENTICATED".into())
    );
    let request = Request::builder()
        .uri("/metrics")
        .header(header::AUTHORIZATION, "Bearer secret-token");
    assert_eq!(
        api.send(request.body(Body::empty()).unwrap()).await.status,
        200
    );
}

#[tokio::test]
async fn isolated_callers_see_and_cancel_their_own_jobs_only() {
    let api = api_with(&format!("auth: {{isolate_users: true}}\n{CONFIG}")).await;
    let id = api.submit("async", "wait").await.json()["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let (record, cancel) = (
        format!("/api/v1/job/{id}"),
        format!("/api/v1/job/{id}/cancel"),
    );
    assert_eq!(
        api.call("GET", &record, Some("bob"), Body::empty())
            .await
            .status,
        404
    );
    assert_eq!(
        api.call("GET", &record, None, Body::empty()).await.status,
        401
    );
    assert_eq!(
        api.call("POST", &cancel, Some("bob"), Body::empty())
            .await
            .status,
        404
    );
    assert_eq!(
        api.call("GET", "/api/v1/jobs", Some("bob"), Body::empty())
            .await
            .json(),
        json!({"data": []})
    );
    assert_eq!(
        api.get("/api/v1/jobs").await.json()["data"][0]["id"],
        id.as_str()
    );
    assert_eq!(
        api.call("POST", &cancel, Some("alice"), Body::empty())
            .await
            .status,
        200
    );
    api.host.ended(&id).await;
}
