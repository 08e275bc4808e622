//! The clause scan: SELECT list, FROM, WHERE, ORDER BY.
//!
//! In: the tokens of one statement that holds no write. Out: what the clauses tell, or the first thing that DynamoDB is
//! certain to refuse. Not a grammar: what stands between the clauses' words is left to `operands` and to DynamoDB.

use plugin_api::near;

use super::{
    Problem,
    lexer::{Kind, Token},
    list::{self, Selection},
    operands,
    path::Path,
    unsupported,
};

/// What the clauses of a statement tell.
pub(super) struct Clauses {
    pub(super) selection: Selection,
    pub(super) table: String,
    pub(super) index: Option<String>,
    pub(super) selective: bool,
    /// Where WHERE or ORDER BY begin: an index into the tokens.
    pub(super) tail: usize,
}

/// Reads the clauses of `tokens`, a final `;` already taken off.
pub(super) fn scan(query: &str, tokens: &[Token]) -> Result<Clauses, Problem> {
    let Some(first) = tokens.first() else {
        return Err(Problem::new(
            0,
            "the statement is empty",
            "write a SELECT: SELECT … FROM … WHERE …",
        ));
    };
    if !first.is_word(query, "SELECT") {
        return Err(unsupported::not_a_select(query, first));
    }
    let end = tokens.last().map_or(0, |token| token.end);
    balanced(query, tokens)?;
    let from = find_from(query, tokens, end)?;
    calls_and_names(query, tokens)?;
    let selection = list::selection(query, &tokens[1..from], tokens[from].start)?;
    let rest = &tokens[from + 1..];
    let (table, index, length) = source(query, rest, end)?;
    let (source, rest) = rest.split_at(length);
    let selective = tail(query, source, rest, end)?;
    Ok(Clauses {
        selection,
        table,
        index,
        selective,
        tail: from + 1 + length,
    })
}

/// Every bracket closes the one that was opened last.
fn balanced(query: &str, tokens: &[Token]) -> Result<(), Problem> {
    let mut open: Vec<&Token> = Vec::new();
    for token in tokens {
        let opener = match token.kind {
            Kind::Symbol(b'(' | b'[' | b'{') | Kind::BagOpen => {
                open.push(token);
                continue;
            }
            Kind::Symbol(b')') => Kind::Symbol(b'('),
            Kind::Symbol(b']') => Kind::Symbol(b'['),
            Kind::Symbol(b'}') => Kind::Symbol(b'{'),
            Kind::BagClose => Kind::BagOpen,
            Kind::Symbol(b':') if !inside_braces(&open) => {
                return Err(unsupported::named_parameter(token.start));
            }
            _ => continue,
        };
        if open.pop().is_none_or(|last| last.kind != opener) {
            return Err(Problem::new(
                token.start,
                format!("'{}' closes nothing that is open", token.text(query)),
                "match each closing bracket with its opening one",
            ));
        }
    }
    match open.last() {
        None => Ok(()),
        Some(token) => Err(Problem::new(
            token.start,
            format!("'{}' is never closed", token.text(query)),
            "match each opening bracket with its closing one",
        )),
    }
}

fn inside_braces(open: &[&Token]) -> bool {
    open.last()
        .is_some_and(|token| token.kind == Kind::Symbol(b'{'))
}

/// The index of the FROM outside brackets, the only one there may be; nor may there be a second SELECT.
fn find_from(query: &str, tokens: &[Token], end: usize) -> Result<usize, Problem> {
    let mut from = None;
    let mut depth = 0_usize;
    for (index, token) in tokens.iter().enumerate().skip(1) {
        match token.kind {
            Kind::Symbol(b'(' | b'[' | b'{') | Kind::BagOpen => depth += 1,
            Kind::Symbol(b')' | b']' | b'}') | Kind::BagClose => depth -= 1,
            Kind::Word if token.is_word(query, "SELECT") => {
                return Err(match set_operation(query, tokens, index) {
                    Some(problem) => problem,
                    None => unsupported::second_select(token.start, "SELECT"),
                });
            }
            Kind::Word if token.is_word(query, "FROM") => {
                if let Some(name) =
                    from.filter(|&first: &usize| is_name_in_list(query, tokens, first))
                {
                    return Err(unsupported::unquoted_from(tokens[name].start));
                }
                if from.is_some() || depth > 0 {
                    return Err(unsupported::second_select(token.start, "FROM"));
                }
                from = Some(index);
            }
            _ => {}
        }
    }
    from.ok_or_else(|| match misspelt_from(query, tokens) {
        Some(word) => Problem::new(
            word.start,
            format!(
                "FROM is missing, and '{}' stands in its place",
                word.text(query)
            ),
            "write FROM before the table's name",
        ),
        None => Problem::new(
            end,
            "FROM is missing",
            "name the table: SELECT … FROM \"table\"",
        ),
    })
}

/// A word that is nearly FROM, where FROM may stand: between what ends an entry of the SELECT list and a name.
fn misspelt_from<'t>(query: &str, tokens: &'t [Token]) -> Option<&'t Token> {
    let is_name = |token: &Token| matches!(token.kind, Kind::Word | Kind::Name);
    let ends_an_entry = |token: &Token| {
        is_name(token) && !token.is_word(query, "SELECT")
            || matches!(token.kind, Kind::Symbol(b'*' | b']'))
    };
    tokens.windows(3).find_map(|around| {
        let word = &around[1];
        let is_near = word.kind == Kind::Word
            && near(&word.text(query).to_ascii_uppercase(), ["FROM"]).is_some();
        (ends_an_entry(&around[0]) && is_near && is_name(&around[2])).then_some(word)
    })
}

