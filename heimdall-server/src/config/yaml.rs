//! YAML text into a small tree that knows its lines.
//!
//! In: the file's text and the environment. Out: nodes with line, key and text, `${VAR}` filled in; problems with line and hint.
//! It knows no key of any file: that is `settings.rs` and `objects.rs`.

use saphyr::{MarkedYaml, Scalar, ScalarStyle, ScanError, YamlData, YamlLoader};
use saphyr_parser::Parser;
use serde_json::Value;

/// One thing that is wrong with the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// 1-based line.
    pub line: usize,
    /// What is wrong with which value.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl Problem {
    pub(super) fn new(line: usize, message: impl Into<String>) -> Self {
        Self {
            line,
            message: message.into(),
            hint: None,
        }
    }

    pub(super) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// A node of the document.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) line: usize,
    pub(super) data: Data,
}

/// What a node holds. Scalars keep their text: a version written `1.0` is the text, not the number.
#[derive(Debug)]
pub(super) enum Data {
    Null,
    Scalar { text: String, plain: bool },
    List(Vec<Node>),
    Map(Vec<Entry>),
}

/// A key with its line and value.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) line: usize,
    pub(super) value: Node,
}

impl Node {
    /// The kind in words, for messages.
    pub(super) fn kind(&self) -> &'static str {
        match &self.data {
            Data::Null => "nothing",
            Data::Scalar { .. } => "a single value",
            Data::List(_) => "a list",
            Data::Map(_) => "a mapping",
        }
    }

    /// The node as JSON: plain scalars become what YAML says they are, quoted ones stay text.
    pub(super) fn to_json(&self) -> Value {
        match &self.data {
            Data::Null => Value::Null,
            Data::Scalar { text, plain: false } => Value::String(text.clone()),
            Data::Scalar { text, plain: true } => plain_to_json(text),
            Data::List(nodes) => nodes.iter().map(Node::to_json).collect(),
            Data::Map(entries) => entries
                .iter()
                .map(|entry| (entry.key.clone(), entry.value.to_json()))
                .collect(),
        }
    }
}

fn plain_to_json(text: &str) -> Value {
    match Scalar::parse_from_cow(text.into()) {
        Scalar::Null => Value::Null,
        Scalar::Boolean(flag) => Value::Bool(flag),
        Scalar::Integer(number) => number.into(),
        // Infinity and not-a-number have no JSON number; the text says what was meant.
        Scalar::FloatingPoint(number) => serde_json::Number::from_f64(number.into_inner())
            .map_or_else(|| Value::String(text.to_owned()), Value::Number),
        Scalar::String(text) => Value::String(text.into_owned()),
    }
}

/// Reads one document. `environment` answers what `${NAME}` stands for.
pub(super) fn parse(
    text: &str,
    environment: &dyn Fn(&str) -> Option<String>,
) -> Result<Node, Vec<Problem>> {
    let documents = load(text).map_err(|error| {
        vec![Problem::new(
            error.marker().line(),
            format!("not YAML: {}", error.info()),
        )]
    })?;
    let mut problems = Vec::new();
    let root = match documents.as_slice() {
        [] => Node {
            line: 1,
            data: Data::Null,
        },
        [one] => convert(one, environment, &mut problems),
        [_, second, ..] => {
            return Err(vec![Problem::new(
                second.span.start.line(),
                "a second document begins here; one file holds one configuration",
            )]);
        }
    };
    if problems.is_empty() {
        Ok(root)
    } else {
        Err(problems)
    }
}

fn load(text: &str) -> Result<Vec<MarkedYaml<'_>>, ScanError> {
    let mut loader = YamlLoader::default();
    // Text first, meaning later: see `Data`.
    loader.early_parse(false);
    Parser::new_from_str(text).load(&mut loader, true)?;
    match loader.error() {
        Some(error) => Err(error.clone()),
        None => Ok(loader.into_documents()),
    }
}

