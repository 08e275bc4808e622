//! What a table makes of pages: each test feeds bodies whole, byte by byte and in odd pieces, and compares documents.

mod cells;
mod columns;
mod lines;
mod pages;
mod size;

use super::{Stats, Table};
use crate::decode::DecodeError;

const NO_LIMIT: u64 = 1 << 40;

/// A body with these items.
fn page(items: &str) -> String {
    format!(r#"{{"Items":[{items}]}}"#)
}

/// Runs one attempt that must succeed, in pieces of a size, and commits it.
fn add(table: &mut Table, body: &str, piece: usize) {
    attempt(table, body, piece).expect("a good page");
    table.commit_page();
}

fn attempt(table: &mut Table, body: &str, piece: usize) -> Result<Vec<u8>, DecodeError> {
    table.begin_attempt();
    for frame in body.as_bytes().chunks(piece) {
        table.feed(frame)?;
    }
    table.end_attempt()
}

/// The document of a table, up to `stats`.
fn document(table: Table) -> String {
    let document = table.finish(&Stats::default()).expect("a document");
    assert!(document.capacity() > document.len(), "no room for the NUL");
    let text = String::from_utf8(document).expect("UTF-8");
    serde_json::from_str::<serde_json::Value>(&text).expect("valid JSON");
    let (rows, _) = text
        .split_once(r#","stats":{"rows":"#)
        .expect("stats come last");
    rows.to_owned()
}

/// The document of some pages, the same in whatever pieces they come.
fn document_of(pages: &[String], select: Option<&[&str]>, limit: Option<u64>) -> String {
    let select = || select.map(|names| names.iter().map(|name| (*name).to_owned()).collect());
    let run = |mut table: Table, pages: &[String], size| {
        for body in pages {
            add(&mut table, body, size);
        }
        document(table)
    };
    let table = || Table::new(select(), limit, NO_LIMIT);
    let in_pieces = |size| run(table(), pages, size);
    let whole = in_pieces(usize::MAX);
    for size in [1, 2, 3, 7, 64, 1000] {
        if pages.iter().map(String::len).sum::<usize>() < 20_000 * size {
            assert_eq!(in_pieces(size), whole, "in pieces of {size}");
        }
    }
    // What is new at first is expected the second time.
    let twice = [pages, pages].concat();
    let plain = run(table().without_prediction(), &twice, usize::MAX);
    assert_eq!(run(table(), &twice, usize::MAX), plain);
    whole
}

/// Columns as `name:type …`, and the rows, of one page of items.
#[track_caller]
fn check(items: &str, columns: &str, rows: &str) {
    check_pages(&[items], columns, rows);
}

#[track_caller]
fn check_pages(pages: &[&str], columns: &str, rows: &str) {
    let pages: Vec<_> = pages.iter().map(|items| page(items)).collect();
    assert_document(&document_of(&pages, None, None), columns, rows);
}

#[track_caller]
fn assert_document(document: &str, columns: &str, rows: &str) {
    let entries: Vec<_> = columns
        .split_whitespace()
        .map(|column| {
            let (name, kind) = column.rsplit_once(':').expect("name:type");
            format!(r#"{{"name":"{name}","type":"{kind}"}}"#)
        })
        .collect();
    let expected = format!(r#"{{"columns":[{}],"data":[{rows}]"#, entries.join(","));
    assert_eq!(document, expected);
}

/// The error that one page of items gives, in whatever pieces.
fn refusal(items: &str) -> DecodeError {
    refusal_of(&page(items))
}

fn refusal_of(body: &str) -> DecodeError {
    let refused = |piece| {
        let mut table = Table::new(None, None, NO_LIMIT);
        attempt(&mut table, body, piece).expect_err(body)
    };
    let whole = refused(usize::MAX);
    assert!(whole.is_retryable(), "{whole:?}");
    refused(1);
    refused(5);
    whole
}
