//! The line below the rows: how many there are, what they cost, and what is not shown.

use results::Written;
use serde::Deserialize;

use crate::terminal::{capacity, counted, grouped};

/// The figures of a result.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Stats {
    rows: Option<u64>,
    pages: Option<u64>,
    consumed_capacity_units: Option<f64>,
    elapsed_ms: Option<u64>,
    truncated: Option<bool>,
    next_token: Option<String>,
    segments: Option<u64>,
}

/// What is said below the rows.
#[derive(Debug)]
pub(crate) struct Footer<'a> {
    stats: Stats,
    written: &'a Written,
}

impl<'a> Footer<'a> {
    /// Of a result's `stats`, as JSON; figures that it lacks are left out.
    pub(crate) fn new(stats: Option<&str>, written: &'a Written) -> Self {
        let stats = stats.and_then(|stats| serde_json::from_str(stats).ok());
        Self {
            stats: stats.unwrap_or_default(),
            written,
        }
    }

    /// One sentence for the figures, and one for each thing that is not shown.
    pub(super) fn line(&self) -> String {
        let stats = &self.stats;
        let figures: Vec<String> = [
            stats.rows.map(|rows| counted(rows, "row", "rows")),
            stats.pages.map(|pages| counted(pages, "page", "pages")),
            stats
                .segments
                .filter(|&segments| segments > 1)
                .map(|segments| counted(segments, "segment", "segments")),
            stats.consumed_capacity_units.map(capacity),
            stats.elapsed_ms.map(duration),
        ]
        .into_iter()
        .flatten()
        .collect();
        let mut parts = vec![figures.join(", ")];
        parts.extend(self.cut());
        if stats.truncated == Some(true) {
            parts.push(match stats.next_token {
                Some(_) => "there may be more rows, and --next-token goes on with them (stats.next_token of --format json)".to_owned(),
                None => "there may be more rows".to_owned(),
            });
        }
        parts.retain(|part| !part.is_empty());
        parts.join("; ")
    }

    /// What a table does not show.
    fn cut(&self) -> Option<String> {
        let shortened = match self.written.cells_shortened {
            0 => None,
            cells => Some(format!("{} shortened", counted(cells, "cell", "cells"))),
        };
        let left_out = match self.written.columns_left_out {
            0 => None,
            columns => Some(format!(
                "{} left out",
                counted(columns as u64, "column", "columns")
            )),
        };
        let cut: Vec<String> = [left_out, shortened].into_iter().flatten().collect();
        (!cut.is_empty()).then(|| format!("{} (--format vertical shows all)", cut.join(", ")))
    }
}

fn duration(ms: u64) -> String {
    match ms {
        0..10_000 => format!("{} ms", grouped(ms)),
        _ => format!("{:.1} s", ms as f64 / 1000.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(stats: &str, written: &Written) -> String {
        Footer::new(Some(stats), written).line()
    }

    #[test]
    fn figures_have_their_plurals_and_unknown_ones_are_left_out() {
        let whole = Written::default();
        assert_eq!(
            line(
                r#"{"rows":1,"pages":1,"consumed_capacity_units":0.5,"elapsed_ms":12,"truncated":false,"segments":1}"#,
                &whole
            ),
            "1 row, 1 page, 0.5 capacity units, 12 ms"
        );
        assert_eq!(
            line(
                r#"{"rows":12345,"pages":4,"consumed_capacity_units":null,"elapsed_ms":12345,"segments":4}"#,
                &whole
            ),
            "12,345 rows, 4 pages, 4 segments, 12.3 s"
        );
        assert_eq!(line("{}", &whole), "");
    }

    #[test]
    fn what_is_not_shown_is_said() {
        let cut = Written {
            cells_shortened: 1,
            columns_left_out: 3,
            turned_vertical: false,
        };
        assert_eq!(
            line(r#"{"rows":2,"truncated":true,"next_token":null}"#, &cut),
            "2 rows; 3 columns left out, 1 cell shortened (--format vertical shows all); there may be more rows"
        );
    }
}
