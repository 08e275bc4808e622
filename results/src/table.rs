//! Aligned columns, fitted to a terminal where there is one.
//!
//! The rows are read twice, first for the widths, so that a table of any length needs no memory of its own.

use std::io::Write;

use unicode_width::UnicodeWidthStr;

use crate::{Options, Source, WriteError, Written, cell, vertical, visible};

/// Between two columns.
const GAP: usize = 2;
/// No text column is made narrower than this.
const NARROWEST: usize = 12;
/// Where fewer columns than these would fit, one line a cell says more.
const HANDFUL: usize = 5;

/// How wide a column is, in terminal columns.
#[derive(Debug, Clone, Default)]
struct Measured {
    name: usize,
    values: usize,
    is_number: bool,
}

/// Writes the table, or one line a cell where only a few of many columns would fit.
pub(crate) fn write(
    source: &Source<'_>,
    options: &Options,
    out: &mut (dyn Write + Send),
) -> Result<Written, WriteError> {
    if source.columns().is_empty() {
        return Ok(Written::default());
    }
    let measured = measure(source)?;
    let widths = fit(&measured, options.width);
    let columns_left_out = measured.len() - widths.len();
    if columns_left_out > 0 && widths.len() < HANDFUL {
        vertical::write(source, options, out)?;
        return Ok(Written {
            turned_vertical: true,
            ..Written::default()
        });
    }
    let mut lines = Lines {
        measured: &measured,
        widths: &widths,
        shortened: 0,
    };
    if options.header {
        let names: Vec<_> = source
            .columns()
            .iter()
            .map(|column| visible::visible(column.name.as_str().into()))
            .collect();
        let line = lines.line(names.iter().map(AsRef::as_ref));
        if options.color {
            writeln!(out, "\x1b[1m{line}\x1b[0m")?;
        } else {
            writeln!(out, "{line}")?;
        }
        let dashes: Vec<String> = widths.iter().map(|&width| "-".repeat(width)).collect();
        writeln!(out, "{}", dashes.join("  "))?;
        lines.shortened = 0;
    }
    source.for_each_row(|cells| {
        let shown: Vec<_> = cells
            .iter()
            .take(widths.len())
            .map(|cell| cell::shown(cell))
            .collect::<Result<_, _>>()?;
        Ok(writeln!(
            out,
            "{}",
            lines.line(shown.iter().map(AsRef::as_ref))
        )?)
    })?;
    Ok(Written {
        cells_shortened: lines.shortened,
        columns_left_out,
        turned_vertical: false,
    })
}

fn measure(source: &Source<'_>) -> Result<Vec<Measured>, WriteError> {
    let mut measured: Vec<Measured> = source
        .columns()
        .iter()
        .map(|column| Measured {
            name: visible::visible(column.name.as_str().into()).width(),
            values: 0,
            is_number: column.kind.is_number(),
        })
        .collect();
    source.for_each_row(|cells| {
        for (column, cell) in measured.iter_mut().zip(cells) {
            column.values = column.values.max(cell::shown(cell)?.width());
        }
        Ok(())
    })?;
    Ok(measured)
}

/// The widths of the columns that fit, from the left. Texts are shortened before a column is left out, numbers never are unless one
/// alone is wider than the terminal.
fn fit(measured: &[Measured], width: Option<usize>) -> Vec<usize> {
    let natural: Vec<usize> = measured
        .iter()
        .map(|one| one.name.max(one.values))
        .collect();
    let Some(width) = width else { return natural };
    let least = |column: &Measured| {
        let values = if column.is_number {
            column.values
        } else {
            column.values.min(NARROWEST)
        };
        values.max(column.name.min(NARROWEST)).min(width)
    };
    let mut widths: Vec<usize> = Vec::new();
    let mut used = 0;
    for column in measured {
        let needed = least(column) + if widths.is_empty() { 0 } else { GAP };
        if used + needed > width {
            break;
        }
        used += needed;
        widths.push(least(column));
    }
    // What is left goes to the narrowest that wants more, one column of the terminal after the other, so that many short ones are whole
    // before a long one gets it all.
    while used < width {
        let wanting = (0..widths.len()).filter(|&at| widths[at] < natural[at]);
        let Some(narrowest) = wanting.min_by_key(|&at| widths[at]) else {
            break;
        };
        widths[narrowest] += 1;
        used += 1;
    }
    widths
}

/// Makes lines of cells.
struct Lines<'a> {
    measured: &'a [Measured],
    widths: &'a [usize],
    shortened: u64,
}

impl Lines<'_> {
    fn line<'a>(&mut self, cells: impl Iterator<Item = &'a str>) -> String {
        let mut line = String::new();
        for (at, (cell, &width)) in cells.zip(self.widths).enumerate() {
            let short = cell::shortened(cell, width);
            self.shortened += u64::from(short.len() != cell.len());
            let padding = " ".repeat(width.saturating_sub(short.width()));
            if at > 0 {
                line.push_str("  ");
            }
            if self.measured[at].is_number {
                line.push_str(&padding);
                line.push_str(&short);
            } else {
                line.push_str(&short);
                line.push_str(&padding);
            }
        }
        line.truncate(line.trim_end_matches(' ').len());
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(name: usize, values: usize) -> Measured {
        Measured {
            name,
            values,
            is_number: false,
        }
    }

    fn number(name: usize, values: usize) -> Measured {
        Measured {
            is_number: true,
            ..text(name, values)
        }
    }

    #[test]
    fn without_a_terminal_nothing_is_cut() {
        assert_eq!(fit(&[text(2, 900), number(5, 38)], None), [900, 38]);
    }

    #[test]
    fn texts_give_way_and_numbers_do_not() {
        assert_eq!(fit(&[text(2, 30), number(5, 38)], Some(60)), [20, 38]);
        assert_eq!(fit(&[text(2, 10), text(4, 900)], Some(60)), [10, 48]);
        assert_eq!(fit(&[text(2, 900), text(4, 900)], Some(60)), [29, 29]);
    }

    #[test]
    fn a_long_name_of_a_narrow_number_is_shortened_before_a_column_is_left_out() {
        assert_eq!(fit(&[number(30, 2), number(30, 2)], Some(30)), [14, 14]);
    }

    #[test]
    fn columns_that_do_not_fit_are_left_out_at_the_right() {
        assert_eq!(fit(&vec![text(3, 900); 10], Some(60)), [14, 14, 13, 13]);
        assert_eq!(fit(&[number(1, 100)], Some(60)), [60]);
    }
}
