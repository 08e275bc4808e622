//! Job documents as text: JSON whose objects have each key once, at every depth.
//!
//! A reader that takes the last of two `limit`s and one that takes the first would run different jobs; so neither is asked.

use std::{borrow::Cow, collections::HashSet, fmt, time::Instant};

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use serde_json::value::RawValue;

/// Objects and arrays may lie in one another this deep.
const MAX_DEPTH: usize = 128;

/// Why a text is rejected.
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
    check_keys(value.get())?;
    Ok(value)
}

/// An object or array that has begun and not ended.
enum Open<'a> {
    Object(Keys<'a>),
    /// The position of the value that follows.
    Array(usize),
}

/// Of so few keys each is looked at, which is faster than hashing them.
const FEW: usize = 16;

/// The keys of an object so far.
#[derive(Default)]
struct Keys<'a> {
    few: Vec<Cow<'a, str>>,
    /// All of them, once they are more than few.
    many: HashSet<Cow<'a, str>>,
    last: Cow<'a, str>,
}

impl<'a> Keys<'a> {
    /// Adds a key; whether it is new.
    fn insert(&mut self, key: Cow<'a, str>) -> bool {
        self.last.clone_from(&key);
        if !self.many.is_empty() {
            return self.many.insert(key);
        }
        if self.few.contains(&key) {
            return false;
        }
        self.few.push(key);
        if self.few.len() > FEW {
            self.many.extend(self.few.drain(..));
        }
        true
    }
}

