//! Rows as Arrow's record batches, with the types of the contract.

use std::{collections::HashMap, sync::Arc};

use arrow_array::{
    ArrayRef, NullArray, RecordBatch, RecordBatchOptions,
    builder::{
        BinaryBuilder, BooleanBuilder, Decimal128Builder, Float64Builder, Int64Builder,
        StringBuilder,
    },
};
use arrow_schema::{ArrowError, DataType, Field, Schema, SchemaRef};
use base64::{Engine, prelude::BASE64_STANDARD};

use crate::{
    Column, Digits, Kind, Source, WriteError, cell,
    digits::{self, MOST_DIGITS},
    visible,
};

/// A batch is closed at so many bytes, counted as they will lie in memory.
const BATCH_BYTES: usize = 4 << 20;
/// Or at so many rows.
const BATCH_ROWS: usize = 1 << 16;

/// The schema of a result: one nullable field a column, which carries the column's type of the result document as `dynamodb.type`.
pub(crate) fn schema(source: &Source<'_>) -> Result<SchemaRef, WriteError> {
    let digits = source.digits()?;
    let fields: Vec<Field> = source
        .columns()
        .iter()
        .zip(digits.iter())
        .map(|(column, digits)| field(column, *digits))
        .collect();
    Ok(Arc::new(Schema::new(fields)))
}

fn field(column: &Column, digits: Digits) -> Field {
    let data_type = match column.kind {
        Kind::Text | Kind::Array | Kind::Map | Kind::Any => DataType::Utf8,
        Kind::Boolean => DataType::Boolean,
        Kind::Bytes => DataType::Binary,
        Kind::Long => DataType::Int64,
        Kind::Float => DataType::Float64,
        Kind::Decimal => match digits.scale().and_then(|scale| i8::try_from(scale).ok()) {
            Some(scale) => DataType::Decimal128(38, scale),
            None => DataType::Utf8,
        },
        Kind::Null => DataType::Null,
    };
    let mut metadata = HashMap::from([("dynamodb.type".to_owned(), column.word.clone())]);
    if is_json(column.kind) {
        let name = "ARROW:extension:name".to_owned();
        metadata.insert(name, "arrow.json".to_owned());
    }
    Field::new(&column.name, data_type, true).with_metadata(metadata)
}

fn is_json(kind: Kind) -> bool {
    matches!(kind, Kind::Array | Kind::Map | Kind::Any)
}

/// Calls `batch` with all rows, a bounded number at a time; never with none.
pub(crate) fn for_each_batch(
    source: &Source<'_>,
    schema: &SchemaRef,
    mut batch: impl FnMut(RecordBatch) -> Result<(), WriteError>,
) -> Result<(), WriteError> {
    let mut rows = Rows::new(source.columns(), schema);
    source.for_each_row(|cells| {
        rows.push(cells)?;
        if rows.bytes >= BATCH_BYTES || rows.len >= BATCH_ROWS {
            batch(rows.take()?)?;
        }
        Ok(())
    })?;
    if rows.len > 0 {
        batch(rows.take()?)?;
    }
    Ok(())
}

/// Rows on their way into a batch.
struct Rows {
    schema: SchemaRef,
    values: Vec<Values>,
    names: Vec<String>,
    len: usize,
    bytes: usize,
}

/// A column's values.
enum Values {
    /// Strings, without their quotes.
    Text(StringBuilder),
    /// JSON as it stands; also numbers with too many digits.
    Json(StringBuilder),
    Bytes(BinaryBuilder),
    Boolean(BooleanBuilder),
    Long(Int64Builder),
    Float(Float64Builder),
    Decimal(Decimal128Builder, u8),
    Null(usize),
}

impl Rows {
    fn new(columns: &[Column], schema: &SchemaRef) -> Self {
        let values = columns
            .iter()
            .zip(schema.fields())
            .map(|(column, field)| Values::new(column.kind, field.data_type()))
            .collect();
        Self {
            schema: Arc::clone(schema),
            values,
            names: columns.iter().map(|column| column.name.clone()).collect(),
            len: 0,
            bytes: 0,
        }
    }

    fn push(&mut self, cells: &[&str]) -> Result<(), WriteError> {
        for (at, (values, cell)) in self.values.iter_mut().zip(cells).enumerate() {
            if !values.push(cell)? {
                return Err(WriteError::malformed(format_args!(
                    "a value of the column '{}' is not of the column's type",
                    visible::visible(self.names[at].as_str().into())
                )));
            }
            // A value's bytes and its index among the others.
            self.bytes += cell.len() + 8;
        }
        self.len += 1;
        Ok(())
    }

