//! What the fuzz targets call (`fuzz/`), and nothing else: any text or bytes go in, and a broken promise is a panic. An engine that answers
//! is theirs (`fuzz/engine.rs`): `ask` sends it a request's body.

mod sdk;

use std::collections::{BTreeMap, HashMap, HashSet};

use aws_sdk_dynamodb::{
    operation::{
        execute_statement::{ExecuteStatement, ExecuteStatementInput},
        scan::{Scan, ScanInput},
    },
    primitives::Blob,
    types::AttributeValue,
};
use aws_smithy_types::base64;
use dynamo_decode::{Stats, Table};
use serde_json::{Value, value::RawValue};

use crate::{
    job::Job,
    scan::ScanRequest,
    statement::{Instruction, Statement, analysis::Analysis},
};

/// A job document is read or refused, always in the same way, and a refusal says what to do.
pub fn job(text: &str) {
    let first = Job::parse(text);
    let second = Job::parse(text);
    match (first, second) {
        (Ok(job), Ok(_)) => {
            assert!(!job.query.is_empty() && job.total_segments >= 1);
            assert!(
                job.segment
                    .is_none_or(|segment| segment < job.total_segments)
            );
        }
        (Err(first), Err(second)) => assert_eq!(first, second),
        (first, second) => panic!("{first:?} and {second:?}"),
    }
}

/// What the guard lets pass is what it checked: parsed again it is the same statement, line for line as long as the user's. It goes to
/// `ask`, which sees to it that it writes nothing.
pub fn guard(text: &str, ask: impl Fn(&[u8])) {
    match Instruction::parse(text) {
        Ok(instruction) => {
            let statement = instruction.statement();
            assert_eq!(Statement::parse(&statement.text).as_ref(), Ok(statement));
            assert_eq!(line_lengths(&statement.text), line_lengths(text));
            for given in 0..=statement.placeholders + 1 {
                let fits = statement.check_parameters(given).is_ok();
                assert_eq!(fits, given == statement.placeholders);
            }
            ask(&request(statement));
        }
        Err(error) => {
            assert!(
                error.line >= Some(1) && error.column >= Some(1),
                "{error:?}"
            );
            assert!(error.hint.is_some(), "{error:?}");
        }
    }
}

/// The statement as the SDK sends it.
fn request(statement: &Statement) -> Vec<u8> {
    let input = ExecuteStatementInput::builder()
        .statement(&statement.text)
        .set_parameters(Some(parameters(statement)).filter(|list| !list.is_empty()))
        .build();
    sdk::body_of(&ExecuteStatement::new(), input.expect("it has a statement"))
}

/// One value for each `?`, of a type that the engine's items have.
fn parameters(statement: &Statement) -> Vec<AttributeValue> {
    let values = [
        AttributeValue::N("1".to_owned()),
        AttributeValue::S("a".to_owned()),
        AttributeValue::Bool(true),
        AttributeValue::B(Blob::new([1])),
        AttributeValue::Null(true),
    ];
    let values = values.into_iter().cycle();
    values.take(statement.placeholders).collect()
}

fn line_lengths(text: &str) -> Vec<usize> {
    text.split(['\n', '\r'])
        .map(|line| line.chars().count())
        .collect()
}

/// Where a statement can be read as a Scan, its expressions are made of our own words: nothing of the user's text is in them, and every
/// placeholder stands for something. Where `ask` (operation, body) answers both the statement and the Scan, both give the same rows.
/// Whether it came to that: a fuzzer finds more by going on from there.
pub fn filter(text: &str, ask: impl Fn(&str, &[u8]) -> Option<Vec<u8>>) -> bool {
    let Ok(statement) = Statement::parse(text) else {
        return false;
    };
    let analysis = Analysis::of(&statement);
    let Ok(scan) = ScanRequest::translate(&statement, &analysis, &parameters(&statement)) else {
        return false;
    };
    are_our_words(&scan);
    let Some(statement_answer) = ask("ExecuteStatement", &request(&statement)) else {
        return false;
    };
    let Some(scan_answer) = ask("Scan", &scan_request(&scan)) else {
        return false;
    };
    let mut of_statement = Table::new(statement.columns.clone(), None, 1 << 20);
    feed(&mut of_statement, &statement_answer);
    let mut page = Table::for_pages(scan.columns.as_deref(), 1 << 20);
    feed(&mut page, &scan_answer);
    let mut of_scan = Table::new(statement.columns.clone(), None, 1 << 20);
    of_scan.append(&mut page).expect("it is small");
    let (of_statement, of_scan) = (rows(of_statement), rows(of_scan));
    assert_eq!(of_statement, of_scan, "of the statement and of {scan:?}");
    true
}

