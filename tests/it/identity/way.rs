//! The way to AWS: proxies and certificate bundles, by the cluster's fields and by the environment, for STS as for DynamoDB.

use engines::{
    faults::Faults,
    proxy::{Proxy, Rules},
    sts::{Script, Sts},
    tls::{Authority, Front},
};
use harness_tests::{
    child::{self, Call},
    run,
};
use plugin_api::ErrorCode;
use serde_json::{Value, json};

use super::{dynamodb, with_role};

/// DynamoDB and STS under TLS, signed by a private authority.
struct Private {
    authority: Authority,
    dynamodb: Front,
    sts: Front,
    _backends: (Faults, Sts),
}

fn private() -> Private {
    let backends = (dynamodb(), Sts::start(Script::default()).unwrap());
    let authority = Authority::new().unwrap();
    Private {
        dynamodb: authority.front(backends.0.server().address(), &[]).unwrap(),
        sts: authority.front(backends.1.server().address(), &[]).unwrap(),
        authority,
        _backends: backends,
    }
}

impl Private {
    fn job(&self, more: &Value) -> Value {
        with_role(&self.dynamodb.url(), &self.sts.url(), more)
    }

    fn bundle(&self) -> &str {
        self.authority.bundle().to_str().unwrap()
    }

    /// The hosts and ports that a proxy is asked to tunnel to: STS first.
    fn targets(&self) -> [(String, String); 2] {
        [&self.sts, &self.dynamodb].map(|front| ("CONNECT".to_owned(), front.address().to_string()))
    }
}

fn passed(proxy: &Proxy) -> Vec<(String, String)> {
    let passed = proxy.passed().into_iter();
    passed
        .filter(|passed| passed.admitted)
        .map(|passed| (passed.method, passed.target))
        .collect()
}

/// Variables that give credentials, and these.
fn in_a_child(variables: &[(&str, &str)], job: Value) -> Value {
    let base = [
        ("AWS_ACCESS_KEY_ID", "test"),
        ("AWS_SECRET_ACCESS_KEY", "test"),
    ];
    let variables = [&base[..], variables].concat();
    child::run(&variables, &[Call::Job(job)]).answers.remove(0)
}

#[test]
fn tunnels_and_a_bundle_by_the_clusters_fields() {
    let private = private();
    let rules = Rules {
        credentials: Some("user:pass".into()),
        ..Rules::default()
    };
    let proxy = Proxy::start(rules).unwrap();
    let more = json!({"proxy": proxy.url_with("user:pass"), "ca_bundle": private.bundle()});
    run(&private.job(&more)).unwrap();
    assert_eq!(passed(&proxy), private.targets());
}

#[test]
fn tunnels_and_a_bundle_by_the_environment() {
    let private = private();
    let proxy = Proxy::start(Rules::default()).unwrap();
    let url = proxy.url();
    let bundle = ("AWS_CA_BUNDLE", private.bundle());
    let answer = in_a_child(&[bundle, ("HTTPS_PROXY", &url)], private.job(&json!({})));
    assert_eq!(answer["data"], json!([[0]]), "{answer}");
    assert_eq!(passed(&proxy), private.targets());
    let except = [
        bundle,
        ("HTTPS_PROXY", url.as_str()),
        ("NO_PROXY", "127.0.0.1"),
    ];
    let answer = in_a_child(&except, private.job(&json!({})));
    assert_eq!(answer["data"], json!([[0]]), "{answer}");
    assert_eq!(passed(&proxy).len(), 2, "NO_PROXY is heeded");
}

#[test]
fn plain_requests_by_the_clusters_field_and_by_the_environment() {
    let (dynamodb, sts) = (dynamodb(), Sts::start(Script::default()).unwrap());
    let targets = [sts.server().address(), dynamodb.server().address()]
        .map(|address| ("POST".to_owned(), address.to_string()));
    let proxy = Proxy::start(Rules::default()).unwrap();
    run(&with_role(
        &dynamodb.url(),
        &sts.url(),
        &json!({"proxy": proxy.url()}),
    ))
    .unwrap();
    assert_eq!(passed(&proxy), targets);

    let proxy = Proxy::start(Rules::default()).unwrap();
    let job = with_role(&dynamodb.url(), &sts.url(), &json!({}));
    let answer = in_a_child(&[("HTTP_PROXY", &proxy.url())], job);
    assert_eq!(answer["data"], json!([[0]]), "{answer}");
    assert_eq!(passed(&proxy), targets);
}

#[test]
fn without_the_bundle_or_the_proxys_password_nothing_passes() {
    let private = private();
    let error = run(&private.job(&json!({}))).unwrap_err();
    assert_eq!(error.code, ErrorCode::UNAVAILABLE, "{error}");
    assert!(
        error.message.contains("STS") && error.message.contains("TLS"),
        "{error}"
    );
    let rules = Rules {
        credentials: Some("user:pass".into()),
        ..Rules::default()
    };
    let proxy = Proxy::start(rules).unwrap();
    let more =
        json!({"proxy": proxy.url_with("user:wrong-password"), "ca_bundle": private.bundle()});
    let error = run(&private.job(&more)).unwrap_err();
    assert_eq!(error.code, ErrorCode::UNAVAILABLE, "{error}");
    assert!(error.message.contains("proxy"), "{error}");
    assert!(!format!("{error:?}").contains("wrong-password"));
}

#[test]
fn a_bundle_that_cannot_be_used_is_named() {
    let private = private();
    for bundle in ["/nowhere/bundle.pem", "/dev/null"] {
        let error = run(&private.job(&json!({"ca_bundle": bundle}))).unwrap_err();
        assert_eq!(error.code, ErrorCode::INVALID_JOB, "{error}");
        assert!(error.message.contains(bundle), "{error}");
    }
}
