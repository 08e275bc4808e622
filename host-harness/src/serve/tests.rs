use std::collections::BTreeSet;

use axum::Router;
use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use hyper::service::Service;
use hyper_util::service::TowerToHyperService;
use serde_json::{Value, json};

use super::{admin, routes, start};
use crate::testing::{CONFIG, Host};

/// The interface over a test's host.
struct Api {
    host: Host,
    router: Router,
}

struct Answer {
    status: StatusCode,
    headers: axum::http::HeaderMap,
    bytes: Vec<u8>,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.bytes)
            .unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&self.bytes)))
    }
    fn code(&self) -> (u16, String) {
        (
            self.status.as_u16(),
            self.json()["code"].as_str().unwrap_or_default().to_owned(),
        )
    }
}

async fn api() -> Api {
    api_with(CONFIG).await
}

async fn api_with(config: &str) -> Api {
    let host = Host::with(config);
    let router = routes::router(start::app_of(&host).await);
    Api { host, router }
}

impl Api {
    async fn send(&self, request: Request<Body>) -> Answer {
        let service = TowerToHyperService::new(self.router.clone());
        let (parts, body) = service.call(request).await.unwrap().into_parts();
        let bytes = axum::body::to_bytes(Body::new(body), usize::MAX)
            .await
            .unwrap()
            .to_vec();
        Answer {
            status: parts.status,
            headers: parts.headers,
            bytes,
        }
    }

