//! The SELECT list: the paths that it names, and what DynamoDB takes in no list.
//!
//! In: the tokens between SELECT and FROM. Out: a [`Selection`]. An entry that is more than a path is left to DynamoDB unless it is
//! certainly refused.

use std::collections::HashSet;

use super::{
    Problem,
    lexer::{Kind, Token},
    path::Path,
    unsupported,
};

/// What a SELECT list asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Selection {
    /// `*`.
    All,
    /// Paths in order, no two of which have the same result name.
    Paths(Vec<Path>),
    /// Something else stands among the entries (`size(a)`): DynamoDB says what it makes of it.
    Other,
}

impl Selection {
    /// The result names in order; `None` where the rows must tell.
    pub(super) fn columns(&self) -> Option<Vec<String>> {
        match self {
            Self::Paths(paths) => Some(paths.iter().map(Path::result_name).collect()),
            Self::All | Self::Other => None,
        }
    }
}

/// Reads the list; `end` is where it ends in the text: the position of FROM.
pub(super) fn selection(query: &str, list: &[Token], end: usize) -> Result<Selection, Problem> {
    let list = after_quantifier(query, list)?;
    if list.is_empty() {
        return Err(Problem::new(
            end,
            "the SELECT list is empty",
            "name attributes between SELECT and FROM, or * for all",
        ));
    }
    if let [star] = list
        && star.kind == Kind::Symbol(b'*')
    {
        return Ok(Selection::All);
    }
    let entries = entries(list, end)?;
    let n_entries = entries.len();
    let mut paths = Vec::with_capacity(n_entries);
    let mut seen = HashSet::new();
    for entry in entries {
        let Some(path) = entry_path(query, entry)? else {
            continue;
        };
        let name = path.result_name();
        if seen.contains(&name) {
            return Err(duplicate(entry[0].start, &name));
        }
        seen.insert(name);
        paths.push(path);
    }
    Ok(if paths.len() == n_entries {
        Selection::Paths(paths)
    } else {
        Selection::Other
    })
}

/// The list without a leading ALL; DISTINCT, VALUE and PIVOT, which DynamoDB lacks, are refused.
fn after_quantifier<'t>(query: &str, list: &'t [Token]) -> Result<&'t [Token], Problem> {
    let [first, second, ..] = list else {
        return Ok(list);
    };
    let starts_an_entry = matches!(
        second.kind,
        Kind::Word | Kind::Name | Kind::Placeholder | Kind::Text
    ) || matches!(second.kind, Kind::Symbol(b'*' | b'(' | b'{' | b'@'));
    if first.kind != Kind::Word || !starts_an_entry || second.is_word(query, "AS") {
        return Ok(list);
    }
    let word = first.text(query);
    if word.eq_ignore_ascii_case("ALL") {
        return Ok(&list[1..]);
    }
    match unsupported::quantifier(word) {
        Some((message, hint)) => Err(Problem::new(first.start, message, hint)),
        None => Ok(list),
    }
}

/// Cuts the list at its commas outside brackets.
fn entries(list: &[Token], end: usize) -> Result<Vec<&[Token]>, Problem> {
    let mut entries = Vec::new();
    let mut depth = 0_usize;
    let mut start = 0;
    for (index, token) in list.iter().enumerate() {
        match token.kind {
            Kind::Symbol(b'(' | b'[' | b'{') | Kind::BagOpen => depth += 1,
            Kind::Symbol(b')' | b']' | b'}') | Kind::BagClose => depth = depth.saturating_sub(1),
            Kind::Symbol(b',') if depth == 0 => {
                entries.push(entry(&list[start..index], token.start)?);
                start = index + 1;
            }
            _ => {}
        }
    }
    entries.push(entry(&list[start..], end)?);
    Ok(entries)
}

fn entry(tokens: &[Token], next: usize) -> Result<&[Token], Problem> {
    if tokens.is_empty() {
        return Err(Problem::new(
            next,
            "an attribute is missing in the SELECT list",
            "name an attribute on both sides of each comma",
        ));
    }
    Ok(tokens)
}

/// The path that one entry is; `None` where it is none and DynamoDB must say what it makes of it.
fn entry_path(query: &str, entry: &[Token]) -> Result<Option<Path>, Problem> {
    let mut inner = entry;
    // `(a.b)` is `a.b`.
    while let [open, middle @ .., close] = inner
        && open.kind == Kind::Symbol(b'(')
        && close.kind == Kind::Symbol(b')')
    {
        inner = middle;
    }
    let Some((path, length)) = Path::read(query, inner) else {
        return match inner.iter().find(|token| token.kind == Kind::Symbol(b'*')) {
            Some(star) if inner[0].start == star.start => Err(unsupported::star(star.start)),
            _ => Ok(None),
        };
    };
    match &inner[length..] {
        [] => Ok(Some(path)),
        [step, star, ..]
            if matches!(step.kind, Kind::Symbol(b'.' | b'['))
                && star.kind == Kind::Symbol(b'*') =>
        {
            Err(unsupported::star(star.start))
        }
        [next, ..] if matches!(next.kind, Kind::Word | Kind::Name) => {
            unsupported::after_entry(query, next).map_or(Ok(None), Err)
        }
        _ => Ok(None),
    }
}

fn duplicate(at: usize, name: &str) -> Problem {
    Problem::new(
        at,
        format!(
            "two entries of the SELECT list have the same result name '{name}', so one would hide the other"
        ),
        "DynamoDB names a column by the last part of its path; select the parent of one of them instead",
    )
}
