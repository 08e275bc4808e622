//! A result document that is too large for memory: its rows are stored as lines while it is read.

use std::{
    fmt,
    io::{BufReader, Read},
    path::Path,
};

use serde::{
    Deserializer,
    de::{DeserializeSeed, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use serde_json::value::RawValue;

use crate::{Answer, Column, Spool, WriteError};

/// How many bytes of lines are handed to the spool at a time.
const PIECE: usize = 1 << 18;

impl Spool {
    /// Stores the rows of a result document in a file without a name in `directory`, while the document is read; and what the plugin
    /// would have answered, had it handed over these rows as they came.
    ///
    /// # Errors
    /// It is not a JSON object in which `data` follows `columns`, it ends early, or a file cannot be read or written.
    pub fn of_document(
        document: impl Read,
        directory: &Path,
    ) -> Result<(Self, Answer), WriteError> {
        let mut reading = Reading {
            spool: Self::unlinked_in(directory)?,
            failure: None,
        };
        let document = BufReader::with_capacity(PIECE, document);
        let mut json = serde_json::Deserializer::from_reader(document);
        let read = (&mut reading)
            .deserialize(&mut json)
            .and_then(|answer| json.end().map(|()| answer));
        match (read, reading.failure) {
            (_, Some(failure)) => Err(failure),
            (Ok(answer), None) => Ok((reading.spool, answer)),
            (Err(error), None) if error.is_io() => Err(WriteError::Io(error.into())),
            (Err(error), None) => Err(WriteError::json("the result document", &error)),
        }
    }
}

/// The document under way.
struct Reading {
    spool: Spool,
    /// What went wrong with the spool, which a deserializer's error cannot carry.
    failure: Option<WriteError>,
}

impl Reading {
    fn push<E: serde::de::Error>(&mut self, lines: &[u8]) -> Result<(), E> {
        self.spool.push(lines).map_err(|failure| {
            self.failure = Some(failure);
            E::custom("the rows cannot be stored")
        })
    }
}

impl<'de> DeserializeSeed<'de> for &mut Reading {
    type Value = Answer;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Answer, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for &mut Reading {
    type Value = Answer;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a result document")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Answer, A::Error> {
        let (mut columns, mut has_data, mut stats) = (None, false, None);
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "columns" => {
                    let named: Vec<Column> = map.next_value()?;
                    let names: Vec<&str> = named.iter().map(|column| &*column.name).collect();
                    let line = format!("{}\n", serde_json::json!({"columns": names}));
                    self.push(line.as_bytes())?;
                    columns = Some(named);
                }
                "data" if columns.is_some() => {
                    map.next_value_seed(Rows(&mut *self))?;
                    has_data = true;
                }
                "data" => return Err(A::Error::custom("'data' comes before 'columns'")),
                "stats" => stats = map.next_value::<Option<Box<RawValue>>>()?,
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        match columns {
            Some(columns) if has_data => Ok(Answer {
                order: (0..columns.len()).collect(),
                columns,
                stats,
            }),
            _ => Err(A::Error::custom("'columns' or 'data' is missing")),
        }
    }
}

/// The list of rows.
struct Rows<'a>(&'a mut Reading);

impl<'de> DeserializeSeed<'de> for Rows<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Rows<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of rows")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut rows: A) -> Result<(), A::Error> {
        let mut lines = Vec::with_capacity(PIECE + PIECE / 2);
        while let Some(row) = rows.next_element::<Box<RawValue>>()? {
            // Inside a text a newline is escaped, so that one of these bytes stands only between values.
            lines.extend(row.get().bytes().map(|byte| match byte {
                b'\n' | b'\r' => b' ',
                byte => byte,
            }));
            lines.push(b'\n');
            if lines.len() >= PIECE {
                self.0.push(&lines)?;
                lines.clear();
            }
        }
        self.0.push(&lines)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Format, Options, Source, write};

    fn written(format: Format, source: &Source<'_>) -> Vec<u8> {
        let mut out = Vec::new();
        write(format, source, &Options::default(), &mut out).unwrap();
        out
    }

    #[test]
    fn every_format_of_the_lines_is_that_of_the_document() {
        for document in [
            r#"{"columns":[{"name":"b","type":"decimal"},{"name":"a","type":"any"}],"data":[[1.50,"x\ny"],[null,{"k":[1]}]],"stats":{"rows":2}}"#,
            r#"{"columns":[],"data":[],"stats":{}}"#,
            "{\"columns\":[{\"name\":\"a\",\"type\":\"long\"}],\n\"data\":[\n[\n1 ]\r\n,[2]], \"stats\":null, \"later\":[1]}",
        ] {
            let whole = Source::document(document.as_bytes()).unwrap();
            let (spool, answer) =
                Spool::of_document(document.as_bytes(), &std::env::temp_dir()).unwrap();
            assert_eq!(answer.stats(), whole.stats());
            let (file, notes) = spool.finish();
            let lines = Source::lines(&file, &answer, &notes);
            for format in [Format::Csv, Format::Ndjson, Format::Table, Format::Arrow] {
                assert!(
                    written(format, &lines) == written(format, &whole),
                    "{document}"
                );
            }
        }
    }

    #[test]
    fn a_document_that_ends_early_or_is_none_is_refused() {
        for document in [
            "",
            "[]",
            r#"{"data":[],"columns":[]}"#,
            r#"{"columns":[],"stats":{}}"#,
            r#"{"columns":[{"name":"a","type":"long"}],"data":[[1],[2"#,
            r#"{"columns":[{"name":"a","type":"long"}],"data":[[1,2]],"stats":{}}"#,
            r#"{"columns":[],"data":[],"stats":{}} x"#,
        ] {
            let read = Spool::of_document(document.as_bytes(), &std::env::temp_dir());
            assert!(matches!(read, Err(WriteError::Malformed(_))), "{document}");
        }
    }
}
