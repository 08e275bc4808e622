//! A result is the same in every format, whether it came as a document or as rows.
#![expect(clippy::unwrap_used, reason = "a test fails where it cannot unwrap")]

use std::{collections::BTreeSet, fs::File};

use proptest::prelude::*;
use results::{
    Answer, Format, Notes, Options, Source, Spool, Stream, StreamOrder, WriteError, write,
};
use serde_json::{Value, json};

/// The same rows in both shapes.
#[derive(Debug, Clone)]
struct Both {
    document: String,
    lines: String,
    answer: String,
}

const ALL: [Format; 10] = [
    Format::Json,
    Format::Ndjson,
    Format::Csv,
    Format::Tsv,
    Format::Parquet,
    Format::Arrow,
    Format::ArrowFile,
    Format::Table,
    Format::Vertical,
    Format::Markdown,
];

fn from_document(document: &str, format: Format, options: &Options) -> Result<Vec<u8>, WriteError> {
    let mut out = Vec::new();
    write(
        format,
        &Source::document(document.as_bytes())?,
        options,
        &mut out,
    )?;
    Ok(out)
}

fn spooled(lines: &str) -> (File, Notes) {
    let mut spool = Spool::unlinked_in(&std::env::temp_dir()).unwrap();
    spool.push(lines.as_bytes()).unwrap();
    spool.finish()
}

fn from_lines(both: &Both, format: Format, options: &Options) -> Result<Vec<u8>, WriteError> {
    let (file, notes) = spooled(&both.lines);
    let answer = Answer::parse(both.answer.as_bytes())?;
    let mut out = Vec::new();
    write(
        format,
        &Source::lines(&file, &answer, &notes),
        options,
        &mut out,
    )?;
    Ok(out)
}

/// A value, and the type of a column that has only such values.
fn value(kind: &str) -> BoxedStrategy<String> {
    let text = prop_oneof![
        Just(String::new()),
        "[a-z=+@ ,\"\t\n|é日👍\u{301}]{0,12}",
        any::<String>(),
    ];
    match kind {
        "string" => text.prop_map(|text| json!(text).to_string()).boxed(),
        "boolean" => any::<bool>().prop_map(|value| value.to_string()).boxed(),
        "bytes" => prop::sample::select(vec!["\"\"", "\"AAE=\"", "\"+/8=\""])
            .prop_map(str::to_owned)
            .boxed(),
        "long" => any::<i64>().prop_map(|value| value.to_string()).boxed(),
        "float" => prop::sample::select(vec!["1.5", "-0", "0.1", "1e-7", "12.990", "1E+30"])
            .prop_map(str::to_owned)
            .boxed(),
        "decimal" => ("-?[1-9][0-9]{16,25}", "[0-9]{1,15}")
            .prop_map(|(integer, fraction)| format!("{integer}.{fraction}"))
            .boxed(),
        "array" => prop::sample::select(vec!["[]", "[1,\"a\"]", "[null]"])
            .prop_map(str::to_owned)
            .boxed(),
        "map" => prop::sample::select(vec!["{}", "{\"a\":1.50}"])
            .prop_map(str::to_owned)
            .boxed(),
        "null" => Just("null".to_owned()).boxed(),
        _ => prop_oneof![value("string"), value("decimal"), value("map")].boxed(),
    }
}

const KINDS: [&str; 10] = [
    "string", "boolean", "bytes", "long", "float", "decimal", "array", "map", "null", "any",
];

prop_compose! {
    /// Columns that show up one by one, in any order of names.
    fn results()(
        names in prop::collection::hash_set("[a-zA-Zé\"_]{1,6}", 1..6),
        kinds in prop::collection::vec(0..KINDS.len(), 6),
        arrivals in prop::collection::vec(0..3_usize, 6),
    )(
        rows in prop::collection::vec(
            (0..6_usize).map(|at| {
                let null = Just("null".to_owned());
                prop_oneof![1 => null, 3 => value(KINDS[kinds[at]])]
            }).collect::<Vec<_>>(),
            0..8,
        ),
        names in Just(names.into_iter().collect::<Vec<_>>()),
        kinds in Just(kinds),
        arrivals in Just(arrivals),
    ) -> Both {
        both(&names, &kinds, &arrivals, &rows)
    }
}

