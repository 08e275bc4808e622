//! JSON objects, field by field: what is there, of which type, and never twice.
//!
//! Values are kept as the text they were written in, so that a number's digits stay what the user wrote.

use std::time::Duration;

use plugin_api::{
    Error, ErrorCode,
    json::{self, JsonError, Members},
    nearest,
};
use serde_json::value::RawValue;

use super::invalid;

/// More than any job needs: its statement has 8,192 characters, and its parameters fit into a request to DynamoDB.
const MAX_BYTES: usize = 32 << 20;

/// Checks that a text is JSON without a key given twice, anywhere, and hands it out for reading.
pub(super) fn parse<'a>(text: &'a str, what: &str) -> Result<&'a RawValue, Error> {
    // Before it is looked at: reading a text of any length would take any time.
    if text.len() > MAX_BYTES {
        let message = format!(
            "{what} has {} bytes, more than the {MAX_BYTES} that a document may have",
            text.len()
        );
        return Err(Error::new(ErrorCode::INVALID_JOB, message).hint("split the job"));
    }
    json::parse(text).map_err(|error| match error {
        // What lies inside the parameters is data, keys too.
        JsonError::KeyTwice { path } if path.iter().any(|key| key == "parameters") => invalid(
            "context.parameters",
            "a key inside context.parameters is given twice",
        )
        .hint("a key may be given only once in an object"),
        JsonError::KeyTwice { path } => {
            let (key, parent) = path
                .split_last()
                .map_or((String::new(), String::new()), |(key, parent)| {
                    (key.clone(), parent.join("."))
                });
            let parent = if parent.is_empty() {
                String::new()
            } else {
                format!(" in {}", quoted(&parent))
            };
            invalid(
                path.join("."),
                format!("the key {} is given twice{parent}", quoted(&key)),
            )
            .hint("a key may be given only once in an object")
        }
        other => Error::new(
            ErrorCode::INVALID_JOB,
            format!("{what} is not JSON: {other}"),
        )
        .hint("send one JSON object, UTF-8"),
    })
}

/// An object's fields, taken out one by one. `null` is the same as absent.
pub(super) struct Fields<'a> {
    path: &'a str,
    members: Vec<(String, &'a RawValue)>,
}

