//! Apache Parquet.

use std::io::Write;

use parquet::{
    arrow::ArrowWriter,
    basic::Compression,
    errors::ParquetError,
    file::properties::{EnabledStatistics, WriterProperties},
};

use crate::{
    Source, WriteError,
    arrow::{for_each_batch, schema},
};

/// A row group is closed at so many bytes; readers want large ones, and the writer keeps one in memory.
const ROW_GROUP_BYTES: usize = 64 << 20;
/// What the pages and dictionaries under way of all columns may take together.
const OPEN_PAGES_BYTES: usize = 32 << 20;
/// A dictionary costs each column a hash table; with more columns than these they would be most of the memory.
const MOST_DICTIONARIES: usize = 512;

/// Writes a Parquet file.
///
/// # Errors
/// As [`crate::write()`]; and there are no columns, which readers refuse.
pub(crate) fn write(source: &Source<'_>, out: &mut (dyn Write + Send)) -> Result<(), WriteError> {
    let columns = source.columns().len();
    if columns == 0 {
        return Err(WriteError::NoColumns);
    }
    let schema = schema(source)?;
    let properties = properties(columns);
    let mut writer =
        ArrowWriter::try_new(out, schema.clone(), Some(properties)).map_err(parquet_error)?;
    for_each_batch(source, &schema, |batch| {
        writer.write(&batch).map_err(parquet_error)?;
        let encoded = writer.in_progress_size();
        // What a writer holds for its columns alone is no reason to close a small group.
        let holds_too_much =
            encoded >= ROW_GROUP_BYTES / 4 && writer.memory_size() >= 2 * ROW_GROUP_BYTES;
        if encoded >= ROW_GROUP_BYTES || holds_too_much {
            writer.flush().map_err(parquet_error)?;
        }
        Ok(())
    })?;
    writer.close().map_err(parquet_error)?;
    Ok(())
}

/// Pages are narrowed where columns are many, since each column has one under way. There is no page index, which would be kept in memory
/// for the whole file.
fn properties(columns: usize) -> WriterProperties {
    let page = (OPEN_PAGES_BYTES / columns).clamp(8 << 10, 1 << 20);
    WriterProperties::builder()
        .set_compression(Compression::SNAPPY)
        .set_data_page_size_limit(page)
        .set_dictionary_page_size_limit(page)
        .set_dictionary_enabled(columns <= MOST_DICTIONARIES)
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_offset_index_disabled(true)
        .set_created_by(concat!("host-harness results ", env!("CARGO_PKG_VERSION")).to_owned())
        .build()
}

fn parquet_error(error: ParquetError) -> WriteError {
    match error {
        ParquetError::External(error) => match error.downcast::<std::io::Error>() {
            Ok(error) => WriteError::Io(*error),
            Err(error) => WriteError::Io(std::io::Error::other(error)),
        },
        error => WriteError::Io(std::io::Error::other(error)),
    }
}
