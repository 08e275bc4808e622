//! One JSON object a row.

use std::io::{self, Write};

use crate::cell::is_null;

/// Writes rows under names that are JSON already.
#[derive(Debug, Default)]
pub(crate) struct Names(Vec<String>);

impl Names {
    pub(crate) fn new<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        Self(
            names
                .into_iter()
                .map(|name| format!("{}:", serde_json::Value::from(name)))
                .collect(),
        )
    }

    /// Writes a row; null cells are left out.
    pub(crate) fn write_row<'a>(
        &self,
        cells: impl IntoIterator<Item = &'a str>,
        out: &mut dyn Write,
    ) -> io::Result<()> {
        let mut before = "{";
        for (name, cell) in self.0.iter().zip(cells) {
            if !is_null(cell) {
                out.write_all(before.as_bytes())?;
                out.write_all(name.as_bytes())?;
                out.write_all(cell.as_bytes())?;
                before = ",";
            }
        }
        out.write_all(if before == "{" { b"{}\n" } else { b"}\n" })
    }
}
