//! The statement guard: decides, before any network call, whether a query may be sent, and what is known of it.
//!
//! In: the user's text. Out: a [`Statement`] that carries the very text to send, or `NOT_READ_ONLY` / `INVALID_QUERY`
//! with the user's line and column. Pure: no I/O, no AWS types, no panic on any text.
//!
//! Three rules keep it safe without a full grammar. What is checked is what is sent: comments are blanked first, so no
//! two readers can disagree on where one ends. The first word is SELECT and no write verb stands anywhere outside quotes.
//! Whatever is neither unsafe nor certainly refused by DynamoDB goes to DynamoDB, which has the last word.

pub(crate) mod analysis;
mod characters;
mod clauses;
pub(crate) mod condition;
mod lexer;
pub(crate) mod list;
mod operands;
pub(crate) mod path;
pub(crate) mod position;
mod read_only;
mod unsupported;

use std::borrow::Cow;

use plugin_api::{Error, ErrorCode};

use crate::codes;

pub use position::{caret, service_position};

use lexer::{Kind, Lexed, Token};

/// A SELECT that may be sent: the text is exactly what was checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// The user's text with comments and a final `;` blanked, character for character and with its line ends, so that
    /// positions in it are the user's. Parsing it again gives this same statement.
    pub text: String,
    /// The SELECT list's result names in order, as DynamoDB names them: a path's last part with its indexes
    /// (`a.b[0]` → `b[0]`). `None` for `SELECT *` and where an entry is more than a path (`size(a)`), which DynamoDB
    /// would name or refuse itself: the columns are then the rows' own.
    pub columns: Option<Vec<String>>,
    /// How many `?` there are, each of which takes one parameter.
    pub placeholders: usize,
    /// The table's name without quotes, as written otherwise (an ARN stays an ARN).
    pub table: String,
    /// The index's name without quotes.
    pub index: Option<String>,
    /// Whether there is a WHERE, so that a page may evaluate more items than it returns.
    pub selective: bool,
}

impl Statement {
    /// Checks `query` and reads off what the rest of the job needs.
    ///
    /// # Errors
    /// `NOT_READ_ONLY` where a write verb stands outside quotes and comments or the statement starts with FROM,
    /// whatever else is wrong with it; else `INVALID_QUERY` where it is malformed, more than one statement, or uses
    /// what DynamoDB's PartiQL lacks. Both carry line, column and a hint.
    pub fn parse(query: &str) -> Result<Self, Error> {
        let lexed = lexer::lex(query);
        if let Some(write) = read_only::first_write(query, &lexed.tokens) {
            return Err(write.into_error(query));
        }
        Self::checked(query, lexed)
            .map_err(|problem| problem.into_error(codes::INVALID_QUERY, query))
    }

    /// The part that runs once the statement is known to hold no write.
    fn checked(query: &str, lexed: Lexed) -> Result<Self, Problem> {
        if let Some(problem) = lexed.problem {
            return Err(problem);
        }
        let (tokens, semicolon) = single_statement(&lexed.tokens)?;
        let clauses = clauses::scan(query, tokens)?;
        let text = blanked(query, &lexed.comments, semicolon);
        Ok(Self {
            text,
            columns: clauses.selection.columns(),
            placeholders: tokens
                .iter()
                .filter(|token| token.kind == Kind::Placeholder)
                .count(),
            table: clauses.table,
            index: clauses.index,
            selective: clauses.selective,
        })
    }
}

/// What is wrong with a statement, and where in the user's text.
#[derive(Debug)]
struct Problem {
    /// Byte offset into the user's text.
    at: usize,
    /// One sentence, lower case.
    message: Cow<'static, str>,
    /// What to do.
    hint: Cow<'static, str>,
}

impl Problem {
    fn new(
        at: usize,
        message: impl Into<Cow<'static, str>>,
        hint: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self {
            at,
            message: message.into(),
            hint: hint.into(),
        }
    }

    /// The error document's form: the sentence, then the user's line with a caret below the place.
    fn into_error(self, code: ErrorCode, query: &str) -> Error {
        let (line, column) = position::of(query, self.at);
        Error::new(
            code,
            format!("{}\n{}", self.message, caret(query, line, column)),
        )
        .hint(self.hint)
        .at(line, column)
    }
}

/// The tokens without a final `;`, and where that one is.
fn single_statement(tokens: &[Token]) -> Result<(&[Token], Option<usize>), Problem> {
    let Some(end) = tokens
        .iter()
        .position(|token| token.kind == Kind::Symbol(b';'))
    else {
        return Ok((tokens, None));
    };
    match tokens.get(end + 1) {
        None => Ok((&tokens[..end], Some(tokens[end].start))),
        Some(next) => Err(Problem::new(
            next.start,
            "only one statement may be sent, and this text goes on after its ';'",
            "send one SELECT a job; ';' may only be its last character",
        )),
    }
}

/// The text to send: comments and the final `;` as spaces, one a character, with line ends kept.
fn blanked(query: &str, comments: &[(usize, usize)], semicolon: Option<usize>) -> String {
    let mut text = String::with_capacity(query.len());
    let mut done = 0;
    let semicolon = semicolon.map(|at| (at, at + 1));
    // A final `;` may have comments on either side, so it takes its place among them.
    let split = comments.partition_point(|&(start, _)| semicolon.is_none_or(|(at, _)| start < at));
    let (before, after) = comments.split_at(split);
    for &(start, end) in before.iter().chain(&semicolon).chain(after) {
        text.push_str(&query[done..start]);
        text.extend(query[start..end].chars().map(|c| match c {
            '\n' | '\r' => c,
            _ => ' ',
        }));
        done = end;
    }
    text.push_str(&query[done..]);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_the_final_semicolon_become_spaces_one_a_character() {
        let parsed =
            Statement::parse("SELECT /* é\r\n*/ id -- déjà\nFROM t -- a\n ; /* b */").unwrap();
        assert_eq!(
            parsed.text,
            "SELECT     \r\n   id        \nFROM t     \n          "
        );
        assert_eq!(parsed.table, "t");
        assert_eq!(parsed.columns, Some(vec!["id".to_owned()]));
    }

    #[test]
    fn an_invalid_query_shows_the_line_with_a_caret() {
        let error = Statement::parse("SELECT *\nFROM t\nLIMIT 5").unwrap_err();
        assert_eq!(error.code, codes::INVALID_QUERY);
        assert_eq!((error.line, error.column), (Some(3), Some(1)));
        assert!(error.message.ends_with("\nLIMIT 5\n^"), "{}", error.message);
        assert!(error.hint.unwrap().contains("`limit`"));
    }

    #[test]
    fn a_plain_write_is_named_in_one_sentence() {
        let error = Statement::parse("  update t SET a = 1").unwrap_err();
        assert_eq!(error.code, codes::NOT_READ_ONLY);
        assert_eq!(
            error.message,
            "only SELECT is allowed; this statement is an UPDATE"
        );
        assert_eq!((error.line, error.column), (Some(1), Some(3)));
        assert!(error.hint.unwrap().contains("double quotes"));
    }
}
