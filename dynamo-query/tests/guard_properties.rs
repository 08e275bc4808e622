//! What holds for every text, whatever it is: the guard never panics, and what it lets pass is what it checked.

use dynamo_query::statement::{Statement, caret, service_position};
use proptest::prelude::*;

const VERBS: [&str; 11] = [
    "INSERT", "UPDATE", "DELETE", "UPSERT", "REPLACE", "SET", "REMOVE", "CREATE", "DROP", "ALTER",
    "EXEC",
];

/// Pieces of which texts that nearly are statements are made.
const PIECES: [&str; 84] = [
    "SELECT",
    "select",
    "FROM",
    "WHERE",
    "ORDER",
    "BY",
    "DESC",
    "*",
    ",",
    ".",
    ";",
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    "<<",
    ">>",
    "=",
    "<",
    ">",
    "<>",
    "!=",
    "?",
    "@",
    ":",
    "-",
    "+",
    "/",
    "--",
    "/*",
    "*/",
    "'",
    "''",
    "\"",
    "\"\"",
    " ",
    " ",
    " ",
    "\n",
    "\r\n",
    "\r",
    "\t",
    "a",
    "b",
    "books",
    "\"books\"",
    "'x'",
    "0",
    "12",
    "1.5e3",
    "e5",
    ".5",
    "$",
    "_",
    "set",
    "SET",
    "UPDATE",
    "delete",
    "INTO",
    "AND",
    "OR",
    "NOT",
    "IN",
    "IS",
    "BETWEEN",
    "MISSING",
    "LIMIT",
    "count",
    "CASE",
    "WHEN",
    "AS",
    "ALL",
    "DISTINCT",
    "é",
    "\u{a0}",
    "\u{2028}",
    "\0",
    "\u{85}",
    "`",
    "#",
    "\\",
    "|",
];

/// A statement that passes in most cases, with pieces put between its parts.
fn near_statement() -> impl Strategy<Value = String> {
    let piece = || prop::sample::select(&PIECES[..]);
    let gap = move || prop_oneof![4 => Just(String::from(" ")), 2 => comment(), 1 => piece().prop_map(String::from)];
    (gap(), gap(), gap(), gap(), gap(), gap()).prop_map(|(a, b, c, d, e, f)| {
        format!("{a}SELECT {b} id {c}FROM books {d} WHERE {e} id = 'a' {f}")
    })
}

fn comment() -> impl Strategy<Value = String> {
    prop_oneof!["\\PC{0,12}", "[-a'\"/*;\r\n é]{0,12}"].prop_flat_map(|inside| {
        prop::sample::select(vec![format!("/*{inside}*/"), format!("--{inside}\n")])
    })
}

fn any_text() -> impl Strategy<Value = String> {
    prop_oneof![
        1 => any::<String>(),
        1 => "\\PC{0,60}",
        4 => prop::collection::vec(prop::sample::select(&PIECES[..]), 0..30).prop_map(|pieces| pieces.concat()),
        2 => prop::collection::vec(prop::sample::select(&PIECES[..]), 0..20)
            .prop_map(|pieces| format!("SELECT * FROM books WHERE {}", pieces.join(" "))),
        6 => near_statement(),
    ]
}

/// The bare words of a text without comments: what is left outside quotes, cut at everything but letters, digits, `_`.
/// Written anew, on purpose unlike the guard's own lexer.
fn bare_words(text: &str) -> Vec<String> {
    let mut outside = String::new();
    let mut quote = None;
    for c in text.chars() {
        match quote {
            Some(open) if c == open => quote = None,
            Some(_) => {}
            None if c == '\'' || c == '"' => {
                quote = Some(c);
                outside.push(' ');
            }
            None => outside.push(c),
        }
    }
    assert_eq!(quote, None, "an open quote in {text:?}");
    outside
        .split(|c: char| !(c.is_alphanumeric() || c == '_'))
        .map(str::to_uppercase)
        .collect()
}

/// How many characters each line has.
fn line_lengths(text: &str) -> Vec<usize> {
    text.split(['\n', '\r'])
        .map(|line| line.chars().count())
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_passes_is_what_was_checked(query in any_text()) {
        let parsed = match Statement::parse(&query) {
            Ok(parsed) => parsed,
            Err(error) => {
                let (line, column) = (error.line.unwrap(), error.column.unwrap());
                prop_assert!(line >= 1 && column >= 1);
                prop_assert!(error.hint.is_some());
                let lines = query.replace("\r\n", "\n");
                let shown = lines.split(['\n', '\r']).nth(line as usize - 1);
                let length = shown.map(|shown| shown.chars().count());
                // One more for an LF behind its CR: a position on it is the user's as well.
                prop_assert!(length.is_some_and(|length| column as usize <= length + 2), "{query:?} {error:?}");
                return Ok(());
            }
        };
        prop_assert_eq!(&Statement::parse(&parsed.text), &Ok(parsed.clone()));
        prop_assert_eq!(line_lengths(&parsed.text), line_lengths(&query));
        let words = bare_words(&parsed.text);
        prop_assert!(!words.iter().any(|word| VERBS.contains(&word.as_str())), "{:?}", parsed.text);
        prop_assert_eq!(words.iter().find(|word| !word.is_empty()).map(String::as_str), Some("SELECT"));
        prop_assert!(!parsed.text.contains('\0') || parsed.text.contains(['\'', '"']));
    }

    #[test]
    fn a_verb_anywhere_outside_quotes_and_comments_is_never_let_through(
        verb in prop::sample::select(&VERBS[..]),
        flips in any::<u32>(),
        part in 0..5_usize,
        gap in prop_oneof![Just(" ".to_owned()), Just("\n".to_owned()), comment()],
    ) {
        let verb: String = verb
            .chars()
            .enumerate()
            .map(|(index, c)| if flips >> index & 1 == 1 { c.to_ascii_lowercase() } else { c })
            .collect();
        let mut parts = ["SELECT", "id", "FROM", "books", "WHERE id = 'a'"].map(str::to_owned);
        parts[part] = format!("{}{gap}{verb}", parts[part]);
        let query = parts.join(" ");
        // A comment that swallows or breaks the rest is refused in its own right; never may the statement pass.
        let error = Statement::parse(&query).unwrap_err();
        prop_assert!(["NOT_READ_ONLY", "INVALID_QUERY"].contains(&error.code.as_str()));
    }

    #[test]
    fn positions_and_carets_never_panic(text in any_text(), line in any::<u32>(), column in any::<u32>()) {
        prop_assert!(caret(&text, line, column).ends_with('^'));
        prop_assert!(caret(&text, line % 4, column % 90).ends_with('^'));
        let _ = service_position(&text);
        let _ = service_position(&format!("{text} at {line}:{column}"));
    }
}

#[test]
fn many_random_statements_pass_so_that_the_properties_are_not_empty() {
    use proptest::strategy::ValueTree;
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let passing = (0..1_000)
        .filter(|_| {
            let query = any_text().new_tree(&mut runner).unwrap().current();
            Statement::parse(&query).is_ok()
        })
        .count();
    assert!(passing >= 100, "{passing} of 1000");
}
