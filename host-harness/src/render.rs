//! A result document as a table, as lines of JSON, or as CSV.
//!
//! In: `{"columns":[{"name","type"}…],"data":[[…]…]}` in any plugin's bytes. Out: text. Rows are read one by one, cells as they are
//! written, so that numbers keep their digits; only the table needs all of them at once.

use std::io::{self, Write};

use serde::{
    Deserialize,
    de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use serde_json::value::RawValue;
use unicode_width::UnicodeWidthStr;

/// Writes aligned columns under their names.
///
/// # Errors
/// The document is no result, or `out` fails.
pub fn table(result: &[u8], out: &mut impl Write) -> io::Result<()> {
    let mut lines: Vec<Vec<String>> = Vec::new();
    let columns = for_each_row(result, |_, row| {
        lines.push(row.iter().map(|cell| shown(cell)).collect());
        Ok(())
    })?;
    let names: Vec<String> = columns.iter().map(|name| escaped(name)).collect();
    let widths: Vec<usize> = (0..names.len())
        .map(|at| {
            lines
                .iter()
                .map(|line| line[at].width())
                .chain([names[at].width()])
                .max()
                .unwrap_or(0)
        })
        .collect();
    write_line(&names, &widths, out)?;
    writeln!(
        out,
        "{}",
        widths
            .iter()
            .map(|width| "-".repeat(*width))
            .collect::<Vec<_>>()
            .join("  ")
    )?;
    lines
        .iter()
        .try_for_each(|line| write_line(line, &widths, out))
}

fn write_line(cells: &[String], widths: &[usize], out: &mut impl Write) -> io::Result<()> {
    let padded: Vec<String> = cells
        .iter()
        .zip(widths)
        .map(|(cell, width)| format!("{cell}{}", " ".repeat(width - cell.width())))
        .collect();
    writeln!(out, "{}", padded.join("  ").trim_end())
}

/// Writes one JSON object per row, keys in column order.
///
/// # Errors
/// The document is no result, or `out` fails.
pub fn ndjson(result: &[u8], out: &mut impl Write) -> io::Result<()> {
    for_each_row(result, |columns, row| {
        out.write_all(b"{")?;
        for (at, (name, cell)) in columns.iter().zip(row).enumerate() {
            if at > 0 {
                out.write_all(b",")?;
            }
            serde_json::to_writer(&mut *out, name)?;
            write!(out, ":{}", cell.get())?;
        }
        out.write_all(b"}\n")
    })
    .map(drop)
}

/// Writes CSV (RFC 4180, lines end in LF): texts as they are, null empty, lists and maps as JSON.
///
/// # Errors
/// The document is no result, or `out` fails.
pub fn csv(result: &[u8], out: &mut impl Write) -> io::Result<()> {
    let mut header = None;
    let mut writer = csv::WriterBuilder::new().from_writer(out);
    let columns = for_each_row(result, |columns, row| {
        if header.is_none() {
            header = Some(());
            writer.write_record(columns)?;
        }
        writer.write_record(row.iter().map(|cell| plain(cell)))?;
        Ok(())
    })?;
    if header.is_none() && !columns.is_empty() {
        writer.write_record(&columns)?;
    }
    writer.flush()
}

/// Calls `row` with the columns' names and each row's cells; gives the names.
fn for_each_row(
    result: &[u8],
    row: impl FnMut(&[String], &[&RawValue]) -> io::Result<()>,
) -> io::Result<Vec<String>> {
    let mut failed = None;
    let mut document = serde_json::Deserializer::from_slice(result);
    let read = DocumentSeed {
        row,
        failed: &mut failed,
    }
    .deserialize(&mut document);
    match (failed, read) {
        (Some(error), _) => Err(error),
        (None, Ok(columns)) => Ok(columns),
        (None, Err(error)) => Err(io::Error::new(
            io::ErrorKind::InvalidData,
            format!("the plugin's result cannot be read: {error}"),
        )),
    }
}

/// Reads a result document; an error of `row`'s own is kept beside, for serde's would lose its kind.
struct DocumentSeed<'f, F> {
    row: F,
    failed: &'f mut Option<io::Error>,
}

#[derive(Deserialize)]
struct Column {
    name: String,
}

impl<'de, F: FnMut(&[String], &[&RawValue]) -> io::Result<()>> DeserializeSeed<'de>
    for DocumentSeed<'_, F>
{
    type Value = Vec<String>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de, F: FnMut(&[String], &[&RawValue]) -> io::Result<()>> Visitor<'de>
    for DocumentSeed<'_, F>
{
    type Value = Vec<String>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a result document")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut columns: Option<Vec<String>> = None;
        while let Some(key) = map.next_key::<String>()? {
            match (key.as_str(), &columns) {
                ("columns", _) => {
                    columns = Some(
                        map.next_value::<Vec<Column>>()?
                            .into_iter()
                            .map(|column| column.name)
                            .collect(),
                    );
                }
                ("data", Some(columns)) => {
                    map.next_value_seed(RowsSeed {
                        columns,
                        row: &mut self.row,
                        failed: self.failed,
                    })?;
                }
                ("data", None) => return Err(A::Error::custom("'data' comes before 'columns'")),
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        columns.ok_or_else(|| A::Error::missing_field("columns"))
    }
}

struct RowsSeed<'a, F> {
    columns: &'a [String],
    row: &'a mut F,
    failed: &'a mut Option<io::Error>,
}

impl<'de, F: FnMut(&[String], &[&RawValue]) -> io::Result<()>> DeserializeSeed<'de>
    for RowsSeed<'_, F>
{
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de, F: FnMut(&[String], &[&RawValue]) -> io::Result<()>> Visitor<'de> for RowsSeed<'_, F> {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("rows")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut rows: A) -> Result<(), A::Error> {
        while let Some(row) = rows.next_element::<Vec<&RawValue>>()? {
            if row.len() != self.columns.len() {
                return Err(A::Error::custom(format_args!(
                    "a row has {} cells for {} columns",
                    row.len(),
                    self.columns.len()
                )));
            }
            if let Err(error) = (self.row)(self.columns, &row) {
                *self.failed = Some(error);
                return Err(A::Error::custom("the rows cannot be written"));
            }
        }
        Ok(())
    }
}

/// A cell for a program: a text without its quotes, null as nothing, the rest as it is.
fn plain(cell: &RawValue) -> String {
    match cell.get() {
        "null" => String::new(),
        text if text.starts_with('"') => {
            serde_json::from_str(text).unwrap_or_else(|_| text.to_owned())
        }
        text => text.to_owned(),
    }
}

/// A cell for a person: null as nothing, control characters visible and harmless to the terminal.
fn shown(cell: &RawValue) -> String {
    escaped(&plain(cell))
}

fn escaped(text: &str) -> String {
    text.chars()
        .flat_map(|c| {
            if c.is_control() {
                c.escape_default().collect()
            } else {
                vec![c]
            }
        })
        .collect()
}
