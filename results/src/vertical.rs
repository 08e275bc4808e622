//! One line a cell: name, then value, and nothing is cut.

use std::io::Write;

use unicode_width::UnicodeWidthStr;

use crate::{Options, Source, WriteError, cell, visible};

/// How long the line above a row is where there is room for it.
const MOST_TITLE: usize = 40;

/// Writes each row under a line with its number.
pub(crate) fn write(
    source: &Source<'_>,
    options: &Options,
    out: &mut dyn Write,
) -> Result<(), WriteError> {
    let names: Vec<_> = source
        .columns()
        .iter()
        .map(|column| visible::visible(column.name.as_str().into()))
        .collect();
    let widest = names.iter().map(|name| name.width()).max().unwrap_or(0);
    let [bold, plain] = if options.color {
        ["\x1b[1m", "\x1b[0m"]
    } else {
        ["", ""]
    };
    let title_width = options.width.unwrap_or(MOST_TITLE).min(MOST_TITLE);
    let mut number: u64 = 0;
    source.for_each_row(|cells| {
        number += 1;
        let title = format!("-[ row {number} ]");
        writeln!(out, "{bold}{title:-<title_width$}{plain}")?;
        for (name, cell) in names.iter().zip(cells) {
            let padding = " ".repeat(widest - name.width());
            let line = format!("{name}{padding}  {}", cell::shown(cell)?);
            writeln!(out, "{}", line.trim_end_matches(' '))?;
        }
        Ok(())
    })
}
