//! What a failed job had cost: in its error document, and in the host's metrics, however it failed and wherever it ran.

use std::{
    ops::ControlFlow,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use engines::{
    client::Reply,
    faults::{Fault, Faults},
    paging::{Paging, Table},
    replay::chain,
};
use harness_tests::{
    dynamo, job, run,
    serving::{Serving, TestHost},
    submission,
};
use plugin_api::{Error, Partial};
use plugin_host::CallOptions;
use serde_json::{Value, json};

/// Pages of 20 items of 1 KB, each consuming 2.5 or 3 units.
fn paging() -> Paging {
    let items =
        (0..90).map(|n| json!({"id": {"N": n.to_string()}, "pad": {"S": "x".repeat(1000)}}));
    let table = Table::projected(items, |item| Some(json!({"id": item["id"]})));
    Paging::start(table.with_page_bytes(20 << 10)).unwrap()
}

/// Three pages, of which the first comes and all later requests meet this.
fn from_the_second_page(fault: Fault) -> Faults {
    let pages = [1, 2, 3].map(|n| vec![format!(r#"{{"id":{{"N":"{n}"}}}}"#)]);
    let script = [vec![Fault::None], vec![fault; 20]].concat();
    Faults::start(chain(&pages), script).unwrap()
}

/// Requests, retries, wire bytes, capacity units.
type Costs = [f64; 4];

fn costs(partial: &Partial) -> Costs {
    let cost = partial.cost.as_deref().unwrap();
    let units = cost.consumed_capacity_units.unwrap_or(0.0);
    [
        cost.requests as f64,
        cost.retries as f64,
        cost.wire_bytes as f64,
        units,
    ]
}

/// What the paging server sent to a job that used all its answers, but for the wire bytes, which it does not tell.
fn sent_by(server: &Paging) -> (f64, f64) {
    let seen = server.seen();
    let units = seen.iter().map(|seen| seen.capacity_units).sum();
    (seen.len() as f64, units)
}

#[test]
fn an_error_says_what_its_job_had_cost() {
    let server = paging();
    let context = json!({"query": "SELECT id FROM t", "max_pages": 2});
    let error = run(&job(&server.url(), &context)).unwrap_err();
    assert_eq!(error.code, "BUDGET_EXCEEDED");
    let [requests, retries, wire_bytes, units] = costs(&error.partial);
    assert_eq!((requests, units), sent_by(&server));
    assert_eq!((requests, retries), (2.0, 0.0));
    assert!(wire_bytes > 0.0);

    let server = from_the_second_page(Fault::Throttling);
    let error = run(&job(&server.url(), &json!({"query": "SELECT * FROM t"}))).unwrap_err();
    assert_eq!(error.code, "THROTTLED");
    // This server does not say what a page consumes.
    let cost = error.partial.cost.clone().unwrap();
    assert_eq!(cost.consumed_capacity_units, None);
    assert_eq!(server.requests(), 4);
    assert_eq!(costs(&error.partial)[..2], [4.0, 2.0]);
}

#[test]
fn a_job_that_had_sent_nothing_has_no_costs() {
    let nobody = "http://127.0.0.1:9";
    for context in [
        json!({"query": "DELETE FROM t"}),
        json!({"query": "SELECT * FROM t", "timeout_seconds": 1e-9}),
    ] {
        let error = run(&job(nobody, &context)).unwrap_err();
        assert_eq!(error.partial, Partial::default(), "{error}");
        let text = String::from_utf8(error.to_json()).unwrap();
        assert!(
            text.ends_with(r#""partial":{"rows":0,"pages":0,"next_token":null}}}"#),
            "{text}"
        );
    }
}

#[test]
fn so_do_the_errors_of_jobs_that_hand_rows_over_and_of_an_explain() {
    let server = paging();
    let options = CallOptions {
        rows: Some(Arc::new(|lines: &[u8]| match lines.first() {
            Some(b'{') => ControlFlow::Continue(()),
            _ => ControlFlow::Break(()),
        })),
        ..CallOptions::default()
    };
    let document = job(&server.url(), &json!({"query": "SELECT id FROM t"})).to_string();
    let outcome = dynamo().run_job(document.as_bytes(), &options);
    let error = outcome.map(drop).unwrap_err();
    assert_eq!(error.code, "CANCELLED");
    assert_eq!(
        error.partial.cost.unwrap().requests,
        server.seen().len() as u64
    );

    let server = from_the_second_page(Fault::None);
    let document = job(&server.url(), &json!({"query": "EXPLAIN SELECT * FROM t"}));
    let error: Error = run(&document).unwrap_err();
    let requests = error.partial.cost.as_ref().map(|cost| cost.requests);
    assert_eq!(requests, Some(server.requests() as u64), "{error}");
}

const CONFIG: &str = "
server: {addr: '127.0.0.1:0'}
plugin_directory: ./plugins
jobs_directory: ./jobs
commands:
- {name: sync, plugin: dynamo, is_sync: true, tags: ['type:sync'], cluster_tags: ['type:dynamodb']}
- {name: isolated, plugin: dynamo, is_sync: true, isolation: process, tags: ['type:isolated'], cluster_tags: ['type:dynamodb']}
- {name: async, plugin: dynamo, tags: ['type:async'], cluster_tags: ['type:dynamodb']}
clusters:
";

struct Host {
    host: Serving,
    _directory: TestHost,
}

impl Host {
    /// A host with a cluster at each endpoint, named by its number.
    fn at(endpoints: &[String]) -> Self {
        let clusters: String = endpoints.iter().enumerate().map(|(number, url)| {
            format!("- {{name: c{number}, tags: ['type:dynamodb', 'n:{number}'], context: {{endpoint_url: '{url}'}}}}\n")
        }).collect();
        let directory = TestHost::new(&format!("{CONFIG}{clusters}"), "http://127.0.0.1:9");
        Self {
            host: directory.serve(),
            _directory: directory,
        }
    }

    fn submit(&self, command: &str, cluster: usize, context: &Value) -> Reply {
        let body = submission(&format!("type:{command}"), &format!("n:{cluster}"), context);
        self.host
            .call("POST", "/api/v1/job", Some("a"), &body.to_string())
    }

    /// The counters so far.
    fn counted(&self) -> Costs {
        let text = self.host.call("GET", "/metrics", None, "");
        let text = String::from_utf8(text.body.to_vec()).unwrap();
        [
            "service_requests_total",
            "service_retries_total",
            "wire_bytes_total",
            "consumed_capacity_units_total",
        ]
        .map(|name| {
            let start = format!("heimdall_host_{name} ");
            let line = text.lines().find_map(|line| line.strip_prefix(&start));
            line.unwrap().parse().unwrap()
        })
    }

    /// What `act` adds to the counters.
    fn added(&self, act: impl FnOnce()) -> Costs {
        let before = self.counted();
        act();
        let after = self.counted();
        std::array::from_fn(|n| after[n] - before[n])
    }
}

#[test]
fn the_metrics_count_what_failed_jobs_had_cost() {
    for command in ["sync", "isolated"] {
        let (budget, too_large) = (paging(), paging());
        let throttled = from_the_second_page(Fault::Throttling);
        let stalled = from_the_second_page(Fault::StallBeforeAnswer);
        let host = Host::at(&[
            budget.url(),
            too_large.url(),
            throttled.url(),
            stalled.url(),
        ]);
        let query = "SELECT * FROM t";
        let fails = |cluster, context: Value, code: &str| {
            let mut partial = Partial::default();
            let added = host.added(|| {
                let answer = host.submit(command, cluster, &context).json();
                assert_eq!(answer["code"], code, "{answer}");
                partial = serde_json::from_value(answer["details"]["partial"].clone()).unwrap();
            });
            assert_eq!(added, costs(&partial), "{command}: {code}");
            added
        };
        let added = fails(
            0,
            json!({"query": query, "max_pages": 3}),
            "BUDGET_EXCEEDED",
        );
        assert_eq!((added[0], added[3]), sent_by(&budget));

        // The second page is asked for and does not fit; only the first counts as read.
        let context = json!({"query": "SELECT id FROM t", "max_result_bytes": 400});
        let added = fails(1, context, "RESULT_TOO_LARGE");
        assert_eq!(added[0], sent_by(&too_large).0);
        assert!(added[0] > 1.0 && added[3] > 0.0, "{added:?}");

        assert_eq!(
            fails(2, json!({"query": query}), "THROTTLED")[..2],
            [4.0, 2.0]
        );

        let context = json!({"query": query, "timeout_seconds": 2});
        let added = fails(3, context, "TIMEOUT");
        assert_eq!(added[0], stalled.requests() as f64);
    }
}

#[test]
fn the_metrics_count_what_cancelled_jobs_had_cost() {
    let stalled = from_the_second_page(Fault::StallBeforeAnswer);
    let host = Host::at(&[stalled.url()]);
    let added = host.added(|| {
        let answer = host
            .submit("async", 0, &json!({"query": "SELECT * FROM t"}))
            .json();
        let id = answer["id"].as_str().unwrap();
        let deadline = Instant::now() + Duration::from_secs(60);
        while stalled.requests() < 2 {
            assert!(
                Instant::now() < deadline,
                "the second page is never asked for"
            );
            thread::sleep(Duration::from_millis(10));
        }
        let path = format!("/api/v1/job/{id}/cancel");
        assert_eq!(host.host.call("POST", &path, Some("a"), "").status, 200);
        assert_eq!(host.host.ended(id)["status"], "CANCELED");
    });
    assert_eq!(added[..2], [2.0, 0.0]);
    assert!(added[2] > 0.0, "the first page's bytes");
}