    /// All rows so far as a batch; the next one begins empty.
    fn take(&mut self) -> Result<RecordBatch, WriteError> {
        let arrays = self.values.iter_mut().map(Values::take).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(self.len));
        (self.len, self.bytes) = (0, 0);
        RecordBatch::try_new_with_options(Arc::clone(&self.schema), arrays, &options)
            .map_err(arrow_error)
    }
}

impl Values {
    fn new(kind: Kind, data_type: &DataType) -> Self {
        match (kind, data_type) {
            (Kind::Text, _) => Self::Text(StringBuilder::new()),
            (_, DataType::Binary) => Self::Bytes(BinaryBuilder::new()),
            (_, DataType::Boolean) => Self::Boolean(BooleanBuilder::new()),
            (_, DataType::Int64) => Self::Long(Int64Builder::new()),
            (_, DataType::Float64) => Self::Float(Float64Builder::new()),
            (_, &DataType::Decimal128(precision, scale)) => {
                debug_assert_eq!(u32::from(precision), MOST_DIGITS);
                let builder = Decimal128Builder::new().with_data_type(data_type.clone());
                Self::Decimal(builder, scale.unsigned_abs())
            }
            (_, DataType::Null) => Self::Null(0),
            _ => Self::Json(StringBuilder::new()),
        }
    }

    /// Adds a cell; `false` where it is not of the column's type.
    fn push(&mut self, cell: &str) -> Result<bool, WriteError> {
        let is_null = cell::is_null(cell);
        match self {
            Self::Text(values) if is_null => values.append_null(),
            Self::Text(values) if cell::is_text(cell) => values.append_value(cell::plain(cell)?),
            Self::Json(values) => values.append_option((!is_null).then_some(cell)),
            Self::Bytes(values) if is_null => values.append_null(),
            Self::Bytes(values) if cell::is_text(cell) => {
                match BASE64_STANDARD.decode(cell::plain(cell)?.as_bytes()) {
                    Ok(bytes) => values.append_value(bytes),
                    Err(_) => return Ok(false),
                }
            }
            Self::Boolean(values) => match cell {
                "true" => values.append_value(true),
                "false" => values.append_value(false),
                _ if is_null => values.append_null(),
                _ => return Ok(false),
            },
            Self::Long(values) if is_null => values.append_null(),
            Self::Long(values) => match cell.parse() {
                Ok(value) => values.append_value(value),
                Err(_) => return Ok(false),
            },
            Self::Float(values) if is_null => values.append_null(),
            Self::Float(values) => match number(cell) {
                Some(value) => values.append_value(value),
                None => return Ok(false),
            },
            Self::Decimal(values, _) if is_null => values.append_null(),
            Self::Decimal(values, scale) => match digits::unscaled(cell, *scale) {
                Some(value) => values.append_value(value),
                None => return Ok(false),
            },
            Self::Null(count) if is_null => *count += 1,
            Self::Text(_) | Self::Bytes(_) | Self::Null(_) => return Ok(false),
        }
        Ok(true)
    }

    fn take(&mut self) -> ArrayRef {
        match self {
            Self::Text(values) | Self::Json(values) => Arc::new(values.finish()),
            Self::Bytes(values) => Arc::new(values.finish()),
            Self::Boolean(values) => Arc::new(values.finish()),
            Self::Long(values) => Arc::new(values.finish()),
            Self::Float(values) => Arc::new(values.finish()),
            Self::Decimal(values, _) => Arc::new(values.finish()),
            Self::Null(count) => Arc::new(NullArray::new(std::mem::take(count))),
        }
    }
}

/// A JSON number as the nearest float; Rust would also read `inf` and texts.
fn number(cell: &str) -> Option<f64> {
    let is_number = cell.starts_with(|c: char| c == '-' || c.is_ascii_digit());
    cell.parse()
        .ok()
        .filter(|value: &f64| is_number && value.is_finite())
}

/// An error of Arrow's; an output that fails keeps its own.
pub(crate) fn arrow_error(error: ArrowError) -> WriteError {
    match error {
        ArrowError::IoError(_, error) => WriteError::Io(error),
        error => WriteError::Io(std::io::Error::other(error)),
    }
}
