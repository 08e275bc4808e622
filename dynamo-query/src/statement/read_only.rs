//! Finds what makes a statement a write.
//!
//! In: the tokens, of which comments and quoted text are no part or no words. Out: the first write, if any.
//! Looks at words only, never at grammar: a verb counts wherever it stands.

use plugin_api::Error;

use super::{
    Problem,
    lexer::{Kind, Token},
    position,
};
use crate::codes;

/// The verbs that write or change tables, in the contract's order.
const VERBS: [&str; 11] = [
    "INSERT", "UPDATE", "DELETE", "UPSERT", "REPLACE", "SET", "REMOVE", "CREATE", "DROP", "ALTER",
    "EXEC",
];

const QUOTING: &str =
    "an attribute or table that has such a word as its name is written in double quotes";

/// What makes a statement a write.
#[derive(Debug)]
pub(super) enum Write {
    /// It starts with a verb.
    Starts { verb: &'static str, at: usize },
    /// A verb stands further in, as its second statement or as a bare name.
    Holds { verb: &'static str, at: usize },
    /// It starts with FROM, which DynamoDB runs as an update.
    FromFirst { at: usize },
}

/// The first write in the statement: its start counts before any word further in.
pub(super) fn first_write(query: &str, tokens: &[Token]) -> Option<Write> {
    let first = tokens.first()?;
    if first.is_word(query, "FROM") {
        return Some(Write::FromFirst { at: first.start });
    }
    let (token, verb) = tokens
        .iter()
        .filter(|token| token.kind == Kind::Word)
        .find_map(|token| Some((token, verb(token.text(query))?)))?;
    Some(if token.start == first.start {
        Write::Starts {
            verb,
            at: token.start,
        }
    } else {
        Write::Holds {
            verb,
            at: token.start,
        }
    })
}

/// The verb that a bare word is. A `$` is part of a word to DynamoDB's reader; another one might part the word there,
/// so the pieces count as well.
fn verb(word: &str) -> Option<&'static str> {
    VERBS.into_iter().find(|verb| {
        word.eq_ignore_ascii_case(verb)
            || (word.contains('$')
                && word
                    .split('$')
                    .any(|piece| piece.eq_ignore_ascii_case(verb)))
    })
}

impl Write {
    /// The error document's form. Only a verb inside a SELECT needs a caret: elsewhere the sentence says it all.
    pub(super) fn into_error(self, query: &str) -> Error {
        match self {
            Self::Starts { verb, at } => {
                let (line, column) = position::of(query, at);
                Error::new(
                    codes::NOT_READ_ONLY,
                    format!(
                        "only SELECT is allowed; this statement is {} {verb}",
                        article(verb)
                    ),
                )
                .hint(format!("send a SELECT; {QUOTING}"))
                .at(line, column)
            }
            Self::FromFirst { at } => {
                let (line, column) = position::of(query, at);
                Error::new(
                    codes::NOT_READ_ONLY,
                    "only SELECT is allowed; this statement starts with FROM, which makes it an UPDATE",
                )
                .hint(format!("write SELECT … FROM …; {QUOTING}"))
                .at(line, column)
            }
            Self::Holds { verb, at } => Problem::new(
                at,
                format!(
                    "only SELECT is allowed; this statement holds {} {verb}",
                    article(verb)
                ),
                format!("leave it out; {QUOTING}: \"{}\"", verb.to_ascii_lowercase()),
            )
            .into_error(codes::NOT_READ_ONLY, query),
        }
    }
}

fn article(verb: &str) -> &'static str {
    if verb.starts_with(['A', 'E', 'I', 'U']) {
        "an"
    } else {
        "a"
    }
}
