use serde_json::{Value, json};

use super::*;

fn with_context(context: &str) -> String {
    format!(r#"{{"context":{context}}}"#)
}

fn parse(document: &Value) -> Result<Job, Error> {
    Job::parse(&document.to_string())
}

/// The message and hint of a refusal, in one text.
fn refusal(document: &str) -> String {
    let error = Job::parse(document).expect_err(document);
    assert_eq!(error.code, ErrorCode::INVALID_JOB, "{document}");
    format!("{} | {}", error.message, error.hint.unwrap_or_default())
}

fn job(context: Value, command: Value) -> Result<Job, Error> {
    parse(&json!({"context": context, "command": {"name": "c", "context": command}}))
}

#[test]
fn a_query_is_all_that_a_job_needs() {
    let job = Job::parse(&with_context(r#"{"query":"SELECT * FROM t"}"#)).unwrap();
    assert_eq!(
        (job.query.as_str(), job.limit, job.timeout),
        ("SELECT * FROM t", None, None)
    );
    assert_eq!((job.max_result_bytes, job.consistent_read), (None, false));
    assert_eq!((job.cluster.max_attempts, job.cluster.role), (None, None));
    assert_eq!(
        (job.cluster.connect_timeout, job.cluster.read_timeout),
        (Duration::from_millis(3100), Duration::from_secs(60))
    );
}

#[test]
fn documents_that_are_no_job_are_refused_with_what_is_wrong_and_where() {
    for (document, words) in [
        ("", "the job is not JSON"),
        ("{", "the job is not JSON"),
        ("[]", "the job is an array, but must be an object"),
        ("5", "the job is 5, but must be an object"),
        ("{}", "the job has no 'context'"),
        (r#"{"context":null}"#, "the job has no 'context'"),
        (
            r#"{"context":[]}"#,
            "context is an array, but must be an object",
        ),
        (r#"{"context":{}}"#, "context has no 'query'"),
        (r#"{"context":{"query":null}}"#, "context has no 'query'"),
        (r#"{"context":{"query":""}}"#, "context.query is empty"),
        (
            r#"{"context":{"query":5}}"#,
            "context.query is 5, but must be a string",
        ),
        (
            r#"{"id":5,"context":{"query":"q"}}"#,
            "id is 5, but must be a string",
        ),
        (
            r#"{"context":{"query":"q","query":"r"}}"#,
            "the key 'query' is given twice",
        ),
        (
            r#"{"a":1,"a":2,"context":{"query":"q"}}"#,
            "the key 'a' is given twice",
        ),
        (
            r#"{"context":{"query":"q","\u006cimit":1,"limit":2}}"#,
            "the key 'limit' is given twice",
        ),
        (
            r#"{"context":{"query":"q","parameters":[{"a":1,"a":2}]}}"#,
            "a key inside context.parameters is given twice",
        ),
        (r#"{"context":{"query":"q"}} x"#, "the job is not JSON"),
        (
            r#"{"context":{"query":"q"},"command":{"context":{"max_limt":5}}}"#,
            "did you mean 'max_limit'?",
        ),
        (
            r#"{"context":{"query":"q"},"cluster":{"context":{"rolearn":"x"}}}"#,
            "did you mean 'role_arn'?",
        ),
        (
            r#"{"context":{"query":"q","limt":5}}"#,
            "context has an unknown field 'limt' | did you mean 'limit'?",
        ),
    ] {
        assert!(
            refusal(document).contains(words),
            "{document}: {}",
            refusal(document)
        );
    }
}

#[test]
fn integers_are_digits_only() {
    for (text, words) in [
        ("-1", "context.limit is -1, but must be at least 0"),
        (
            "5.0",
            "context.limit is 5.0, but must be an integer, written with digits only",
        ),
        ("1e2", "context.limit is 1e2, but must be an integer"),
        ("\"5\"", "context.limit is a string, but must be an integer"),
        ("true", "context.limit is true"),
        ("99999999999999999999", "larger than 18446744073709551615"),
    ] {
        let refusal = refusal(&with_context(&format!(r#"{{"query":"q","limit":{text}}}"#)));
        assert!(refusal.contains(words), "{text}: {refusal}");
    }
}

#[test]
fn null_is_absent_everywhere_but_in_parameters() {
    let job = parse(&json!({
        "id": null, "user": null, "command": null, "cluster": {"name": null, "context": {"region": null}},
        "context": {"query": "q", "limit": null, "timeout_seconds": null, "parameters": [null]},
    }))
    .unwrap();
    assert_eq!(job.limit, None);
    assert_eq!(job.parameters, [AttributeValue::Null(true)]);
}

#[test]
fn a_query_may_have_8192_characters_and_no_more() {
    let context = |n: usize| with_context(&json!({"query": "ü".repeat(n)}).to_string());
    assert!(Job::parse(&context(8192)).is_ok());
    assert!(refusal(&context(8193)).contains("8193 characters"));
}

#[test]
fn limits_follow_job_then_default_then_ceiling() {
    for (wish, command, limit) in [
        (json!(null), json!({}), None),
        (json!(5), json!({}), Some(5)),
        (json!(0), json!({}), None),
        (json!(null), json!({"limit": 7}), Some(7)),
        (json!(0), json!({"limit": 7}), None),
        (json!(9), json!({"limit": 7}), Some(9)),
        (json!(null), json!({"max_limit": 10}), Some(10)),
        (json!(0), json!({"max_limit": 10}), Some(10)),
        (json!(10), json!({"max_limit": 10}), Some(10)),
        (json!(null), json!({"limit": 7, "max_limit": 10}), Some(7)),
        (json!(0), json!({"limit": 7, "max_limit": 10}), Some(10)),
    ] {
        assert_eq!(
            job(json!({"query": "q", "limit": wish}), command.clone())
                .unwrap()
                .limit,
            limit,
            "{wish} under {command}"
        );
    }
}

#[test]
fn a_wish_above_a_ceiling_is_refused_with_the_ceiling_named() {
    for (context, command, words) in [
        (
            json!({"query": "q", "limit": 11}),
            json!({"max_limit": 10}),
            "max_limit of 10",
        ),
        (
            json!({"query": "q", "timeout_seconds": 61}),
            json!({"max_timeout_seconds": 60}),
            "max_timeout_seconds of 60",
        ),
        (
            json!({"query": "q", "max_result_bytes": 11}),
            json!({"max_result_bytes": 10}),
            "max_result_bytes of 10",
        ),
        (
            json!({"query": "q"}),
            json!({"limit": 11, "max_limit": 10}),
            "above its own ceiling max_limit 10",
        ),
        (
            json!({"query": "q"}),
            json!({"timeout_seconds": 9, "max_timeout_seconds": 8}),
            "above its own ceiling max_timeout_seconds 8",
        ),
    ] {
        let error = job(context, command).unwrap_err();
        assert!(error.message.contains(words), "{error}");
    }
}

#[test]
fn times_are_numbers_above_zero() {
    let timeout = |text: &str| {
        Job::parse(&with_context(&format!(
            r#"{{"query":"q","timeout_seconds":{text}}}"#
        )))
        .map(|job| job.timeout)
    };
    assert_eq!(timeout("0.25").unwrap(), Some(Duration::from_millis(250)));
    assert_eq!(timeout("1e2").unwrap(), Some(Duration::from_secs(100)));
    assert_eq!(timeout("1e300").unwrap(), Some(Duration::MAX));
    for bad in ["0", "-1", "\"5\"", "0.0"] {
        assert!(timeout(bad).is_err(), "{bad}");
    }
}

#[test]
fn parameters_are_plain_json_or_typed_values_at_every_depth() {
    let read = |value: &str| {
        Job::parse(&with_context(&format!(
            r#"{{"query":"q","parameters":[{value}]}}"#
        )))
        .map(|mut job| job.parameters.remove(0))
    };
    let n = |text: &str| AttributeValue::N(text.to_owned());
    let s = |text: &str| AttributeValue::S(text.to_owned());
    let m = |key: &str, value| AttributeValue::M([(key.to_owned(), value)].into());
    for (text, value) in [
        (r#""x""#, s("x")),
        (
            "12345678901234567890123456789012345678",
            n("12345678901234567890123456789012345678"),
        ),
        ("1.50", n("1.50")),
        ("-0", n("-0")),
        ("true", AttributeValue::Bool(true)),
        ("null", AttributeValue::Null(true)),
        (
            "[1,[null]]",
            AttributeValue::L(vec![
                n("1"),
                AttributeValue::L(vec![AttributeValue::Null(true)]),
            ]),
        ),
        (r#"{"a":1}"#, m("a", n("1"))),
        (r#"{"S":"x"}"#, s("x")),
        (r#"{"N":"1E-130"}"#, n("1E-130")),
        (r#"{"B":"AQ=="}"#, AttributeValue::B(vec![1].into())),
        (r#"{"NULL":true}"#, AttributeValue::Null(true)),
        (
            r#"{"SS":["a","b"]}"#,
            AttributeValue::Ss(vec!["a".into(), "b".into()]),
        ),
        (r#"{"M":{"S":"x"}}"#, m("S", s("x"))),
        (r#"{"a":{"S":"x"}}"#, m("a", s("x"))),
        (
            r#"{"L":[{"N":"1"},2]}"#,
            AttributeValue::L(vec![n("1"), n("2")]),
        ),
        (r#"{"M":{}}"#, AttributeValue::M([].into())),
    ] {
        assert_eq!(read(text).unwrap(), value, "{text}");
    }
    for bad in [
        r#"{"S":5}"#,
        r#"{"N":5}"#,
        r#"{"N":"five"}"#,
        r#"{"N":""}"#,
        r#"{"B":"%"}"#,
        r#"{"BOOL":"true"}"#,
        r#"{"NULL":false}"#,
        r#"{"SS":[]}"#,
        r#"{"SS":["a","a"]}"#,
        r#"{"NS":[1]}"#,
        r#"{"L":5}"#,
        r#"{"M":5}"#,
        r#"{"a":{"N":5}}"#,
        r#"[{"S":5}]"#,
        r#"{"S":null}"#,
    ] {
        let error = read(bad).unwrap_err();
        assert_eq!(error.code, ErrorCode::INVALID_JOB, "{bad}");
        assert!(
            !error.message.contains("five"),
            "a value is never shown: {error}"
        );
    }
    let deep = format!("{}1{}", "[".repeat(33), "]".repeat(33));
    assert!(read(&deep).unwrap_err().message.contains("32 levels"));
}

#[test]
fn tables_match_with_stars() {
    for (pattern, table, fits) in [
        ("orders", "orders", true),
        ("orders", "orders2", false),
        ("*", "anything", true),
        ("logs-*", "logs-", true),
        ("logs-*-eu", "logs-2026-eu", true),
        ("logs-*-eu", "logs-eu", false),
        ("*a*b*", "xxaxxbxx", true),
        ("*a*b*", "xxbxxa", false),
        ("a*a", "a", false),
        ("a**c", "abc", true),
        ("", "", true),
    ] {
        assert_eq!(matches(pattern, table), fits, "{pattern} on {table}");
    }
}

#[test]
fn tables_are_strings_and_the_one_that_is_not_is_named() {
    for (tables, why) in [
        (
            json!("orders"),
            "command.context.tables is a string, but must be an array of strings",
        ),
        (
            json!(["orders", null]),
            "command.context.tables.1 is null, but must be a string",
        ),
    ] {
        let job = json!({"context": {"query": "q"}, "command": {"context": {"tables": tables}}});
        assert_eq!(parse(&job).unwrap_err().message, why);
    }
}

#[test]
fn session_names_are_cut_and_cleaned_and_tell_users_apart() {
    let session = |cluster: Value, user: Value| {
        parse(&json!({"context": {"query": "q"}, "user": user, "cluster": cluster}))
            .unwrap()
            .cluster
            .role
            .unwrap()
            .session_name
    };
    let role = "arn:aws:iam::123456789012:role/R";
    let named = |name: &str| json!({"name": name, "context": {"role_arn": role}});
    assert_eq!(
        session(named("dynamo-0.0.1"), json!(null)),
        "heimdall-dynamo-0.0.1"
    );
    assert_eq!(
        session(named("größe & co"), json!(null)),
        "heimdall-gr--e---co"
    );
    assert_eq!(session(named(&"x".repeat(100)), json!(null)).len(), 64);
    let per_user =
        json!({"name": "c", "context": {"role_arn": role, "session_name": "heimdall-{user}"}});
    assert_eq!(
        session(per_user.clone(), json!("alice@example.com")),
        "heimdall-alice@example.com"
    );
    let (a, b) = (
        session(per_user.clone(), json!("a b")),
        session(per_user.clone(), json!("a?b")),
    );
    assert!(a != b && a.starts_with("heimdall-a-b-"), "{a} {b}");
    assert_eq!(session(per_user, json!("u".repeat(200))).len(), 64);
}

#[test]
fn clusters_that_differ_in_any_field_are_different_identities() {
    let role = "arn:aws:iam::123456789012:role/R";
    let base = json!({"role_arn": role, "region": "eu-west-1"});
    let cluster = |context: &Value| {
        Cluster::parse(&json!({"name": "c", "context": context}).to_string()).unwrap()
    };
    for (field, value) in [
        ("role_arn", json!("arn:aws:iam::123456789012:role/S")),
        ("external_id", json!("x")),
        ("session_name", json!("other")),
        ("session_duration_seconds", json!(1800)),
        ("session_policy", json!("none")),
        ("region", json!("eu-west-2")),
        ("profile", json!("p")),
        ("endpoint_url", json!("http://localhost:1")),
        ("sts_endpoint_url", json!("http://localhost:1")),
        ("proxy", json!("http://localhost:1")),
        ("ca_bundle", json!("/ca.pem")),
        ("max_attempts", json!(5)),
        ("connect_timeout_seconds", json!(1)),
        ("read_timeout_seconds", json!(1)),
        ("max_capacity_units_per_second", json!(5.5)),
    ] {
        let mut other = base.clone();
        other[field] = value;
        assert_ne!(cluster(&base), cluster(&other), "{field}");
    }
    assert_eq!(cluster(&base), cluster(&base));
}

#[test]
fn operators_mistakes_in_a_cluster_are_named() {
    for (context, words) in [
        (json!({"role_arn": "R"}), "which is no IAM role"),
        (
            json!({"session_policy": "readonly"}),
            "did you mean 'read_only'?",
        ),
        (
            json!({"session_duration_seconds": 60}),
            "must be at least 900",
        ),
        (
            json!({"session_duration_seconds": 50000}),
            "more than the 43200",
        ),
        (json!({"region": "eu west"}), "which is no region"),
        (
            json!({"endpoint_url": "localhost:8000"}),
            "cluster.context.endpoint_url is not a URL",
        ),
        (json!({"max_attempts": 0}), "must be at least 1"),
        (json!({"read_timeout_seconds": 0}), "must be above 0"),
    ] {
        let refusal = refusal(
            &json!({"context": {"query": "q"}, "cluster": {"context": context}}).to_string(),
        );
        assert!(refusal.contains(words), "{refusal}");
    }
}

#[test]
fn endpoints_are_urls_with_a_host_and_a_port_that_exist() {
    let read =
        |url: &str| Cluster::parse(&json!({"context": {"endpoint_url": url}}).to_string()).is_ok();
    for good in [
        "http://127.0.0.1:8000",
        "https://dynamodb.eu-west-1.amazonaws.com",
        "HTTP://localhost",
        "http://[::1]:80/path",
        "http://a_b.c/",
    ] {
        assert!(read(good), "{good}");
    }
    for bad in [
        "http://[::1",
        "http://a:b:c",
        "http://%zz",
        "http://\u{e9}",
        "http://127.0.0.1:99999",
        "http://h:abc",
        "http://h:0",
        "http://",
        "ftp://h",
        "http://u:p@h",
        "h:80",
    ] {
        assert!(!read(bad), "{bad}");
    }
    assert!(Cluster::parse(r#"{"context":{"proxy":"http://user:secret@proxy:3128"}}"#).is_ok());
    assert!(Cluster::parse("null").is_ok());
}

#[test]
fn numbers_keep_their_digits_however_large() {
    let job = Job::parse(&with_context(r#"{"query":"q","parameters":[1E400]}"#)).unwrap();
    assert_eq!(job.parameters, [AttributeValue::N("1E400".to_owned())]);
    assert!(
        refusal(&with_context(r#"{"query":"q","timeout_seconds":1e400}"#))
            .contains("timeout_seconds")
    );
}

#[test]
fn every_refusal_names_the_field_at_fault_and_operators_mistakes_come_first() {
    for (document, field) in [
        (r#"{}"#, "context"),
        (r#"{"context":5}"#, "context"),
        (r#"{"user":5,"context":{"query":"q"}}"#, "user"),
        (r#"{"context":{"limit":1}}"#, "context.query"),
        (r#"{"context":{"query":"\ud800"}}"#, "context.query"),
        (r#"{"context":{"query":"q","limit":-1}}"#, "context.limit"),
        (r#"{"context":{"query":"q","limt":1}}"#, "context.limt"),
        (
            r#"{"context":{"query":"q","limit":1,"limit":2}}"#,
            "context.limit",
        ),
        (
            r#"{"context":{"query":"q","parameters":[{"S":5}]}}"#,
            "context.parameters",
        ),
        (
            r#"{"context":{"query":"q","parameters":5}}"#,
            "context.parameters",
        ),
        (
            r#"{"context":{"query":"q","max_pages":0}}"#,
            "context.max_pages",
        ),
        (
            r#"{"context":{"query":"q","max_consumed_capacity_units":0}}"#,
            "context.max_consumed_capacity_units",
        ),
        (
            r#"{"context":{"query":"q","on_budget":"stop"}}"#,
            "context.on_budget",
        ),
        (
            r#"{"context":{"query":"q","total_segments":1000001}}"#,
            "context.total_segments",
        ),
        (
            r#"{"context":{"limt":5},"command":{"context":{"limt":5}}}"#,
            "command.context.limt",
        ),
        (
            r#"{"command":{"context":{"limit":5,"max_limit":4}}}"#,
            "command.context.limit",
        ),
        (
            r#"{"command":{"context":{"tables":["a",5]}}}"#,
            "command.context.tables",
        ),
        (
            r#"{"context":{},"cluster":{"context":{"max_capacity_units_per_second":0}}}"#,
            "cluster.context.max_capacity_units_per_second",
        ),
        (
            r#"{"cluster":{"context":{"session_policy":"readonly"}}}"#,
            "cluster.context.session_policy",
        ),
    ] {
        let error = Job::parse(document).expect_err(document);
        assert_eq!(error.field.as_deref(), Some(field), "{document}: {error}");
    }
    for document in ["", "[]"] {
        assert_eq!(Job::parse(document).unwrap_err().field, None, "{document}");
    }
}

#[test]
fn half_of_a_surrogate_pair_is_told_as_that() {
    for context in [
        r#"{"query":"SELECT \ud800"}"#,
        r#"{"query":"q","parameters":["\udc00"]}"#,
    ] {
        let refusal = refusal(&with_context(context));
        assert!(refusal.contains("half of a surrogate pair"), "{refusal}");
    }
}

#[test]
fn budgets_are_the_jobs_else_the_commands_and_never_above_them() {
    let budget = |context: Value, command: Value| job(context, command).map(|job| job.budget);
    let ceilings = json!({"max_pages": 10, "max_consumed_capacity_units": 2.5});
    let silent = budget(json!({"query": "q"}), ceilings.clone()).unwrap();
    assert_eq!(
        (silent.max_pages, silent.max_capacity_units, silent.truncate),
        (Some(10), Some(2.5), false)
    );
    let own = json!({"query": "q", "max_pages": 3, "max_consumed_capacity_units": 0.5, "on_budget": "truncate"});
    let own = budget(own, ceilings.clone()).unwrap();
    assert_eq!(
        (own.max_pages, own.max_capacity_units, own.truncate),
        (Some(3), Some(0.5), true)
    );
    assert_eq!(
        budget(json!({"query": "q"}), json!({})).unwrap(),
        Budget::default()
    );
    for (field, above) in [
        ("max_pages", json!(11)),
        ("max_consumed_capacity_units", json!(2.6)),
    ] {
        let error = budget(json!({"query": "q", field: above}), ceilings.clone()).unwrap_err();
        assert_eq!(error.field.unwrap(), format!("context.{field}"));
        assert!(error.message.contains(&format!("command's {field} of")));
    }
}

#[test]
fn segments_are_as_many_as_the_command_allows_and_one_where_it_does_not_say() {
    for (context, command, segments) in [
        (json!({}), Some(json!({})), (1, None)),
        (
            json!({"total_segments": 1_000_000}),
            None,
            (1_000_000, None),
        ),
        (
            json!({"total_segments": 8}),
            Some(json!({"max_total_segments": 8})),
            (8, None),
        ),
        (
            json!({"total_segments": 1000, "segment": 999}),
            Some(json!({"max_total_segments": 2})),
            (1000, Some(999)),
        ),
        (json!({"segment": 0}), None, (1, Some(0))),
    ] {
        let mut document = json!({"context": context});
        document["context"]["query"] = json!("q");
        if let Some(command) = command {
            document["command"] = json!({"name": "c", "context": command});
        }
        let job = parse(&document).unwrap();
        assert_eq!((job.total_segments, job.segment), segments, "{document}");
    }
}

#[test]
fn segments_that_cannot_be_are_refused() {
    for (context, command, field) in [
        (json!({"total_segments": 2}), json!({}), "total_segments"),
        (
            json!({"total_segments": 9}),
            json!({"max_total_segments": 8}),
            "total_segments",
        ),
        (
            json!({"total_segments": 2, "segment": 0}),
            json!({}),
            "total_segments",
        ),
        (json!({"segment": 0}), json!({}), "segment"),
        (
            json!({"total_segments": 4, "segment": 4}),
            json!({"max_total_segments": 8}),
            "segment",
        ),
        (
            json!({"total_segments": 4, "segment": 1, "limit": 5}),
            json!({"max_total_segments": 8}),
            "segment",
        ),
        (
            json!({"total_segments": 4, "segment": 1}),
            json!({"max_total_segments": 8, "max_limit": 5}),
            "segment",
        ),
        (
            json!({"total_segments": 4, "next_token": "t"}),
            json!({"max_total_segments": 8}),
            "next_token",
        ),
    ] {
        let mut context = context;
        context["query"] = json!("q");
        let error = job(context.clone(), command.clone()).unwrap_err();
        let expected = format!("context.{field}");
        assert_eq!(
            error.field,
            Some(expected),
            "{context} under {command}: {error}"
        );
    }
}

#[test]
fn more_parameters_than_a_request_may_have_are_refused_before_they_are_read() {
    let values = "1,".repeat(9 << 20);
    let job = format!(
        r#"{{"context":{{"query":"SELECT * FROM t WHERE a = ?","parameters":[{values}1]}}}}"#
    );
    let error = Job::parse(&job).unwrap_err();
    assert_eq!(error.code, ErrorCode::INVALID_JOB);
    assert!(error.message.contains("more than the 16777216"), "{error}");
    let error = Job::parse(&" ".repeat((32 << 20) + 1)).unwrap_err();
    assert!(error.message.contains("more than the 33554432"), "{error}");
}