/// Checks that no key is given twice in a text that is known to be JSON: for whoever has read it already. It looks at every key once, from
/// left to right, and skips what is between them.
///
/// # Errors
/// [`JsonError::KeyTwice`], [`JsonError::TooDeep`].
pub fn check_keys(text: &str) -> Result<(), JsonError> {
    let bytes = text.as_bytes();
    let mut open: Vec<Open<'_>> = Vec::new();
    let (mut at, mut key_is_next) = (0, false);
    while let Some(&byte) = bytes.get(at) {
        at += 1;
        match byte {
            b'"' => {
                let end = end_of_string(bytes, at);
                if key_is_next && let Some(Open::Object(keys)) = open.last_mut() {
                    if !keys.insert(unescaped(&text[at..end])?) {
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
                    Open::Object(Keys::default())
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

/// So many bytes are read between two looks at the clock.
const LOOK_BYTES: usize = 64 << 10;

/// The deadline passed before the id was found.
#[derive(Debug, PartialEq, Eq)]
pub struct OutOfTime;

/// The `id` of a job document, as a job is cancelled by it; `None` where there is none that is a text. What else is wrong with the
/// document is not found here.
///
/// It reads no further than the id, so that a document that begins with it costs the same whatever its length.
///
/// ```
/// use plugin_api::json::id_of;
///
/// assert_eq!(id_of(r#"{"id":"7f","context":{}}"#, None), Ok(Some("7f".to_owned())));
/// assert_eq!(id_of(r#"{"context":{"id":"of another"}}"#, None), Ok(None));
/// ```
///
/// # Errors
/// [`OutOfTime`] where `deadline` passes meanwhile.
pub fn id_of(document: &str, deadline: Option<Instant>) -> Result<Option<String>, OutOfTime> {
    let bytes = document.as_bytes();
    let (mut at, mut depth, mut key_is_next, mut next_look) = (0, 0_usize, false, LOOK_BYTES);
    while let Some(&byte) = bytes.get(at) {
        if at >= next_look {
            next_look = at + LOOK_BYTES;
            if deadline.is_some_and(|deadline| deadline <= Instant::now()) {
                return Err(OutOfTime);
            }
        }
        at += 1;
        match byte {
            b'"' => {
                let end = end_of_string(bytes, at);
                let text = document.get(at..end);
                at = end + 1;
                let is_key = std::mem::take(&mut key_is_next);
                if is_key && text.is_some_and(|key| unescaped(key).is_ok_and(|key| key == "id")) {
                    return Ok(document.get(at..).and_then(text_after_colon));
                }
            }
            b'{' => {
                depth += 1;
                key_is_next = depth == 1;
            }
            // A list of jobs is no job.
            b'[' if depth == 0 => return Ok(None),
            b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            b',' => key_is_next = depth == 1,
            _ => {}
        }
    }
    Ok(None)
}

/// The value of a key, behind which `rest` begins, where it is a text.
fn text_after_colon(rest: &str) -> Option<String> {
    let value = rest.trim_ascii_start().strip_prefix(':')?;
    let text = value.trim_ascii_start().strip_prefix('"')?;
    let (text, _) = text
        .split_at_checked(end_of_string(text.as_bytes(), 0))
        .filter(|(_, rest)| rest.starts_with('"'))?;
    unescaped(text).ok().map(Cow::into_owned)
}

/// Where the quotation mark is that ends a string whose first character is at `at`.
fn end_of_string(bytes: &[u8], mut at: usize) -> usize {
    loop {
        let rest = bytes.get(at..).unwrap_or_default();
        match memchr::memchr2(b'"', b'\\', rest) {
            Some(next) if rest[next] == b'"' => return at + next,
            Some(next) => at += next + 2,
            None => return at + rest.len(),
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
        Open::Object(keys) => keys.last.clone().into_owned(),
        Open::Array(index) => index.to_string(),
    };
    open.iter().map(step).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_given_twice_is_found_among_few_and_among_many() {
        for n_keys in [1, FEW - 1, FEW, FEW + 1, 100] {
            let keys: Vec<String> = (0..n_keys).map(|key| format!("\"{key}\":1")).collect();
            let keys = keys.join(",");
            assert!(check_keys(&format!("{{{keys}}}")).is_ok());
            for again in [0, n_keys - 1] {
                let error = check_keys(&format!("{{{keys},\"{again}\":2}}")).unwrap_err();
                assert_eq!(
                    error.to_string(),
                    format!("the key '{again}' is given twice")
                );
            }
        }
    }

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
    fn the_id_is_the_jobs_own_wherever_it_stands_and_however_it_is_written() {
        let far = format!(
            r#"{{"context":{{"n":["{}"]}},"id":"a"}}"#,
            "x".repeat(200_000)
        );
        for (text, id) in [
            (r#"{"id":"a"}"#, Some("a")),
            (r#" { "i\u0064" : "a\"b" , "x" : 1 }"#, Some("a\"b")),
            (
                r#"{"x":{"id":"no"},"y":["id","no",{"id":"no"}],"z":"id","id":"a"}"#,
                Some("a"),
            ),
            // What is wrong behind it is the plugin's to say.
            (r#"{"id":"a","#, Some("a")),
            (&far, Some("a")),
            (r#"{"id":7}"#, None),
            (r#"{"id":null,"x":"id"}"#, None),
            (r#"{"id""#, None),
            (r#"{"id":"a"#, None),
            (r#"{"id":"a\"#, None),
            (r#"{"id":"\ud800"}"#, None),
            (r#"[{"id":"a"}]"#, None),
            (r#""id":"a""#, None),
            ("", None),
        ] {
            assert_eq!(id_of(text, None).unwrap().as_deref(), id, "{text:.80}");
        }
    }

    #[test]
    fn a_deadline_that_has_passed_ends_the_reading_of_a_long_document_alone() {
        let passed = Some(Instant::now());
        let filler = "1,".repeat(LOOK_BYTES);
        let late = format!(r#"{{"n":[{filler}1],"id":"a"}}"#);
        assert_eq!(id_of(&late, passed), Err(OutOfTime));
        let early = format!(r#"{{"id":"a","n":[{filler}1]}}"#);
        assert_eq!(id_of(&early, passed), Ok(Some("a".to_owned())));
    }

    #[test]
    fn depth_is_bounded_and_breadth_is_not() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(parse(&nested(MAX_DEPTH)).is_ok());
        assert!(matches!(
            parse(&nested(MAX_DEPTH + 1)),
            Err(JsonError::TooDeep)
        ));
        // Under Miri a million numbers take most of an hour.
        let breadth = if cfg!(miri) { 1 << 10 } else { 1 << 20 };
        assert!(parse(&format!("[{}1]", "1,".repeat(breadth))).is_ok());
    }
}
