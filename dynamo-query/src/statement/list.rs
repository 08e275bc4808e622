//! The SELECT list: the result names that its paths give, and what DynamoDB takes in no list.
//!
//! In: the tokens between SELECT and FROM. Out: names in order, or `None` where the rows must tell. An entry that is
//! more than a path is left to DynamoDB unless it is certainly refused.

use std::collections::HashSet;

use super::Problem;
use super::lexer::{Kind, Token};
use super::unsupported;

/// A document path: what it names, and how many tokens it took.
pub(super) struct Path {
    /// Names without quotes, each with the indexes behind it: `a.b[0]` is `a`, `b[0]`.
    pub(super) parts: Vec<String>,
    /// Whether any part carries an index.
    pub(super) indexed: bool,
    /// Tokens taken.
    pub(super) length: usize,
}

/// Reads the path that `tokens` start with: a name, then `.name`, `['name']` or `[0]` any number of times.
pub(super) fn path(query: &str, tokens: &[Token]) -> Option<Path> {
    // `@name` is the name itself.
    let at_sign = usize::from(
        tokens
            .first()
            .is_some_and(|token| token.kind == Kind::Symbol(b'@')),
    );
    let mut length = at_sign + 1;
    let mut parts = vec![name(query, tokens.get(at_sign)?)?];
    let mut indexed = false;
    while let [step, rest @ ..] = &tokens[length..] {
        match (step.kind, rest) {
            (Kind::Symbol(b'.'), [next, ..]) => {
                let Some(part) = name(query, next) else { break };
                parts.push(part);
                length += 2;
            }
            (Kind::Symbol(b'['), [inner, close, ..]) if close.kind == Kind::Symbol(b']') => {
                match inner.kind {
                    Kind::Number => {
                        let Some(index) = list_index(inner.text(query)) else {
                            break;
                        };
                        indexed = true;
                        parts.last_mut()?.push_str(&format!("[{index}]"));
                    }
                    Kind::Text => parts.push(unquoted(inner.text(query), '\'')),
                    _ => {
                        let Some(part) = name(query, inner) else {
                            break;
                        };
                        parts.push(part);
                    }
                }
                length += 3;
            }
            _ => break,
        }
    }
    Some(Path {
        parts,
        indexed,
        length,
    })
}

fn name(query: &str, token: &Token) -> Option<String> {
    match token.kind {
        Kind::Word => Some(token.text(query).to_owned()),
        Kind::Name => Some(unquoted(token.text(query), '"')),
        _ => None,
    }
}

/// The name or string inside its quotes, doubled quotes made single.
fn unquoted(text: &str, quote: char) -> String {
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

/// The result names of the list; `None` for `*` and where an entry has no name that is known before its rows.
///
/// `end` is where the list ends in the text: the place of FROM.
pub(super) fn columns(
    query: &str,
    list: &[Token],
    end: usize,
) -> Result<Option<Vec<String>>, Problem> {
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
        return Ok(None);
    }
    let mut names = Some(Vec::new());
    let mut seen = HashSet::new();
    for entry in entries(list, end)? {
        match entry_name(query, entry)? {
            None => names = None,
            Some(name) => {
                if !seen.insert(name.clone()) {
                    return Err(duplicate(entry[0].start, &name));
                }
                if let Some(names) = &mut names {
                    names.push(name);
                }
            }
        }
    }
    Ok(names)
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

/// The result name of one entry; `None` where it is no plain path and DynamoDB must say what it makes of it.
fn entry_name(query: &str, entry: &[Token]) -> Result<Option<String>, Problem> {
    let mut inner = entry;
    // `(a.b)` is `a.b`.
    while let [open, middle @ .., close] = inner
        && open.kind == Kind::Symbol(b'(')
        && close.kind == Kind::Symbol(b')')
    {
        inner = middle;
    }
    let Some(path) = path(query, inner) else {
        return match inner.iter().find(|token| token.kind == Kind::Symbol(b'*')) {
            Some(star) if inner[0].start == star.start => Err(unsupported::star(star.start)),
            _ => Ok(None),
        };
    };
    match &inner[path.length..] {
        [] => Ok(path.parts.into_iter().next_back()),
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
