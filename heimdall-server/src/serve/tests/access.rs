//! Who is let in, and to which jobs.

use axum::{body::Body, http::Request};
use serde_json::{Value, json};

use super::{Api, api_with, submitted};
use crate::testing::CONFIG;

/// An interface that asks for tokens, and the file that they stand in.
async fn with_tokens(lines: &str) -> (Api, tempfile::TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("tokens");
    std::fs::write(&file, lines).unwrap();
    let config = format!("auth: {{token_file: {}}}\n{CONFIG}", file.display());
    (api_with(&config).await, directory)
}

/// A request with these headers; its answer's status and code.
async fn ask(api: &Api, method: &str, path: &str, headers: &[(&str, &str)]) -> (u16, String) {
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let body = match path {
        "/api/v1/job" => submitted("sync", "rows"),
        "/api/v1/plugins/fake/use" => "{\"version\":null}".to_owned(),
        _ => "{\"status\":\"active\"}".to_owned(),
    };
    let answer = api.send(request.body(body.into()).unwrap()).await;
    let code = serde_json::from_slice::<Value>(&answer.bytes).unwrap_or_default();
    (
        answer.status.as_u16(),
        code["code"].as_str().unwrap_or_default().to_owned(),
    )
}

const USER: &str = "X-Heimdall-User";

#[tokio::test]
async fn with_tokens_nobody_else_is_let_in() {
    let (api, _directory) = with_tokens("secret-token\n").await;
    for (token, status) in [
        (None, 401),
        (Some("Bearer secret-toke"), 401),
        (Some("Bearer secret-tokenx"), 401),
        (Some("Basic secret-token"), 401),
        (Some("Bearer secret-token"), 200),
        (Some("bearer secret-token"), 200),
    ] {
        let headers: Vec<_> = token
            .map(|token| ("Authorization", token))
            .into_iter()
            .collect();
        let (found, code) = ask(&api, "GET", "/metrics", &headers).await;
        assert_eq!(found, status, "{token:?}");
        assert_eq!(code == "UNAUTHENTICATED", status == 401);
    }
}

#[tokio::test]
async fn a_role_reaches_as_far_as_it_says() {
    let (api, _directory) = with_tokens("r rita reader\nu uma user\na adam admin\np\n").await;
    let paths = [
        ("GET", "/api/v1/jobs"),
        ("POST", "/api/v1/job"),
        ("PUT", "/api/v1/command/sync/status"),
        ("PUT", "/api/v1/cluster/main/status"),
        ("POST", "/api/v1/plugins/reload"),
        ("POST", "/api/v1/plugins/fake/use"),
    ];
    for (token, reach) in [("r", 1), ("u", 2), ("a", 6), ("p", 6)] {
        for (index, (method, path)) in paths.iter().enumerate() {
            let bearer = format!("Bearer {token}");
            let mut headers = vec![("Authorization", bearer.as_str())];
            // The token without a name takes the caller from the header.
            headers.extend((token == "p").then_some((USER, "paul")));
            let expected = if index < reach {
                (200, String::new())
            } else {
                (403, "FORBIDDEN".to_owned())
            };
            assert_eq!(
                ask(&api, method, path, &headers).await,
                expected,
                "{token} {method} {path}"
            );
        }
    }
}

#[tokio::test]
async fn a_named_token_is_the_caller_and_only_an_admins_speaks_for_others() {
    let (api, _directory) = with_tokens("u uma user\na adam admin\np\n").await;
    for (token, header, expected) in [
        ("u", None, Ok("uma")),
        ("u", Some("uma"), Ok("uma")),
        ("u", Some("alice"), Err(403)),
        ("a", None, Ok("adam")),
        ("a", Some("alice"), Ok("alice")),
        ("p", Some("alice"), Ok("alice")),
        ("p", None, Err(401)),
    ] {
        let mut request =
            Request::post("/api/v1/job").header("Authorization", format!("Bearer {token}"));
        if let Some(header) = header {
            request = request.header(USER, header);
        }
        let body = submitted("sync", "rows").into();
        let answer = api.send(request.body(body).unwrap()).await;
        match expected {
            Ok(user) => assert_eq!(answer.json()["user"], user, "{token} {header:?}"),
            Err(status) => assert_eq!(answer.status, status, "{token} {header:?}"),
        }
    }
    let read = [("Authorization", "Bearer u"), (USER, "alice")];
    assert_eq!(ask(&api, "GET", "/api/v1/jobs", &read).await.0, 403);
}

