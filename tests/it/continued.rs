//! Jobs that continue one another, and pages that name one another wrongly.

#![expect(
    clippy::cast_possible_truncation,
    reason = "small random numbers, on 64-bit machines"
)]

use engines::{
    embedded::Embedded,
    faults::{Fault, Faults},
    local,
    paging::{self, Paging},
    replay::{Replay, chain, page},
};
use harness_tests::{job, logged, run};
use plugin_api::{Error, ErrorCode};
use serde_json::{Value, json};

/// Numbers that are the same in each run.
struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % n
    }
}

fn rows(result: &Value) -> Vec<Value> {
    result["data"].as_array().unwrap().clone()
}

/// The rows of jobs that continue one another, each with limits or budgets as `random` has them.
fn chained(document: &Value, random: &mut Random) -> Vec<Value> {
    let mut all = Vec::new();
    let mut document = document.clone();
    loop {
        let context = document["context"].as_object_mut().unwrap();
        context.remove("limit");
        context.remove("max_pages");
        context.insert("on_budget".into(), json!("truncate"));
        match random.below(4) {
            0 => drop(context.insert("max_pages".into(), json!(1 + random.below(3)))),
            1 => drop(context.insert("limit".into(), json!(1 + random.below(3)))),
            _ => drop(context.insert("limit".into(), json!(1 + random.below(60)))),
        }
        let result = run(&document).unwrap();
        all.extend(rows(&result));
        let token = result["stats"]["next_token"].clone();
        assert_eq!(result["stats"]["truncated"], json!(!token.is_null()));
        if token.is_null() {
            return all;
        }
        assert!(token.as_str().unwrap().len() <= 65_536);
        document["context"]["next_token"] = token;
    }
}

#[test]
fn any_chain_of_continued_jobs_gives_the_rows_of_the_one_job_each_once() {
    let mut random = Random(17);
    for round in 0..40 {
        let n_items = random.below(200);
        let one_in = 1 + random.below(6);
        let page_bytes = 200 + random.below(3000) as usize;
        let items: Vec<Value> = (0..n_items)
            .map(|n| {
                let pad = "x".repeat(random.below(80) as usize);
                json!({"id": {"N": n.to_string()}, "hit": {"BOOL": random.below(one_in) == 0}, "pad": {"S": pad}})
            })
            .collect();
        let selective = round % 2 == 0;
        let matches = move |item: &Value| !selective || item["hit"]["BOOL"] == json!(true);
        let mut table = paging::Table::new(items, matches).with_page_bytes(page_bytes);
        if round % 3 == 0 {
            table = table.binding_tokens_to_limits();
        }
        let server = Paging::start(table).unwrap();
        let query = if selective {
            "SELECT id, pad FROM t WHERE hit = true"
        } else {
            "SELECT id, pad FROM t"
        };
        let document = job(&server.url(), &json!({"query": query}));
        let whole = rows(&run(&document).unwrap());
        assert_eq!(chained(&document, &mut random), whole, "round {round}");
    }
}

#[test]
fn chains_give_the_rows_of_the_one_job_on_the_engines_too() {
    let mut random = Random(4);
    let embedded = Embedded::start().unwrap();
    embedded.load(&engines::sample::tables()).unwrap();
    let mut urls = vec![embedded.url()];
    match local::shared() {
        Ok(local) => {
            local.load(&engines::sample::tables()).unwrap();
            urls.push(local.url().to_owned());
        }
        Err(skip) => engines::skip_or_fail(&skip),
    }
    for url in urls {
        for query in [
            "SELECT id FROM my_table",
            "SELECT id, price FROM my_table WHERE price > 10",
        ] {
            let document = job(&url, &json!({"query": query}));
            let mut whole: Vec<String> = rows(&run(&document).unwrap())
                .iter()
                .map(Value::to_string)
                .collect();
            let mut parts: Vec<String> = chained(&document, &mut random)
                .iter()
                .map(Value::to_string)
                .collect();
            whole.sort();
            parts.sort();
            assert_eq!(parts, whole, "{query} on {url}");
        }
    }
}

