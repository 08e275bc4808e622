//! Reserved words that stand without quotes where a name is expected.
//!
//! In: a statement that DynamoDB refused. Out: the first such word. It refuses nothing itself: PartiQL's reader takes most of AWS's
//! 573 words as names, and AWS may change which.

use super::{
    lexer::{Kind, Token, lex},
    position,
};

/// The words, as AWS lists them.
const WORDS: &str = include_str!("reserved_words.txt");

/// Words that are values where an operand is expected.
const LITERALS: [&str; 4] = ["TRUE", "FALSE", "NULL", "MISSING"];

/// Words behind which a name may stand.
const BEFORE_NAMES: [&str; 9] = [
    "SELECT", "ALL", "FROM", "WHERE", "AND", "OR", "NOT", "BY", "BETWEEN",
];

/// Words that may stand behind a name.
const BEHIND_NAMES: [&str; 12] = [
    "FROM", "WHERE", "AND", "OR", "NOT", "IN", "IS", "BETWEEN", "ORDER", "ASC", "DESC", "NULLS",
];

/// A word that has to be quoted to be a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ReservedName {
    /// As written.
    pub(crate) word: String,
    pub(crate) line: u32,
    pub(crate) column: u32,
    /// Whether PartiQL's reader is known to refuse it.
    pub(crate) is_refused: bool,
}

impl ReservedName {
    /// What to do about it.
    pub(crate) fn hint(&self) -> String {
        let word = &self.word;
        format!(
            "{word} is a reserved word: where it is a name, write it in double quotes, \"{word}\""
        )
    }
}

/// The first reserved word that is used as a name without quotes; one that PartiQL's reader is known to refuse goes before the others.
pub(crate) fn first_unquoted(query: &str) -> Option<ReservedName> {
    let tokens = lex(query).tokens;
    let names = (0..tokens.len())
        .filter(|&index| is_name(query, &tokens, index))
        .filter_map(|index| {
            let word = tokens[index].text(query);
            is_refused(word).map(|is_refused| (tokens[index].start, word, is_refused))
        });
    let (start, word, is_refused) =
        names.min_by_key(|&(start, _, is_refused)| (!is_refused, start))?;
    let (line, column) = position::of(query, start);
    Some(ReservedName {
        word: word.to_owned(),
        line,
        column,
        is_refused,
    })
}

/// Whether PartiQL's reader refuses a bare word as a name; `None` for a word that is not reserved.
fn is_refused(word: &str) -> Option<bool> {
    let mut blocks = WORDS
        .split("\n\n")
        .filter(|block| !block.starts_with('#'))
        .map(|block| {
            block
                .split_ascii_whitespace()
                .any(|reserved| reserved.eq_ignore_ascii_case(word))
        });
    match (blocks.next()?, blocks.next()?) {
        (true, _) => Some(true),
        (false, true) => Some(false),
        (false, false) => None,
    }
}

/// Whether the bare word at `index` stands where a name does: by what is before and behind it.
fn is_name(query: &str, tokens: &[Token], index: usize) -> bool {
    let token = &tokens[index];
    let Some(before) = index.checked_sub(1).map(|before| &tokens[before]) else {
        return false;
    };
    if token.kind != Kind::Word {
        return false;
    }
    let behind = tokens.get(index + 1);
    if LITERALS.iter().any(|literal| token.is_word(query, literal)) {
        return literal_is_name(query, tokens, index);
    }
    // `a NOT IN [1]` and `a NOT BETWEEN 1 AND 2`.
    if before.is_word(query, "NOT")
        && ["IN", "BETWEEN"]
            .iter()
            .any(|word| token.is_word(query, word))
        && !behind.is_some_and(is_comparison)
    {
        return false;
    }
    let may_follow = match before.kind {
        Kind::Word => BEFORE_NAMES.iter().any(|word| before.is_word(query, word)),
        Kind::Operator => true,
        Kind::Symbol(symbol) => b"=<>,.([@+-".contains(&symbol),
        _ => false,
    };
    let may_precede = behind.is_none_or(|behind| match behind.kind {
        Kind::Word => BEHIND_NAMES.iter().any(|word| behind.is_word(query, word)),
        Kind::Operator => true,
        Kind::Symbol(symbol) => b"=<>,.)][+-;".contains(&symbol),
        _ => false,
    });
    may_follow && may_precede
}

/// A literal is meant as a name where no value can stand: in the SELECT list, in a path, left of an operator and as the first argument of
/// a function.
fn literal_is_name(query: &str, tokens: &[Token], index: usize) -> bool {
    let before = &tokens[index - 1];
    let behind = tokens.get(index + 1);
    let in_path = before.kind == Kind::Symbol(b'.')
        || behind.is_some_and(|behind| behind.kind == Kind::Symbol(b'.'));
    let in_list = !tokens[..index]
        .iter()
        .any(|token| token.is_word(query, "FROM"))
        || ["FROM", "BY"]
            .iter()
            .any(|word| before.is_word(query, word));
    let compared = behind.is_some_and(|behind| {
        is_comparison(behind)
            || ["IS", "IN", "BETWEEN"]
                .iter()
                .any(|word| behind.is_word(query, word))
    });
    let is_first_argument = before.kind == Kind::Symbol(b'(')
        && index
            .checked_sub(2)
            .is_some_and(|function| tokens[function].kind == Kind::Word)
        && behind.is_some_and(|behind| behind.kind == Kind::Symbol(b','))
        && !tokens[index - 2].is_word(query, "IN");
    in_path || in_list || compared || is_first_argument
}