/// Whether the first of two FROMs stands where the SELECT list has a name.
fn is_name_in_list(query: &str, tokens: &[Token], index: usize) -> bool {
    let before = &tokens[index - 1];
    before.is_word(query, "SELECT") || matches!(before.kind, Kind::Symbol(b',' | b'.'))
}

/// UNION, INTERSECT or EXCEPT right before a second SELECT names the matter better than the SELECT does.
fn set_operation(query: &str, tokens: &[Token], select: usize) -> Option<Problem> {
    let mut before = tokens[..select].iter().rev();
    let mut word = before.next()?;
    if word.is_word(query, "ALL") || word.is_word(query, "DISTINCT") {
        word = before.next()?;
    }
    ["UNION", "INTERSECT", "EXCEPT"]
        .iter()
        .any(|name| word.is_word(query, name))
        .then(|| unsupported::clause(query, word))?
}

/// What counts in every clause: aggregates, CASE, and names with a hyphen.
fn calls_and_names(query: &str, tokens: &[Token]) -> Result<(), Problem> {
    for (index, token) in tokens.iter().enumerate() {
        if token.kind != Kind::Word {
            continue;
        }
        let next = tokens.get(index + 1);
        if next.is_some_and(|next| next.kind == Kind::Symbol(b'('))
            && let Some(problem) = unsupported::aggregate(query, token)
        {
            return Err(problem);
        }
        if token.is_word(query, "CASE")
            && next.is_some_and(|next| !matches!(next.kind, Kind::Symbol(b',' | b'.' | b'=')))
            && tokens[index..]
                .iter()
                .any(|token| token.is_word(query, "WHEN"))
        {
            return Err(unsupported::case(token.start));
        }
        if let Some([minus, part]) = tokens.get(index + 1..index + 3)
            && minus.kind == Kind::Symbol(b'-')
            && part.kind == Kind::Word
            && minus.start == token.end
            && part.start == minus.end
        {
            return Err(unsupported::hyphenated(query, &tokens[index..=index]));
        }
    }
    Ok(())
}

/// The table and index behind FROM, and how many tokens they take. They must be plain names: what a job may read is
/// decided by them.
fn source(
    query: &str,
    rest: &[Token],
    end: usize,
) -> Result<(String, Option<String>, usize), Problem> {
    const HINT: &str = "write FROM \"table\" or FROM \"table\".\"index\"";
    let Some(first) = rest.first() else {
        return Err(Problem::new(end, "the table is missing behind FROM", HINT));
    };
    let clause = first.is_word(query, "WHERE") || first.is_word(query, "ORDER");
    let (path, length) = match Path::read(query, rest) {
        Some(found) if !clause => found,
        _ if clause => {
            return Err(Problem::new(
                first.start,
                "the table is missing behind FROM",
                HINT,
            ));
        }
        _ => {
            let hint = match first.kind {
                Kind::Text => {
                    "a table's name is written in double quotes; single quotes make a string"
                }
                Kind::Placeholder => {
                    "a table's name cannot be a parameter: write it in double quotes"
                }
                _ => HINT,
            };
            return Err(Problem::new(
                first.start,
                format!(
                    "FROM is followed by {} instead of a table's name",
                    first.text(query)
                ),
                hint,
            ));
        }
    };
    let parts = path.parts();
    if path.is_indexed() || parts.len() > 2 {
        return Err(Problem::new(
            first.start,
            "FROM takes a table or a table and its index, no longer path",
            "write FROM \"table\".\"index\"; a name with dots is written in double quotes",
        ));
    }
    let mut parts = parts.into_iter();
    Ok((parts.next().unwrap_or_default(), parts.next(), length))
}

/// Checks what follows the table; whether there is a WHERE.
fn tail(query: &str, source: &[Token], rest: &[Token], end: usize) -> Result<bool, Problem> {
    let Some(first) = rest.first() else {
        return Ok(false);
    };
    let selective = first.is_word(query, "WHERE");
    if !selective && !first.is_word(query, "ORDER") {
        return Err(behind_table(query, source, first));
    }
    operands::check(query, rest, end)?;
    Ok(selective)
}

/// What to say of a token behind the table that starts no clause.
fn behind_table(query: &str, source: &[Token], first: &Token) -> Problem {
    match first.kind {
        Kind::Symbol(b',') => Problem::new(
            first.start,
            "DynamoDB's PartiQL reads one table a statement",
            "select from one table; send one job for each table and join the results where they are used",
        ),
        Kind::Symbol(b'-') => unsupported::hyphenated(query, source),
        Kind::Word => unsupported::clause(query, first).unwrap_or_else(|| alias(query, first)),
        Kind::Name => alias(query, first),
        _ => Problem::new(
            first.start,
            format!("'{}' follows the table's name", first.text(query)),
            "only WHERE or ORDER BY may follow it; a name with other characters is written in double quotes",
        ),
    }
}

fn alias(query: &str, token: &Token) -> Problem {
    Problem::new(
        token.start,
        format!(
            "'{}' follows the table's name, and DynamoDB's PartiQL has no aliases",
            token.text(query)
        ),
        "leave the alias out and name attributes without a table; only WHERE or ORDER BY may follow the table",
    )
}
