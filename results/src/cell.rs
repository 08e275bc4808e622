//! One cell: from its JSON to what a program or a person reads.

use std::borrow::Cow;

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use crate::{WriteError, visible};

/// Null, or an attribute that the item lacks.
pub(crate) fn is_null(cell: &str) -> bool {
    cell == "null"
}

/// Whether the cell is a JSON string.
pub(crate) fn is_text(cell: &str) -> bool {
    cell.starts_with('"')
}

/// The text of a JSON string, and of any other value its JSON.
///
/// # Errors
/// A string that is no JSON string.
pub(crate) fn plain(cell: &str) -> Result<Cow<'_, str>, WriteError> {
    let quoted = cell
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'));
    match quoted {
        Some(inner) if inner.contains('\\') => serde_json::from_str(cell)
            .map(Cow::Owned)
            .map_err(|error| WriteError::json("a text", &error)),
        Some(inner) => Ok(Cow::Borrowed(inner)),
        None => Ok(Cow::Borrowed(cell)),
    }
}

/// What a person reads: nothing for null, `""` for an empty text, and nothing in it moves the cursor or turns the reading direction.
///
/// # Errors
/// A string that is no JSON string.
pub(crate) fn shown(cell: &str) -> Result<Cow<'_, str>, WriteError> {
    match cell {
        "null" => Ok(Cow::Borrowed("")),
        "\"\"" => Ok(Cow::Borrowed("\"\"")),
        _ => plain(cell).map(visible::visible),
    }
}

/// The text in at most `width` terminal columns; where it is longer, its end is replaced by `…`.
pub(crate) fn shortened(text: &str, width: usize) -> Cow<'_, str> {
    // A text of few bytes cannot be wide; and of a long one only the beginning is measured, however long it is.
    if text.len() <= width || (text.len() <= 8 * width + 64 && text.width() <= width) {
        return Cow::Borrowed(text);
    }
    let (mut end, mut used) = (0, 0);
    let mut after_joiner = false;
    for (at, c) in text.char_indices() {
        let joins = c.width().unwrap_or(0) == 0 || after_joiner || is_modifier(c);
        if !joins {
            used = text[..at].width();
            if used + 1 > width {
                break;
            }
            end = at;
        }
        after_joiner = c == ZERO_WIDTH_JOINER;
    }
    if used < width && text.width() <= width {
        return Cow::Borrowed(text);
    }
    Cow::Owned(format!("{}…", &text[..end]))
}

const ZERO_WIDTH_JOINER: char = '\u{200d}';

/// A skin tone: drawn in the character before it.
fn is_modifier(c: char) -> bool {
    matches!(c, '\u{1f3fb}'..='\u{1f3ff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn null_and_an_empty_text_look_different() {
        assert_eq!(shown("null").unwrap(), "");
        assert_eq!(shown("\"\"").unwrap(), "\"\"");
        assert_eq!(shown("\"null\"").unwrap(), "null");
    }

    #[test]
    fn what_would_move_the_cursor_is_escaped() {
        assert_eq!(
            shown(r#""a\nb\t\u001b[31m\u009b\u007f""#).unwrap(),
            r"a\nb\t\u{1b}[31m\u{9b}\u{7f}"
        );
        assert_eq!(
            shown("\"x\u{202e}y\u{2028}\"").unwrap(),
            r"x\u{202e}y\u{2028}"
        );
        assert_eq!(shown(r#"{"a":"b\n"}"#).unwrap(), r#"{"a":"b\n"}"#);
    }

    #[test]
    fn a_text_is_shortened_between_characters_as_they_are_drawn() {
        let cases = [
            ("hello", 5, "hello"),
            ("hello", 4, "hel…"),
            ("hello", 1, "…"),
            ("日本語", 6, "日本語"),
            ("日本語", 5, "日本…"),
            ("日本語", 4, "日…"),
            ("日本語", 2, "…"),
            // A family is one picture, and an accent belongs to its letter.
            (
                "👨\u{200d}👩\u{200d}👧👨\u{200d}👩\u{200d}👧",
                3,
                "👨\u{200d}👩\u{200d}👧…",
            ),
            ("👨\u{200d}👩\u{200d}👧", 2, "👨\u{200d}👩\u{200d}👧"),
            ("👍🏽👍🏽", 3, "👍🏽…"),
            ("e\u{301}e\u{301}e\u{301}", 2, "e\u{301}…"),
            ("e\u{301}e\u{301}", 2, "e\u{301}e\u{301}"),
            ("שלום עולם", 5, "שלום…"),
        ];
        for (text, width, expected) in cases {
            let short = shortened(text, width);
            assert_eq!(short, expected, "{text} in {width}");
            assert!(short.width() <= width);
        }
    }

    #[test]
    fn a_very_long_text_is_shortened_as_a_short_one() {
        let long = "x".repeat(400_000);
        assert_eq!(shortened(&long, 4), "xxx…");
        let accents = format!("e{}", "\u{301}".repeat(100_000));
        assert!(shortened(&accents, 4).width() <= 4);
    }
}
