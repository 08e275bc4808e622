//! What the fuzz target `rows` calls (`fuzz/`), and nothing else.

use serde::{Deserialize, Serialize};
use serde_json::{Value, value::RawValue};

use crate::{Answer, Format, Options, Source, Spool, write};

/// A result document, and the same rows as lines, give the same bytes in every format; JSON comes back as what it was.
///
/// # Panics
/// Where a promise is broken.
pub fn rows(bytes: &[u8]) {
    // A line of rows has no line ends inside, so the two would differ there by right.
    if bytes.iter().any(|byte| matches!(byte, b'\n' | b'\r')) {
        return;
    }
    let Ok(source) = Source::document(bytes) else {
        return;
    };
    let document: Result<Vec<_>, _> = written(&source);
    let Some((answer, lines)) = as_lines(bytes) else {
        return;
    };
    let mut spool = Spool::unlinked_in(&std::env::temp_dir()).expect("a temporary file");
    if spool.push(&lines).is_err() {
        // A row with too few cells, which no format takes either.
        assert!(document.is_err() || source.columns().is_empty());
        return;
    }
    let (file, notes) = spool.finish();
    let answer = Answer::parse(&answer).expect("an answer of ours");
    let of_lines = written(&Source::lines(&file, &answer, &notes));
    match (document, of_lines) {
        (Ok(document), Ok(of_lines)) => {
            for (format, (a, b)) in FORMATS.iter().zip(document.iter().zip(&of_lines)) {
                assert!(a == b, "{format:?}:\n{}\n{}", text(a), text(b));
            }
            let again = Source::document(&of_lines[0]).expect("what is written can be read");
            let again = written(&again).expect("and written again");
            assert_eq!(again[1..], of_lines[1..]);
        }
        (Err(_), Err(_)) => {}
        (document, of_lines) => panic!("{document:?} and {of_lines:?}"),
    }
}

/// JSON first.
const FORMATS: [Format; 9] = [
    Format::Json,
    Format::Ndjson,
    Format::Csv,
    Format::Tsv,
    Format::Markdown,
    Format::Table,
    Format::Vertical,
    Format::Arrow,
    Format::Parquet,
];

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Each format's bytes; the plugin's own document is JSON as it stands, so that is written anew.
fn written(source: &Source<'_>) -> Result<Vec<Vec<u8>>, String> {
    let options = Options {
        pretty: true,
        ..Options::default()
    };
    let write_as = |format: &Format| {
        let mut out = Vec::new();
        let outcome = write(*format, source, &options, &mut out);
        match outcome {
            Ok(_) => Ok(out),
            // A result without columns cannot be Parquet.
            Err(_) if source.columns().is_empty() => Ok(Vec::new()),
            Err(error) => Err(error.to_string()),
        }
    };
    FORMATS.iter().map(write_as).collect()
}

/// The answer and the lines that a plugin would have handed over for this document.
fn as_lines(bytes: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    #[derive(Deserialize)]
    struct WholeDocument<'a> {
        #[serde(borrow)]
        columns: Vec<&'a RawValue>,
        #[serde(borrow)]
        data: Vec<&'a RawValue>,
        stats: Option<Box<RawValue>>,
    }
    #[derive(Serialize)]
    struct Answered<'a> {
        // As they were written: a column may say more than hosts know of, in any order.
        columns: Vec<&'a RawValue>,
        order: Vec<usize>,
        #[serde(skip_serializing_if = "Option::is_none")]
        stats: Option<Box<RawValue>>,
    }
    let document: WholeDocument<'_> = serde_json::from_slice(bytes).ok()?;
    let name = |column: &&RawValue| {
        let column: Value = serde_json::from_str(column.get()).ok()?;
        Some(column["name"].clone())
    };
    let names: Vec<Value> = document.columns.iter().map(name).collect::<Option<_>>()?;
    let mut lines = serde_json::to_vec(&serde_json::json!({"columns": names})).ok()?;
    for row in document.data {
        let row: Vec<&RawValue> = serde_json::from_str(row.get()).ok()?;
        lines.push(b'\n');
        lines.extend(serde_json::to_vec(&row).ok()?);
    }
    lines.push(b'\n');
    let order: Vec<usize> = (0..document.columns.len()).collect();
    let answer = Answered {
        columns: document.columns,
        order,
        stats: document.stats,
    };
    Some((serde_json::to_vec(&answer).ok()?, lines))
}
