//! What the fuzz targets call (`fuzz/`): any text or bytes go in, and a broken promise is a panic. Compiled for them and for tests, which
//! give them what lies near the corpus.

use aws_sdk_dynamodb::types::AttributeValue;
use dynamo_decode::{Stats, Table};

use crate::{
    job::Job,
    scan::ScanRequest,
    statement::{Instruction, Statement, analysis::Analysis},
};

/// A job document is read or refused, always in the same way, and a refusal says what to do.
pub fn job(text: &str) {
    let first = Job::parse(text);
    let second = Job::parse(text);
    match (first, second) {
        (Ok(job), Ok(_)) => {
            assert!(!job.query.is_empty() && job.total_segments >= 1);
            assert!(
                job.segment
                    .is_none_or(|segment| segment < job.total_segments)
            );
        }
        (Err(first), Err(second)) => assert_eq!(first, second),
        (first, second) => panic!("{first:?} and {second:?}"),
    }
}

/// What the guard lets pass is what it checked: parsed again it is the same statement, line for line as long as the user's.
pub fn guard(text: &str) {
    match Instruction::parse(text) {
        Ok(instruction) => {
            let statement = instruction.statement();
            assert_eq!(Statement::parse(&statement.text).as_ref(), Ok(statement));
            assert_eq!(line_lengths(&statement.text), line_lengths(text));
            for given in 0..=statement.placeholders + 1 {
                let fits = statement.check_parameters(given).is_ok();
                assert_eq!(fits, given == statement.placeholders);
            }
        }
        Err(error) => {
            assert!(
                error.line >= Some(1) && error.column >= Some(1),
                "{error:?}"
            );
            assert!(error.hint.is_some(), "{error:?}");
        }
    }
}

fn line_lengths(text: &str) -> Vec<usize> {
    text.split(['\n', '\r'])
        .map(|line| line.chars().count())
        .collect()
}

/// Where a statement can be read as a Scan, its expressions are made of our own words: nothing of the user's text is in them, and every
/// placeholder stands for something.
pub fn filter(text: &str) {
    let Ok(statement) = Statement::parse(text) else {
        return;
    };
    let analysis = Analysis::of(&statement);
    let parameters: Vec<AttributeValue> = (0..statement.placeholders)
        .map(|n| AttributeValue::N(n.to_string()))
        .collect();
    let Ok(request) = ScanRequest::translate(&statement, &analysis, &parameters) else {
        return;
    };
    let expressions = [&request.filter_expression, &request.projection_expression];
    let expressions: Vec<&String> = expressions.into_iter().flatten().collect();
    let names = request.expression_attribute_names.unwrap_or_default();
    let values = request.expression_attribute_values.unwrap_or_default();
    for key in names.keys().chain(values.keys()) {
        assert!(
            expressions.iter().any(|text| text.contains(key.as_str())),
            "{key} stands nowhere in {expressions:?}"
        );
    }
    for word in expressions.iter().flat_map(|text| {
        text.split(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '#' | ':' | '_')))
    }) {
        let is_known = match word.as_bytes().first() {
            Some(b'#') => names.contains_key(word),
            Some(b':') => values.contains_key(word),
            _ => OUR_WORDS.contains(&word) || word.bytes().all(|byte| byte.is_ascii_digit()),
        };
        assert!(is_known, "{word:?} in {expressions:?} is none of ours");
    }
}

/// What expressions may hold beside placeholders and the indexes of lists.
const OUR_WORDS: [&str; 12] = [
    "",
    "AND",
    "OR",
    "NOT",
    "BETWEEN",
    "IN",
    "attribute_exists",
    "attribute_not_exists",
    "attribute_type",
    "begins_with",
    "contains",
    "size",
];

/// An answer's body, whole and in pieces, gives the same from the predicting decoder and from the plain one. The first byte says how
/// large pieces are and what is selected.
pub fn page(bytes: &[u8]) {
    let Some((&choice, body)) = bytes.split_first() else {
        return;
    };
    let select = (choice & 1 == 1).then(|| ["id", "a", "b"].map(str::to_owned).to_vec());
    let limit = (choice & 2 == 2).then_some(2);
    let table = || Table::new(select.clone(), limit, 1 << 20);
    let plain = decoded(table().without_prediction(), body, usize::MAX);
    for piece in [usize::MAX, 1 + usize::from(choice >> 2)] {
        let predicted = decoded(table(), body, piece);
        assert_eq!(predicted, plain, "{:?}", String::from_utf8_lossy(body));
    }
    if let Some(document) = plain {
        // Cells as they are written: digits are copied, also those of a number that no float can hold.
        #[derive(serde::Deserialize)]
        struct Written<'a> {
            columns: Vec<serde::de::IgnoredAny>,
            #[serde(borrow)]
            data: Vec<Vec<&'a serde_json::value::RawValue>>,
        }
        let document: Written<'_> = serde_json::from_slice(&document).expect("a result is JSON");
        for row in document.data {
            assert_eq!(row.len(), document.columns.len());
        }
    }
}

/// The document of a job whose page came twice: once as the attempt that failed, once whole.
fn decoded(mut table: Table, body: &[u8], piece: usize) -> Option<Vec<u8>> {
    for whole in [false, true] {
        table.begin_attempt();
        let body = if whole { body } else { &body[..body.len() / 2] };
        let fed = body
            .chunks(piece.min(body.len().max(1)))
            .try_for_each(|frame| table.feed(frame));
        if whole {
            fed.and_then(|()| table.end_attempt()).ok()?;
        }
    }
    table.commit_page();
    table.finish(&Stats::default()).ok()
}

/// A text is no token or it is a position; a position becomes a token that is read as the same position, and another statement's is refused.
pub fn next_token(bytes: &[u8]) {
    crate::pages::fuzz_token(bytes);
}

#[cfg(test)]
#[path = "../../fuzz/mutate.rs"]
mod mutate;

#[cfg(test)]
mod tests {
    use super::*;

    /// A target of texts, from bytes.
    fn text(run: fn(&str)) -> impl Fn(&[u8]) {
        move |bytes| run(&String::from_utf8_lossy(bytes))
    }

    #[test]
    fn job_documents_near_the_corpus_keep_their_promise() {
        mutate::rounds("job", text(job));
    }

    #[test]
    fn statements_near_the_corpus_keep_their_promise() {
        mutate::rounds("guard", text(guard));
        mutate::rounds("filter", text(filter));
    }

    #[test]
    fn answers_near_the_corpus_keep_their_promise() {
        mutate::rounds("page", page);
    }

    #[test]
    fn tokens_near_the_corpus_keep_their_promise() {
        mutate::rounds("next_token", next_token);
    }
}
