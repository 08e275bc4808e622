//! Places in a statement: byte offset → line and column, the line with a caret, and DynamoDB's own positions.
//!
//! Lines and columns are 1-based; columns count Unicode scalars; a line ends at LF, CR LF or a lone CR. DynamoDB counts
//! the same way, so its positions in the text that was sent are the user's positions.

/// At most this many characters of a line are shown, so that a one-line statement of 8,192 stays readable.
const SHOWN: usize = 120;

/// The line and column of byte `at` of `query`.
pub(crate) fn of(query: &str, at: usize) -> (u32, u32) {
    let (mut line, mut column) = (1, 1);
    for (index, c) in query.char_indices() {
        if index >= at {
            break;
        }
        if ends_line(query, index, c) {
            line += 1;
            column = 1;
        } else {
            column += 1;
        }
    }
    (line, column)
}

/// A CR before an LF belongs to its line: the LF ends it.
fn ends_line(query: &str, index: usize, c: char) -> bool {
    c == '\n' || (c == '\r' && query.as_bytes().get(index + 1) != Some(&b'\n'))
}

/// The text of a 1-based line; a line beyond the last one is empty.
fn line_text(query: &str, line: u32) -> &str {
    let mut current = 1;
    let mut start = 0;
    for (index, c) in query.char_indices() {
        if ends_line(query, index, c) {
            if current == line {
                return query[start..index].trim_end_matches('\r');
            }
            current += 1;
            start = index + 1;
        }
    }
    if current == line { &query[start..] } else { "" }
}

/// The line with a caret below the column: two lines without a final line end.
///
/// `line` and `column` are 1-based, `column` in characters; a column beyond the line points just behind its end. A long
/// line is cut to the part around the column, and control characters show as blanks.
///
/// ```
/// # use dynamo_query::statement::caret;
/// assert_eq!(caret("SELECT *\nFRON t", 2, 1), "FRON t\n^");
/// ```
#[must_use]
pub fn caret(query: &str, line: u32, column: u32) -> String {
    let text = line_text(query, line);
    let length = text.chars().count();
    let column = (column.max(1) as usize - 1).min(length);
    let from = if length <= SHOWN {
        0
    } else {
        column.saturating_sub(SHOWN / 2).min(length - SHOWN)
    };
    let shown = length.min(SHOWN);
    let mut out = String::with_capacity(2 * SHOWN);
    if from > 0 {
        out.push('…');
    }
    out.extend(
        text.chars()
            .skip(from)
            .take(shown)
            .map(|c| if c.is_control() { ' ' } else { c }),
    );
    if from + shown < length {
        out.push('…');
    }
    out.push('\n');
    let indent = column - from + usize::from(from > 0);
    out.extend(std::iter::repeat_n(' ', indent));
    out.push('^');
    out
}

/// The line and column that DynamoDB's own error text gives, if it gives one: `… at 1:15:4`, `… at 1:15` or
/// `line 1, column 15`.
///
/// What was sent has the user's positions, so the result needs no mapping. The last position counts. A text that only
/// repeats the statement gives none, whatever that statement holds.
#[must_use]
pub fn service_position(message: &str) -> Option<(u32, u32)> {
    if echoes_the_statement(message) {
        return None;
    }
    let colons = message
        .rmatch_indices("at ")
        .find_map(|(at, found)| at_line_column(message, at, found.len()));
    colons.or_else(|| {
        message
            .rmatch_indices("line ")
            .find_map(|(at, _)| line_comma_column(&message[at..]))
    })
}

/// "Statement wasn't well formed, can't be processed: SELECT …": the words behind the colon are the user's.
fn echoes_the_statement(message: &str) -> bool {
    message
        .split_once("processed: ")
        .and_then(|(_, detail)| detail.trim_start().get(..6))
        .is_some_and(|word| word.eq_ignore_ascii_case("SELECT"))
}

