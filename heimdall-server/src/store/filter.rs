//! Filters with `%` and `_`, as Heimdall's database reads them.
//!
//! In: a filter's text. Out: a condition for SQLite, or a test for text in memory: the same answer from both.

use regex::Regex;

/// A filter of a list.
#[derive(Debug, Clone)]
pub enum Pattern {
    /// No wildcard: the very text.
    Exact(String),
    /// With wildcards.
    Wild {
        /// The text before the first wildcard.
        prefix: String,
        /// For SQLite's `GLOB`, which is case-sensitive as the filters are.
        glob: String,
        /// For text in memory.
        regex: Regex,
    },
}

/// A filter that is too large to be meant, or would cost more than a list may.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the filter is longer than {LONGEST} bytes or has more than {MOST_WILDCARDS} wildcards")]
pub struct PatternError;

const LONGEST: usize = 1_000;
const MOST_WILDCARDS: usize = 16;

impl Pattern {
    /// Reads a filter: `%` stands for any text, `_` for one character, a backslash makes either literal.
    ///
    /// # Errors
    /// The text is over 1,000 bytes or has more than 16 wildcards.
    pub fn new(text: &str) -> Result<Self, PatternError> {
        if text.len() > LONGEST {
            return Err(PatternError);
        }
        let (mut exact, mut glob, mut regex) =
            (String::new(), String::new(), String::from("(?s)^"));
        let mut prefix = String::new();
        let mut wildcards = 0;
        let mut characters = text.chars();
        while let Some(character) = characters.next() {
            match character {
                '%' => {
                    wildcards += 1;
                    glob.push('*');
                    regex.push_str(".*");
                }
                '_' => {
                    wildcards += 1;
                    glob.push('?');
                    regex.push('.');
                }
                _ => {
                    let literal = match character {
                        '\\' => characters.next().unwrap_or('\\'),
                        other => other,
                    };
                    exact.push(literal);
                    if wildcards == 0 {
                        prefix.push(literal);
                    }
                    if matches!(literal, '*' | '?' | '[') {
                        glob.extend(['[', literal, ']']);
                    } else {
                        glob.push(literal);
                    }
                    regex.push_str(&regex::escape(literal.encode_utf8(&mut [0; 4])));
                }
            }
        }
        if wildcards == 0 {
            return Ok(Self::Exact(exact));
        }
        if wildcards > MOST_WILDCARDS {
            return Err(PatternError);
        }
        regex.push('$');
        let regex = Regex::new(&regex).map_err(|_| PatternError)?;
        Ok(Self::Wild {
            prefix,
            glob,
            regex,
        })
    }

    /// Whether a text passes.
    #[must_use]
    pub fn matches(&self, text: &str) -> bool {
        match self {
            Self::Exact(exact) => exact == text,
            Self::Wild { regex, .. } => regex.is_match(text),
        }
    }

    /// The operator and the value for SQLite.
    #[cfg(test)]
    fn condition(&self) -> (&'static str, &str) {
        match self {
            Self::Exact(exact) => ("=", exact),
            Self::Wild { glob, .. } => ("GLOB", glob),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_and_sqlite_agree_on_every_filter() {
        let connection = rusqlite::Connection::open_in_memory().unwrap();
        for (filter, text, expected) in [
            ("list%", "list-items-job", true),
            ("list%", "a-list", false),
            ("LIST%", "list-items-job", false),
            ("%item_-%", "list-items-job", true),
            ("a\\%", "a%", true),
            ("a\\%", "ab", false),
            ("a*%", "a*b", true),
            ("a*%", "acb", false),
            ("[a]%", "[a]x", true),
            ("_", "é", true),
            ("a", "a", true),
            ("%", "", true),
            ("a%b", "a\nb", true),
            ("\\", "\\", true),
        ] {
            let pattern = Pattern::new(filter).unwrap();
            let (operator, value) = pattern.condition();
            let sql = format!("SELECT ?1 {operator} ?2");
            let found: bool = connection
                .query_row(&sql, [text, value], |row| row.get(0))
                .unwrap();
            assert_eq!(
                (pattern.matches(text), found),
                (expected, expected),
                "{filter} on {text}"
            );
        }
        assert!(Pattern::new(&"x".repeat(2_000)).is_err());
        assert!(Pattern::new(&"%a".repeat(17)).is_err());
    }
}
