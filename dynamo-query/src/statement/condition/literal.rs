//! Literals of PartiQL as DynamoDB reads them.

use super::super::{
    lexer::{Kind, Token},
    path::unquoted,
};

/// A deeper literal is not read: DynamoDB nests values to 32 levels.
const MAX_DEPTH: usize = 32;

/// A value written into a statement.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Literal {
    /// A string, its doubled quotes made single.
    Text(String),
    /// A number with its digits as written, in a form that DynamoDB's `N` takes: no plus, no point at either end.
    Number(String),
    Bool(bool),
    Null,
    List(Vec<Literal>),
    /// Members in order, no name twice.
    Map(Vec<(String, Literal)>),
    /// `<<'a', 'b'>>`, at least one member.
    TextSet(Vec<String>),
    /// `<<1, 2>>`, at least one member.
    NumberSet(Vec<String>),
}

impl Literal {
    /// Reads the literal that `tokens` start with, and how many tokens it takes.
    pub(super) fn read(query: &str, tokens: &[Token]) -> Option<(Self, usize)> {
        Self::nested(query, tokens, 0)
    }

    fn nested(query: &str, tokens: &[Token], depth: usize) -> Option<(Self, usize)> {
        let first = tokens.first().filter(|_| depth <= MAX_DEPTH)?;
        let text = first.text(query);
        let single = match first.kind {
            Kind::Text => Self::Text(unquoted(text, '\'')),
            Kind::Number => Self::Number(number("", text)),
            Kind::Symbol(sign @ (b'-' | b'+')) => {
                let digits = tokens.get(1).filter(|next| next.kind == Kind::Number)?;
                let sign = if sign == b'-' { "-" } else { "" };
                return Some((Self::Number(number(sign, digits.text(query))), 2));
            }
            Kind::Word if first.is_word(query, "TRUE") => Self::Bool(true),
            Kind::Word if first.is_word(query, "FALSE") => Self::Bool(false),
            Kind::Word if first.is_word(query, "NULL") => Self::Null,
            Kind::Symbol(b'[') => {
                let (members, length) = sequence(query, tokens, Kind::Symbol(b']'), depth)?;
                return Some((Self::List(members), length));
            }
            Kind::BagOpen => {
                let (members, length) = sequence(query, tokens, Kind::BagClose, depth)?;
                return Some((set(members)?, length));
            }
            Kind::Symbol(b'{') => return map(query, tokens, depth),
            _ => return None,
        };
        Some((single, 1))
    }
}

/// The members between an opening token and `close`, separated by commas; how many tokens that takes, brackets included.
fn sequence(
    query: &str,
    tokens: &[Token],
    close: Kind,
    depth: usize,
) -> Option<(Vec<Literal>, usize)> {
    let mut members = Vec::new();
    let mut at = 1;
    if tokens.get(at)?.kind == close {
        return Some((members, at + 1));
    }
    loop {
        let (member, length) = Literal::nested(query, &tokens[at..], depth + 1)?;
        members.push(member);
        at += length;
        match tokens.get(at)?.kind {
            Kind::Symbol(b',') => at += 1,
            kind if kind == close => return Some((members, at + 1)),
            _ => return None,
        }
    }
}

/// A bag as the set that it becomes; `None` where DynamoDB refuses it: empty, mixed, or of anything but strings and numbers.
fn set(members: Vec<Literal>) -> Option<Literal> {
    let texts = members.iter().map(|member| match member {
        Literal::Text(text) => Some(text.clone()),
        _ => None,
    });
    let numbers = members.iter().map(|member| match member {
        Literal::Number(digits) => Some(digits.clone()),
        _ => None,
    });
    match members.first()? {
        Literal::Text(_) => texts.collect::<Option<_>>().map(Literal::TextSet),
        Literal::Number(_) => numbers.collect::<Option<_>>().map(Literal::NumberSet),
        _ => None,
    }
}

/// `{'name': value, …}`; DynamoDB takes names in single quotes only, each once.
fn map(query: &str, tokens: &[Token], depth: usize) -> Option<(Literal, usize)> {
    let mut members: Vec<(String, Literal)> = Vec::new();
    let mut at = 1;
    if tokens.get(at)?.kind == Kind::Symbol(b'}') {
        return Some((Literal::Map(members), at + 1));
    }
    loop {
        let [name, colon, ..] = &tokens[at..] else {
            return None;
        };
        if name.kind != Kind::Text || colon.kind != Kind::Symbol(b':') {
            return None;
        }
        let name = unquoted(name.text(query), '\'');
        if members.iter().any(|(known, _)| *known == name) {
            return None;
        }
        let (value, length) = Literal::nested(query, &tokens[at + 2..], depth + 1)?;
        members.push((name, value));
        at += 2 + length;
        match tokens.get(at)?.kind {
            Kind::Symbol(b',') => at += 1,
            Kind::Symbol(b'}') => return Some((Literal::Map(members), at + 1)),
            _ => return None,
        }
    }
}

/// A number without a point at either end: `5.` is `5`, `.5e1` is `0.5e1`.
fn number(sign: &str, text: &str) -> String {
    let (mantissa, exponent) = text.split_at(text.find(['e', 'E']).unwrap_or(text.len()));
    let zero = if mantissa.starts_with('.') { "0" } else { "" };
    let mantissa = mantissa.strip_suffix('.').unwrap_or(mantissa);
    format!("{sign}{zero}{mantissa}{exponent}")
}
