//! Commands and clusters.

use serde_json::json;

use super::{Answer, api};

#[tokio::test]
async fn a_status_is_set_and_routes_follow() {
    let api = api().await;
    let set = |status: &str| json!({"status": status}).to_string();
    let answer = api
        .call(
            "PUT",
            "/api/v1/command/sync/status",
            Some("a"),
            set("inactive"),
        )
        .await
        .json();
    assert_eq!(
        (answer["status"].as_str(), answer["updated_at"].is_i64()),
        (Some("INACTIVE"), true)
    );
    let refused = api.submit("sync", "rows").await;
    assert_eq!(refused.code().1, "NO_ROUTE");
    assert!(
        refused.json()["error"]
            .as_str()
            .unwrap()
            .contains("inactive")
    );
    api.call(
        "PUT",
        "/api/v1/command/sync/status",
        Some("a"),
        set("ACTIVE"),
    )
    .await;
    assert_eq!(api.submit("sync", "rows").await.status, 200);
    api.call(
        "PUT",
        "/api/v1/cluster/main/status",
        Some("a"),
        set("deleted"),
    )
    .await;
    assert_eq!(api.submit("sync", "rows").await.code().1, "NO_ROUTE");
}

#[tokio::test]
async fn definitions_are_listed_filtered_and_without_secrets() {
    let api = api().await;
    let ids = |answer: Answer| -> Vec<String> {
        answer.json()["data"]
            .as_array()
            .unwrap()
            .iter()
            .map(|row| row["id"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(ids(api.get("/api/v1/commands").await).len(), 4);
    assert_eq!(
        ids(api
            .get("/api/v1/commands?id=%25sync&plugin=fake&status=active,deleted")
            .await),
        ["sync", "async"]
            .map(|id| id.to_owned())
            .into_iter()
            .filter(|id| id.ends_with("sync"))
            .collect::<Vec<_>>()
    );
    assert_eq!(ids(api.get("/api/v1/clusters?name=q_iet").await), ["quiet"]);
    let cluster = api.get("/api/v1/cluster/main").await;
    assert_eq!(cluster.json()["context"], json!({"role_arn": "r"}));
    let command = api.get("/api/v1/command/sync").await.json();
    assert_eq!(
        (
            command["is_sync"].as_bool(),
            command["description"].as_str()
        ),
        (Some(true), Some("Waits"))
    );
    assert_eq!(
        api.get("/api/v1/command/sync/status").await.json()["status"],
        "ACTIVE"
    );
    assert_eq!(
        api.get("/api/v1/job/statuses")
            .await
            .json()
            .as_array()
            .unwrap()
            .len(),
        8
    );
    assert_eq!(
        api.get("/api/v1/cluster/statuses").await.json(),
        json!(["ACTIVE", "DELETED", "INACTIVE"])
    );
}
