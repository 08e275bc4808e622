//! Options that set a field of the job, and errors that speak of the option where one was used.

use plugin_api::Error;
use serde_json::value::{RawValue, to_raw_value};

use super::{
    args::{CriteriaArgs, FieldArgs, SourceArgs},
    error::RunError,
};

/// A field of a job's context, and the option that sets it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Field {
    pub(super) name: &'static str,
    pub(super) option: &'static str,
}

/// Every field that an option sets.
const FIELDS: [Field; 11] = [
    field("parameters", "--param"),
    field("limit", "--limit"),
    field("max_result_bytes", "--max-result-bytes"),
    field("max_pages", "--max-pages"),
    field("total_segments", "--total-segments"),
    field("segment", "--segment"),
    field("timeout_seconds", "--timeout"),
    field(
        "max_consumed_capacity_units",
        "--max-consumed-capacity-units",
    ),
    field("on_budget", "--on-budget"),
    field("next_token", "--next-token"),
    field("consistent_read", "--consistent-read"),
];

const fn field(name: &'static str, option: &'static str) -> Field {
    Field { name, option }
}

type SetField = (Field, Box<RawValue>);

/// The fields that were given as options, as JSON.
pub(super) fn of(args: &FieldArgs) -> Result<Vec<SetField>, RunError> {
    let mut fields = Vec::new();
    let mut add = |name, value| {
        let field = FIELDS.into_iter().find(|field| field.name == name);
        fields.push((field.expect("every field has its option"), value));
    };
    if !args.params.is_empty() {
        add("parameters", parameters(&args.params)?);
    }
    for (name, value) in [
        ("limit", args.limit),
        ("max_result_bytes", args.max_result_bytes),
        ("max_pages", args.max_pages),
        ("total_segments", args.total_segments),
        ("segment", args.segment),
    ] {
        if let Some(value) = value {
            add(name, raw(&value));
        }
    }
    for (name, number) in [
        ("timeout_seconds", &args.timeout),
        (
            "max_consumed_capacity_units",
            &args.max_consumed_capacity_units,
        ),
    ] {
        if let Some(number) = number {
            let value = RawValue::from_string(number.clone());
            add(name, value.expect("the option is a number in JSON"));
        }
    }
    for (name, text) in [
        ("on_budget", &args.on_budget),
        ("next_token", &args.next_token),
    ] {
        if let Some(text) = text {
            add(name, raw(text));
        }
    }
    if args.consistent_read {
        add("consistent_read", raw(&true));
    }
    Ok(fields)
}

fn raw(value: &impl serde::Serialize) -> Box<RawValue> {
    to_raw_value(value).expect("texts, numbers and booleans serialize")
}

fn parameters(params: &[String]) -> Result<Box<RawValue>, RunError> {
    let values: Vec<&RawValue> = params
        .iter()
        .map(|text| serde_json::from_str(text))
        .collect::<Result<_, _>>()
        .map_err(|error| {
            RunError::Usage(format!(
                "a --param is not JSON: {error}; write a string with its quotes: --param '\"books\"'"
            ))
        })?;
    Ok(raw(&values))
}

/// The fields that messages call by their options: those that were given as such, and all where the job is a bare statement.
#[derive(Debug, Default)]
pub(crate) struct Given(Vec<Field>);

impl Given {
    /// What these options set, or might have set.
    pub(crate) fn of(source: &SourceArgs, args: &FieldArgs, criteria: &CriteriaArgs) -> Self {
        let is_statement = source.is_statement();
        let criteria = criteria
            .fields()
            .into_iter()
            .filter(|(_, _, tags)| is_statement || !tags.is_empty())
            .map(|(name, option, _)| field(name, option));
        let fields = match is_statement {
            true => FIELDS.to_vec(),
            false => {
                let set = of(args).unwrap_or_default();
                set.into_iter().map(|(field, _)| field).collect()
            }
        };
        Self(fields.into_iter().chain(criteria).collect())
    }

    /// The text in the words of the command line.
    pub(super) fn in_options(&self, text: &str) -> String {
        self.0
            .iter()
            .fold(text.to_owned(), |text, &field| renamed(&text, field))
    }

    /// The error in the words of the command line.
    pub(super) fn error_in_options(&self, error: &Error) -> Error {
        let mut error = error.clone();
        error.message = self.in_options(&error.message);
        error.hint = error.hint.map(|hint| self.in_options(&hint));
        error
    }
}

/// `context.limit`, `'limit'` and "the job's `limit` field" become `--limit`; a bare word only where nobody would take it for English.
fn renamed(text: &str, Field { name, option }: Field) -> String {
    let mut text = text
        .replace(&format!("the job's `{name}` field"), option)
        .replace(&format!("the job's `{name}`"), option)
        .replace(&format!("'context.{name}'"), option)
        .replace(&format!("context.{name}"), option)
        .replace(&format!("'{name}'"), option);
    if name.contains('_') {
        let is_part =
            |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == '-');
        let mut renamed = String::with_capacity(text.len());
        let mut rest = text.as_str();
        while let Some(at) = rest.find(name) {
            let (before, after) = (&rest[..at], &rest[at + name.len()..]);
            renamed.push_str(before);
            let last = before.chars().next_back();
            let is_word = !is_part(last) && last != Some('.') && !is_part(after.chars().next());
            renamed.push_str(if is_word { option } else { name });
            rest = after;
        }
        renamed.push_str(rest);
        text = renamed;
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_called_as_the_options_that_set_them() {
        let limit = field("limit", "--limit");
        let pages = field("max_pages", "--max-pages");
        let criteria = field("command_criteria", "--command-tag");
        for (text, field, expected) in [
            (
                "context.limit must be an integer",
                limit,
                "--limit must be an integer",
            ),
            ("raise 'limit'", limit, "raise --limit"),
            (
                "set the job's `limit` field: it is the most rows",
                limit,
                "set --limit: it is the most rows",
            ),
            (
                "no command carries the tag 'x' of command_criteria",
                criteria,
                "no command carries the tag 'x' of --command-tag",
            ),
            ("no limit is in force", limit, "no limit is in force"),
            ("raise max_pages, or", pages, "raise --max-pages, or"),
            (
                "command.max_pages_x, my_max_pages and stats.max_pages",
                pages,
                "command.max_pages_x, my_max_pages and stats.max_pages",
            ),
        ] {
            assert_eq!(renamed(text, field), expected);
        }
    }

    #[test]
    fn numbers_keep_their_digits() {
        let args = FieldArgs {
            params: vec!["-5".to_owned(), "1.50".to_owned()],
            timeout: Some("2.50".to_owned()),
            ..FieldArgs::default()
        };
        let set: Vec<(&str, String)> = of(&args)
            .unwrap()
            .into_iter()
            .map(|(field, value)| (field.name, value.get().to_owned()))
            .collect();
        assert_eq!(
            set,
            [
                ("parameters", "[-5,1.50]".to_owned()),
                ("timeout_seconds", "2.50".to_owned())
            ]
        );
    }
}