/// Column `at` of `names` is known from row `arrivals[at]` on; before, its cells are null.
fn both(names: &[String], kinds: &[usize], arrivals: &[usize], rows: &[Vec<String>]) -> Both {
    let cell = |row: usize, at: usize| -> &str {
        if row < arrivals[at] {
            "null"
        } else {
            &rows[row][at]
        }
    };
    let mut arrived: Vec<usize> = (0..names.len()).collect();
    arrived.sort_by_key(|&at| arrivals[at]);
    let mut lines = String::new();
    let mut known = 0;
    for row in 0..rows.len().max(4) {
        let added: Vec<&String> = arrived[known..]
            .iter()
            .take_while(|&&at| arrivals[at] <= row)
            .map(|&at| &names[at])
            .collect();
        if !added.is_empty() || row == 0 {
            lines += &format!("{}\n", json!({"columns": added}));
            known += added.len();
        }
        if row < rows.len() {
            let cells: Vec<&str> = arrived[..known].iter().map(|&at| cell(row, at)).collect();
            lines += &format!("[{}]\n", cells.join(","));
        }
    }
    let mut by_name = arrived.clone();
    by_name.sort_by_key(|&at| &names[at]);
    let column = |at: &usize| {
        format!(
            "{{\"name\":{},\"type\":\"{}\"}}",
            json!(names[*at]),
            KINDS[kinds[*at]]
        )
    };
    let order: Vec<usize> = by_name
        .iter()
        .map(|at| arrived.iter().position(|one| one == at).unwrap())
        .collect();
    let data: Vec<String> = (0..rows.len())
        .map(|row| {
            let cells: Vec<&str> = by_name.iter().map(|&at| cell(row, at)).collect();
            format!("[{}]", cells.join(","))
        })
        .collect();
    let listed = |columns: &[usize]| columns.iter().map(column).collect::<Vec<_>>().join(",");
    Both {
        document: format!(
            "{{\"columns\":[{}],\"data\":[{}],\"stats\":{{\"rows\":{}}}}}",
            listed(&by_name),
            data.join(","),
            rows.len()
        ),
        answer: format!(
            "{{\"columns\":[{}],\"order\":{},\"stats\":{{\"rows\":{}}}}}",
            listed(&arrived),
            json!(order),
            rows.len()
        ),
        lines,
    }
}

proptest! {
    #[test]
    fn rows_and_documents_give_the_same_bytes_in_every_format(both in results(), width in 20..120_usize) {
        let options = Options { width: Some(width), ..Options::default() };
        for format in ALL {
            let document = from_document(&both.document, format, &options).unwrap();
            let lines = from_lines(&both, format, &options).unwrap();
            prop_assert!(document == lines, "{format:?} differs for {both:?}");
        }
        let pretty = Options { pretty: true, ..Options::default() };
        let pretty = from_document(&both.document, Format::Json, &pretty).unwrap();
        let values = |json: &[u8]| serde_json::from_slice::<Value>(json).unwrap();
        prop_assert_eq!(values(&pretty), values(both.document.as_bytes()));
    }

    #[test]
    fn a_stream_writes_what_the_whole_gives(both in results(), by_line in any::<bool>()) {
        let options = Options { csv_safe: true, ..Options::default() };
        let mut stream = Stream::new(Format::Ndjson, StreamOrder::ByName, &options, Vec::new()).unwrap();
        if by_line {
            for line in both.lines.split_inclusive('\n') {
                stream.push(line.as_bytes()).unwrap();
            }
        } else {
            stream.push(both.lines.as_bytes()).unwrap();
        }
        let whole = from_document(&both.document, Format::Ndjson, &options).unwrap();
        prop_assert_eq!(stream.finish().unwrap(), whole);
    }

    #[test]
    fn ndjson_read_back_is_the_rows_without_nulls(both in results()) {
        let document: Value = serde_json::from_str(&both.document).unwrap();
        let ndjson = from_lines(&both, Format::Ndjson, &Options::default()).unwrap();
        let objects: Vec<Value> = serde_json::Deserializer::from_slice(&ndjson)
            .into_iter()
            .collect::<Result<_, _>>()
            .unwrap();
        let columns = document["columns"].as_array().unwrap();
        let rows: Vec<Value> = document["data"].as_array().unwrap().iter().map(|row| {
            columns.iter().zip(row.as_array().unwrap())
                .filter(|(_, cell)| !cell.is_null())
                .map(|(column, cell)| (column["name"].as_str().unwrap().to_owned(), cell.clone()))
                .collect()
        }).collect();
        prop_assert_eq!(objects, rows);
    }
}