#[tokio::test]
async fn without_tokens_no_foreign_page_reaches_the_host() {
    let config = format!("server: {{allowed_hosts: [jobs.example.org]}}\n{CONFIG}");
    let api = api_with(&config).await;
    for (headers, status) in [
        (vec![("Host", "evil.example")], 403),
        (vec![("Host", "jobs.example.org:9090")], 200),
        (vec![("Host", "127.0.0.1:9090")], 200),
        (
            vec![("Host", "localhost"), ("Origin", "http://localhost")],
            200,
        ),
        (
            vec![("Host", "localhost"), ("Origin", "http://evil.example")],
            403,
        ),
        (vec![("Host", "localhost"), ("Origin", "null")], 403),
    ] {
        for (method, path) in [
            ("GET", "/api/v1/jobs"),
            ("POST", "/api/v1/job"),
            ("GET", "/metrics"),
        ] {
            let mut headers = headers.clone();
            headers.push((USER, "alice"));
            let (found, code) = ask(&api, method, path, &headers).await;
            assert_eq!(found, status, "{method} {path} {headers:?}");
            assert_eq!(code, if status == 403 { "FORBIDDEN" } else { "" });
        }
    }
    // What a supervisor asks has the name that the supervisor knows; there may be no such path, but it is not refused.
    for path in ["/livez", "/readyz"] {
        assert_ne!(
            ask(&api, "GET", path, &[("Host", "pod-7.example")]).await.0,
            403
        );
        let foreign = [("Host", "localhost"), ("Origin", "http://evil.example")];
        assert_eq!(ask(&api, "GET", path, &foreign).await.0, 403);
    }
}

#[tokio::test]
async fn with_tokens_a_host_goes_by_any_name() {
    let (api, _directory) = with_tokens("t\n").await;
    let headers = [
        ("Authorization", "Bearer t"),
        ("Host", "any.example"),
        ("Origin", "http://other.example"),
    ];
    assert_eq!(ask(&api, "GET", "/api/v1/jobs", &headers).await.0, 200);
}

#[tokio::test]
async fn a_header_that_must_come_once_and_comes_twice_is_a_bad_request() {
    let api = super::api().await;
    for (name, value) in [
        (USER, "alice"),
        ("Authorization", "Bearer t"),
        ("Host", "localhost"),
        ("Content-Length", "2"),
    ] {
        let (status, code) = ask(
            &api,
            "POST",
            "/api/v1/job",
            &[(USER, "alice"), (name, value), (name, value)],
        )
        .await;
        assert_eq!((status, code.as_str()), (400, "INVALID_REQUEST"), "{name}");
    }
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
async fn the_page_needs_no_token_and_nothing_else_of_the_host_is_open_because_of_it() {
    let (api, _directory) = with_tokens("secret-token\n").await;
    for (path, status) in [
        ("/", 200),
        ("/console", 200),
        ("/console/app.js", 200),
        ("/console/nothing.js", 404),
        ("/api/v1/jobs", 401),
        ("/what", 401),
    ] {
        assert_eq!(ask(&api, "GET", path, &[]).await.0, status, "{path}");
    }
    let page = api.get("/").await;
    let policy = page.headers["content-security-policy"].to_str().unwrap();
    assert!(
        policy.starts_with("default-src 'none'; script-src 'self';") && !policy.contains("unsafe"),
        "{policy}"
    );
}

#[tokio::test]
async fn with_a_web_ui_every_other_path_is_its_own_and_the_page_moves_to_console() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let ui = axum::Router::new().fallback(|request: Request<Body>| async move {
        format!(
            "the UI got {} for {:?}",
            request.uri(),
            request.headers().get(USER)
        )
    });
    tokio::spawn(async move { axum::serve(listener, ui).await });
    let api = api_with(&format!("server: {{web_ui: 'http://{address}'}}\n{CONFIG}")).await;
    for (path, from_ui) in [
        ("/", true),
        ("/jobs?page=2", true),
        ("/_next/static/a.js", true),
        ("/console", false),
        ("/metrics", false),
        ("/livez", false),
        ("/api/v1/nothing", false),
    ] {
        let request = Request::get(path).header(USER, "alice").body(Body::empty());
        let answer = api.send(request.unwrap()).await;
        let text = String::from_utf8_lossy(&answer.bytes).into_owned();
        let expected = format!("the UI got {path} for Some(\"alice\")");
        assert_eq!(text == expected, from_ui, "{path}: {text}");
    }
}
