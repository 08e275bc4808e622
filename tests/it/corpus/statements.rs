//! Reads the corpus' data file; the form is told at its top.

use serde_json::Value;

/// One statement of the corpus.
pub(crate) struct Case {
    /// The heading that it stands under.
    pub(crate) section: String,
    /// The statement.
    pub(crate) statement: String,
    /// Its parameters as typed values, where there are any.
    pub(crate) parameters: Option<Value>,
    /// Why we refuse what DynamoDB answers.
    pub(crate) reason: Option<String>,
}

/// All cases, in the file's order.
pub(crate) fn read(text: &str) -> Vec<Case> {
    let mut section = "";
    let mut cases: Vec<Case> = Vec::new();
    for line in text.lines() {
        let last = cases.last_mut();
        if let Some(heading) = line.strip_prefix("## ") {
            section = heading;
        } else if line.is_empty() || line.starts_with('#') {
        } else if let Some(parameters) = line.strip_prefix("  ? ") {
            let parameters = serde_json::from_str(parameters).expect("parameters are JSON");
            last.expect("parameters follow a statement").parameters = Some(parameters);
        } else if let Some(reason) = line.strip_prefix("  ! ") {
            last.expect("a reason follows a statement").reason = Some(reason.to_owned());
        } else {
            cases.push(Case {
                section: section.to_owned(),
                statement: unescape(line),
                parameters: None,
                reason: None,
            });
        }
    }
    cases
}

fn unescape(line: &str) -> String {
    let mut plain = String::new();
    let mut rest = line.chars();
    while let Some(character) = rest.next() {
        if character != '\\' {
            plain.push(character);
            continue;
        }
        plain.push(match rest.next() {
            Some('n') => '\n',
            Some('r') => '\r',
            Some('t') => '\t',
            Some('0') => '\0',
            Some('\\') => '\\',
            Some('u') => {
                let digits: String = rest
                    .by_ref()
                    .skip(1)
                    .take_while(|next| *next != '}')
                    .collect();
                let code = u32::from_str_radix(&digits, 16).expect("\\u{…} holds hex digits");
                char::from_u32(code).expect("\\u{…} is a character")
            }
            other => panic!("\\{other:?} is no escape: {line}"),
        });
    }
    plain
}
