//! The one function that writes every format.

use std::io::Write;

use crate::{
    Column, Format, Options, Source, WriteError, Written, ipc, json, markdown, ndjson, parquet,
    separated::Separated, table, vertical,
};

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