fn scan_request(scan: &ScanRequest) -> Vec<u8> {
    let scan = scan.clone();
    let input = ScanInput::builder()
        .table_name(scan.table_name)
        .set_index_name(scan.index_name)
        .set_filter_expression(scan.filter_expression)
        .set_projection_expression(scan.projection_expression)
        .set_expression_attribute_names(scan.expression_attribute_names)
        .set_expression_attribute_values(scan.expression_attribute_values)
        .build();
    sdk::body_of(&Scan::new(), input.expect("it has a table"))
}

fn feed(table: &mut Table, answer: &[u8]) {
    table.begin_attempt();
    let fed = table.feed(answer).and_then(|()| table.end_attempt());
    fed.expect("an engine's answer can be read");
}

/// Every row by its columns' names, in an order that the engine has no part in.
fn rows(mut table: Table) -> Vec<BTreeMap<String, Value>> {
    table.commit_page();
    let document = table.finish(&Stats::default()).expect("it is small");
    let document: Document<'_> = serde_json::from_slice(&document).expect("a result is JSON");
    let mut rows: Vec<_> = document.rows().map(row_by_name).collect();
    rows.sort_by_cached_key(|row| format!("{row:?}"));
    rows
}

fn row_by_name<'a>(
    cells: impl Iterator<Item = (&'a str, &'a RawValue)>,
) -> BTreeMap<String, Value> {
    cells
        .map(|(name, cell)| {
            let cell = serde_json::from_str(cell.get()).expect("a cell is JSON");
            (name.to_owned(), cell)
        })
        .collect()
}

/// A result document: cells as they are written, digits and escapes included.
#[derive(serde::Deserialize)]
struct Document<'a> {
    columns: Vec<Column>,
    #[serde(borrow)]
    data: Vec<Vec<&'a RawValue>>,
}

#[derive(serde::Deserialize)]
struct Column {
    name: String,
}

impl Document<'_> {
    /// Each row as its columns' names and its cells.
    fn rows(&self) -> impl Iterator<Item = impl Iterator<Item = (&str, &RawValue)>> {
        self.data.iter().map(|row| {
            assert_eq!(row.len(), self.columns.len());
            let names = self.columns.iter().map(|column| column.name.as_str());
            names.zip(row.iter().copied())
        })
    }
}

fn are_our_words(request: &ScanRequest) {
    let expressions = [&request.filter_expression, &request.projection_expression];
    let expressions: Vec<&String> = expressions.into_iter().flatten().collect();
    let names = request.expression_attribute_names.as_ref();
    let names: HashSet<&String> = names.into_iter().flat_map(HashMap::keys).collect();
    let values = request.expression_attribute_values.as_ref();
    let values: HashSet<&String> = values.into_iter().flat_map(HashMap::keys).collect();
    for key in names.iter().chain(&values) {
        assert!(
            expressions.iter().any(|text| text.contains(key.as_str())),
            "{key} stands nowhere in {expressions:?}"
        );
    }
    for word in expressions.iter().flat_map(|text| {
        text.split(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '#' | ':' | '_')))
    }) {
        let is_known = match word.as_bytes().first() {
            Some(b'#') => names.contains(&word.to_owned()),
            Some(b':') => values.contains(&word.to_owned()),
            _ => OUR_WORDS.contains(&word) || word.bytes().all(|byte| byte.is_ascii_digit()),
        };
        assert!(is_known, "{word:?} in {expressions:?} is none of ours");
    }
}

/// What expressions may hold beside placeholders and the indexes of lists.
const OUR_WORDS: [&str; 12] = [
    "",
    "AND",
    "OR",
    "NOT",
    "BETWEEN",
    "IN",
    "attribute_exists",
    "attribute_not_exists",
    "attribute_type",
    "begins_with",
    "contains",
    "size",
];

