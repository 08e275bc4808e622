//! The result document.

use std::io::Write;

use crate::{Source, WriteError};

/// Writes the plugin's very bytes where it gave a document, else the document that it would have given. `pretty` puts each column and
/// each row on a line of its own.
pub(crate) fn write(
    source: &Source<'_>,
    pretty: bool,
    out: &mut dyn Write,
) -> Result<(), WriteError> {
    if let (Some(whole), false) = (source.whole(), pretty) {
        out.write_all(whole)?;
        return Ok(());
    }
    let [open, between, close, next] = if pretty {
        ["[\n    ", ",\n    ", "\n  ]", ",\n  "]
    } else {
        ["[", ",", "]", ","]
    };
    out.write_all(if pretty { b"{\n  " } else { b"{" })?;
    let colon = if pretty { ": " } else { ":" };

    write!(out, "\"columns\"{colon}")?;
    let mut list = List::new(open, between, close);
    for column in source.columns() {
        list.item(out)?;
        out.write_all(column.raw.get().as_bytes())?;
    }
    list.end(out)?;

    write!(out, "{next}\"data\"{colon}")?;
    let mut list = List::new(open, between, close);
    let mut row = Vec::new();
    source.for_each_row(|cells| {
        list.item(out)?;
        row.clear();
        for cell in cells {
            row.push(if row.is_empty() { b'[' } else { b',' });
            row.extend_from_slice(cell.as_bytes());
        }
        row.extend_from_slice(if row.is_empty() { b"[]" } else { b"]" });
        Ok(out.write_all(&row)?)
    })?;
    list.end(out)?;

    write!(
        out,
        "{next}\"stats\"{colon}{}",
        source.stats().unwrap_or("null")
    )?;
    out.write_all(if pretty { b"\n}\n" } else { b"}" })?;
    Ok(())
}

/// The brackets and commas around items that come one by one; an empty list is `[]`.
struct List<'a> {
    open: &'a str,
    between: &'a str,
    close: &'a str,
    is_empty: bool,
}

impl<'a> List<'a> {
    fn new(open: &'a str, between: &'a str, close: &'a str) -> Self {
        Self {
            open,
            between,
            close,
            is_empty: true,
        }
    }

    fn item(&mut self, out: &mut dyn Write) -> std::io::Result<()> {
        let before = if self.is_empty {
            self.open
        } else {
            self.between
        };
        self.is_empty = false;
        out.write_all(before.as_bytes())
    }

    fn end(&self, out: &mut dyn Write) -> std::io::Result<()> {
        let end = if self.is_empty { "[]" } else { self.close };
        out.write_all(end.as_bytes())
    }
}
