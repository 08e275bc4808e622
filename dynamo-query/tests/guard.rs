//! The statement guard on the statements of `statements.txt`.

#[path = "support/corpus.rs"]
#[expect(unreachable_pub, reason = "shared by two test binaries")]
mod corpus;

use dynamo_query::statement::{Statement, caret};

use self::corpus::{Case, Outcome, Passes, Refused, cases};

fn check_passes(case: &Case, expected: &Passes) -> Result<(), String> {
    let parsed = Statement::parse(&case.query).map_err(|error| format!("refused: {error}"))?;
    let expected = Statement {
        text: expected.sent.clone(),
        columns: expected.columns.clone(),
        placeholders: expected.placeholders,
        table: expected.table.clone(),
        index: expected.index.clone(),
        selective: expected.selective,
    };
    if parsed != expected {
        return Err(format!("gives   {parsed:?}\n instead {expected:?}"));
    }
    Ok(())
}

fn check_refused(case: &Case, expected: &Refused) -> Result<(), String> {
    let Err(error) = Statement::parse(&case.query) else {
        return Err("passes".to_owned());
    };
    let hint = error.hint.clone().ok_or("no hint")?;
    if error.code.as_str() != expected.code
        || (error.line, error.column) != (Some(expected.line), Some(expected.column))
        || !format!("{} {hint}", error.message).contains(&expected.word)
    {
        return Err(format!("gives {error:?}"));
    }
    let mark = caret(&case.query, expected.line, expected.column);
    if expected.code == "INVALID_QUERY" && !error.message.ends_with(&format!("\n{mark}")) {
        return Err(format!("shows no caret: {}", error.message));
    }
    if expected.code == "NOT_READ_ONLY" && !hint.contains("double quotes") {
        return Err(format!("does not say that a name may be quoted: {hint}"));
    }
    Ok(())
}

#[test]
fn every_statement_of_the_data_file_passes_or_is_refused_as_it_says() {
    let cases = cases();
    let mut failures = Vec::new();
    for case in &cases {
        let outcome = match &case.outcome {
            Outcome::Passes(expected) => check_passes(case, expected),
            Outcome::Refused(expected) => check_refused(case, expected),
        };
        if let Err(why) = outcome {
            failures.push(format!("line {}: {:?}\n {why}", case.line, case.query));
        }
    }
    assert!(
        failures.is_empty(),
        "{} of {} statements:\n{}",
        failures.len(),
        cases.len(),
        failures.join("\n")
    );
}

#[test]
fn the_data_file_is_as_large_as_it_must_be() {
    let (mut passing, mut writes) = (0, 0);
    let cases = cases();
    for case in &cases {
        match &case.outcome {
            Outcome::Passes(_) => passing += 1,
            Outcome::Refused(refused) if refused.write => writes += 1,
            Outcome::Refused(_) => {}
        }
    }
    assert!(cases.len() >= 200, "{} statements", cases.len());
    assert!(passing >= 80, "{passing} that pass");
    assert!(writes >= 60, "{writes} writes");
}
