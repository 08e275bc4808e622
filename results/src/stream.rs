//! Rows written while they come, in the formats that need no knowledge of later ones.

use std::io::Write;

use crate::{
    Format, Options, WriteError,
    lines::{self, Line},
    ndjson,
    separated::Separated,
};

/// In which order a stream writes its columns. What lines say of it is their order of first appearance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StreamOrder {
    /// As the lines name them: right for a statement with a list of columns.
    AsNamed,
    /// By name, bytewise: right for `SELECT *`.
    ByName,
}

/// Writes rows as a plugin's `rows` callback gets them, byte for byte what [`crate::write()`] makes of the whole.
#[derive(Debug)]
pub struct Stream<W> {
    out: W,
    reader: lines::Reader,
    order: StreamOrder,
    names: Vec<String>,
    /// For each column of the output, its position among `names`.
    positions: Vec<usize>,
    rows: RowFormat,
}

#[derive(Debug)]
enum RowFormat {
    Ndjson(ndjson::Names),
    Separated { format: Separated, header: bool },
}

impl<W: Write> Stream<W> {
    /// A stream of `format`; `None` where that needs to know all columns first: every format but NDJSON, CSV and TSV, and of CSV and TSV
    /// a `SELECT *`, whose columns are known only in the end. `out` should be buffered.
    pub fn new(format: Format, order: StreamOrder, options: &Options, out: W) -> Option<Self> {
        let separated = |separator| RowFormat::Separated {
            format: Separated {
                separator,
                safe: options.csv_safe,
            },
            header: options.header,
        };
        let rows = match (format, order) {
            (Format::Ndjson, _) => RowFormat::Ndjson(ndjson::Names::default()),
            (Format::Csv, StreamOrder::AsNamed) => separated(b','),
            (Format::Tsv, StreamOrder::AsNamed) => separated(b'\t'),
            _ => return None,
        };
        Some(Self {
            out,
            reader: lines::Reader::default(),
            order,
            names: Vec::new(),
            positions: Vec::new(),
            rows,
        })
    }

    /// Writes the rows of these lines.
    ///
    /// # Errors
    /// A line is malformed, columns come late where the header is written already, or the output fails.
    pub fn push(&mut self, lines: &[u8]) -> Result<(), WriteError> {
        for line in lines::split(lines)? {
            match self.reader.read(line)? {
                Line::Columns(added) => self.add_columns(added)?,
                Line::Row(row) => {
                    let cells = self.positions.iter().filter_map(|&at| row.cell(at));
                    match &self.rows {
                        RowFormat::Ndjson(names) => names.write_row(cells, &mut self.out)?,
                        RowFormat::Separated { format, .. } => {
                            format.write_row(cells, &mut self.out)?;
                        }
                    }
                }
            }
        }
        Ok(())
    }

    /// Hands what was written so far to the output's reader.
    ///
    /// # Errors
    /// The output fails.
    pub fn flush(&mut self) -> Result<(), WriteError> {
        Ok(self.out.flush()?)
    }

    /// Gives the output back, flushed.
    ///
    /// # Errors
    /// The output fails.
    pub fn finish(mut self) -> Result<W, WriteError> {
        self.out.flush()?;
        Ok(self.out)
    }

    fn add_columns(&mut self, added: Vec<String>) -> Result<(), WriteError> {
        let is_first = self.names.is_empty();
        let is_late = !is_first && !added.is_empty();
        self.names.extend(added);
        self.positions = (0..self.names.len()).collect();
        if self.order == StreamOrder::ByName {
            self.positions.sort_by_key(|&at| &self.names[at]);
        }
        let names = self.positions.iter().map(|&at| self.names[at].as_str());
        match &mut self.rows {
            RowFormat::Ndjson(json) => *json = ndjson::Names::new(names),
            RowFormat::Separated { .. } if is_late => {
                return Err(WriteError::malformed(
                    "a statement with a list of columns got further ones",
                ));
            }
            RowFormat::Separated { format, header } => {
                if *header && !self.names.is_empty() {
                    format.write_header(names, &mut self.out)?;
                }
            }
        }
        Ok(())
    }
}