/// An answer's body, whole and in pieces, gives the same from the predicting decoder and from the plain one; and where the SDK reads it as
/// well, every cell and what surrounds the items are the SDK's. The first byte says how large pieces are and what is selected.
pub fn page(bytes: &[u8]) {
    let Some((&choice, body)) = bytes.split_first() else {
        return;
    };
    let select = (choice & 1 == 1).then(|| ["id", "a", "b"].map(str::to_owned).to_vec());
    let limit = (choice & 2 == 2).then_some(2_u8);
    let table = || Table::new(select.clone(), limit.map(u64::from), 1 << 20);
    let plain = decoded(table().without_prediction(), body, usize::MAX);
    for piece in [usize::MAX, 1 + usize::from(choice >> 2)] {
        let predicted = decoded(table(), body, piece);
        assert_eq!(predicted, plain, "{:?}", String::from_utf8_lossy(body));
    }
    if let Some(decoded) = &plain {
        is_as_the_sdk_reads_it(body, decoded, limit);
    }
}

/// What the decoder makes of an answer.
#[derive(Debug, PartialEq)]
struct Decoded {
    document: Vec<u8>,
    /// What the SDK is given to read.
    rest: Vec<u8>,
}

/// That of a page that came twice: once as the attempt that failed, once whole.
fn decoded(mut table: Table, body: &[u8], piece: usize) -> Option<Decoded> {
    let mut feed = |body: &[u8]| {
        table.begin_attempt();
        body.chunks(piece.min(body.len().max(1)))
            .try_for_each(|frame| table.feed(frame))
            .and_then(|()| table.end_attempt())
    };
    let _ = feed(&body[..body.len() / 2]);
    let rest = feed(body).ok()?;
    table.commit_page();
    let document = table.finish(&Stats::default()).ok()?;
    Some(Decoded { document, rest })
}

fn is_as_the_sdk_reads_it(body: &[u8], decoded: &Decoded, limit: Option<u8>) {
    let document: Document<'_> =
        serde_json::from_slice(&decoded.document).expect("a result is JSON");
    let rows: Vec<BTreeMap<&str, &RawValue>> = document.rows().map(Iterator::collect).collect();
    let Some(mut whole) = sdk::answer(body) else {
        return;
    };
    let items = whole.items.take().unwrap_or_default();
    let rest =
        sdk::answer(&decoded.rest).expect("what surrounds the items can be read without them");
    assert_eq!(rest, whole);
    let n_rows = limit.map_or(items.len(), |limit| items.len().min(limit.into()));
    assert_eq!(rows.len(), n_rows);
    for (row, item) in rows.iter().zip(&items) {
        assert!(item.keys().all(|name| row.contains_key(name.as_str())));
        for (name, cell) in row {
            let is_same = match item.get(*name) {
                Some(value) => is_written(value, cell),
                None => cell.get() == "null",
            };
            assert!(is_same, "{name:?}: {cell} is not {:?}", item.get(*name));
        }
    }
}

/// Whether a cell is this value.
fn is_written(value: &AttributeValue, cell: &RawValue) -> bool {
    fn read<'a, T: serde::Deserialize<'a>>(cell: &'a RawValue) -> T {
        serde_json::from_str(cell.get()).expect("a cell of the value's type")
    }
    let bytes = |text: &str| Blob::new(base64::decode(text).expect("what the SDK has read"));
    match value {
        AttributeValue::S(text) => *text == read::<String>(cell),
        AttributeValue::N(digits) => digits == cell.get(),
        AttributeValue::Bool(value) => *value == read::<bool>(cell),
        AttributeValue::Null(_) => cell.get() == "null",
        AttributeValue::B(blob) => *blob == bytes(&read::<String>(cell)),
        AttributeValue::Ss(texts) => *texts == read::<Vec<String>>(cell),
        AttributeValue::Ns(all) => all
            .iter()
            .eq(read::<Vec<&RawValue>>(cell).iter().map(|cell| cell.get())),
        AttributeValue::Bs(blobs) => blobs
            .iter()
            .cloned()
            .eq(read::<Vec<String>>(cell).iter().map(|text| bytes(text))),
        AttributeValue::L(members) => {
            let cells: Vec<&RawValue> = read(cell);
            cells.len() == members.len()
                && members
                    .iter()
                    .zip(cells)
                    .all(|(member, cell)| is_written(member, cell))
        }
        AttributeValue::M(members) => {
            let cells: HashMap<String, &RawValue> = read(cell);
            cells.len() == members.len()
                && members.iter().all(|(name, member)| {
                    cells.get(name).is_some_and(|cell| is_written(member, cell))
                })
        }
        other => panic!("{other:?} is of no type that DynamoDB has"),
    }
}

/// A text is no token or it is a position; a position becomes a token that is read as the same position, and another statement's is refused.
pub fn next_token(bytes: &[u8]) {
    crate::pages::fuzz_token(bytes);
}
