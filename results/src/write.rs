//! The one function that writes every format.

use std::io::Write;

use crate::{
    Column, Format, Source, WriteError, ipc, json, markdown, ndjson, parquet, separated::Separated,
    table, vertical,
};

/// What a caller may choose about a format; the default is what a program wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// CSV and TSV: put `'` before text that begins with `=`, `+`, `-`, `@`, tab or CR, so that no spreadsheet takes it for a formula.
    pub csv_safe: bool,
    /// CSV, TSV and tables: write a line with the columns' names first.
    pub header: bool,
    /// JSON: each column and each row on a line of its own.
    pub pretty: bool,
    /// Tables: how many columns the terminal has; cells are shortened and columns left out until they fit. `None`: nothing is cut.
    pub width: Option<usize>,
    /// Tables: the columns' names in bold.
    pub color: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            csv_safe: false,
            header: true,
            pretty: false,
            width: None,
            color: false,
        }
    }
}

/// What was written, as far as a person must know.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Written {
    /// How many cells of a table were shortened.
    pub cells_shortened: u64,
    /// How many columns a table left out, for there was no room.
    pub columns_left_out: usize,
    /// Whether a table was written as one line a cell, because too few columns would have fitted side by side.
    pub turned_vertical: bool,
}

/// Writes the result in `format`.
///
/// Memory stays bounded whatever the size: one row, and for Parquet a row group of 64 MB, for Arrow a batch of 4 MB. `out` need not be
/// buffered.
///
/// # Errors
/// The result is malformed, has no columns and is asked for as Parquet, or cannot be read or written. What was written before is not
/// taken back.
pub fn write(
    format: Format,
    source: &Source<'_>,
    options: &Options,
    out: &mut (dyn Write + Send),
) -> Result<Written, WriteError> {
    let mut out = std::io::BufWriter::with_capacity(1 << 16, out);
    let written = write_buffered(format, source, options, &mut out)?;
    out.flush()?;
    Ok(written)
}

fn write_buffered(
    format: Format,
    source: &Source<'_>,
    options: &Options,
    out: &mut (dyn Write + Send),
) -> Result<Written, WriteError> {
    match format {
        Format::Json => json::write(source, options.pretty, out)?,
        Format::Ndjson => {
            let names = ndjson::Names::new(names(source.columns()));
            source.for_each_row(|cells| Ok(names.write_row(cells.iter().copied(), out)?))?;
        }
        Format::Csv => separated(source, b',', options, out)?,
        Format::Tsv => separated(source, b'\t', options, out)?,
        Format::Parquet => parquet::write(source, out)?,
        Format::Arrow => ipc::write_stream(source, out)?,
        Format::ArrowFile => ipc::write_file(source, out)?,
        Format::Markdown => markdown::write(source, out)?,
        Format::Vertical => vertical::write(source, options, out)?,
        Format::Table => return table::write(source, options, out),
    }
    Ok(Written::default())
}

fn names(columns: &[Column]) -> impl Iterator<Item = &str> {
    columns.iter().map(|column| column.name.as_str())
}

/// A result without columns gives nothing, not even an empty header.
fn separated(
    source: &Source<'_>,
    separator: u8,
    options: &Options,
    out: &mut dyn Write,
) -> Result<(), WriteError> {
    let format = Separated {
        separator,
        safe: options.csv_safe,
    };
    if options.header && !source.columns().is_empty() {
        format.write_header(names(source.columns()), out)?;
    }
    source.for_each_row(|cells| format.write_row(cells.iter().copied(), out))
}