/// A table of 50 items, and the token of a job that read 7 of them.
fn begun() -> (Paging, Value) {
    let items = (0..50).map(|n| json!({"id": {"N": n.to_string()}}));
    let server = Paging::start(paging::Table::new(items, |_| true)).unwrap();
    let mut document = job(
        &server.url(),
        &json!({"query": "SELECT id FROM t WHERE id > ?", "parameters": [{"N": "-1"}], "limit": 7}),
    );
    let token = run(&document).unwrap()["stats"]["next_token"].clone();
    assert!(token.is_string());
    document["context"]["next_token"] = token;
    (server, document)
}

fn refused(document: &Value) -> Error {
    let error = run(document).unwrap_err();
    assert_eq!(error.code, ErrorCode::INVALID_JOB, "{error}");
    assert_eq!(
        error.field.as_deref(),
        Some("context.next_token"),
        "{error}"
    );
    error
}

#[test]
fn a_token_of_another_job_or_a_damaged_one_is_refused_before_anything_is_asked() {
    let (server, document) = begun();
    let n_requests = server.seen().len();
    for (path, value) in [
        ("/context/query", json!("SELECT id FROM t WHERE id > ? ")),
        ("/context/query", json!("SELECT id FROM u WHERE id > ?")),
        ("/context/query", json!("SELECT id FROM t.i WHERE id > ?")),
        ("/context/parameters", json!([{"N": "-2"}])),
        ("/context/parameters", json!([{"S": "-1"}])),
        ("/context/consistent_read", json!(true)),
        ("/cluster/context/region", json!("us-west-2")),
        (
            "/cluster/context/endpoint_url",
            json!(format!("{}/", server.url())),
        ),
    ] {
        let mut other = document.clone();
        let (parent, key) = path.rsplit_once('/').unwrap();
        other.pointer_mut(parent).unwrap()[key] = value;
        refused(&other);
    }
    let token = document["context"]["next_token"].as_str().unwrap();
    let mut damaged = document.clone();
    damaged["context"]["next_token"] = json!(format!("{}A{}", &token[..20], &token[21..]));
    refused(&damaged);
    damaged["context"]["next_token"] = json!(&token[..token.len() - 1]);
    refused(&damaged);
    damaged["context"]["next_token"] = json!("");
    refused(&damaged);
    assert_eq!(server.seen().len(), n_requests);
    // The limit, the time and the user are the job's own.
    let mut same = document.clone();
    same["context"]["limit"] = json!(3);
    same["user"] = json!("somebody else");
    assert_eq!(run(&same).unwrap()["data"], json!([[7], [8], [9]]));
}

#[test]
fn explain_takes_no_token() {
    let (_server, mut document) = begun();
    document["context"]["query"] = json!("EXPLAIN SELECT id FROM t WHERE id > ?");
    refused(&document);
}

