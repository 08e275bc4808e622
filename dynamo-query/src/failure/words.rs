//! A service's words as a message may hold them: on one line, of bounded length, without anything that a terminal obeys.

/// The most characters of a service's words in a message (contract, section 3).
const MAX_WORDS: usize = 2000;

/// The longest code or request id that is passed on.
const MAX_NAME: usize = 128;

/// A service's sentence, without control characters and marks of direction, cut to 2,000 characters.
pub(crate) fn plain(words: &str) -> String {
    let mut plain: String = words
        .chars()
        .map(|c| if is_unprintable(c) { ' ' } else { c })
        .take(MAX_WORDS + 1)
        .collect();
    if plain.chars().count() > MAX_WORDS {
        plain = plain.chars().take(MAX_WORDS - 1).collect();
        plain.push('…');
    }
    plain.trim().to_owned()
}

/// A code or id that a service gave: visible ASCII, 128 characters at most; `None` where nothing is left of it.
pub(super) fn name(text: &str) -> Option<String> {
    let name: String = text
        .chars()
        .filter(char::is_ascii_graphic)
        .take(MAX_NAME)
        .collect();
    Some(name).filter(|name| !name.is_empty())
}

/// The same message without what a terminal obeys; its own line ends stay.
pub(super) fn on_a_terminal(message: &str) -> String {
    message
        .chars()
        .map(|c| {
            if c != '\n' && is_unprintable(c) {
                ' '
            } else {
                c
            }
        })
        .collect()
}

/// C0 and C1 controls (ESC among them), line and paragraph separators, marks of direction, and what has no width.
fn is_unprintable(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{061c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_one_line_of_at_most_2000_characters_that_no_terminal_obeys() {
        assert_eq!(
            plain(" a\x1b[31mb\u{9b}c\u{202e}d\u{2066}e\r\nf\0g\u{feff} "),
            "a [31mb c d e  f g"
        );
        let long = plain(&"ä".repeat(5000));
        assert_eq!((long.chars().count(), long.ends_with('…')), (2000, true));
        assert_eq!(plain(&"ä".repeat(2000)), "ä".repeat(2000));
        assert_eq!(name("Co\x1bde\n"), Some("Code".to_owned()));
        assert_eq!(name(&"x".repeat(1000)).map(|name| name.len()), Some(128));
        assert_eq!(name("\n"), None);
        assert_eq!(on_a_terminal("a\nb\x1bc"), "a\nb c");
    }
}
