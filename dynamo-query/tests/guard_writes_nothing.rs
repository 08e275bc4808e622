//! The oracle: whatever the guard lets pass is run on a real engine, and the tables are the same before and after.

#[path = "support/corpus.rs"]
#[expect(
    dead_code,
    unreachable_pub,
    reason = "shared with guard.rs, which reads the outcomes"
)]
mod corpus;

#[path = "../../fuzz/engine.rs"]
#[expect(dead_code, reason = "shared with the fuzz targets, which send bodies")]
mod engine;

use dynamo_query::statement::Statement;
use dynoxide::{
    Database, actions::execute_statement::ExecuteStatementRequest, types::AttributeValue,
};

use self::{
    corpus::{Outcome, cases},
    engine::{contents, tables},
};

/// Runs a statement as the plugin would; whether the engine took it.
fn run(database: &Database, statement: &str, placeholders: usize) -> bool {
    let parameters = vec![AttributeValue::S("1".to_owned()); placeholders];
    database
        .execute_statement(ExecuteStatementRequest {
            statement: statement.to_owned(),
            parameters: (placeholders > 0).then_some(parameters),
            ..ExecuteStatementRequest::default()
        })
        .is_ok()
}

#[test]
fn every_statement_of_the_data_file_that_passes_leaves_the_tables_as_they_were() {
    let (mut passing, mut ran) = (0, 0);
    for case in cases() {
        let Ok(parsed) = Statement::parse(&case.query) else {
            assert!(
                matches!(case.outcome, Outcome::Refused(_)),
                "line {}",
                case.line
            );
            continue;
        };
        let database = tables();
        let before = contents(&database);
        passing += 1;
        ran += usize::from(run(&database, &parsed.text, parsed.placeholders));
        assert_eq!(contents(&database), before, "line {}", case.line);
    }
    // An engine that refused everything would prove nothing.
    assert!(ran * 2 > passing, "{ran} of {passing} ran");
}

/// Writes that the engine carries out, as tokens between which anything may be put.
const WRITES: [&[&str]; 7] = [
    &["DELETE", "FROM", "books", "WHERE", "id", "=", "'1'"],
    &[
        "DELETE",
        "FROM",
        "\"my-table\"",
        "WHERE",
        "\"id\"",
        "=",
        "'2'",
    ],
    &[
        "UPDATE", "books", "SET", "price", "=", "7", "WHERE", "id", "=", "'1'",
    ],
    &[
        "UPDATE", "my_table", "REMOVE", "title", "WHERE", "id", "=", "'1'",
    ],
    &[
        "INSERT", "INTO", "books", "VALUE", "{", "'id'", ":", "'3'", "}",
    ],
    &[
        "FROM", "books", "WHERE", "id", "=", "'1'", "SET", "price", "=", "7",
    ],
    &[
        "FROM", "books", "WHERE", "id", "=", "'2'", "REMOVE", "price",
    ],
];

/// What may be put before, between and behind tokens.
const GAPS: [&str; 28] = [
    " ",
    "\n",
    "\r",
    "\r\n",
    "\t",
    "\u{b}",
    "\u{c}",
    "\u{a0}",
    "\u{2028}",
    "\0",
    "\u{feff}",
    "/**/",
    "/* SELECT */",
    "/* ' */",
    "/* \" */",
    "/* /* */",
    "*/",
    "-- SELECT * FROM books\n",
    "-- SELECT * FROM books\r",
    "--\n",
    "-- '\n",
    "-- */\n",
    "'",
    "\"",
    ";",
    "SELECT * FROM books;",
    "SELECT * FROM books ",
    "SELECT * FROM books -- ",
];

/// A small deterministic generator (SplitMix64), so that a failure shows again.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        usize::try_from((mixed ^ (mixed >> 31)) % sides as u64)
            .expect("a remainder is below its usize divisor")
    }

    fn gap(&mut self) -> &'static str {
        GAPS[self.roll(GAPS.len())]
    }

    /// The token in another case, in quotes, cut in two by something, or as it is.
    fn disguised(&mut self, token: &str) -> String {
        match self.roll(16) {
            0 => format!("\"{token}\""),
            1 => format!("'{token}'"),
            2 if token.is_ascii() && token.len() > 1 => {
                let cut = 1 + self.roll(token.len() - 1);
                format!("{}{}{}", &token[..cut], self.gap(), &token[cut..])
            }
            3..=8 => token
                .chars()
                .map(|c| match self.roll(2) {
                    0 => c.to_ascii_lowercase(),
                    _ => c,
                })
                .collect(),
            _ => token.to_owned(),
        }
    }

    /// A write in disguise: behind a SELECT, in what should be a comment or a string of one, or in front of one.
    fn write(&mut self) -> String {
        let (mut text, end) = match self.roll(12) {
            0 => (
                format!("SELECT * FROM books WHERE id = '1' {}", self.gap()),
                "",
            ),
            1 => (
                format!("/* {} */ SELECT * FROM books {}", self.gap(), self.gap()),
                "",
            ),
            2 => ("SELECT * FROM books -- ".to_owned(), "\n"),
            3 => ("SELECT * FROM books /* ".to_owned(), " */"),
            4 => ("SELECT * FROM books WHERE title = '".to_owned(), "'"),
            5 => ("/* ".to_owned(), " */ SELECT * FROM books"),
            6 => (String::new(), " -- */ SELECT * FROM books"),
            _ => (String::new(), ""),
        };
        for token in WRITES[self.roll(WRITES.len())] {
            text.push_str(if self.roll(5) == 0 { self.gap() } else { " " });
            text.push_str(&self.disguised(token));
        }
        if self.roll(4) == 0 {
            text.push_str(self.gap());
        }
        text + end
    }
}

#[test]
fn the_oracle_sees_each_of_the_plain_writes() {
    for write in WRITES {
        let statement = write.join(" ");
        let database = tables();
        let before = contents(&database);
        assert!(run(&database, &statement, 0), "{statement}");
        assert_ne!(contents(&database), before, "{statement}");
        assert!(Statement::parse(&statement).is_err(), "{statement}");
    }
}

#[test]
fn no_disguised_write_that_passes_changes_anything() {
    const ROUNDS: usize = 4_000;
    let mut dice = Dice(2026);
    let guarded = tables();
    let untouched = contents(&guarded);
    let mut unguarded = tables();
    let (mut passed, mut would_have_written) = (0, 0);
    for _ in 0..ROUNDS {
        let query = dice.write();
        if let Ok(parsed) = Statement::parse(&query) {
            passed += 1;
            run(&guarded, &parsed.text, parsed.placeholders);
            assert_eq!(contents(&guarded), untouched, "{query:?}");
        }
        // What the guard is worth: how many of these write when they are sent as they are.
        if run(&unguarded, &query, 0) && contents(&unguarded) != untouched {
            would_have_written += 1;
            assert!(Statement::parse(&query).is_err(), "{query:?}");
            unguarded = tables();
        }
    }
    assert!(passed >= ROUNDS / 200, "{passed} of {ROUNDS} passed");
    assert!(
        would_have_written >= ROUNDS / 20,
        "{would_have_written} of {ROUNDS} would have written"
    );
    println!(
        "{ROUNDS} disguised writes: {passed} pass, {would_have_written} write where nobody guards"
    );
}
