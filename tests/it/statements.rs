//! What a user reads where a statement was not what was meant: reserved words, names for texts, an index in the table's quotes.

use engines::{client, embedded::Embedded, local, skip_or_fail};
use harness_tests::{job, logged, query, run};
use serde_json::{Value, json};

/// The reserved words, as the plugin has them.
const WORDS: &str = include_str!("../../dynamo-query/src/statement/reserved_words.txt");

#[test]
fn a_reserved_word_without_quotes_is_pointed_at_wherever_dynamodb_refuses_it_and_nowhere_else() {
    let local = match local::shared() {
        Ok(local) => local,
        Err(skip) => return skip_or_fail(&skip),
    };
    let table = json!({"words": [{"id": {"S": "1"}}]});
    local.load(&table).unwrap();
    let templates = [
        "SELECT id, {} FROM words",
        "SELECT id FROM words WHERE id = '1' AND {} > 1",
        "SELECT m.{}.x FROM words",
    ];
    let words = WORDS.lines().filter(|line| !line.starts_with('#'));
    // DynamoDB takes `replace` as a name; here it is a write verb wherever it stands without quotes.
    let words = words
        .flat_map(str::split_ascii_whitespace)
        .filter(|word| *word != "REPLACE");
    let (mut refused, mut wrong) = (0, Vec::new());
    for word in words {
        let word = word.to_ascii_lowercase();
        for template in templates {
            let statement = template.replace("{}", &word);
            let request = json!({"Statement": statement});
            let reply = client::dynamodb(local.url(), "ExecuteStatement", &request).unwrap();
            match (reply.status, query(local.url(), &statement)) {
                (200, Ok(_)) => {}
                (400, Err(error)) => {
                    refused += 1;
                    let (before, _) = template.split_once("{}").unwrap();
                    let hint = error.hint.as_deref().unwrap_or_default();
                    let is_told = hint.contains("double quotes")
                        && hint.to_ascii_lowercase().contains(&format!("\"{word}\""));
                    let column = Some(u32::try_from(before.len() + 1).unwrap());
                    if (error.line, error.column) != (Some(1), column) || !is_told {
                        wrong.push(format!("{statement}: {error:?}"));
                    }
                }
                (status, ours) => wrong.push(format!("{statement}: {status}, but {ours:?}")),
            }
        }
    }
    assert!(wrong.is_empty(), "{}:\n{}", wrong.len(), wrong.join("\n"));
    assert!(refused > 600, "{refused} were refused");
}

/// Runs a statement as the job `id`; its rows and the notes in its log.
fn noted(url: &str, id: &str, statement: &str) -> (usize, Vec<String>) {
    let mut job = job(url, &json!({"query": statement}));
    job["id"] = json!(id);
    let result = run(&job).unwrap();
    let notes = logged(id)
        .into_iter()
        .filter(|line| line.contains("dynamo::note"));
    (result["data"].as_array().unwrap().len(), notes.collect())
}

#[test]
fn an_empty_result_of_a_comparison_with_a_name_is_explained() {
    let embedded = Embedded::start().unwrap();
    let books: Value =
        json!({"books": [{"id": {"S": "1"}, "genre": {"S": "Drama"}, "Drama": {"S": "other"}}]});
    embedded.load(&books).unwrap();
    for (id, condition, rows, column) in [
        ("noted-1", "genre = \"Drama\"", 0, Some(36)),
        ("noted-2", "genre = Drama", 0, Some(36)),
        ("noted-3", "genre = 'Comedy'", 0, None),
        ("noted-4", "genre = 'Drama'", 1, None),
        ("noted-5", "genre <> \"Drama\"", 1, None),
    ] {
        let statement = format!("SELECT id FROM books WHERE {condition}");
        let (found, notes) = noted(&embedded.url(), id, &statement);
        assert_eq!(found, rows, "{condition}");
        let expected = column.map(|column| format!("line 1, column {column} "));
        match expected {
            None => assert!(notes.is_empty(), "{condition}: {notes:?}"),
            Some(position) => {
                assert_eq!(notes.len(), 1, "{condition}");
                assert!(notes[0].starts_with("Info dynamo::note"), "{notes:?}");
                assert!(
                    notes[0].contains(&position) && notes[0].contains("single quotes"),
                    "{notes:?}"
                );
            }
        }
    }
}

#[test]
fn a_table_and_its_index_in_one_pair_of_quotes_are_told_apart() {
    let embedded = Embedded::start().unwrap();
    let missing = query(&embedded.url(), "SELECT * FROM \"Music.ByYear\"").unwrap_err();
    assert_eq!(missing.code.as_str(), "NOT_FOUND");
    assert!(missing.hint.unwrap().contains(r#""Music"."ByYear""#));
    let mut job = job(
        &embedded.url(),
        &json!({"query": "SELECT * FROM \"Music.ByYear\""}),
    );
    job["command"] = json!({"name": "c", "context": {"tables": ["Music"]}});
    let refused = run(&job).unwrap_err();
    assert_eq!(refused.code.as_str(), "TABLE_NOT_ALLOWED");
    assert!(refused.hint.unwrap().contains(r#""Music"."ByYear""#));
}
