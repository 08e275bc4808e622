//! Results: formats, large ones, links, and how far a job is.

use axum::{
    body::Body,
    http::{HeaderName, Request, header},
};
use serde_json::{Value, json};

use super::{Answer, Api, api, api_with};
use crate::{
    job::JobStatus,
    testing::{CONFIG, TABLE, submitted},
};

async fn ask(api: &Api, path: &str, accept: Option<&str>) -> Answer {
    let mut request = Request::builder().uri(path).header("Host", "localhost");
    if let Some(accept) = accept {
        request = request.header(header::ACCEPT, accept);
    }
    api.send(request.body(Body::empty()).unwrap()).await
}

async fn path_of(api: &Api, query: &str) -> String {
    let answer = api.submit("sync", query).await.json();
    format!("/api/v1/job/{}/result", answer["id"].as_str().unwrap())
}

fn files(api: &Api) -> usize {
    std::fs::read_dir(api.host.results()).unwrap().count()
}

#[tokio::test]
async fn a_result_comes_in_the_format_of_the_parameter_else_of_accept() {
    let api = api().await;
    let path = path_of(&api, "table").await;
    let ndjson = "{\"id\":\"a\",\"n\":1}\n{\"id\":\"=b\"}\n";
    for (query, accept, kind, ending, body) in [
        ("", None, "application/json", "json", Some(TABLE)),
        ("", Some("*/*"), "application/json", "json", Some(TABLE)),
        (
            "?format=json",
            Some("text/csv"),
            "application/json",
            "json",
            Some(TABLE),
        ),
        (
            "?format=ndjson",
            None,
            "application/x-ndjson",
            "ndjson",
            Some(ndjson),
        ),
        (
            "",
            Some("application/x-ndjson"),
            "application/x-ndjson",
            "ndjson",
            Some(ndjson),
        ),
        (
            "?format=csv",
            None,
            "text/csv",
            "csv",
            Some("id,n\na,1\n=b,\n"),
        ),
        (
            "?format=csv&safe=1",
            None,
            "text/csv",
            "csv",
            Some("id,n\na,1\n'=b,\n"),
        ),
        (
            "",
            Some("text/csv;q=0.5, application/vnd.apache.parquet"),
            "application/vnd.apache.parquet",
            "parquet",
            None,
        ),
        (
            "?format=arrow",
            None,
            "application/vnd.apache.arrow.stream",
            "arrows",
            None,
        ),
    ] {
        let answer = ask(&api, &format!("{path}{query}"), accept).await;
        assert_eq!(
            (
                answer.status.as_u16(),
                &answer.headers[header::CONTENT_TYPE]
            ),
            (200, &kind.parse().unwrap()),
            "{query}"
        );
        let id = path.split('/').nth(4).unwrap();
        assert_eq!(
            answer.headers[header::CONTENT_DISPOSITION],
            format!("attachment; filename=\"{id}.{ending}\"")
        );
        assert_eq!(
            answer.headers[HeaderName::from_static("x-content-type-options")],
            "nosniff"
        );
        let vary: Vec<_> = answer
            .headers
            .get_all(header::VARY)
            .iter()
            .map(|value| value.to_str().unwrap().to_lowercase())
            .collect();
        assert!(vary.iter().any(|value| value == "accept"), "{vary:?}");
        if let Some(body) = body {
            assert_eq!(
                String::from_utf8(answer.bytes).unwrap(),
                body,
                "{query} {accept:?}"
            );
        } else {
            assert!(!answer.bytes.is_empty());
        }
    }
}

