//! What DynamoDB's PartiQL lacks, and what to do instead.
//!
//! In: a word or token at a position where it can only mean the construct. Out: a message and a hint. Whoever asks has
//! checked the position; an attribute called `count` or `offset` never gets here.

use std::borrow::Cow;

use super::{
    Problem,
    lexer::{Kind, Token},
};

/// Clause words and what to say of them where a clause can start.
const CLAUSES: [(&str, &str); 25] = [
    (
        "LIMIT",
        "set the job's `limit` field: it is the most rows in the result",
    ),
    (
        "OFFSET",
        "leave it out: DynamoDB cannot skip rows; narrow the WHERE, for example by the sort key",
    ),
    (
        "FETCH",
        "set the job's `limit` field: it is the most rows in the result",
    ),
    ("GROUP", GROUPING),
    ("HAVING", GROUPING),
    ("UNION", "send one job for each SELECT"),
    ("INTERSECT", "send one job for each SELECT"),
    ("EXCEPT", "send one job for each SELECT"),
    ("JOIN", JOINING),
    ("INNER", JOINING),
    ("LEFT", JOINING),
    ("RIGHT", JOINING),
    ("FULL", JOINING),
    ("OUTER", JOINING),
    ("CROSS", JOINING),
    ("NATURAL", JOINING),
    ("LATERAL", JOINING),
    ("ON", JOINING),
    ("USING", JOINING),
    (
        "LIKE",
        "use begins_with(attribute, 'text') or contains(attribute, 'text')",
    ),
    (
        "ILIKE",
        "use begins_with(attribute, 'text') or contains(attribute, 'text')",
    ),
    ("LET", "write the expression where it is used"),
    ("WINDOW", GROUPING),
    ("RETURNING", "leave it out: a SELECT returns its rows"),
    (
        "WHERE",
        "write one WHERE, after the table and before ORDER BY",
    ),
];

const GROUPING: &str = "select the rows and group them where the result is used";
const JOINING: &str =
    "select from one table; send one job for each table and join the results where they are used";

/// Functions over all rows.
const AGGREGATES: [&str; 7] = ["COUNT", "SUM", "AVG", "MIN", "MAX", "EVERY", "ANY"];

/// What to say of a clause word where a clause can start; `None` for a word that is none.
pub(super) fn clause(query: &str, token: &Token) -> Option<Problem> {
    let word = token.text(query);
    let (name, hint) = CLAUSES
        .into_iter()
        .find(|(name, _)| word.eq_ignore_ascii_case(name))?;
    let message = match name {
        "GROUP" => "DynamoDB's PartiQL has no GROUP BY".to_owned(),
        "WHERE" => "WHERE stands where it cannot".to_owned(),
        _ => format!("DynamoDB's PartiQL has no {name}"),
    };
    Some(Problem::new(token.start, message, hint))
}

/// What to say of an aggregate's name before its `(`.
pub(super) fn aggregate(query: &str, token: &Token) -> Option<Problem> {
    let word = token.text(query);
    let name = AGGREGATES
        .into_iter()
        .find(|name| word.eq_ignore_ascii_case(name))?;
    let hint = if name == "COUNT" {
        "select the rows; `stats.rows` of the result counts them"
    } else {
        "select the attribute and compute it where the result is used"
    };
    Some(Problem::new(
        token.start,
        format!("DynamoDB's PartiQL has no {name}()"),
        hint,
    ))
}

/// What to say of a word between SELECT and the first entry.
pub(super) fn quantifier(word: &str) -> Option<(Cow<'static, str>, &'static str)> {
    [
        (
            "DISTINCT",
            "select the rows and drop duplicates where the result is used",
        ),
        ("VALUE", "name the attributes: SELECT a, b FROM …"),
        ("PIVOT", "name the attributes: SELECT a, b FROM …"),
    ]
    .into_iter()
    .find(|(name, _)| word.eq_ignore_ascii_case(name))
    .map(|(name, hint)| {
        (
            format!("DynamoDB's PartiQL has no SELECT {name}").into(),
            hint,
        )
    })
}

/// What to say of a `*` that does not stand alone in the list.
pub(super) fn star(at: usize) -> Problem {
    Problem::new(
        at,
        "* must be the whole SELECT list",
        "write SELECT * alone, or name each attribute or path; a.* and a[*] are not supported",
    )
}

/// What to say of a word or name behind a complete entry: an alias, or a missing comma. `None` for an operator.
pub(super) fn after_entry(query: &str, next: &Token) -> Option<Problem> {
    const OPERATORS: [&str; 8] = ["AND", "OR", "NOT", "IN", "IS", "BETWEEN", "LIKE", "WHEN"];
    if OPERATORS.iter().any(|word| next.is_word(query, word)) {
        return None;
    }
    let message = if next.is_word(query, "AS") {
        "DynamoDB's PartiQL has no AS".to_owned()
    } else {
        format!(
            "'{}' follows an attribute in the SELECT list, where a comma or FROM is expected",
            next.text(query)
        )
    };
    Some(Problem::new(
        next.start,
        message,
        "separate attributes by commas; aliases are not supported: rename the column where the result is used",
    ))
}

/// A subquery or a second FROM.
pub(super) fn second_select(at: usize, word: &str) -> Problem {
    Problem::new(
        at,
        format!("a second {word} stands in this statement"),
        format!(
            "DynamoDB reads one table a statement, without subqueries: send one job for each SELECT; where it is a name, write it in double quotes: \"{}\"",
            word.to_ascii_lowercase()
        ),
    )
}

/// An attribute called `from`.
pub(super) fn unquoted_from(at: usize) -> Problem {
    Problem::new(
        at,
        "FROM is a reserved word and stands where a name is expected",
        "where it is a name, write it in double quotes: \"from\"",
    )
}

/// An unquoted name with a hyphen, which reads as a subtraction. `name` holds the tokens up to the hyphen.
pub(super) fn hyphenated(query: &str, name: &[Token]) -> Problem {
    let start = name.last().map_or(0, |token| token.start);
    let length = query[start..]
        .find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '_' | '-')))
        .unwrap_or(query.len() - start);
    let name = &query[start..start + length];
    Problem::new(
        start,
        format!("the name {name} has a hyphen and no quotes"),
        format!("write \"{name}\" in double quotes; a subtraction needs blanks around its minus"),
    )
}

/// `CASE … WHEN`.
pub(super) fn case(at: usize) -> Problem {
    Problem::new(
        at,
        "DynamoDB's PartiQL has no CASE",
        "select the attributes and decide where the result is used",
    )
}

/// `:name`, as in other APIs' expressions.
pub(super) fn named_parameter(at: usize) -> Problem {
    Problem::new(
        at,
        "a ':' stands outside {…}, and there are no named parameters",
        "write ? and give the values in order in the job's `parameters`",
    )
}

/// The first word is not SELECT.
pub(super) fn not_a_select(query: &str, first: &Token) -> Problem {
    let hint = match first.kind {
        Kind::Symbol(b'(') => "leave out the parentheses around the statement",
        _ if first.is_word(query, "WITH") => {
            "DynamoDB's PartiQL has no WITH: write the one SELECT out"
        }
        _ => "a job's query is one SELECT: SELECT … FROM … WHERE …",
    };
    Problem::new(
        first.start,
        format!(
            "the statement starts with {} instead of SELECT",
            first.text(query)
        ),
        hint,
    )
}
