//! Job documents as text: JSON whose objects have each key once, at every depth.
//!
//! A reader that takes the last of two `limit`s and one that takes the first would run different jobs; so neither is asked.

use std::{collections::HashSet, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use serde_json::value::RawValue;

/// Objects and arrays may lie in one another this deep.
const MAX_DEPTH: usize = 128;

/// Why a text is not taken.
#[derive(Debug, thiserror::Error)]
pub enum JsonError {
    /// It is not JSON at all.
    #[error("{0}")]
    Syntax(#[from] serde_json::Error),
    /// A key is given twice; the path leads to it, array indexes included.
    #[error("the key '{}' is given twice", path.join(".").escape_debug())]
    KeyTwice {
        /// From the outermost key to the one given twice.
        path: Vec<String>,
    },
    /// It is nested deeper than 128 levels.
    #[error("nested deeper than {MAX_DEPTH} levels")]
    TooDeep,
}

/// The members of an object in their order, each value as it was written, so that numbers keep their digits.
pub struct Members<'a>(pub Vec<(String, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect;
        impl<'de> Visitor<'de> for Collect {
            type Value = Vec<(String, &'de RawValue)>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(members)
            }
        }
        deserializer.deserialize_map(Collect).map(Self)
    }
}

/// Checks that a text is one JSON value in which no key is given twice, and hands it out for reading.
///
/// ```
/// assert!(plugin_api::json::parse(r#"{"a":{"b":1},"b":[1E400]}"#).is_ok());
/// let twice = plugin_api::json::parse(r#"{"a":[{"b":1,"\u0062":2}]}"#).unwrap_err();
/// assert_eq!(twice.to_string(), "the key 'a.0.b' is given twice");
/// ```
///
/// # Errors
/// See [`JsonError`].
pub fn parse(text: &str) -> Result<&RawValue, JsonError> {
    let value: &RawValue = serde_json::from_str(text)?;
    check(value, &mut Vec::new())?;
    Ok(value)
}

fn check(value: &RawValue, path: &mut Vec<String>) -> Result<(), JsonError> {
    let text = value.get();
    let is_object = text.starts_with('{');
    if !is_object && !text.starts_with('[') {
        return Ok(());
    }
    if path.len() >= MAX_DEPTH {
        return Err(JsonError::TooDeep);
    }
    let members = if is_object {
        serde_json::from_str::<Members<'_>>(text)?.0
    } else {
        let values: Vec<&RawValue> = serde_json::from_str(text)?;
        values
            .into_iter()
            .enumerate()
            .map(|(at, value)| (at.to_string(), value))
            .collect()
    };
    let mut seen = HashSet::new();
    for (key, value) in members {
        path.push(key.clone());
        if !seen.insert(key) {
            return Err(JsonError::KeyTwice { path: path.clone() });
        }
        check(value, path)?;
        path.pop();
    }
    Ok(())
}
