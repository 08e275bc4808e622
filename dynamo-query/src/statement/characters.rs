//! Characters that have no place in a statement outside quotes, and what to do about each.

/// Control characters other than those that are white space to DynamoDB: invisible, and white space to some readers only.
pub(super) fn is_odd_control(c: char) -> bool {
    c.is_control() && !matches!(c, '\t' | '\n' | '\x0C' | '\r')
}

/// What to do about a character that has no place outside quotes.
pub(super) fn stray_hint(c: char) -> &'static str {
    match c {
        '`' => "quote names with double quotes; DynamoDB has no literals in backticks",
        '#' => {
            "write the attribute's own name, in double quotes where it is a reserved word; there are no #names here"
        }
        '\u{2018}' | '\u{2019}' | '\u{201C}' | '\u{201D}' => {
            "replace typographic quotes by straight ones: ' around strings, \" around names"
        }
        '!' => "not equal is written <> or !=",
        _ if c.is_ascii_graphic() => "remove it, or quote the name or string that it belongs to",
        _ if c.is_alphanumeric() => "put a name with letters beyond ASCII in double quotes",
        _ => "replace it by a plain blank; it may be invisible, pasted from a page or document",
    }
}
