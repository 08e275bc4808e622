//! What a caller chooses about a format, and what it is told of the outcome.

/// What a caller may choose about a format; the default is what a program wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// CSV and TSV: put `'` before text that begins with `=`, `+`, `-`, `@`, tab or CR, so that no spreadsheet takes it for a formula.
    pub csv_safe: bool,
    /// CSV, TSV and tables: write a line with the columns' names first.
    pub header: bool,
    /// JSON: each column and each row on a line of its own.
    pub pretty: bool,
    /// Tables: how many columns the terminal has; cells are shortened and columns left out until they fit. `None`: nothing is cut.
    pub width: Option<usize>,
    /// Tables: the columns' names in bold.
    pub color: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            csv_safe: false,
            header: true,
            pretty: false,
            width: None,
            color: false,
        }
    }
}

/// What was written, as far as a person must know.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Written {
    /// How many cells of a table were shortened.
    pub cells_shortened: u64,
    /// How many columns a table left out, for there was no room.
    pub columns_left_out: usize,
    /// Whether a table was written as one line a cell, because too few columns would have fitted side by side.
    pub turned_vertical: bool,
}
