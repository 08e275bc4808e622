//! EXPLAIN: what it says of a statement, and what DynamoDB Local then does.

use std::sync::{Arc, Mutex};

use engines::{
    client,
    http::{Answer, Server},
    local, skip_or_fail, wire,
};
use harness_tests::{job, run};
use plugin_api::Error;
use serde_json::{Value, json};

/// The properties of an EXPLAIN by name, after a look at everything else in its document.
fn explain(url: &str, mut context: Value) -> Result<Value, Error> {
    let query = context["query"].as_str().unwrap().to_owned();
    context["query"] = json!(format!("EXPLAIN {query}"));
    let document = run(&job(url, &context))?;
    assert_eq!(
        document["columns"],
        json!([{"name": "property", "type": "string"}, {"name": "value", "type": "any"}])
    );
    let rows = document["data"].as_array().unwrap();
    let names: Vec<&str> = rows.iter().map(|row| row[0].as_str().unwrap()).collect();
    assert_eq!(
        names,
        [
            "operation",
            "table",
            "index",
            "keys",
            "key_conditions",
            "statement",
            "table_items",
            "table_bytes",
            "pages_estimate",
            "capacity_units_estimate",
            "segments_possible",
            "notes"
        ]
    );
    let stats = &document["stats"];
    for (figure, expected) in [
        ("rows", json!(12)),
        ("pages", json!(0)),
        ("retries", json!(0)),
        ("consumed_capacity_units", json!(0.0)),
        ("truncated", json!(false)),
        ("next_token", json!(null)),
        ("segments", json!(0)),
    ] {
        assert_eq!(stats[figure], expected, "{figure} of {query}");
    }
    let mut properties: serde_json::Map<String, Value> = rows
        .iter()
        .map(|row| (row[0].as_str().unwrap().to_owned(), row[1].clone()))
        .collect();
    properties.insert("requests".to_owned(), stats["requests"].clone());
    Ok(properties.into())
}

fn notes(explained: &Value) -> String {
    let notes = explained["notes"].as_array().unwrap();
    let notes: Vec<&str> = notes.iter().map(|note| note.as_str().unwrap()).collect();
    notes.join("\n")
}