fn is_comparison(token: &Token) -> bool {
    matches!(
        token.kind,
        Kind::Operator | Kind::Symbol(b'=' | b'<' | b'>')
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_awss() {
        let blocks: Vec<Vec<&str>> = WORDS
            .split("\n\n")
            .filter(|block| !block.starts_with('#'))
            .map(|block| block.split_ascii_whitespace().collect())
            .collect();
        let [refused, taken] = blocks.as_slice() else {
            panic!("{} blocks", blocks.len());
        };
        assert_eq!((refused.len(), refused.len() + taken.len()), (220, 573));
        assert!(refused.is_sorted() && taken.is_sorted());
    }

    #[test]
    fn a_reserved_word_is_found_where_it_is_a_name_and_nowhere_else() {
        for (query, expected) in [
            ("SELECT Date FROM t", Some(("Date", 8, true))),
            ("SELECT a, size FROM t", Some(("size", 11, true))),
            ("SELECT a FROM user", Some(("user", 15, true))),
            ("SELECT a FROM t.order", Some(("order", 17, true))),
            ("SELECT a FROM t WHERE value = 1", Some(("value", 23, true))),
            (
                "SELECT a FROM t WHERE a = 1 AND timestamp > 2",
                Some(("timestamp", 33, true)),
            ),
            (
                "SELECT a FROM t WHERE NOT level IN [1]",
                Some(("level", 27, true)),
            ),
            (
                "SELECT a FROM t WHERE (a = 1 OR list IS MISSING)",
                Some(("list", 33, true)),
            ),
            (
                "SELECT a FROM t WHERE begins_with(key, 'x')",
                Some(("key", 35, true)),
            ),
            (
                "SELECT a FROM t WHERE size(values) > 1",
                Some(("values", 28, true)),
            ),
            (
                "SELECT a FROM t WHERE x BETWEEN 1 AND max",
                Some(("max", 39, true)),
            ),
            ("SELECT a FROM t WHERE x = user", Some(("user", 27, true))),
            ("SELECT m.time FROM t", Some(("time", 10, true))),
            ("SELECT time.zone FROM t", Some(("time", 8, true))),
            ("SELECT m[date] FROM t", Some(("date", 10, true))),
            (
                "SELECT a FROM t WHERE a = 1 ORDER BY date DESC",
                Some(("date", 38, true)),
            ),
            ("SELECT true FROM t", Some(("true", 8, true))),
            ("SELECT a FROM t WHERE null > 1", Some(("null", 23, true))),
            // PartiQL takes these, so one that it refuses goes first.
            ("SELECT name FROM t", Some(("name", 8, false))),
            ("SELECT name, date FROM t", Some(("date", 14, true))),
            (
                "SELECT \"date\", 'date' FROM t WHERE a = 1 AND b IS NOT NULL",
                None,
            ),
            (
                "SELECT a FROM t WHERE a = true AND NOT b = null OR c NOT IN [null]",
                None,
            ),
            (
                "SELECT ALL a FROM t WHERE NOT a BETWEEN 1 AND 2 ORDER BY b ASC",
                None,
            ),
            ("SELECT a FROM t WHERE size(a) > 1 AND b IS MISSING", None),
            ("SELECT a FROM t WHERE a NOT BETWEEN 1 AND 2", None),
            ("", None),
        ] {
            let found = first_unquoted(query);
            let found = found
                .as_ref()
                .map(|found| (found.word.as_str(), found.column, found.is_refused));
            assert_eq!(found, expected, "{query}");
        }
    }

    #[test]
    fn every_word_is_helped_in_every_position_by_the_guard_or_after_a_refusal() {
        let templates = [
            "SELECT {} FROM t",
            "SELECT a, {}, b FROM t",
            "SELECT a FROM t WHERE {} = 'q'",
            "SELECT a FROM t WHERE a = 'q' AND {} > 1",
            "SELECT m.{} FROM t",
            "SELECT {}.a FROM t",
            "SELECT a FROM t WHERE m.{} = 1",
            "SELECT a FROM t WHERE begins_with({}, 'a')",
        ];
        let words = WORDS.lines().filter(|line| !line.starts_with('#'));
        let mut unhelped = Vec::new();
        for word in words.flat_map(str::split_ascii_whitespace) {
            for template in templates {
                let query = template.replace("{}", &word.to_ascii_lowercase());
                let (before, _) = template.split_once("{}").unwrap();
                let column = Some(u32::try_from(before.len()).unwrap() + 1);
                let told = match super::super::Statement::parse(&query) {
                    Err(error) => (
                        error.column,
                        error.hint.unwrap_or_default().contains("double quotes"),
                    ),
                    Ok(_) => (first_unquoted(&query).map(|found| found.column), true),
                };
                if told != (column, true) {
                    unhelped.push(format!("{query}: {told:?}"));
                }
            }
        }
        assert!(
            unhelped.is_empty(),
            "{}:\n{}",
            unhelped.len(),
            unhelped.join("\n")
        );
    }
}
