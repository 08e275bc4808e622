//! Values separated by commas or tabs (RFC 4180, lines end in LF).
//!
//! The csv crate decides about quotes for a whole file; here null is nothing and an empty text is `""`, so a cell decides.

use std::io::{self, Write};

use crate::{WriteError, cell};

/// How cells are written.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Separated {
    pub(crate) separator: u8,
    /// Puts `'` before text that a spreadsheet would take for a formula.
    pub(crate) safe: bool,
}

impl Separated {
    pub(crate) fn write_header<'a>(
        self,
        names: impl IntoIterator<Item = &'a str>,
        out: &mut dyn Write,
    ) -> Result<(), WriteError> {
        let mut separator: &[u8] = b"";
        for name in names {
            out.write_all(separator)?;
            self.write_text(name, out)?;
            separator = std::slice::from_ref(&self.separator);
        }
        Ok(out.write_all(b"\n")?)
    }

    pub(crate) fn write_row<'a>(
        self,
        cells: impl IntoIterator<Item = &'a str>,
        out: &mut dyn Write,
    ) -> Result<(), WriteError> {
        let mut separator: &[u8] = b"";
        for cell in cells {
            out.write_all(separator)?;
            separator = std::slice::from_ref(&self.separator);
            if cell::is_text(cell) {
                self.write_text(&cell::plain(cell)?, out)?;
            } else if !cell::is_null(cell) {
                self.write_quoted("", cell, out)?;
            }
        }
        Ok(out.write_all(b"\n")?)
    }

    fn write_text(self, text: &str, out: &mut dyn Write) -> io::Result<()> {
        let is_formula = self.safe && text.starts_with(['=', '+', '-', '@', '\t', '\r']);
        self.write_quoted(if is_formula { "'" } else { "" }, text, out)
    }

    /// Writes a value in quotes where it needs them.
    fn write_quoted(self, prefix: &str, value: &str, out: &mut dyn Write) -> io::Result<()> {
        let needs_quotes = value.is_empty()
            || value
                .bytes()
                .any(|byte| byte == self.separator || matches!(byte, b'"' | b'\r' | b'\n'));
        if !needs_quotes {
            out.write_all(prefix.as_bytes())?;
            return out.write_all(value.as_bytes());
        }
        write!(out, "\"{prefix}")?;
        let mut pieces = value.split('"');
        if let Some(first) = pieces.next() {
            out.write_all(first.as_bytes())?;
        }
        for piece in pieces {
            out.write_all(b"\"\"")?;
            out.write_all(piece.as_bytes())?;
        }
        out.write_all(b"\"")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(safe: bool, cells: &[&str]) -> String {
        let format = Separated {
            separator: b',',
            safe,
        };
        let mut out = Vec::new();
        format
            .write_row(cells.iter().copied(), &mut out)
            .expect("memory takes it");
        String::from_utf8(out).expect("cells are text")
    }

    #[test]
    fn a_text_that_a_spreadsheet_would_run_is_marked_where_that_is_asked_for_and_only_there() {
        let cells = [
            r#""=1+1""#,
            r#""+1""#,
            r#""-a,b""#,
            r#""@x""#,
            r#""a=1""#,
            "-5",
            "null",
            r#""""#,
        ];
        assert_eq!(row(true, &cells), "'=1+1,'+1,\"'-a,b\",'@x,a=1,-5,,\"\"\n");
        assert_eq!(row(false, &cells), "=1+1,+1,\"-a,b\",@x,a=1,-5,,\"\"\n");
    }
}