/// A DynamoDB that knows one table, or whose every answer is this one; and the operations that it was asked for.
struct Described {
    server: Server,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Described {
    fn start(answer: impl Fn() -> Answer + Send + Sync + 'static) -> Self {
        let asked: Arc<Mutex<Vec<String>>> = Arc::default();
        let seen = Arc::clone(&asked);
        let server = Server::start(move |call| {
            let target = call.header("x-amz-target").to_owned();
            seen.lock().unwrap().push(target);
            let answer = answer();
            Box::pin(async move { Some(answer) })
        });
        Self {
            server: server.unwrap(),
            asked,
        }
    }

    fn url(&self) -> String {
        self.server.url()
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

fn described() -> Answer {
    let key = |name: &str, role: &str| json!({"AttributeName": name, "KeyType": role});
    let table = json!({"Table": {
        "TableName": "orders", "ItemCount": 1000, "TableSizeBytes": 5_000_000_i64,
        "KeySchema": [key("customer", "HASH"), key("number", "RANGE")],
        "GlobalSecondaryIndexes": [{"IndexName": "by_day", "KeySchema": [key("day", "HASH")], "ItemCount": 10, "IndexSizeBytes": 8193}],
        "LocalSecondaryIndexes": [{"IndexName": "by_total", "KeySchema": [key("customer", "HASH"), key("total", "RANGE")]}]}});
    wire::answer(200, table.to_string())
}

#[test]
fn every_property_is_told_without_reading_an_item() {
    let server = Described::start(described);
    let url = server.url();
    let scan = explain(
        &url,
        json!({"query": "SELECT customer FROM orders WHERE total > ?", "parameters": [5], "total_segments": 8}),
    )
    .unwrap();
    for (property, expected) in [
        ("operation", json!("Scan")),
        ("table", json!("orders")),
        ("index", json!(null)),
        ("keys", json!(["customer", "number"])),
        ("key_conditions", json!([])),
        (
            "statement",
            json!("SELECT customer FROM orders WHERE total > ?"),
        ),
        ("table_items", json!(1000)),
        ("table_bytes", json!(5_000_000)),
        ("pages_estimate", json!(5)),
        ("capacity_units_estimate", json!(611)),
        ("segments_possible", json!(true)),
        ("requests", json!(1)),
    ] {
        assert_eq!(scan[property], expected, "{property}");
    }
    assert!(notes(&scan).contains("full scan"), "{scan}");
    assert!(notes(&scan).contains("8 segments"), "{scan}");
    let query = explain(
        &url,
        json!({"query": "SELECT * FROM \"orders\" WHERE customer = 'ann' AND number > 1"}),
    )
    .unwrap();
    for (property, expected) in [
        ("operation", json!("Query")),
        ("key_conditions", json!(["customer", "number"])),
        ("pages_estimate", json!(null)),
        ("capacity_units_estimate", json!(null)),
        ("segments_possible", json!(false)),
        ("table_items", json!(1000)),
        ("requests", json!(0)),
    ] {
        assert_eq!(query[property], expected, "{property}");
    }
    let index = explain(
        &url,
        json!({"query": "SELECT * FROM orders.by_day WHERE customer = 'ann'"}),
    )
    .unwrap();
    for (property, expected) in [
        ("operation", json!("Scan")),
        ("index", json!("by_day")),
        ("keys", json!(["day"])),
        ("table_items", json!(10)),
        ("table_bytes", json!(8193)),
        ("pages_estimate", json!(1)),
        ("capacity_units_estimate", json!(2)),
        ("segments_possible", json!(true)),
    ] {
        assert_eq!(index[property], expected, "{property}");
    }
    assert!(notes(&index).contains("eventually consistent"), "{index}");
    let local = explain(
        &url,
        json!({"query": "SELECT * FROM orders.by_total WHERE customer IN ['a'] AND total BETWEEN 1 AND 2", "consistent_read": true}),
    )
    .unwrap();
    assert_eq!(local["key_conditions"], json!(["customer", "total"]));
    assert_eq!(local["table_bytes"], json!(null));
    let consistent = explain(
        &url,
        json!({"query": "SELECT * FROM orders", "consistent_read": true, "limit": 3, "max_pages": 1, "max_result_bytes": 1}),
    )
    .unwrap();
    assert_eq!(consistent["capacity_units_estimate"], json!(1221));
    assert_eq!(consistent["segments_possible"], json!(false));
    assert!(notes(&consistent).contains("limit of 3"), "{consistent}");
    assert_eq!(server.asked(), ["DynamoDB_20120810.DescribeTable"]);
}

#[test]
fn job_and_statement_are_checked_as_ever_with_positions_in_the_whole_text() {
    let server = Described::start(described);
    let refused = |context: Value| run(&job(&server.url(), &context)).unwrap_err();
    for (context, code, column) in [
        (
            json!({"query": "explain UPDATE orders SET a = 1"}),
            "NOT_READ_ONLY",
            Some(9),
        ),
        (
            json!({"query": "EXPLAIN SELECT * FROM orders LIMIT 1"}),
            "INVALID_QUERY",
            Some(30),
        ),
        (
            json!({"query": "EXPLAIN SELECT * FROM orders WHERE a = ?"}),
            "INVALID_JOB",
            Some(40),
        ),
        (
            json!({"query": "EXPLAIN SELECT * FROM orders", "segment": 0, "total_segments": 2}),
            "INVALID_JOB",
            None,
        ),
        (
            json!({"query": "EXPLAIN SELECT * FROM orders", "next_token": "x"}),
            "INVALID_JOB",
            None,
        ),
        (
            json!({"query": "EXPLAIN SELECT * FROM orders", "limt": 1}),
            "INVALID_JOB",
            None,
        ),
    ] {
        let error = refused(context.clone());
        assert_eq!(error.code.as_str(), code, "{context}: {error}");
        assert_eq!(error.column, column, "{context}: {error}");
    }
    let mut allowed = job(
        &server.url(),
        &json!({"query": "EXPLAIN SELECT * FROM orders"}),
    );
    allowed["command"] = json!({"name": "c", "context": {"tables": ["other"]}});
    assert_eq!(
        run(&allowed).unwrap_err().code.as_str(),
        "TABLE_NOT_ALLOWED"
    );
    let index = refused(json!({"query": "EXPLAIN SELECT * FROM orders.nowhere"}));
    assert_eq!(index.code.as_str(), "NOT_FOUND");
    assert_eq!(server.asked().len(), 1);
}

#[test]
fn without_a_description_it_answers_with_what_is_known() {
    let denied = Described::start(|| {
        let message =
            "User: arn:aws:iam::1:role/r is not authorized to perform: dynamodb:DescribeTable";
        wire::error(
            400,
            "com.amazon.coral.service#AccessDeniedException",
            message,
        )
    });
    let unknown = Described::start(|| {
        wire::error(
            400,
            "com.amazon.coral.service#UnknownOperationException",
            "",
        )
    });
    for server in [denied, unknown] {
        let may_be_query = explain(
            &server.url(),
            json!({"query": "SELECT * FROM t WHERE a = 1"}),
        )
        .unwrap();
        for property in [
            "operation",
            "index",
            "keys",
            "key_conditions",
            "table_items",
            "table_bytes",
            "pages_estimate",
            "capacity_units_estimate",
        ] {
            assert_eq!(may_be_query[property], json!(null), "{property}");
        }
        assert_eq!(may_be_query["segments_possible"], json!(false));
        assert!(notes(&may_be_query).contains("dynamodb:DescribeTable"));
        let scan = explain(
            &server.url(),
            json!({"query": "SELECT * FROM t WHERE a > 1"}),
        )
        .unwrap();
        assert_eq!(scan["operation"], json!("Scan"));
        assert_eq!(scan["key_conditions"], json!([]));
        assert_eq!(scan["segments_possible"], json!(true));
        assert_eq!(server.asked().len(), 1, "a denial is kept for the minute");
    }
}

#[test]
fn what_fails_any_job_fails_an_explain() {
    for (kind, code, again) in [
        ("ThrottlingException", "THROTTLED", 2),
        ("ResourceNotFoundException", "NOT_FOUND", 1),
        ("UnrecognizedClientException", "CREDENTIALS", 2),
    ] {
        let server = Described::start(move || {
            wire::error(
                400,
                &format!("com.amazonaws.dynamodb.v20120810#{kind}"),
                "no",
            )
        });
        let mut job = job(&server.url(), &json!({"query": "EXPLAIN SELECT * FROM t"}));
        job["cluster"]["context"]["max_attempts"] = json!(1);
        for _ in 0..2 {
            assert_eq!(run(&job).unwrap_err().code.as_str(), code);
        }
        assert_eq!(server.asked().len(), again, "{kind}");
    }
}

/// What DynamoDB Local reads for a statement, seen by its pages.
#[derive(Debug, PartialEq)]
enum Reads {
    /// No more than the partitions that the statement names.
    Partitions(u64),
    Everything,
    /// It refuses the statement.
    Nothing,
    /// Whatever: AWS calls it a Query, DynamoDB Local reads all.
    Undecided,
}

/// Statements with the operation, key conditions and segments that EXPLAIN tells, and what DynamoDB Local reads.
///
/// The table `explained` has the keys `pk` and `sk`, eight partitions of one page each, and two indexes.
const STATEMENTS: [(&str, &str, &[&str], bool, Reads); 44] = {
    use Reads::{Everything, Nothing, Partitions, Undecided};
    const NONE: &[&str] = &[];
    const PK: &[&str] = &["pk"];
    const BOTH: &[&str] = &["pk", "sk"];
    [
        ("SELECT sk FROM explained", "Scan", NONE, true, Everything),
        ("SELECT * FROM explained", "Scan", NONE, true, Everything),
        (
            "SELECT sk FROM explained WHERE pk = 'p1'",
            "Query",
            PK,
            false,
            Partitions(1),
        ),
        (
            "SELECT sk FROM explained WHERE 'p1' = pk",
            "Query",
            PK,
            false,
            Partitions(1),
        ),
        (
            "SELECT sk FROM explained WHERE \"pk\" = ?",
            "Query",
            PK,
            false,
            Partitions(1),
        ),
        (
            "SELECT sk FROM explained WHERE (pk = 'p1')",
            "Query",
            PK,
            false,
            Partitions(1),
        ),
        (
            "SELECT sk FROM explained WHERE pk IN ['p1']",
            "Query",
            PK,
            false,
            Partitions(1),
        ),
        (
            "SELECT sk FROM explained WHERE pk IN ['p1', 'p2']",
            "Query",
            PK,
            false,
            Partitions(2),
        ),
        (
            "SELECT sk FROM explained WHERE pk IN ('p1', ?)",
            "Query",
            PK,
            false,
            Partitions(2),
        ),
        (
            "SELECT sk FROM explained WHERE pk = 'absent'",
            "Query",
            PK,
            false,
            Partitions(1),
        ),
        (
            "SELECT sk FROM explained WHERE pk = 'p1' AND sk = 1",
            "Query",
            BOTH,
            false,
            Partitions(1),
        ),
        (
            "SELECT sk FROM explained WHERE pk = 'p1' AND sk > 1",
            "Query",
            BOTH,
            false,
            Partitions(1),
        ),
        (
            "SELECT sk FROM explained WHERE sk <= 1 AND pk = 'p1'",
            "Query",
            BOTH,
            false,
            Partitions(1),
        ),
        (
            "SELECT sk FROM explained WHERE pk = 'p1' AND sk BETWEEN 0 AND 1",
            "Query",
            BOTH,
            false,
            Partitions(1),
        ),
        (
            "SELECT sk FROM explained WHERE pk = 'p1' AND x = 1",
            "Query",
            PK,
            false,
            Partitions(1),
        ),
        (
            "SELECT sk FROM explained WHERE pk = 'p1' AND NOT x = 1",
            "Query",
            PK,
            false,
            Partitions(1),
        ),
        (
            "SELECT * FROM explained WHERE pk = 'p1' ORDER BY sk DESC",
            "Query",
            PK,
            false,
            Partitions(1),
        ),
        (
            "SELECT sk FROM explained WHERE pk = 'p1' AND (x = 1 OR sk = 2)",
            "Query",
            PK,
            false,
            Partitions(1),
        ),
        (
            "SELECT sk FROM explained WHERE pk = 'p1' AND sk IN [1, 2]",
            "Query",
            PK,
            false,
            Undecided,
        ),
        (
            "SELECT sk FROM explained WHERE pk = 'p1' OR pk = 'p2'",
            "Query",
            PK,
            false,
            Undecided,
        ),
        (
            "SELECT sk FROM explained WHERE pk = 'p1' AND pk = 'p2'",
            "Query",
            PK,
            false,
            Undecided,
        ),
        (
            "SELECT sk FROM explained WHERE pk = 'p1' AND sk = 1 OR pk = 'p2' AND sk > 0",
            "Query",
            BOTH,
            false,
            Undecided,
        ),
        (
            "SELECT sk FROM explained WHERE (x = 1 OR pk = 'p1') AND (pk = 'p2' OR pk = 'p1')",
            "Query",
            PK,
            false,
            Undecided,
        ),
        (
            "SELECT sk FROM explained WHERE pk = 'p1' OR x = 1",
            "Scan",
            NONE,
            true,
            Everything,
        ),
        (
            "SELECT sk FROM explained WHERE NOT pk = 'p1'",
            "Scan",
            NONE,
            true,
            Everything,
        ),
        (
            "SELECT sk FROM explained WHERE pk <> 'p1'",
            "Scan",
            NONE,
            true,
            Everything,
        ),
        (
            "SELECT sk FROM explained WHERE pk NOT IN ['p1']",
            "Scan",
            NONE,
            true,
            Everything,
        ),
        (
            "SELECT sk FROM explained WHERE pk > 'p1'",
            "Scan",
            NONE,
            true,
            Everything,
        ),
        (
            "SELECT sk FROM explained WHERE pk BETWEEN 'p1' AND 'p2'",
            "Scan",
            NONE,
            true,
            Everything,
        ),
        (
            "SELECT sk FROM explained WHERE begins_with(pk, 'p1')",
            "Scan",
            NONE,
            true,
            Everything,
        ),
        (
            "SELECT sk FROM explained WHERE pk = x",
            "Scan",
            NONE,
            true,
            Everything,
        ),
        (
            "SELECT sk FROM explained WHERE sk = 1",
            "Scan",
            NONE,
            true,
            Everything,
        ),
        (
            "SELECT sk FROM explained WHERE x = 1",
            "Scan",
            NONE,
            true,
            Everything,
        ),
        (
            "SELECT sk FROM explained WHERE x IS MISSING",
            "Scan",
            NONE,
            true,
            Everything,
        ),
        (
            "SELECT sk FROM explained WHERE size(filler) > 5",
            "Scan",
            NONE,
            true,
            Everything,
        ),
        (
            "SELECT sk FROM explained WHERE m.pk = 'p1'",
            "Scan",
            NONE,
            true,
            Everything,
        ),
        (
            "SELECT m.k FROM explained WHERE m.k = 1",
            "Scan",
            NONE,
            true,
            Everything,
        ),
        (
            "SELECT l[0] FROM explained",
            "Scan",
            NONE,
            false,
            Everything,
        ),
        (
            "SELECT sk FROM explained WHERE x + 1 = 2",
            "Scan",
            NONE,
            false,
            Nothing,
        ),
        (
            "SELECT sk FROM explained ORDER BY sk",
            "Scan",
            NONE,
            false,
            Nothing,
        ),
        (
            "SELECT sk FROM explained.by_x WHERE x = 1",
            "Query",
            &["x"],
            false,
            Partitions(1),
        ),
        (
            "SELECT sk FROM explained.by_x WHERE pk = 'p1'",
            "Scan",
            NONE,
            true,
            Everything,
        ),
        (
            "SELECT sk FROM \"explained\".\"by_y\" WHERE pk = 'p1' AND y > 0",
            "Query",
            &["pk", "y"],
            false,
            Partitions(1),
        ),
        (
            "SELECT sk FROM explained WHERE pk = 'p1' AND begins_with(sk, 'x')",
            "Query",
            BOTH,
            false,
            Nothing,
        ),
    ]
};

#[test]
fn forty_statements_are_explained_as_dynamodb_local_then_reads_them() {
    const PARTITIONS: u64 = 8;
    const ITEMS: u64 = 7;
    let local = match local::shared() {
        Ok(local) => local,
        Err(skip) => return skip_or_fail(&skip),
    };
    let table = json!({"explained": {"key": ["pk:S", "sk:N"], "indexes": {"by_x": ["x:N"]}, "local_indexes": {"by_y": ["pk:S", "y:N"]}}});
    local.load(&table).unwrap();
    for n in 0..PARTITIONS * ITEMS {
        // A partition is a bit more than a page. Local indexes count in an item's largest size.
        let item = json!({"pk": {"S": format!("p{}", n / ITEMS)}, "sk": {"N": (n % ITEMS).to_string()}, "x": {"N": n.to_string()},
            "y": {"N": "1"}, "m": {"M": {"k": {"N": "1"}}}, "filler": {"S": "x".repeat(160_000)}});
        client::dynamodb_ok(
            local.url(),
            "PutItem",
            &json!({"TableName": "explained", "Item": item}),
        )
        .unwrap();
    }
    let all = pages(local.url(), "SELECT sk FROM explained", &[]).unwrap();
    assert!(all >= PARTITIONS, "{all} pages");
    let mut wrong = Vec::new();
    for (statement, operation, key_conditions, segments, reads) in STATEMENTS {
        let n_parameters = statement.matches('?').count();
        let parameters = vec![json!("p1"); n_parameters];
        let context = json!({"query": statement, "parameters": parameters});
        let explained = explain(local.url(), context).unwrap();
        let told = ["operation", "key_conditions", "segments_possible"];
        let told = told.map(|property| explained[property].clone());
        let pages = pages(local.url(), statement, &parameters);
        println!("{statement}: {told:?}, {pages:?} pages");
        let fits = match (&reads, pages) {
            // A partition is two pages.
            (Reads::Partitions(n), Some(pages)) => pages <= 2 * n && pages < all,
            (Reads::Everything, Some(pages)) => pages >= PARTITIONS,
            (Reads::Undecided, Some(_)) | (Reads::Nothing, None) => true,
            _ => false,
        };
        if told != [json!(operation), json!(key_conditions), json!(segments)] || !fits {
            wrong.push(format!(
                "{statement}: {told:?}, {pages:?} pages instead of {reads:?}"
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The pages of a statement that runs to its end; `None` where it is refused.
fn pages(url: &str, statement: &str, parameters: &[Value]) -> Option<u64> {
    let context = json!({"query": statement, "parameters": parameters});
    match run(&job(url, &context)) {
        Ok(result) => result["stats"]["pages"].as_u64(),
        Err(error) => {
            assert_eq!(error.code.as_str(), "VALIDATION", "{statement}: {error}");
            None
        }
    }
}
