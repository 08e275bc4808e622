//! Where the rows go: stdout, or a file that is written whole or not at all.

use std::{
    fs::{self, File},
    io::{self, BufWriter, IsTerminal, Write, stdout},
    path::Path,
};

use clap::ValueEnum;

use crate::render;

/// How rows are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people: aligned columns
    Table,
    /// The plugin's result document, byte for byte
    Json,
    /// One JSON object per row
    Ndjson,
    /// Comma-separated, a header line first; null is empty, lists and maps are JSON
    Csv,
}

pub(super) fn write(
    result: &[u8],
    format: Option<Format>,
    output: Option<&Path>,
) -> Result<(), String> {
    let on_terminal = output.is_none() && stdout().is_terminal();
    let format = format.unwrap_or(if on_terminal {
        Format::Table
    } else {
        Format::Json
    });
    match output {
        None => {
            let mut out = BufWriter::new(stdout().lock());
            let written = render(result, format, &mut out).and_then(|()| {
                if on_terminal && format == Format::Json {
                    out.write_all(b"\n")
                } else {
                    Ok(())
                }?;
                out.flush()
            });
            match written {
                // Whoever read the rows has enough of them, as in `run … | head`.
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
                written => written.map_err(|error| format!("cannot write the rows: {error}")),
            }
        }
        Some(path) => to_file(result, format, path)
            .map_err(|error| format!("cannot write {}: {error}", path.display())),
    }
}

fn to_file(result: &[u8], format: Format, path: &Path) -> io::Result<()> {
    // A device or a pipe cannot be replaced by a file.
    if fs::metadata(path).is_ok_and(|existing| !existing.is_file()) {
        let mut out = BufWriter::new(File::options().write(true).open(path)?);
        render(result, format, &mut out)?;
        return out.flush();
    }
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    let mut file = tempfile::Builder::new()
        .prefix(".host-harness-")
        .tempfile_in(folder)?;
    let mut out = BufWriter::new(&mut file);
    render(result, format, &mut out)?;
    out.flush()?;
    drop(out);
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    Ok(())
}

fn render(result: &[u8], format: Format, out: &mut impl Write) -> io::Result<()> {
    match format {
        Format::Json => out.write_all(result),
        Format::Table => render::table(result, out),
        Format::Ndjson => render::ndjson(result, out),
        Format::Csv => render::csv(result, out),
    }
}
