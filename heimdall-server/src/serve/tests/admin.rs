//! Health, plugins, metrics and the description.

use std::collections::BTreeSet;

use axum::{body::Body, http::StatusCode};
use serde_json::{Value, json};

use super::api;
use crate::serve::{admin, routes};

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
    for (body, status) in [
        ("{\"version\": null}", 200),
        (
            concat!("{\"version\": \"", env!("CARGO_PKG_VERSION"), "\"}"),
            200,
        ),
        ("{\"version\": \"99.0.0\"}", 404),
        ("", 400),
        ("null", 400),
        ("{}", 400),
        ("{\"version\": \"one\"}", 400),
        ("{\"version\": 1}", 400),
    ] {
        let path = "/api/v1/plugins/fake/use";
        let answer = api.call("POST", path, Some("a"), body.to_owned()).await;
        assert_eq!(answer.status, status, "{body}");
    }
    api.submit("sync", "rows").await;
    api.get("/nope").await;
    let metrics = String::from_utf8(api.get("/metrics").await.bytes).unwrap();
    for line in [
        "outcome=\"SUCCEEDED\"",
        "host_result_rows_total 1",
        "host_requests_refused_total{code=\"NOT_FOUND\"} 2",
    ] {
        assert!(metrics.contains(line), "{metrics}");
    }
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