fn convert(
    yaml: &MarkedYaml<'_>,
    environment: &dyn Fn(&str) -> Option<String>,
    problems: &mut Vec<Problem>,
) -> Node {
    let line = yaml.span.start.line();
    let data = match &yaml.data {
        YamlData::Representation(text, style, _) => {
            scalar(text, *style, line, environment, problems)
        }
        YamlData::Value(value) => Data::Scalar {
            text: format!("{value:?}"),
            plain: true,
        },
        YamlData::Sequence(nodes) => Data::List(
            nodes
                .iter()
                .map(|node| convert(node, environment, problems))
                .collect(),
        ),
        YamlData::Mapping(entries) => Data::Map(
            entries
                .iter()
                .map(|(key, value)| Entry {
                    key: key_text(key, problems),
                    line: key.span.start.line(),
                    value: convert(value, environment, problems),
                })
                .collect(),
        ),
        YamlData::Tagged(_, node) => return convert(node, environment, problems),
        YamlData::Alias(_) | YamlData::BadValue => Data::Null,
    };
    Node { line, data }
}

fn key_text(key: &MarkedYaml<'_>, problems: &mut Vec<Problem>) -> String {
    if let YamlData::Representation(text, ..) = &key.data {
        return text.clone().into_owned();
    }
    problems.push(Problem::new(key.span.start.line(), "a key must be a word"));
    String::new()
}

fn scalar(
    text: &str,
    style: ScalarStyle,
    line: usize,
    environment: &dyn Fn(&str) -> Option<String>,
    problems: &mut Vec<Problem>,
) -> Data {
    let plain = style == ScalarStyle::Plain;
    let text = match expand(text, environment) {
        Ok(text) => text,
        Err(problem) => {
            problems.push(Problem { line, ..problem });
            return Data::Null;
        }
    };
    if plain && matches!(text.as_str(), "" | "~" | "null" | "Null" | "NULL") {
        return Data::Null;
    }
    Data::Scalar { text, plain }
}

/// Fills in `${NAME}`; `$${` stands for a literal `${`.
fn expand(text: &str, environment: &dyn Fn(&str) -> Option<String>) -> Result<String, Problem> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find("${") {
        if rest[..start].ends_with('$') {
            out.push_str(&rest[..start]);
            out.push('{');
            rest = &rest[start + 2..];
            continue;
        }
        out.push_str(&rest[..start]);
        let after = &rest[start + 2..];
        let Some(end) = after.find('}') else {
            return Err(
                Problem::new(0, "a '${' without its '}'").hint("write '$${' for a literal '${'")
            );
        };
        let name = &after[..end];
        match environment(name) {
            Some(value) => out.push_str(&value),
            None => {
                return Err(Problem::new(
                    0,
                    format!("the environment variable '{name}' is not set"),
                )
                .hint(format!(
                    "set {name} before the host starts, or write '$${{' for a literal '${{'"
                )));
            }
        }
        rest = &after[end + 1..];
    }
    out.push_str(rest);
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Value, Vec<Problem>> {
        let environment = |name: &str| (name == "PORT").then(|| "9090".to_owned());
        parse(text, &environment).map(|node| node.to_json())
    }

    #[test]
    fn scalars_keep_their_text_and_plain_ones_their_meaning() {
        assert_eq!(
            read("a: 1.0\nb: \"1\"\nc: 0.0.1\nd: ~\ne: [true, x]\nf: ${PORT}\ng: \"${PORT}\"\nh: $${PORT}").unwrap(),
            serde_json::json!({"a": 1.0, "b": "1", "c": "0.0.1", "d": null, "e": [true, "x"], "f": 9090, "g": "9090", "h": "${PORT}"}),
        );
    }

    #[test]
    fn mistakes_name_their_line() {
        for (text, line, message) in [
            ("a: 1\nb: @x", 2, "not YAML"),
            ("a: 1\nb: 2\na: 3", 3, "duplicated key"),
            ("a: 1\nb: ${NOPE}", 2, "'NOPE' is not set"),
            ("a: 1\nb: ${NOPE", 2, "without its '}'"),
            ("a: 1\n---\nb: 2", 3, "a second document"),
        ] {
            let problems = read(text).expect_err(text);
            assert_eq!(problems[0].line, line, "{text}: {problems:?}");
            assert!(
                problems[0].message.contains(message),
                "{text}: {problems:?}"
            );
        }
    }
}
