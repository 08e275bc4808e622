//! As much of a statement as the command line must know: whether a text is one, and whether its columns are known beforehand.
//!
//! The plugin's own guard decides everything else.

use results::StreamOrder;

/// Whether the first word after comments is SELECT or EXPLAIN.
pub(crate) fn is_statement(text: &str) -> bool {
    let (word, _) = next_word(text);
    is(word, "SELECT") || is(word, "EXPLAIN")
}

/// Whether the statement reads rows, rather than explaining itself.
pub(crate) fn is_select(text: &str) -> bool {
    is(next_word(text).0, "SELECT")
}

/// In which order a SELECT's columns stand in its result; `None` where the text is none.
pub(super) fn column_order(text: &str) -> Option<StreamOrder> {
    let (word, rest) = next_word(text);
    is(word, "SELECT").then(|| {
        if skipped(rest).starts_with('*') {
            StreamOrder::ByName
        } else {
            StreamOrder::AsNamed
        }
    })
}

fn is(word: &str, expected: &str) -> bool {
    word.eq_ignore_ascii_case(expected)
}

/// The first word after blanks and comments, and what follows it.
fn next_word(text: &str) -> (&str, &str) {
    let text = skipped(text);
    let end = text
        .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .unwrap_or(text.len());
    text.split_at(end)
}

/// The text behind its leading blanks, `-- line comments` and `/* block comments */`.
fn skipped(text: &str) -> &str {
    let mut rest = text;
    loop {
        rest = rest.trim_start();
        rest = if let Some(comment) = rest.strip_prefix("--") {
            comment.split_once('\n').map_or("", |(_, after)| after)
        } else if let Some(comment) = rest.strip_prefix("/*") {
            comment.split_once("*/").map_or("", |(_, after)| after)
        } else {
            return rest;
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_begins_with_select_or_explain_after_comments() {
        for text in [
            "SELECT 1",
            "  select*from t",
            "explain SELECT * FROM t",
            "-- all books\nSELECT * FROM t",
            "/* a */ -- b\n /* c\nd */SELECT x FROM t",
            "SELECT",
        ] {
            assert!(is_statement(text), "{text}");
        }
        for text in [
            "job.json",
            "selected.json",
            "SELECT_1.json",
            "-",
            "",
            "-- SELECT * FROM t",
            "/* SELECT",
            "DELETE FROM t",
            "{\"context\":{}}",
        ] {
            assert!(!is_statement(text), "{text}");
        }
    }

    #[test]
    fn a_list_of_columns_is_told_from_a_star() {
        for (text, order) in [
            ("SELECT a, b FROM t", Some(StreamOrder::AsNamed)),
            ("select\"a\" FROM t", Some(StreamOrder::AsNamed)),
            ("SELECT * FROM t", Some(StreamOrder::ByName)),
            ("SELECT/*all*/*FROM t", Some(StreamOrder::ByName)),
            ("EXPLAIN SELECT a FROM t", None),
            ("x", None),
        ] {
            assert_eq!(column_order(text), order, "{text}");
        }
    }
}