#[test]
fn a_list_of_columns_streams_as_csv_and_everything_else_waits() {
    let lines = "{\"columns\":[\"b\",\"a\"]}\n[\"x,y\",null]\n[\"\",-1]\n";
    for (format, expected) in [
        (Format::Csv, "b,a\n\"x,y\",\n\"\",-1\n"),
        (Format::Tsv, "b\ta\nx,y\t\n\"\"\t-1\n"),
        (Format::Ndjson, "{\"b\":\"x,y\"}\n{\"b\":\"\",\"a\":-1}\n"),
    ] {
        let mut stream = Stream::new(
            format,
            StreamOrder::AsNamed,
            &Options::default(),
            Vec::new(),
        )
        .unwrap();
        stream.push(lines.as_bytes()).unwrap();
        assert_eq!(
            String::from_utf8(stream.finish().unwrap()).unwrap(),
            expected
        );
    }
    let streamed: BTreeSet<&str> = ALL
        .into_iter()
        .filter(|&format| {
            Stream::new(format, StreamOrder::ByName, &Options::default(), Vec::new()).is_some()
        })
        .map(Format::name)
        .collect();
    assert_eq!(streamed, BTreeSet::from(["ndjson"]));
}

#[test]
fn what_is_stored_must_fit_the_answer() {
    let answer = |columns: &str, order: &str| {
        Answer::parse(format!("{{\"columns\":[{columns}],\"order\":{order}}}").as_bytes()).unwrap()
    };
    let (file, notes) = spooled("{\"columns\":[\"a\"]}\n[1]\n");
    let a = r#"{"name":"a","type":"long"}"#;
    let b = r#"{"name":"b","type":"long"}"#;
    let written = |answer: &Answer, notes: &Notes, format: Format| {
        let source = Source::lines(&file, answer, notes);
        write(format, &source, &Options::default(), &mut Vec::new()).map(drop)
    };
    for format in [Format::Json, Format::Csv, Format::Arrow] {
        assert!(written(&answer(a, "[0]"), &notes, format).is_ok());
        for (columns, order) in [
            (b.to_owned(), "[0]"),
            (format!("{a},{b}"), "[0,1]"),
            (String::new(), "[]"),
        ] {
            let refused = written(&answer(&columns, order), &notes, format);
            assert!(
                matches!(refused, Err(WriteError::Malformed(_))),
                "{columns}: {refused:?}"
            );
        }
    }
    let mut fewer = notes;
    fewer.rows = 2;
    assert!(matches!(
        written(&answer(a, "[0]"), &fewer, Format::Csv),
        Err(WriteError::Malformed(_))
    ));
}

#[test]
fn a_document_that_is_no_table_is_said_to_be_none() {
    for document in [
        "",
        "[]",
        "{}",
        r#"{"columns":[],"data":{}}"#,
        r#"{"columns":[{"name":"a"}],"data":[]}"#,
        r#"{"columns":"a","data":[]}"#,
        r#"{"data":[]}"#,
    ] {
        assert!(Source::document(document.as_bytes()).is_err(), "{document}");
    }
    let short = r#"{"columns":[{"name":"a","type":"long"}],"data":[[1],[]]}"#;
    let refused = from_document(short, Format::Csv, &Options::default());
    assert!(matches!(refused, Err(WriteError::Malformed(_))));
}

#[test]
fn a_value_that_is_not_of_its_columns_type_is_an_error_that_does_not_repeat_it() {
    for (kind, cell) in [
        ("long", "1.5"),
        ("long", "9223372036854775808"),
        ("float", "\"1\""),
        ("decimal", "\"1\""),
        ("boolean", "1"),
        ("bytes", "\"?\""),
        ("string", "17"),
        ("null", "17"),
    ] {
        let document =
            format!(r#"{{"columns":[{{"name":"a","type":"{kind}"}}],"data":[[{cell}]]}}"#);
        for format in [Format::Arrow, Format::Parquet] {
            let refused = from_document(&document, format, &Options::default()).unwrap_err();
            assert_eq!(
                refused.to_string(),
                "the result is malformed: a value of the column 'a' is not of the column's type",
                "{kind}"
            );
        }
    }
}