impl<'a> Fields<'a> {
    /// Opens an object; `path` names it in messages.
    pub(super) fn open(value: &'a RawValue, path: &'a str) -> Result<Self, Error> {
        match serde_json::from_str::<Members<'a>>(value.get()) {
            Ok(Members(mut members)) => {
                members.retain(|(_, value)| value.get() != "null");
                Ok(Self { path, members })
            }
            Err(_) => Err(wrong_type(path, "an object", value)),
        }
    }

    /// No fields at all: the object is absent.
    pub(super) fn absent(path: &'a str) -> Self {
        Self {
            path,
            members: Vec::new(),
        }
    }

    /// Refuses a field that is not among the known ones, and names the nearest.
    pub(super) fn refuse_unknown(&self, known: &[&str]) -> Result<(), Error> {
        match self
            .members
            .iter()
            .find(|(name, _)| !known.contains(&name.as_str()))
        {
            None => Ok(()),
            Some((name, _)) => Err(invalid(
                self.name(&shown(name)),
                format!("{} has an unknown field {}", self.path, quoted(name)),
            )
            .hint(format!(
                "did you mean '{}'? known fields are: {}",
                nearest(name, known.iter().copied()).unwrap_or_default(),
                known.join(", ")
            ))),
        }
    }

    /// Takes a field's value out.
    pub(super) fn take(&mut self, name: &str) -> Option<&'a RawValue> {
        let at = self.members.iter().position(|(member, _)| member == name)?;
        Some(self.members.swap_remove(at).1)
    }

    /// Takes a string out.
    pub(super) fn string(&mut self, name: &str) -> Result<Option<String>, Error> {
        let Some(value) = self.take(name) else {
            return Ok(None);
        };
        match serde_json::from_str(value.get()) {
            Ok(text) => Ok(Some(text)),
            // The document is valid JSON, so nothing else can be wrong with a string in it.
            Err(_) if value.get().starts_with('"') => {
                let path = self.name(name);
                let message = format!("{path} has half of a surrogate pair, which is no character");
                Err(invalid(path, message).hint(
                    "write a character beyond U+FFFF as itself, or as both halves of its pair",
                ))
            }
            Err(_) => Err(wrong_type(&self.name(name), "a string", value)),
        }
    }

    /// Takes a string of at least one character out.
    pub(super) fn filled_string(&mut self, name: &str) -> Result<Option<String>, Error> {
        match self.string(name)? {
            Some(text) if text.is_empty() => {
                let path = self.name(name);
                let message = format!("{path} is empty");
                Err(invalid(path, message).hint("give it a value, or leave it out"))
            }
            text => Ok(text),
        }
    }

    /// Takes a boolean out.
    pub(super) fn boolean(&mut self, name: &str) -> Result<Option<bool>, Error> {
        self.typed(name, "true or false", |text| {
            serde_json::from_str(text).ok()
        })
    }

    /// Takes an integer of at least `least` out: digits only, so neither `5.0` nor `1e2`.
    pub(super) fn integer(&mut self, name: &str, least: u64) -> Result<Option<u64>, Error> {
        let Some(value) = self.take(name) else {
            return Ok(None);
        };
        let text = value.get();
        let path = self.name(name);
        let digits = text.strip_prefix('-').unwrap_or(text);
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(wrong_type(
                &path,
                "an integer, written with digits only",
                value,
            ));
        }
        match text.parse::<u64>() {
            Ok(number) if number >= least => Ok(Some(number)),
            Err(_) if !text.starts_with('-') => {
                let message = format!("{path} is {}, larger than {}", cut(text), u64::MAX);
                Err(invalid(path, message))
            }
            _ => {
                let message = format!("{path} is {}, but must be at least {least}", cut(text));
                Err(invalid(path, message))
            }
        }
    }

    /// Takes a number of seconds above 0 out.
    pub(super) fn seconds(&mut self, name: &str) -> Result<Option<Duration>, Error> {
        // Longer than the clock can count is as good as for ever; a span under a nanosecond is the shortest there is.
        let duration = |seconds| {
            Duration::try_from_secs_f64(seconds)
                .unwrap_or(Duration::MAX)
                .max(Duration::from_nanos(1))
        };
        Ok(self.positive(name, "a number of seconds")?.map(duration))
    }

    /// Takes a number above 0 out; `expected` says what it counts, for messages.
    pub(super) fn positive(&mut self, name: &str, expected: &str) -> Result<Option<f64>, Error> {
        let Some(value) = self.take(name) else {
            return Ok(None);
        };
        let path = self.name(name);
        let number: f64 =
            serde_json::from_str(value.get()).map_err(|_| wrong_type(&path, expected, value))?;
        if number <= 0.0 {
            let message = format!("{path} is {}, but must be above 0", cut(value.get()));
            return Err(invalid(path, message));
        }
        Ok(Some(number))
    }

    /// Takes one of a few words out, as its index among `words`.
    pub(super) fn word(&mut self, name: &str, words: &[&str]) -> Result<Option<usize>, Error> {
        let Some(word) = self.string(name)? else {
            return Ok(None);
        };
        match words.iter().position(|known| *known == word) {
            Some(index) => Ok(Some(index)),
            None => {
                let path = self.name(name);
                let message = format!("{path} is {}, which it cannot be", quoted(&word));
                Err(invalid(path, message).hint(format!(
                    "did you mean '{}'? it may be {}",
                    nearest(&word, words.iter().copied()).unwrap_or_default(),
                    words.join(" or ")
                )))
            }
        }
    }

    /// Takes an array of strings out.
    pub(super) fn strings(&mut self, name: &str) -> Result<Option<Vec<String>>, Error> {
        let Some(value) = self.take(name) else {
            return Ok(None);
        };
        let path = self.name(name);
        let items: Vec<&RawValue> = serde_json::from_str(value.get())
            .map_err(|_| wrong_type(&path, "an array of strings", value))?;
        let string = |(at, item): (usize, &RawValue)| {
            serde_json::from_str(item.get()).map_err(|_| {
                wrong_type(&format!("{path}.{at}"), "a string", item).field(path.as_str())
            })
        };
        items
            .into_iter()
            .enumerate()
            .map(string)
            .collect::<Result<_, _>>()
            .map(Some)
    }

    /// A field's full name, for messages.
    pub(super) fn name(&self, field: &str) -> String {
        if self.path == "the job" {
            field.to_owned()
        } else {
            format!("{}.{field}", self.path)
        }
    }

    fn typed<T>(
        &mut self,
        name: &str,
        expected: &str,
        read: impl Fn(&str) -> Option<T>,
    ) -> Result<Option<T>, Error> {
        match self.take(name) {
            None => Ok(None),
            Some(value) => read(value.get())
                .map(Some)
                .ok_or_else(|| wrong_type(&self.name(name), expected, value)),
        }
    }
}

fn wrong_type(path: &str, expected: &str, value: &RawValue) -> Error {
    let message = format!("{path} is {}, but must be {expected}", kind(value));
    if path == "the job" {
        Error::new(ErrorCode::INVALID_JOB, message)
    } else {
        invalid(path, message)
    }
}

/// What a value is; numbers and booleans are shown, since no secret is one of them in these fields.
fn kind(value: &RawValue) -> String {
    match value.get().as_bytes().first() {
        Some(b'{') => "an object".to_owned(),
        Some(b'[') => "an array".to_owned(),
        Some(b'"') => "a string".to_owned(),
        _ => cut(value.get()).to_owned(),
    }
}

fn cut(text: &str) -> &str {
    text.get(..40).unwrap_or(text)
}

/// A name in single quotes, shortened, without control characters.
pub(super) fn quoted(name: &str) -> String {
    format!("'{}'", shown(name))
}

/// A name shortened, without control characters.
fn shown(name: &str) -> String {
    name.chars().take(60).flat_map(char::escape_debug).collect()
}
