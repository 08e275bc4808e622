//! Arrow's IPC stream and IPC file.

use std::io::Write;

use arrow_ipc::writer::{FileWriter, StreamWriter};

use crate::{
    Source, WriteError,
    arrow::{arrow_error, for_each_batch, schema},
};

pub(crate) fn write_stream(source: &Source<'_>, out: &mut dyn Write) -> Result<(), WriteError> {
    let schema = schema(source)?;
    let mut writer = StreamWriter::try_new(out, &schema).map_err(arrow_error)?;
    for_each_batch(source, &schema, |batch| {
        writer.write(&batch).map_err(arrow_error)
    })?;
    writer.finish().map_err(arrow_error)
}

pub(crate) fn write_file(source: &Source<'_>, out: &mut dyn Write) -> Result<(), WriteError> {
    let schema = schema(source)?;
    let mut writer = FileWriter::try_new(out, &schema).map_err(arrow_error)?;
    for_each_batch(source, &schema, |batch| {
        writer.write(&batch).map_err(arrow_error)
    })?;
    writer.finish().map_err(arrow_error)
}
