//! Document paths: `a`, `a.b[0]`, `"a"['b']`.
//!
//! In: tokens that may start with a path. Out: its steps, and how many tokens it took.

use super::lexer::{Kind, Token};

/// One step of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    /// An attribute or a map's member, without quotes.
    Name(String),
    /// A list's element: its digits without leading zeros, as DynamoDB repeats them.
    Index(String),
}

/// A document path. Its first step is a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Path {
    pub(crate) steps: Vec<Step>,
    /// Where it begins in the statement's text, as a byte offset.
    pub(crate) at: usize,
}

impl Path {
    /// Reads the path that `tokens` start with: a name, then `.name`, `['name']` or `[0]` any number of times.
    /// Gives it with the number of tokens that it takes.
    pub(super) fn read(query: &str, tokens: &[Token]) -> Option<(Self, usize)> {
        // `@name` is the name itself.
        let at_sign = usize::from(
            tokens
                .first()
                .is_some_and(|token| token.kind == Kind::Symbol(b'@')),
        );
        let mut length = at_sign + 1;
        let mut steps = vec![Step::Name(name(query, tokens.get(at_sign)?)?)];
        while let [step, rest @ ..] = &tokens[length..] {
            match (step.kind, rest) {
                (Kind::Symbol(b'.'), [next, ..]) => {
                    let Some(part) = name(query, next) else { break };
                    steps.push(Step::Name(part));
                    length += 2;
                }
                (Kind::Symbol(b'['), [inner, close, ..]) if close.kind == Kind::Symbol(b']') => {
                    let Some(step) = bracketed(query, inner) else {
                        break;
                    };
                    steps.push(step);
                    length += 3;
                }
                _ => break,
            }
        }
        let at = tokens[0].start;
        Some((Self { steps, at }, length))
    }

    /// The name that DynamoDB gives the path's value in a result: the last name with the indexes behind it (`a.b[0]`: `b[0]`).
    pub(crate) fn result_name(&self) -> String {
        self.parts().pop().unwrap_or_default()
    }

    /// The names, each with the indexes behind it: `a.b[0]` is `a`, `b[0]`.
    pub(super) fn parts(&self) -> Vec<String> {
        let mut parts: Vec<String> = Vec::new();
        for step in &self.steps {
            match (step, parts.last_mut()) {
                (Step::Index(index), Some(part)) => {
                    part.push('[');
                    part.push_str(index);
                    part.push(']');
                }
                (Step::Name(name) | Step::Index(name), _) => parts.push(name.clone()),
            }
        }
        parts
    }

    /// Whether any step is a list's element.
    pub(crate) fn is_indexed(&self) -> bool {
        self.steps.iter().any(|step| matches!(step, Step::Index(_)))
    }

    /// The attribute's name where the path is an attribute and nothing inside one.
    pub(crate) fn attribute(&self) -> Option<&str> {
        match self.steps.as_slice() {
            [Step::Name(name)] => Some(name),
            _ => None,
        }
    }
}

/// What stands in a step's square brackets.
fn bracketed(query: &str, token: &Token) -> Option<Step> {
    match token.kind {
        Kind::Number => list_index(token.text(query)).map(|index| Step::Index(index.to_owned())),
        Kind::Text => Some(Step::Name(unquoted(token.text(query), '\''))),
        _ => name(query, token).map(Step::Name),
    }
}

fn name(query: &str, token: &Token) -> Option<String> {
    match token.kind {
        Kind::Word => Some(token.text(query).to_owned()),
        Kind::Name => Some(unquoted(token.text(query), '"')),
        _ => None,
    }
}

/// The name or string inside its quotes, doubled quotes made single.
pub(super) fn unquoted(text: &str, quote: char) -> String {
    let inside = &text[1..text.len() - 1];
    match quote {
        '"' => inside.replace("\"\"", "\""),
        _ => inside.replace("''", "'"),
    }
}

/// An index as DynamoDB repeats it: without leading zeros.
fn list_index(digits: &str) -> Option<&str> {
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let significant = digits.trim_start_matches('0');
    Some(if significant.is_empty() {
        "0"
    } else {
        significant
    })
}
