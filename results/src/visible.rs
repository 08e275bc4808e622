//! Texts from elsewhere on a terminal or in a log: they move no cursor, begin no line and turn no reading direction.

use std::{borrow::Cow, fmt::Write};

/// Writes control characters as escapes such as `\n` and `\u{1b}`.
pub fn visible(text: Cow<'_, str>) -> Cow<'_, str> {
    escaped(text, is_control, |c, out| out.extend(c.escape_default()))
}

/// As [`visible`] for a text of several lines: its line ends stay.
pub fn visible_lines(text: &str) -> Cow<'_, str> {
    let is_harmful = |c| c != '\n' && is_control(c);
    escaped(text.into(), is_harmful, |c, out| {
        out.extend(c.escape_default());
    })
}

/// The same JSON with such characters escaped as JSON does it, for example `\u009b`: no value changes.
pub fn visible_json(json: &str) -> Cow<'_, str> {
    // Those three are white space between values; inside a string they are escaped already.
    let is_harmful = |c| !matches!(c, '\n' | '\r' | '\t') && is_control(c);
    escaped(json.into(), is_harmful, |c, out| {
        let _ = write!(out, "\\u{:04x}", u32::from(c));
    })
}

fn escaped<'t>(
    text: Cow<'t, str>,
    is_harmful: impl Fn(char) -> bool,
    escape: impl Fn(char, &mut String),
) -> Cow<'t, str> {
    if !text.contains(&is_harmful) {
        return text;
    }
    let mut escaped = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        if is_harmful(c) {
            escape(c, &mut escaped);
        } else {
            escaped.push(c);
        }
    }
    Cow::Owned(escaped)
}

/// Control characters, line and paragraph separators, and those that turn the reading direction of what stands beside them. All of them
/// lie in the basic plane, so that JSON writes each as one escape.
fn is_control(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOSTILE: &str = "a\u{1b}[2J\u{9b}1m\u{7f}\u{202e}b\u{2066}\u{feff}\nc";

    #[test]
    fn lines_keep_their_ends_and_nothing_else_that_a_terminal_obeys() {
        assert_eq!(
            visible_lines(HOSTILE),
            "a\\u{1b}[2J\\u{9b}1m\\u{7f}\\u{202e}b\\u{2066}\\u{feff}\nc"
        );
        assert!(matches!(visible_lines("a\nb"), Cow::Borrowed(_)));
    }

    #[test]
    fn json_stays_the_same_value() {
        let json = serde_json::to_string_pretty(&serde_json::json!({"a": [HOSTILE], "b": "plain"}));
        let json = json.unwrap();
        let visible = visible_json(&json);
        assert!(
            visible.contains(r"\u009b1m\u007f\u202eb\u2066\ufeff\nc"),
            "{visible}"
        );
        assert!(!visible.contains(|c| c != '\n' && is_control(c)));
        let [before, after] = [&*json, &*visible].map(serde_json::from_str::<serde_json::Value>);
        assert_eq!(before.unwrap(), after.unwrap());
    }
}
