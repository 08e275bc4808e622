//! The answer that follows rows which were handed over as they came.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::{Column, WriteError};

/// `{"columns":[…],"order":[…],"stats":{…}}`: what `run_job` returns after it has handed over all rows.
#[derive(Debug, Clone)]
pub struct Answer {
    /// In the order of the lines.
    pub(crate) columns: Vec<Column>,
    /// For each column of the document, from the left, its position among `columns`.
    pub(crate) order: Vec<usize>,
    pub(crate) stats: Option<Box<RawValue>>,
}

impl Answer {
    /// Reads the plugin's answer.
    ///
    /// # Errors
    /// It is no such JSON object, or `order` does not name every column once.
    pub fn parse(answer: &[u8]) -> Result<Self, WriteError> {
        #[derive(Deserialize)]
        struct Fields {
            columns: Vec<Column>,
            order: Vec<usize>,
            stats: Option<Box<RawValue>>,
        }
        let Fields {
            columns,
            order,
            stats,
        } = serde_json::from_slice(answer)
            .map_err(|error| WriteError::json("the answer after the rows", &error))?;
        let mut sorted = order.clone();
        sorted.sort_unstable();
        if !sorted.into_iter().eq(0..columns.len()) {
            return Err(WriteError::malformed(
                "'order' does not name every column once",
            ));
        }
        Ok(Self {
            columns,
            order,
            stats,
        })
    }

    /// The result's `stats`, as JSON.
    #[must_use]
    pub fn stats(&self) -> Option<&str> {
        self.stats.as_deref().map(RawValue::get)
    }

    /// The columns in the order of a document.
    pub(crate) fn ordered(&self) -> impl Iterator<Item = &Column> {
        self.order.iter().map(|&at| &self.columns[at])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_names_every_column_once() {
        let columns = r#"[{"name":"a","type":"long"},{"name":"b","type":"long"}]"#;
        for (order, is_good) in [
            ("[0,1]", true),
            ("[1,0]", true),
            ("[0]", false),
            ("[0,0]", false),
            ("[0,2]", false),
            ("[0,1,1]", false),
            ("[-1,0]", false),
        ] {
            let answer = format!(r#"{{"columns":{columns},"order":{order},"stats":{{}}}}"#);
            let parsed = Answer::parse(answer.as_bytes());
            assert_eq!(parsed.is_ok(), is_good, "{order}: {parsed:?}");
        }
        assert!(Answer::parse(br#"{"columns":[],"stats":{}}"#).is_err());
        assert!(Answer::parse(br#"{"columns":[],"order":[],"stats":{}}"#).is_ok());
    }
}