#[tokio::test]
async fn what_cannot_be_had_is_refused_before_a_byte_is_sent() {
    let api = api().await;
    let (table, nothing, echo) = (
        path_of(&api, "table").await,
        path_of(&api, "nothing").await,
        path_of(&api, "echo").await,
    );
    let failed = api.submit("sync", "fail THROTTLED").await.json();
    let failed = format!("/api/v1/job/{}/result", failed["id"].as_str().unwrap());
    for (path, accept, status, code) in [
        (format!("{table}?format=xml"), None, 400, "INVALID_REQUEST"),
        (
            format!("{table}?format=table"),
            None,
            400,
            "INVALID_REQUEST",
        ),
        (format!("{table}?fromat=csv"), None, 400, "INVALID_REQUEST"),
        (format!("{table}?safe=maybe"), None, 400, "INVALID_REQUEST"),
        (table.clone(), Some("text/html"), 406, "NOT_ACCEPTABLE"),
        (table, Some("application/json;q=0"), 406, "NOT_ACCEPTABLE"),
        (
            "/api/v1/job/nope/result".to_owned(),
            Some("text/html"),
            404,
            "NOT_FOUND",
        ),
        (failed, Some("text/html"), 404, "NOT_FOUND"),
        (format!("{nothing}?format=parquet"), None, 422, "NO_COLUMNS"),
        (format!("{echo}?format=csv"), None, 406, "NOT_ACCEPTABLE"),
    ] {
        let answer = ask(&api, &path, accept).await;
        assert_eq!(answer.code(), (status, code.to_owned()), "{path}");
        assert_eq!(answer.headers[header::CONTENT_TYPE], "application/json");
        let varies = answer.headers.get(header::VARY);
        assert_eq!(varies.is_some_and(|name| name == "Accept"), status == 406);
    }
    assert_eq!(
        ask(&api, &format!("{nothing}?format=csv"), None)
            .await
            .bytes,
        b""
    );
    assert_eq!(ask(&api, &echo, None).await.status, 200);
    let running = api.submit("async", "wait").await.json();
    let id = running["id"].as_str().unwrap();
    let answer = ask(&api, &format!("/api/v1/job/{id}/result"), Some("text/html")).await;
    assert_eq!(answer.code(), (409, "NOT_FINISHED".into()));
    api.host.dispatch.cancel(id, "a", |_| true).await.unwrap();
}

#[tokio::test]
async fn a_result_that_came_as_rows_is_the_same_document_and_every_other_format() {
    let api = api().await;
    let answer = api.submit("sync", "lines 3").await.json();
    let expected = json!({
        "columns": [{"name": "a", "type": "string"}, {"name": "late", "type": "float"}, {"name": "z", "type": "long"}],
        "data": [["text 0", null, 0], ["text 1", null, 1], ["text 2", null, 2], [null, 1.5, null]],
        "stats": {"rows": 4, "requests": 1}});
    assert_eq!(
        (&answer["status"], &answer["result"]),
        (&json!("SUCCEEDED"), &expected)
    );
    let path = format!("/api/v1/job/{}/result", answer["id"].as_str().unwrap());
    assert_eq!(ask(&api, &path, None).await.json(), expected);
    let csv = ask(&api, &path, Some("text/csv")).await;
    assert_eq!(
        String::from_utf8(csv.bytes).unwrap(),
        "a,late,z\ntext 0,,0\ntext 1,,1\ntext 2,,2\n,1.5,\n"
    );
    let parquet = ask(&api, &format!("{path}?format=parquet"), None).await;
    assert!(parquet.bytes.starts_with(b"PAR1") && parquet.bytes.ends_with(b"PAR1"));
    assert_eq!(files(&api), 1);
    let metrics = String::from_utf8(api.get("/metrics").await.bytes).unwrap();
    assert!(
        metrics.contains("heimdall_host_result_rows_total 4"),
        "{metrics}"
    );
}

#[tokio::test]
async fn a_large_result_is_stored_whole_or_not_at_all() {
    let limits = "limits: {max_result_bytes: 2000, ";
    let api = api_with(&CONFIG.replace("limits: {", limits)).await;
    let half = api.submit("sync", "half").await;
    assert_eq!(half.code(), (422, "RESULT_TOO_LARGE".into()));
    let large = api.submit("sync", "lines 1000").await;
    assert_eq!(large.code(), (422, "RESULT_TOO_LARGE".into()));
    let document = api.submit("sync", "large 3000").await;
    assert_eq!(document.code(), (422, "RESULT_TOO_LARGE".into()));
    let fits = api.submit("sync", "lines 10").await.json();
    assert_eq!(fits["result"]["data"].as_array().unwrap().len(), 11);
    assert_eq!(files(&api), 1, "only the result that is kept has a file");

    let api = super::api().await;
    assert_eq!(
        api.submit("sync", "half").await.code(),
        (503, "UNAVAILABLE".into())
    );
    assert_eq!(files(&api), 0);
}

