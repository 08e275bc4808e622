//! Where a result's rows are read from: a document in memory, or lines in a file.

use std::{
    borrow::Cow,
    fs::File,
    io::{self, BufRead, BufReader, Read},
    os::unix::fs::FileExt,
};

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::{
    Answer, Column, Digits, Notes, WriteError,
    elements::Elements,
    lines::{self, Line, Row},
};

/// A result that can be read, row by row and as often as needed.
#[derive(Debug)]
pub struct Source<'a> {
    /// In the order of a document.
    columns: Vec<Column>,
    stats: Option<&'a RawValue>,
    rows: Rows<'a>,
}

#[derive(Debug)]
enum Rows<'a> {
    Document {
        whole: &'a [u8],
        data: &'a str,
    },
    Lines {
        file: &'a File,
        answer: &'a Answer,
        notes: &'a Notes,
    },
}

impl<'a> Source<'a> {
    /// An ordinary result document. It is borrowed, and nothing of its rows is copied.
    ///
    /// # Errors
    /// It is not a JSON object with `columns` and `data`; such a result has no other format than its own bytes.
    pub fn document(document: &'a [u8]) -> Result<Self, WriteError> {
        #[derive(Deserialize)]
        struct Fields<'a> {
            columns: Vec<Column>,
            #[serde(borrow)]
            data: &'a RawValue,
            #[serde(borrow)]
            stats: Option<&'a RawValue>,
        }
        let fields: Fields<'_> = serde_json::from_slice(document)
            .map_err(|error| WriteError::json("the result document", &error))?;
        if !fields.data.get().starts_with('[') {
            return Err(WriteError::malformed("'data' is not a list"));
        }
        Ok(Self {
            columns: fields.columns,
            stats: fields.stats,
            rows: Rows::Document {
                whole: document,
                data: fields.data.get(),
            },
        })
    }

    /// The lines that a [`Spool`](crate::Spool) stored from the start of `file`, and the answer that followed them. The file's own
    /// position is neither used nor changed, so that several readers may share it.
    #[must_use]
    pub fn lines(file: &'a File, answer: &'a Answer, notes: &'a Notes) -> Self {
        Self {
            columns: answer.ordered().cloned().collect(),
            stats: answer.stats.as_deref(),
            rows: Rows::Lines {
                file,
                answer,
                notes,
            },
        }
    }

    /// The columns, in the order of a document.
    #[must_use]
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// The result's `stats`, as JSON.
    #[must_use]
    pub fn stats(&self) -> Option<&str> {
        self.stats.map(RawValue::get)
    }

    /// The plugin's own document, where there is one.
    pub(crate) fn whole(&self) -> Option<&[u8]> {
        match self.rows {
            Rows::Document { whole, .. } => Some(whole),
            Rows::Lines { .. } => None,
        }
    }

    /// Calls `row` with each row's cells as JSON, one for each of [`Self::columns`].
    pub(crate) fn for_each_row(
        &self,
        mut row: impl FnMut(&[&str]) -> Result<(), WriteError>,
    ) -> Result<(), WriteError> {
        match &self.rows {
            Rows::Document { data, .. } => rows_of_document(data, self.columns.len(), row),
            Rows::Lines {
                file,
                answer,
                notes,
            } => {
                let mut rows = 0;
                rows_of_lines(file, answer, |stored| {
                    let cell = |&at: &usize| stored.cell(at).unwrap_or("null");
                    let ordered: Vec<&str> = answer.order.iter().map(cell).collect();
                    rows += 1;
                    row(&ordered)
                })?;
                if rows != notes.rows {
                    return Err(WriteError::malformed(format_args!(
                        "{rows} rows are stored and {} were",
                        notes.rows
                    )));
                }
                Ok(())
            }
        }
    }

    /// The most digits of each column's numbers: noted before, or counted now where one of the columns has decimals.
    pub(crate) fn digits(&self) -> Result<Cow<'_, [Digits]>, WriteError> {
        if let Rows::Lines { answer, notes, .. } = &self.rows {
            let noted = |&at: &usize| notes.digits.get(at).copied();
            let digits: Option<Vec<Digits>> = answer.order.iter().map(noted).collect();
            return digits
                .map(Cow::Owned)
                .ok_or_else(|| WriteError::malformed("the notes are of other columns"));
        }
        let mut digits = vec![Digits::default(); self.columns.len()];
        if self
            .columns
            .iter()
            .any(|column| column.kind == crate::Kind::Decimal)
        {
            self.for_each_row(|cells| {
                for (digits, cell) in digits.iter_mut().zip(cells) {
                    digits.add(cell);
                }
                Ok(())
            })?;
        }
        Ok(Cow::Owned(digits))
    }
}

/// `data` is the JSON array of rows, already known to be well-formed.
fn rows_of_document(
    data: &str,
    columns: usize,
    mut row: impl FnMut(&[&str]) -> Result<(), WriteError>,
) -> Result<(), WriteError> {
    for position in Elements::of(data) {
        let text = &data[position];
        if !text.starts_with('[') {
            return Err(WriteError::malformed("a row is no list"));
        }
        let cells: Vec<&str> = Elements::of(text).map(|cell| &text[cell]).collect();
        if cells.len() != columns {
            return Err(WriteError::malformed(format_args!(
                "a row has {} cells for {columns} columns",
                cells.len()
            )));
        }
        row(&cells)?;
    }
    Ok(())
}

fn rows_of_lines(
    file: &File,
    answer: &Answer,
    mut row: impl FnMut(&Row<'_>) -> Result<(), WriteError>,
) -> Result<(), WriteError> {
    let mut lines = BufReader::with_capacity(1 << 18, FromStart { file, position: 0 });
    let mut reader = lines::Reader::again();
    let mut names = answer.columns.iter().map(|column| &column.name);
    let mut line = Vec::new();
    loop {
        line.clear();
        if lines.read_until(b'\n', &mut line)? == 0 {
            return match names.next() {
                None => Ok(()),
                Some(_) => Err(WriteError::malformed("the lines lack a column")),
            };
        }
        match reader.read(&line)? {
            Line::Row(stored) => row(&stored)?,
            Line::Columns(added) => {
                if !added.iter().all(|name| names.next() == Some(name)) {
                    return Err(WriteError::malformed(
                        "the lines and the answer name different columns",
                    ));
                }
            }
        }
    }
}

/// Reads a file from its start without moving its position.
struct FromStart<'a> {
    file: &'a File,
    position: u64,
}

impl Read for FromStart<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read_at(buffer, self.position)?;
        self.position += read as u64;
        Ok(read)
    }
}
