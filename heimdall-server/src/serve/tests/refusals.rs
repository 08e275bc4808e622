//! Every refusal has its status and code.

use axum::http::header;

use super::api;

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