#[tokio::test]
async fn a_result_whose_file_is_damaged_breaks_the_connection() {
    let api = api().await;
    let path = path_of(&api, "lines 100").await;
    let file = std::fs::read_dir(api.host.results())
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    let mut bytes = std::fs::read(&file).unwrap();
    let half = bytes.len() / 2;
    bytes[half..].fill(b'x');
    std::fs::write(&file, bytes).unwrap();
    let request = Request::builder()
        .uri(&path)
        .header("Host", "localhost")
        .body(Body::empty())
        .unwrap();
    let service = hyper_util::service::TowerToHyperService::new(api.router.clone());
    let answer = hyper::service::Service::call(&service, request)
        .await
        .unwrap();
    assert_eq!(answer.status(), 200);
    let body = axum::body::to_bytes(Body::new(answer.into_body()), usize::MAX).await;
    assert!(body.is_err(), "half a result must not look whole");
}

#[tokio::test]
async fn a_link_is_good_once_without_a_token() {
    let tokens = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(tokens.path(), "secret alice\n").unwrap();
    let auth = format!("auth: {{token_file: {}}}\npool:", tokens.path().display());
    let api = api_with(&CONFIG.replace("pool:", &auth)).await;
    let send = |method: &str, path: String, token: bool, body: String| {
        let mut request = Request::builder().method(method).uri(path);
        if token {
            request = request.header(header::AUTHORIZATION, "Bearer secret");
        }
        api.send(request.body(Body::from(body)).unwrap())
    };
    let job = submitted("sync", "table");
    let job = send("POST", "/api/v1/job".into(), true, job).await.json();
    let path = format!("/api/v1/job/{}/result", job["id"].as_str().unwrap());
    assert_eq!(
        send("POST", format!("{path}/link"), false, String::new())
            .await
            .status,
        401
    );
    for (query, body, kind) in [
        ("?format=csv", "", "text/csv"),
        ("", "{\"format\": \"ndjson\"}", "application/x-ndjson"),
        ("", "", "application/json"),
    ] {
        let link = send("POST", format!("{path}/link{query}"), true, body.into())
            .await
            .json();
        let url = link["url"].as_str().unwrap().to_owned();
        let first = send("GET", url.clone(), false, String::new()).await;
        assert_eq!(
            (first.status.as_u16(), &first.headers[header::CONTENT_TYPE]),
            (200, &kind.parse().unwrap())
        );
        assert_eq!(
            send("GET", url, false, String::new()).await.code(),
            (404, "NOT_FOUND".into())
        );
    }
    let unknown = send(
        "POST",
        format!("{path}/link?format=xml"),
        true,
        String::new(),
    )
    .await;
    assert_eq!(unknown.code(), (400, "INVALID_REQUEST".into()));
}

#[tokio::test]
async fn the_record_of_a_running_job_says_how_far_it_is() {
    let api = api().await;
    let answer = api.submit("async", "progress").await.json();
    assert_eq!(answer.get("progress"), None);
    let id = answer["id"].as_str().unwrap();
    let path = format!("/api/v1/job/{id}");
    let expected = json!({"rows": 3, "pages": 2, "wire_bytes": 100});
    let running = |record: &Value| record["status"] == "RUNNING" && record["progress"] == expected;
    api.host
        .reaches(id, |job| job.status == JobStatus::Running)
        .await;
    while !running(&api.get(&path).await.json()) {
        tokio::task::yield_now().await;
    }
    let list = api.get("/api/v1/jobs").await.json();
    assert!(running(&list["data"][0]), "{list}");
    api.host.dispatch.cancel(id, "a", |_| true).await.unwrap();
    api.host.ended(id).await;
    assert_eq!(api.get(&path).await.json().get("progress"), None);
}
