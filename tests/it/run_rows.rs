//! `host-harness run` with rows as they come: results larger than one document, and rows that appear while the job runs.

use std::{
    fs,
    io::{BufRead, BufReader},
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use engines::{
    faults::{Fault, Faults},
    replay::{Replay, chain},
};
use harness_tests::{host, library};
use serde_json::Value;
use tempfile::TempDir;

/// A folder with the DynamoDB plugin alone.
fn plugins() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let plugin = folder.path().join("libdynamo_plugin.so");
    fs::copy(library("dynamo_plugin"), plugin).unwrap();
    folder
}

fn command(plugins: &Path, url: &str, args: &[&str]) -> Command {
    let mut command = Command::new(host());
    command
        .args([
            "run",
            "--region",
            "us-east-1",
            "--endpoint-url",
            url,
            "--plugin-dir",
        ])
        .arg(plugins)
        .args(args)
        .current_dir(plugins)
        .env("AWS_ACCESS_KEY_ID", "test")
        .env("AWS_SECRET_ACCESS_KEY", "test")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// Ten pages of a thousand items of a kilobyte; every page brings an attribute that none before it has.
fn large() -> Vec<bytes::Bytes> {
    let text = "x".repeat(1000);
    let pages: Vec<Vec<String>> = (0..10)
        .map(|page| {
            (0..1000)
                .map(|item| {
                    let n = page * 1000 + item;
                    format!(
                        r#"{{"text":{{"S":"{text}"}},"z{}":{{"N":"{n}.50"}},"id":{{"N":"{n}"}}}}"#,
                        9 - page
                    )
                })
                .collect()
        })
        .collect();
    chain(&pages)
}

#[test]
fn a_result_larger_than_a_document_is_the_same_in_every_format() {
    let plugins = plugins();
    let written = |statement: &str, name: &str| {
        let server = Replay::recording(&large()).unwrap();
        let output = command(plugins.path(), &server.url(), &[statement, "-o", name])
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{name}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        fs::read(plugins.path().join(name)).unwrap()
    };
    let all = "SELECT * FROM t";
    let document: Value = serde_json::from_slice(&written(all, "rows.json")).unwrap();
    let names: Vec<&str> = document["columns"]
        .as_array()
        .unwrap()
        .iter()
        .map(|column| column["name"].as_str().unwrap())
        .collect();
    assert_eq!(
        names,
        [
            "id", "text", "z0", "z1", "z2", "z3", "z4", "z5", "z6", "z7", "z8", "z9"
        ]
    );
    let rows = document["data"].as_array().unwrap();
    assert_eq!(rows.len(), 10_000);
    assert_eq!(document["stats"]["rows"], 10_000);

    let ndjson = String::from_utf8(written(all, "rows.ndjson")).unwrap();
    let objects: Vec<Value> = ndjson
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let expected: Vec<Value> = rows
        .iter()
        .map(|row| {
            let cells = names.iter().zip(row.as_array().unwrap());
            cells
                .filter(|(_, cell)| !cell.is_null())
                .map(|(name, cell)| ((*name).to_owned(), cell.clone()))
                .collect()
        })
        .collect();
    assert!(objects == expected);
    assert!(
        ndjson.starts_with("{\"id\":0,\"text\":\"xxx"),
        "by name, while rows come"
    );

    // The recorded pages hold every attribute, so the list names them all, and one that no item has.
    let list = "SELECT id, z9, z8, z7, z6, z5, z4, z3, z2, z1, z0, nowhere, text FROM t";
    let csv = String::from_utf8(written(list, "rows.csv")).unwrap();
    let head = "id,z9,z8,z7,z6,z5,z4,z3,z2,z1,z0,nowhere,text\n0,0.50,,,,,,,,,,,xxx";
    assert!(csv.starts_with(head), "{}", &csv[..200]);
    assert_eq!(csv.lines().count(), 10_001);
    let last = csv.lines().last().unwrap();
    assert!(last.starts_with("9999,,,,,,,,,,9999.50,,xxx"), "{last}");
    assert_eq!(&written(all, "rows.parquet")[..4], b"PAR1");
    let left: Vec<_> = fs::read_dir(plugins.path()).unwrap().collect();
    assert_eq!(left.len(), 5, "nothing is left over: {left:?}");
}

#[test]
fn rows_are_written_while_the_next_page_is_awaited() {
    let plugins = plugins();
    for (statement, format, first) in [
        ("SELECT id, price FROM t", "csv", "id,price\n"),
        ("SELECT * FROM t", "ndjson", "{\"id\":\"a\",\"price\":1}\n"),
    ] {
        let pages = chain(&[
            vec![r#"{"price":{"N":"1"},"id":{"S":"a"}}"#],
            vec![r#"{"id":{"S":"b"}}"#],
        ]);
        let server = Faults::start(pages, vec![Fault::None, Fault::StallBeforeAnswer]).unwrap();
        let mut child = command(plugins.path(), &server.url(), &[statement, "-F", format])
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut rows = BufReader::new(child.stdout.take().unwrap());
        rows.read_line(&mut line).unwrap();
        assert_eq!(line, first);
        child.kill().unwrap();
        child.wait().unwrap();
    }
}

#[test]
fn a_reader_that_has_enough_ends_the_job_without_an_error() {
    let plugins = plugins();
    let items = vec![r#"{"id":{"S":"a"}}"#; 10_000].join(",");
    let server = Replay::repeat(&[items.into()], 10_000, Duration::ZERO).unwrap();
    let mut child = command(
        plugins.path(),
        &server.url(),
        &["SELECT id FROM t", "-F", "csv"],
    )
    .spawn()
    .unwrap();
    let mut line = String::new();
    let mut rows = BufReader::new(child.stdout.take().unwrap());
    rows.read_line(&mut line).unwrap();
    drop(rows);
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    assert!(server.requests() < 10_000, "the job was ended");
    assert!(
        output.stderr.is_empty(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}