#[test]
fn a_failed_job_says_where_the_last_whole_page_ended() {
    let pages: Vec<Vec<String>> = (0..4)
        .map(|page| {
            (0..3)
                .map(|row| format!(r#"{{"id":{{"N":"{}"}}}}"#, 3 * page + row))
                .collect()
        })
        .collect();
    let script = [vec![Fault::None; 2], vec![Fault::InternalServerError; 3]].concat();
    let server = Faults::start(chain(&pages), script).unwrap();
    let mut document = job(&server.url(), &json!({"query": "SELECT id FROM t"}));
    let error = run(&document).unwrap_err();
    assert_eq!(error.code, "UNAVAILABLE");
    assert_eq!((error.partial.rows, error.partial.pages), (6, 2));
    document["context"]["next_token"] = json!(error.partial.next_token.unwrap());
    let rest = run(&document).unwrap();
    assert_eq!(rest["data"], json!([[6], [7], [8], [9], [10], [11]]));
    assert_eq!(rest["stats"]["next_token"], json!(null));
}

#[test]
fn a_job_that_fails_on_its_first_page_has_no_place_to_go_on_from_but_its_own_token() {
    let (server, document) = begun();
    drop(server);
    let error = run(&document).unwrap_err();
    assert_eq!(error.code, "UNAVAILABLE");
    assert_eq!(
        json!(error.partial.next_token),
        document["context"]["next_token"]
    );
    let mut fresh = document.clone();
    fresh["context"]
        .as_object_mut()
        .unwrap()
        .remove("next_token");
    assert_eq!(run(&fresh).unwrap_err().partial.next_token, None);
}

#[test]
fn where_dynamodb_no_longer_takes_its_token_the_hint_is_to_start_again() {
    let items = vec![vec![r#"{"id":{"N":"1"}}"#, r#"{"id":{"N":"2"}}"#]; 2];
    // The page is asked for again with the Limit that its token was given for.
    let refusal = Fault::Validation("the token has expired");
    let script = vec![Fault::None, Fault::None, refusal, refusal];
    let server = Faults::start(chain(&items), script).unwrap();
    let mut document = job(
        &server.url(),
        &json!({"query": "SELECT id FROM t", "limit": 3}),
    );
    document["context"]["next_token"] = run(&document).unwrap()["stats"]["next_token"].clone();
    let error = run(&document).unwrap_err();
    assert_eq!(error.code, "VALIDATION");
    assert!(error.hint.unwrap().contains("start again"));
}

#[test]
fn a_token_is_in_no_log_line_and_no_message() {
    let secret = "opaque-page-token-of-dynamodb";
    let body = format!(
        r#"{{"Items":[{{"id":{{"N":"1"}}}},{{"id":{{"N":"2"}}}}],"NextToken":"{secret}"}}"#
    );
    let server = Replay::recording(&[body.into()]).unwrap();
    let mut document = job(
        &server.url(),
        &json!({"query": "SELECT id FROM t", "limit": 2}),
    );
    document["id"] = json!("token-job");
    let token = run(&document).unwrap()["stats"]["next_token"].clone();
    document["context"]["next_token"] = token.clone();
    let error = run(&document).unwrap_err();
    assert_eq!(error.code, "VALIDATION");
    let lines = logged("token-job").join("\n");
    assert!(!lines.is_empty());
    for text in [secret, token.as_str().unwrap()] {
        assert!(!lines.contains(text) && !error.to_string().contains(text));
    }
}

#[test]
fn a_page_that_names_itself_as_the_next_is_a_bad_response() {
    let row = [r#"{"id":{"N":"1"}}"#];
    let server = Replay::recording(&[page(&row, Some(1)), page(&row, Some(1))]).unwrap();
    let error = run(&job(&server.url(), &json!({"query": "SELECT id FROM t"}))).unwrap_err();
    assert_eq!(
        (error.code.as_str(), error.retryable),
        ("BAD_RESPONSE", true)
    );
    assert_eq!((error.partial.rows, error.partial.pages), (1, 1));
    assert_eq!(server.requests(), 2);
}

#[test]
fn an_empty_token_is_none_and_an_answer_without_items_is_not_understood() {
    let ask = |body: &'static str| {
        let server = Replay::recording(&[body.into()]).unwrap();
        run(&job(&server.url(), &json!({"query": "SELECT id FROM t"})))
    };
    let result = ask(r#"{"Items":[{"id":{"N":"1"}}],"NextToken":""}"#).unwrap();
    assert_eq!(result["data"], json!([[1]]));
    assert_eq!(
        (
            &result["stats"]["truncated"],
            &result["stats"]["next_token"]
        ),
        (&json!(false), &json!(null))
    );
    for body in [
        "{}",
        r#"{"Items":null}"#,
        r#"{"NextToken":"t"}"#,
        r#"{"Items":[{"a":{"M":{"b":{"N":"1"},"b":{"N":"2"}}}}]}"#,
        r#"{"Items":[{"a":{"N":"1"},"a":{"N":"2"}}]}"#,
    ] {
        let error = ask(body).unwrap_err();
        assert_eq!(error.code, "BAD_RESPONSE", "{body}: {error}");
    }
}
