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
pub(crate) mod reserved;
mod unsupported;

use std::borrow::Cow;

use plugin_api::{Error, ErrorCode};

pub use self::position::{caret, service_position};
use self::{
    analysis::Analysis,
    lexer::{Kind, Lexed, Token},
};
use crate::codes;

const GIVE_PARAMETERS: &str = "give one value per ?, in order";

/// What a job's text asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Instruction {
    /// Read what the SELECT selects.
    Read(Statement),
    /// `EXPLAIN SELECT …`: say what it would read. The statement's text has blanks where EXPLAIN stands, so that its positions are
    /// the user's.
    Explain(Statement),
}

impl Instruction {
    /// Checks `query`, a SELECT with or without EXPLAIN as its first word.
    ///
    /// # Errors
    /// As [`Statement::parse`]; lines and columns count EXPLAIN.
    pub fn parse(query: &str) -> Result<Self, Error> {
        let mut lexed = lexer::lex(query);
        let explain = lexed
            .tokens
            .first()
            .is_some_and(|first| first.is_word(query, "EXPLAIN"));
        if !explain {
            return Statement::of(query, lexed).map(Self::Read);
        }
        let word = lexed.tokens.remove(0);
        let before = lexed
            .comments
            .partition_point(|&(start, _)| start < word.start);
        lexed.comments.insert(before, (word.start, word.end));
        Statement::of(query, lexed).map(Self::Explain)
    }