/// `at 1:15:4` or `at 1:15`, where `at` is a word of its own and the figures end as a word.
fn at_line_column(message: &str, at: usize, skip: usize) -> Option<(u32, u32)> {
    let before = message[..at].chars().next_back();
    if before.is_some_and(|c| c.is_alphanumeric() || c == '_') {
        return None;
    }
    let (line, rest) = number(&message[at + skip..])?;
    let (column, mut rest) = number(rest.strip_prefix(':')?)?;
    if let Some((_length, after)) = rest.strip_prefix(':').and_then(number) {
        rest = after;
    }
    ends_word(rest).then_some((line, column))
}

/// `line 1, column 15`.
fn line_comma_column(text: &str) -> Option<(u32, u32)> {
    let (line, rest) = number(text.strip_prefix("line ")?)?;
    let rest = rest.trim_start_matches(',').trim_start();
    let (column, rest) = number(rest.strip_prefix("column ")?)?;
    ends_word(rest.strip_prefix(':').unwrap_or(rest)).then_some((line, column))
}

fn ends_word(rest: &str) -> bool {
    !rest.starts_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':')
}

/// A positive number at the start of `text`, and what follows it.
fn number(text: &str) -> Option<(u32, &str)> {
    let end = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let value: u32 = text[..end].parse().ok()?;
    (value > 0).then_some((value, &text[end..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_end_at_lf_crlf_and_a_lone_cr_and_columns_count_characters() {
        let query = "a\r\né😀b\rc\nd";
        for (needle, expected) in [("a", (1, 1)), ("b", (2, 3)), ("c", (3, 1)), ("d", (4, 1))] {
            assert_eq!(of(query, query.find(needle).unwrap()), expected, "{needle}");
        }
        assert_eq!(of(query, query.len()), (4, 2));
    }

    #[test]
    fn the_caret_stands_below_its_column() {
        for (query, line, column, expected) in [
            ("", 1, 1, "\n^"),
            ("ab\r\ncd", 1, 2, "ab\n ^"),
            ("ab\r\ncd", 2, 9, "cd\n  ^"),
            ("a\tb", 1, 3, "a b\n  ^"),
            ("ab", 7, 3, "\n^"),
            ("ab", 0, 0, "\n^"),
        ] {
            assert_eq!(caret(query, line, column), expected, "{query:?}");
        }
    }

    #[test]
    fn a_long_line_is_cut_around_the_caret() {
        let query: String = ('a'..='z').cycle().take(1_000).collect();
        for column in [1, 59, 60, 61, 62, 500, 939, 940, 941, 1_000, 1_001] {
            let shown = caret(&query, 1, column);
            let (line, mark) = shown.split_once('\n').unwrap();
            assert!(line.chars().count() <= SHOWN + 2);
            let below = line.chars().nth(mark.len() - 1);
            assert_eq!(
                below,
                query.chars().nth(column as usize - 1),
                "column {column}"
            );
        }
    }

    #[test]
    fn the_services_positions_are_read_in_every_form_it_writes() {
        for (message, expected) in [
            ("Unexpected path component at 1:8:4", Some((1, 8))),
            (
                "Statement wasn't well formed, can't be processed: Unexpected keyword at 1:15:4",
                Some((1, 15)),
            ),
            ("Unsupported clause: LIMIT at 2:26:1.", Some((2, 26))),
            ("List index; index: [-1] at 1:11", Some((1, 11))),
            ("Lexer Error: at line 3, column 7: oops", Some((3, 7))),
            ("at 1:2:3 and at 4:5:6", Some((4, 5))),
            (
                "Statement wasn't well formed, can't be processed: SELECT x FROM t WHERE y = 'at 1:2:3'",
                None,
            ),
            ("Cannot do operations on a non-existent table", None),
            ("that 1:2", None),
            ("at 0:2:1", None),
            ("at 1:99999999999", None),
            ("at 1:2:3:4", None),
            ("at ", None),
            ("line 1", None),
            ("", None),
        ] {
            assert_eq!(service_position(message), expected, "{message}");
        }
    }
}
