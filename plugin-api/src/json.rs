//! Job documents as text: JSON whose objects have each key once, at every depth.
//!
//! A reader that takes the last of two `limit`s and one that takes the first would run different jobs; so neither is asked.

use std::{borrow::Cow, collections::HashSet, fmt};

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
    check(value.get())?;
    Ok(value)
}

/// An object or array that has begun and not ended.
enum Open<'a> {
    /// The keys so far, and the last of them.
    Object(HashSet<Cow<'a, str>>, Cow<'a, str>),
    /// The position of the value that follows.
    Array(usize),
}

/// Looks at every key once, from left to right. What is between them is skipped: the text is known to be JSON.
fn check(text: &str) -> Result<(), JsonError> {
    let bytes = text.as_bytes();
    let mut open: Vec<Open<'_>> = Vec::new();
    let (mut at, mut key_is_next) = (0, false);
    while let Some(&byte) = bytes.get(at) {
        at += 1;
        match byte {
            b'"' => {
                let end = end_of_string(bytes, at);
                if key_is_next && let Some(Open::Object(keys, last)) = open.last_mut() {
                    let key = unescaped(&text[at..end])?;
                    last.clone_from(&key);
                    if !keys.insert(key) {
                        return Err(JsonError::KeyTwice { path: path(&open) });
                    }
                    key_is_next = false;
                }
                at = end + 1;
            }
            b'{' | b'[' => {
                if open.len() >= MAX_DEPTH {
                    return Err(JsonError::TooDeep);
                }
                key_is_next = byte == b'{';
                open.push(if key_is_next {
                    Open::Object(HashSet::new(), Cow::Borrowed(""))
                } else {
                    Open::Array(0)
                });
            }
            b'}' | b']' => {
                open.pop();
                key_is_next = false;
            }
            b',' => match open.last_mut() {
                Some(Open::Array(index)) => *index += 1,
                _ => key_is_next = true,
            },
            _ => {}
        }
    }
    Ok(())
}

/// Where the quotation mark is that ends a string whose first character is at `at`.
fn end_of_string(bytes: &[u8], mut at: usize) -> usize {
    loop {
        match bytes.get(at) {
            Some(b'\\') => at += 2,
            Some(b'"') | None => return at,
            Some(_) => at += 1,
        }
    }
}

/// A key as it is meant: `"\u0061"` and `"a"` are the same one.
fn unescaped(key: &str) -> Result<Cow<'_, str>, JsonError> {
    if !key.contains('\\') {
        return Ok(Cow::Borrowed(key));
    }
    Ok(Cow::Owned(serde_json::from_str(&format!("\"{key}\""))?))
}

fn path(open: &[Open<'_>]) -> Vec<String> {
    let step = |open: &Open<'_>| match open {
        Open::Object(_, key) => key.clone().into_owned(),
        Open::Array(index) => index.to_string(),
    };
    open.iter().map(step).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_given_twice_is_found_at_every_depth_and_however_it_is_written() {
        for (text, twice) in [
            (r#"{"a":1,"a":2}"#, Some("a")),
            (r#"{"a":{"b":1},"b":{"b":1}}"#, None),
            (r#"{"a":[{"b":1,"\u0062":2}]}"#, Some("a.0.b")),
            (
                r#"[1,[2,"a","a"],{"x":"x"},{"x":[{"y":1},{"z":{},"z":1}]}]"#,
                Some("3.x.1.z"),
            ),
            (r#"{"a\"b":1,"a\\":2,"a\"b":3}"#, Some("a\"b")),
            (
                r#" { "a" : "}{,\"a\":" , "b" : [ ] , "a" : null } "#,
                Some("a"),
            ),
            (r#"{"":1,"":2}"#, Some("")),
            (r#"{"é":1,"\u00e9":2}"#, Some("é")),
            (r#"{"a":1,"A":2}"#, None),
            (r#""a,{"#, None),
        ] {
            let found = match parse(text) {
                Err(JsonError::KeyTwice { path }) => Some(path.join(".")),
                Err(JsonError::Syntax(_)) if text.starts_with("\"a,") => None,
                other => {
                    other.unwrap();
                    None
                }
            };
            assert_eq!(found.as_deref(), twice, "{text}");
        }
        let half = parse(r#"{"\ud800":1}"#);
        assert!(matches!(half, Err(JsonError::Syntax(_))));
    }

    #[test]
    fn depth_is_bounded_and_breadth_is_not() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(parse(&nested(MAX_DEPTH)).is_ok());
        assert!(matches!(
            parse(&nested(MAX_DEPTH + 1)),
            Err(JsonError::TooDeep)
        ));
        assert!(parse(&format!("[{}1]", "1,".repeat(1 << 20))).is_ok());
    }
}