    async fn call(
        &self,
        method: &str,
        path: &str,
        user: Option<&str>,
        body: impl Into<Body>,
    ) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        if let Some(user) = user {
            request = request.header("X-Heimdall-User", user);
        }
        self.send(request.body(body.into()).unwrap()).await
    }

    async fn get(&self, path: &str) -> Answer {
        self.call("GET", path, Some("alice"), Body::empty()).await
    }

    async fn submit(&self, command: &str, query: &str) -> Answer {
        let body = json!({"name": "a-job", "version": "0.0.1", "command_criteria": [format!("_name:{command}")],
                          "cluster_criteria": ["data:prod"], "context": {"query": query}});
        self.call("POST", "/api/v1/job", Some("alice"), body.to_string())
            .await
    }
}

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
async fn every_refusal_has_its_status_and_code() {
    let api = api().await;
    let id = api.submit("sync", "rows").await.json()["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let failed = api.submit("sync", "fail THROTTLED").await;
    let failed_id = failed.json()["id"].as_str().unwrap().to_owned();
    assert_eq!(
        (failed.code(), &failed.headers[header::RETRY_AFTER]),
        ((429, "THROTTLED".into()), &"1".parse().unwrap())
    );
    assert_eq!(
        api.submit("ops", "rows").await.code(),
        (403, "FORBIDDEN".into())
    );
    assert_eq!(
        api.submit("gone", "rows").await.code(),
        (503, "PLUGIN_UNAVAILABLE".into())
    );
    assert_eq!(
        api.submit("nosuch", "rows").await.code(),
        (400, "NO_ROUTE".into())
    );
    assert_eq!(
        api.submit("sync", "panic").await.code(),
        (500, "INTERNAL".into())
    );
    let big = "x".repeat(70_000);
    for (method, path, user, body, status, code) in [
        (
            "POST",
            "/api/v1/job",
            Some("a"),
            "garbage",
            400,
            "INVALID_JOB",
        ),
        ("POST", "/api/v1/job", Some("a"), "", 400, "INVALID_JOB"),
        ("POST", "/api/v1/job", Some("a"), "{}", 400, "INVALID_JOB"),
        (
            "POST",
            "/api/v1/job",
            Some("a"),
            big.as_str(),
            413,
            "BODY_TOO_LARGE",
        ),
        ("POST", "/api/v1/job", None, "{}", 401, "UNAUTHENTICATED"),
        (
            "POST",
            "/api/v1/job",
            Some(""),
            "{}",
            401,
            "UNAUTHENTICATED",
        ),
        ("GET", "/api/v1/job/nope", Some("a"), "", 404, "NOT_FOUND"),
        ("GET", "/api/v1/job/%FF", Some("a"), "", 404, "NOT_FOUND"),
        (
            "GET",
            "/api/v1/job/nope/result",
            Some("a"),
            "",
            404,
            "NOT_FOUND",
        ),
        (
            "GET",
            "/api/v1/job/ID/secrets",
            Some("a"),
            "",
            404,
            "NOT_FOUND",
        ),
        (
            "GET",
            "/api/v1/job/FAILED/result",
            Some("a"),
            "",
            404,
            "NOT_FOUND",
        ),
        (
            "POST",
            "/api/v1/job/ID/cancel",
            Some("a"),
            "",
            409,
            "NOT_CANCELLABLE",
        ),
        (
            "POST",
            "/api/v1/job/nope/cancel",
            Some("a"),
            "",
            404,
            "NOT_FOUND",
        ),
        (
            "GET",
            "/api/v1/command/nope",
            Some("a"),
            "",
            404,
            "NOT_FOUND",
        ),
        (
            "GET",
            "/api/v1/cluster/nope/health",
            Some("a"),
            "",
            404,
            "NOT_FOUND",
        ),
        (
            "GET",
            "/api/v1/cluster/quiet/health",
            Some("a"),
            "",
            404,
            "NOT_FOUND",
        ),
        (
            "PUT",
            "/api/v1/command/nope/status",
            Some("a"),
            "{\"status\":\"active\"}",
            404,
            "NOT_FOUND",
        ),
        (
            "PUT",
            "/api/v1/command/sync/status",
            Some("a"),
            "{\"status\":\"sleepy\"}",
            400,
            "INVALID_REQUEST",
        ),
        (
            "PUT",
            "/api/v1/command/sync/status",
            Some("a"),
            "{}",
            400,
            "INVALID_REQUEST",
        ),
        ("GET", "/api/v1/nope", Some("a"), "", 404, "NOT_FOUND"),
        (
            "DELETE",
            "/api/v1/jobs",
            Some("a"),
            "",
            405,
            "METHOD_NOT_ALLOWED",
        ),
        (
            "GET",
            "/api/v1/jobs?cursor=zzz",
            Some("a"),
            "",
            400,
            "INVALID_REQUEST",
        ),
        (
            "GET",
            "/api/v1/jobs?status=SLEEPY",
            Some("a"),
            "",
            400,
            "INVALID_REQUEST",
        ),
        (
            "GET",
            "/api/v1/jobs?limit=many",
            Some("a"),
            "",
            400,
            "INVALID_REQUEST",
        ),
        (
            "GET",
            "/api/v1/jobs?order_by=price",
            Some("a"),
            "",
            400,
            "INVALID_REQUEST",
        ),
        (
            "GET",
            "/api/v1/jobs?direction=up",
            Some("a"),
            "",
            400,
            "INVALID_REQUEST",
        ),
        (
            "GET",
            "/api/v1/jobs?usrname=x",
            Some("a"),
            "",
            400,
            "INVALID_REQUEST",
        ),
        (
            "GET",
            "/api/v1/commands?plugn=x",
            Some("a"),
            "",
            400,
            "INVALID_REQUEST",
        ),
        (
            "POST",
            "/api/v1/plugins/nope/use",
            Some("a"),
            "{\"version\": null}",
            404,
            "NOT_FOUND",
        ),
        (
            "POST",
            "/api/v1/plugins/fake/use",
            Some("a"),
            "{\"version\": \"new\"}",
            400,
            "INVALID_REQUEST",
        ),
    ] {
        let path = path.replace("ID", &id).replace("FAILED", &failed_id);
        let answer = api.call(method, &path, user, body.to_owned()).await;
        assert_eq!(answer.code(), (status, code.to_owned()), "{method} {path}");
    }
    let none = api
        .get(&format!("/api/v1/job/{failed_id}/result"))
        .await
        .json();
    assert_eq!(none["details"]["code"], "THROTTLED", "{none}");
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

#[tokio::test]
async fn health_plugins_and_metrics_are_told() {
    let api = api().await;
    let health = api.get("/api/v1/clusters/health").await;
    let check = &health.json()["checks"][0];
    assert_eq!(
        (
            health.status.as_u16(),
            check["status"].as_str(),
            check["plugin"].as_str()
        ),
        (200, Some("ok"), Some("fake"))
    );
    assert_eq!(api.get("/api/v1/cluster/main/health").await.status, 200);
    assert_eq!(
        api.get("/api/v1/plugins").await.json()["data"][0]["state"],
        "ACTIVE"
    );
    let reload = api
        .call("POST", "/api/v1/plugins/reload", Some("a"), Body::empty())
        .await
        .json();
    assert_eq!(reload["loaded"], json!([]));
    for body in [
        "",
        "null",
        "{}",
        "{\"version\": null}",
        "{\"version\": \"1.0.0\"}",
    ] {
        assert_eq!(
            api.call(
                "POST",
                "/api/v1/plugins/fake/use",
                Some("a"),
                body.to_owned()
            )
            .await
            .status,
            200,
            "{body}"
        );
    }
    api.submit("sync", "rows").await;
    api.get("/nope").await;
    let metrics = String::from_utf8(api.get("/metrics").await.bytes).unwrap();
    for line in [
        "outcome=\"SUCCEEDED\"",
        "host_result_rows_total 1",
        "host_requests_refused_total{code=\"404\"} 1",
    ] {
        assert!(metrics.contains(line), "{metrics}");
    }
}

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
async fn the_description_names_exactly_the_routes_and_methods_that_there_are() {
    let described: Value = serde_json::from_str(admin::OPENAPI).unwrap();
    let mut expected = BTreeSet::new();
    for (path, operations) in described["paths"].as_object().unwrap() {
        for method in operations.as_object().unwrap().keys() {
            expected.insert((path.clone(), method.clone()));
        }
    }
    let routes = routes::table();
    let named: BTreeSet<_> = routes
        .iter()
        .flat_map(|(path, methods, _)| {
            methods
                .iter()
                .map(|method| ((*path).to_owned(), (*method).to_owned()))
        })
        .collect();
    assert_eq!(named, expected);
    let api = api().await;
    for (path, methods, _) in routes {
        for method in ["get", "put", "post", "delete", "patch"] {
            let answer = api
                .call(
                    &method.to_uppercase(),
                    &path.replace("{id}", "x"),
                    Some("a"),
                    Body::empty(),
                )
                .await;
            assert_eq!(
                answer.status == StatusCode::METHOD_NOT_ALLOWED,
                !methods.contains(&method),
                "{method} {path}: {}",
                answer.status
            );
        }
    }
}
