//! Cuts a statement into tokens, comments set apart.
//!
//! In: any text. Out: every token with its position, the comments' positions, and the first thing that no statement may hold.
//! Goes on after a problem, so that the read-only check sees all words of a broken statement. Judges no grammar.
//!
//! Where readers of PartiQL are known to differ, the text is refused rather than one of them believed: white space
//! beyond blank, tab, line end and form feed, a line end in a `--` comment that only some readers see, `/*` inside `/* … */`.

use super::{
    Problem,
    characters::{is_odd_control, stray_hint},
};

/// What a token is. Quoted text keeps its quotes in the token's range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A bare word: letters, digits, `_` and `$`, not starting with a digit.
    Word,
    /// `"…"`, a name.
    Name,
    /// `'…'`, a string.
    Text,
    /// Digits with an optional point and exponent, no sign.
    Number,
    /// `?`.
    Placeholder,
    /// `<<` opens a bag.
    BagOpen,
    /// `>>` closes a bag.
    BagClose,
    /// `<>`, `<=`, `>=`, `!=` or `||`.
    Operator,
    /// Any other single character.
    Symbol(u8),
}

/// A token and its byte range in the text.
#[derive(Debug, Clone, Copy)]
pub(super) struct Token {
    pub(super) kind: Kind,
    pub(super) start: usize,
    pub(super) end: usize,
}

impl Token {
    /// The token as written.
    pub(super) fn text<'q>(&self, query: &'q str) -> &'q str {
        &query[self.start..self.end]
    }

    /// Whether this is the bare word `word` in any case.
    pub(super) fn is_word(&self, query: &str, word: &str) -> bool {
        self.kind == Kind::Word && self.text(query).eq_ignore_ascii_case(word)
    }
}

/// A text cut up.
#[derive(Debug, Default)]
pub(super) struct Lexed {
    pub(super) tokens: Vec<Token>,
    /// Byte ranges, in order; a `--` comment's line end is not part of it.
    pub(super) comments: Vec<(usize, usize)>,
    /// The first thing that is wrong wherever it stands.
    pub(super) problem: Option<Problem>,
}

/// Cuts `query` up to its last byte.
pub(super) fn lex(query: &str) -> Lexed {
    let mut lexer = Lexer {
        query,
        bytes: query.as_bytes(),
        at: 0,
        out: Lexed {
            tokens: Vec::with_capacity(query.len() / 4 + 4),
            ..Lexed::default()
        },
    };
    while lexer.at < lexer.bytes.len() {
        lexer.step();
    }
    lexer.out
}

struct Lexer<'q> {
    query: &'q str,
    bytes: &'q [u8],
    at: usize,
    out: Lexed,
}