    /// The SELECT.
    #[must_use]
    pub fn statement(&self) -> &Statement {
        match self {
            Self::Read(statement) | Self::Explain(statement) => statement,
        }
    }
}

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
        Self::of(query, lexer::lex(query))
    }

    /// Checks that there is one parameter for each `?`.
    ///
    /// # Errors
    /// `INVALID_JOB` with the position of the first `?` without a value, or the position behind the last `?` where values are left over.
    /// Its message holds nothing of the statement.
    pub fn check_parameters(&self, given: usize) -> Result<(), Error> {
        let expected = self.placeholders;
        if expected == given {
            return Ok(());
        }
        let (at, hint) = if given < expected {
            let hint = format!("the ? at the position given has no value; {GIVE_PARAMETERS}");
            (self.placeholder(given).map(|token| token.start), hint)
        } else {
            let left = given - expected;
            let last = match left {
                1 => "the last value".to_owned(),
                _ => format!("the last {left} values"),
            };
            let hint = format!("no ? follows the position given for {last}; {GIVE_PARAMETERS}");
            let last = expected
                .checked_sub(1)
                .and_then(|last| self.placeholder(last));
            (last.map(|token| token.end), hint)
        };
        let (line, column) = position::of(&self.text, at.unwrap_or(self.text.trim_end().len()));
        Err(Error::new(
            ErrorCode::INVALID_JOB,
            format!(
                "the statement has {expected} ?, but 'parameters' has {given} value{}",
                if given == 1 { "" } else { "s" }
            ),
        )
        .field("context.parameters")
        .hint(hint)
        .at(line, column))
    }

    /// What may be the reason where nothing is found: an attribute's name where a text in single quotes was meant.
    pub(crate) fn note_on_no_rows(&self) -> Option<String> {
        let at = Analysis::of(self).name_as_value()?;
        let (line, column) = position::of(&self.text, at);
        Some(format!(
            "no rows, and what stands at line {line}, column {column} is an attribute's name: a text takes single quotes ('…'), double quotes make a name"
        ))
    }

    /// The n-th `?` in the text, counted from 0.
    fn placeholder(&self, n: usize) -> Option<Token> {
        let placeholders = lexer::lex(&self.text).tokens.into_iter();
        let mut placeholders = placeholders.filter(|token| token.kind == Kind::Placeholder);
        placeholders.nth(n)
    }

    fn of(query: &str, lexed: Lexed) -> Result<Self, Error> {
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

    /// The error document's form: the sentence, then the user's line with a caret below the position.
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
    fn a_misspelt_from_is_pointed_at_where_it_stands_in_froms_place() {
        for (query, column, word) in [
            ("SELECT id FORM books", 11, Some("FORM")),
            ("SELECT * FRM \"books\" WHERE id = '1'", 10, Some("FRM")),
            ("SELECT tags[0] fom books", 16, Some("fom")),
            ("SELECT id, form", 16, None),
            ("SELECT form", 12, None),
            ("SELECT a.form, b", 17, None),
        ] {
            let error = Statement::parse(query).unwrap_err();
            assert_eq!(error.column, Some(column), "{query}");
            let told = error.message.lines().next().unwrap();
            let expected = match word {
                Some(word) => format!("FROM is missing, and '{word}' stands in its place"),
                None => "FROM is missing".to_owned(),
            };
            assert_eq!(told, expected);
        }
    }

    #[test]
    fn a_parameter_count_that_does_not_fit_is_told_with_its_position() {
        for (query, given, position) in [
            ("SELECT * FROM t WHERE a = ? AND\n b = ?", 0, (1, 27)),
            ("SELECT * FROM t WHERE a = ? AND\n b = ?", 1, (2, 6)),
            (
                "SELECT * FROM t WHERE a = ? AND\n b = ? AND c = '?' -- ?",
                3,
                (2, 7),
            ),
            ("EXPLAIN SELECT * FROM t WHERE a = ?", 0, (1, 35)),
            ("SELECT * FROM t ; ", 1, (1, 16)),
        ] {
            let instruction = Instruction::parse(query).unwrap();
            let error = instruction.statement().check_parameters(given).unwrap_err();
            assert_eq!(
                (error.line, error.column),
                (Some(position.0), Some(position.1)),
                "{query}"
            );
            assert_eq!(error.code, ErrorCode::INVALID_JOB);
            assert!(!error.message.contains("FROM"), "{}", error.message);
        }
        let statement = Statement::parse("SELECT * FROM t WHERE a = ?").unwrap();
        assert!(statement.check_parameters(1).is_ok());
        for (given, told) in [(0, "0 values"), (2, "2 values")] {
            let error = statement.check_parameters(given).unwrap_err();
            let expected = format!("the statement has 1 ?, but 'parameters' has {told}");
            assert_eq!(error.message, expected);
        }
        let without = Statement::parse("SELECT * FROM t").unwrap();
        let error = without.check_parameters(1).unwrap_err();
        assert!(error.message.ends_with("has 1 value"), "{}", error.message);
    }

    #[test]
    fn explain_is_a_first_word_that_leaves_positions_as_they_are() {
        for (query, text) in [
            ("EXPLAIN SELECT * FROM t", "        SELECT * FROM t"),
            (
                "/* a */ explain\r\n-- b\nSELECT * FROM t;",
                "               \r\n    \nSELECT * FROM t ",
            ),
        ] {
            let Instruction::Explain(statement) = Instruction::parse(query).unwrap() else {
                panic!("{query} is no EXPLAIN");
            };
            assert_eq!(statement.text, text);
            assert_eq!(Statement::parse(&statement.text).unwrap(), statement);
            assert!(Statement::parse(query).is_err(), "{query} is never sent");
        }
        let read = Instruction::parse("SELECT explain FROM t").unwrap();
        assert!(matches!(read, Instruction::Read(_)));
        for (query, code, column) in [
            ("EXPLAIN UPDATE t SET a = 1", codes::NOT_READ_ONLY, 9),
            ("EXPLAIN FROM t SET a = 1", codes::NOT_READ_ONLY, 9),
            (
                "EXPLAIN SELECT * FROM t WHERE set = 1",
                codes::NOT_READ_ONLY,
                31,
            ),
            ("EXPLAIN SELECT * FROM t LIMIT 5", codes::INVALID_QUERY, 25),
            ("EXPLAIN EXPLAIN SELECT * FROM t", codes::INVALID_QUERY, 9),
            ("\"EXPLAIN\" SELECT * FROM t", codes::INVALID_QUERY, 1),
            ("EXPLAIN", codes::INVALID_QUERY, 1),
        ] {
            let error = Instruction::parse(query).unwrap_err();
            assert_eq!(
                (&error.code, error.column),
                (&code, Some(column)),
                "{query}: {error}"
            );
        }
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
