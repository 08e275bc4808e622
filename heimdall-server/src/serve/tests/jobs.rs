//! Jobs: submitted, asked for, cancelled, listed.

use std::collections::BTreeSet;

use axum::{
    body::Body,
    http::{Request, header},
};
use serde_json::json;

use super::api;
use crate::testing::submitted;

#[tokio::test]
async fn a_sync_job_is_answered_with_its_result_and_leaves_record_result_and_lines() {
    let api = api().await;
    let answer = api.submit("sync", "log hello").await.json();
    let id = answer["id"].as_str().unwrap();
    assert_eq!(
        answer
            .as_object()
            .unwrap()
            .keys()
            .map(String::as_str)
            .collect::<BTreeSet<_>>(),
        BTreeSet::from([
            "id",
            "name",
            "version",
            "user",
            "tags",
            "context",
            "status",
            "is_sync",
            "command_criteria",
            "cluster_criteria",
            "plugin",
            "plugin_version",
            "result"
        ]),
    );
    assert_eq!(
        (answer["status"].as_str(), answer["result"]["data"].clone()),
        (Some("SUCCEEDED"), json!([["x"]]))
    );
    let record = api.get(&format!("/api/v1/job/{id}")).await.json();
    assert_eq!(
        (
            record["command_id"].as_str(),
            record["cluster_name"].as_str(),
            record["plugin"].as_str()
        ),
        (Some("sync"), Some("main"), Some("fake"))
    );
    let result = api.get(&format!("/api/v1/job/{id}/result")).await;
    assert_eq!(
        (result.json(), &result.headers[header::CONTENT_TYPE]),
        (
            answer["result"].clone(),
            &"application/json".parse().unwrap()
        )
    );
    let lines = api.get(&format!("/api/v1/job/{id}/stderr")).await;
    assert_eq!(
        (lines.bytes.as_slice(), &lines.headers[header::CONTENT_TYPE]),
        (&b"INFO hello\n"[..], &"text/plain".parse().unwrap())
    );
    assert_eq!(
        api.get(&format!("/api/v1/job/{id}/stdout")).await.bytes,
        b""
    );
    let status = api.get(&format!("/api/v1/job/{id}/status")).await.json();
    assert_eq!(
        (
            status["status"].as_str(),
            status["updated_at"].is_i64(),
            status.get("error")
        ),
        (Some("SUCCEEDED"), true, None)
    );
    // A GET needs no caller.
    assert_eq!(
        api.call(
            "GET",
            &format!("/api/v1/job/{id}/result"),
            None,
            Body::empty()
        )
        .await
        .status,
        200
    );
}

#[tokio::test]
async fn large_results_are_streamed_from_their_file_and_gzipped_where_asked() {
    let api = api().await;
    let answer = api.submit("sync", "large 300000").await.json();
    let path = format!("/api/v1/job/{}/result", answer["id"].as_str().unwrap());
    let plain = api.get(&path).await;
    assert_eq!(
        plain.headers[header::CONTENT_LENGTH],
        plain.bytes.len().to_string()
    );
    assert_eq!(plain.json(), answer["result"]);
    let request = Request::builder()
        .uri(&path)
        .header(header::ACCEPT_ENCODING, "gzip")
        .body(Body::empty())
        .unwrap();
    let zipped = api.send(request).await;
    assert_eq!(zipped.headers[header::CONTENT_ENCODING], "gzip");
    assert!(zipped.bytes.starts_with(&[0x1f, 0x8b]) && zipped.bytes.len() < plain.bytes.len() / 10);
}

#[tokio::test]
async fn a_result_that_is_not_there_yet_is_a_conflict_and_cancel_says_canceling() {
    let api = api().await;
    let id = api.submit("async", "wait").await.json()["id"]
        .as_str()
        .unwrap()
        .to_owned();
    assert_eq!(
        api.get(&format!("/api/v1/job/{id}/result")).await.code(),
        (409, "NOT_FINISHED".into())
    );
    let answer = api
        .call(
            "POST",
            &format!("/api/v1/job/{id}/cancel"),
            Some("bob"),
            Body::empty(),
        )
        .await;
    assert_eq!(answer.json(), json!({"status": "CANCELING"}));
    api.host.ended(&id).await;
    let record = api.get(&format!("/api/v1/job/{id}")).await.json();
    assert_eq!(
        (record["status"].as_str(), record["canceled_by"].as_str()),
        (Some("CANCELED"), Some("bob"))
    );
}

#[tokio::test]
async fn lists_of_jobs_page_and_filter() {
    let api = api().await;
    for query in ["rows", "fail VALIDATION", "rows"] {
        api.submit("sync", query).await;
    }
    let first = api
        .get("/api/v1/jobs?limit=2&order_by=created_at&direction=asc")
        .await
        .json();
    assert_eq!(
        (
            first["data"].as_array().unwrap().len(),
            first["has_more"].as_bool()
        ),
        (2, Some(true))
    );
    let cursor = first["next_cursor"].as_str().unwrap();
    let second = api
        .get(&format!(
            "/api/v1/jobs?limit=2&order_by=created_at&direction=asc&cursor={cursor}"
        ))
        .await
        .json();
    assert_eq!(
        (
            second["data"].as_array().unwrap().len(),
            second.get("has_more"),
            second.get("next_cursor")
        ),
        (1, None, None)
    );
    let failed = api.get("/api/v1/jobs?status=FAILED,CANCELED&name=a-%25&username=alice&command=sync&cluster=ma%25").await.json();
    assert_eq!(failed["data"].as_array().unwrap().len(), 1);
    let id = failed["data"][0]["id"].as_str().unwrap();
    assert_eq!(
        api.get(&format!(
            "/api/v1/jobs?tags=_id:{id},_name:a-job&created_after=1"
        ))
        .await
        .json()["data"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
    assert_eq!(
        api.get("/api/v1/jobs?username=nobody").await.json(),
        json!({"data": []})
    );
}

#[tokio::test]
async fn a_trace_goes_from_the_request_into_the_record_the_document_and_the_log() {
    let api = api().await;
    let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let body = submitted("sync", "echo");
    let request = |trace: &str| {
        let request = Request::builder().method("POST").uri("/api/v1/job");
        let request = request
            .header("Host", "localhost")
            .header("X-Heimdall-User", "a")
            .header("traceparent", trace);
        request.body(Body::from(body.clone())).unwrap()
    };
    let answer = api.send(request(trace)).await.json();
    assert_eq!(answer["result"]["traceparent"], trace);
    let path = format!("/api/v1/job/{}", answer["id"].as_str().unwrap());
    assert_eq!(api.get(&path).await.json()["traceparent"], trace);
    let answer = api.send(request("nonsense")).await.json();
    assert_eq!(answer["status"], "SUCCEEDED");
    assert_eq!(answer["result"].get("traceparent"), None);
}