impl Lexer<'_> {
    fn peek(&self, ahead: usize) -> u8 {
        // Past the end reads as a NUL, which no rule below takes for a part of a token.
        self.bytes.get(self.at + ahead).copied().unwrap_or(0)
    }

    fn push(&mut self, kind: Kind, length: usize) {
        let start = self.at;
        self.at += length;
        self.out.tokens.push(Token {
            kind,
            start,
            end: self.at,
        });
    }

    fn refuse(&mut self, at: usize, message: impl Into<String>, hint: &'static str) {
        if self.out.problem.is_none() {
            self.out.problem = Some(Problem::new(at, message.into(), hint));
        }
    }

    /// Takes one token, one comment, or one piece of white space.
    fn step(&mut self) {
        match (self.bytes[self.at], self.peek(1)) {
            (b' ' | b'\t' | b'\n' | b'\x0C' | b'\r', _) => self.at += 1,
            (b'-', b'-') => self.line_comment(),
            (b'/', b'*') => self.block_comment(),
            (b'*', b'/') => {
                self.refuse(
                    self.at,
                    "'*/' ends a comment that is not open",
                    "comments do not nest: the first '*/' ends one",
                );
                self.at += 2;
            }
            (b'\'', _) => self.quoted(b'\'', Kind::Text),
            (b'"', _) => self.quoted(b'"', Kind::Name),
            (b'0'..=b'9', _) => self.number(),
            (b'.', b'0'..=b'9') if !self.continues_a_path() => self.number(),
            (b'a'..=b'z' | b'A'..=b'Z' | b'_' | b'$', _) => self.word(),
            (b'?', _) => self.push(Kind::Placeholder, 1),
            (b'<', b'<') => self.push(Kind::BagOpen, 2),
            (b'>', b'>') => self.push(Kind::BagClose, 2),
            (b'<', b'>' | b'=') | (b'>' | b'!', b'=') | (b'|', b'|') => {
                self.push(Kind::Operator, 2);
            }
            (
                symbol @ (b'(' | b')' | b'[' | b']' | b'{' | b'}' | b',' | b'.' | b';' | b':'
                | b'=' | b'<' | b'>' | b'*' | b'/' | b'+' | b'-' | b'%' | b'@'),
                _,
            ) => self.push(Kind::Symbol(symbol), 1),
            _ => self.stray(),
        }
    }

    /// Whether a `.` here follows a name, so that `l[0].5` is a path and `= .5` a number.
    fn continues_a_path(&self) -> bool {
        self.at > 0
            && matches!(
                self.bytes[self.at - 1],
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' | b'$' | b'"' | b']' | b')'
            )
    }

    fn word(&mut self) {
        let rest = &self.bytes[self.at..];
        let length = rest
            .iter()
            .position(|byte| !(byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'$')))
            .unwrap_or(rest.len());
        self.push(Kind::Word, length);
    }

    fn digits(&self, from: usize) -> usize {
        self.bytes[self.at + from..]
            .iter()
            .take_while(|byte| byte.is_ascii_digit())
            .count()
    }

    fn number(&mut self) {
        let mut length = self.digits(0);
        if self.peek(length) == b'.' {
            length += 1;
            length += self.digits(length);
        }
        if matches!(self.peek(length), b'e' | b'E') {
            let sign = usize::from(matches!(self.peek(length + 1), b'+' | b'-'));
            // The text may end here, so the digits are counted only where one is.
            if self.peek(length + 1 + sign).is_ascii_digit() {
                length += 1 + sign;
                length += self.digits(length);
            } else {
                self.refuse(
                    self.at,
                    "a number has an 'e' without an exponent",
                    "write the exponent's digits, as in 1e5",
                );
            }
        }
        self.push(Kind::Number, length);
    }

    /// Takes `'…'` or `"…"`, in which a doubled quote stands for one.
    fn quoted(&mut self, quote: u8, kind: Kind) {
        let mut length = 1;
        loop {
            match self.bytes[self.at + length..]
                .iter()
                .position(|&byte| byte == quote)
            {
                Some(skipped) => length += skipped + 1,
                None => {
                    let (message, hint) = if kind == Kind::Text {
                        (
                            "a string in single quotes does not end",
                            "close it with '; a single quote inside a string is written twice: 'it''s'",
                        )
                    } else {
                        (
                            "a name in double quotes does not end",
                            "close it with \"; a double quote inside a name is written twice",
                        )
                    };
                    self.refuse(self.at, message, hint);
                    self.at = self.bytes.len();
                    return;
                }
            }
            if self.peek(length) != quote {
                return self.push(kind, length);
            }
            length += 1;
        }
    }

    /// Takes `-- …` up to, not with, the first character that any reader could take for the line's end.
    fn line_comment(&mut self) {
        let start = self.at;
        let rest = &self.query[start..];
        let end = rest
            .find(|c: char| {
                matches!(c, '\n' | '\r' | '\x0C' | '\u{2028}' | '\u{2029}') || is_odd_control(c)
            })
            .map_or(self.bytes.len(), |length| start + length);
        self.out.comments.push((start, end));
        self.at = end;
        // A form feed ends the line for some readers, not for DynamoDB's; what follows is judged as live text.
        if self.peek(0) == b'\x0C' {
            self.refuse(
                end,
                "a form feed stands in a '--' comment",
                "end the line with a line feed, or write the comment as /* … */",
            );
        }
        // A lone CR ends the line for DynamoDB's reader and not for others; what follows is judged as live text.
        if self.peek(0) == b'\r' && self.peek(1) != b'\n' {
            self.refuse(
                end,
                "a carriage return stands in a '--' comment without a line feed",
                "end the line with a line feed, or write the comment as /* … */",
            );
        }
    }

    fn block_comment(&mut self) {
        let start = self.at;
        let Some(length) = self.query[start + 2..].find("*/") else {
            self.refuse(start, "a comment does not end", "close it with */");
            self.out.comments.push((start, self.bytes.len()));
            self.at = self.bytes.len();
            return;
        };
        let inside = &self.query[start + 2..start + 2 + length];
        if let Some(nested) = inside.find("/*") {
            self.refuse(
                start + 2 + nested,
                "'/*' stands inside a comment, and comments do not nest",
                "leave the inner '/*' out: the first '*/' ends the comment",
            );
        }
        if let Some(odd) = inside.find(is_odd_control) {
            self.refuse_character(start + 2 + odd);
        }
        self.at = start + 2 + length + 2;
        self.out.comments.push((start, self.at));
    }

    /// Passes over one character that has no place outside quotes.
    fn stray(&mut self) {
        self.refuse_character(self.at);
        self.at += self.query[self.at..]
            .chars()
            .next()
            .map_or(1, char::len_utf8);
    }

    fn refuse_character(&mut self, at: usize) {
        let Some(c) = self.query[at..].chars().next() else {
            return;
        };
        let message = if c.is_ascii_graphic() {
            format!("the character {c} has no place outside quotes")
        } else {
            format!(
                "the character U+{:04X} has no place outside quotes",
                u32::from(c)
            )
        };
        self.refuse(at, message, stray_hint(c));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_end_where_dynamodb_ends_them() {
        for (text, expected) in [
            ("1AND", vec!["1", "AND"]),
            ("1.AND", vec!["1.", "AND"]),
            ("1e5AND", vec!["1e5", "AND"]),
            ("1E-5", vec!["1E-5"]),
            (".5", vec![".5"]),
            ("a.5", vec!["a", ".", "5"]),
            ("1.2.3", vec!["1.2", ".", "3"]),
            ("1e", vec!["1", "e"]),
            ("1e+", vec!["1", "e", "+"]),
        ] {
            let lexed = lex(text);
            let tokens: Vec<_> = lexed.tokens.iter().map(|token| token.text(text)).collect();
            assert_eq!(tokens, expected, "{text}");
        }
    }

    #[test]
    fn doubled_quotes_stay_inside_and_comment_marks_too() {
        let text = r#"'it''s' "a""b" '--' "/*""#;
        let lexed = lex(text);
        let tokens: Vec<_> = lexed.tokens.iter().map(|token| token.text(text)).collect();
        assert_eq!(tokens, ["'it''s'", r#""a""b""#, "'--'", r#""/*""#]);
        assert!(lexed.comments.is_empty());
    }
}
