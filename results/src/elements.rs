//! The elements of a JSON list that is known to be well-formed.
//!
//! serde_json says whether it is. To say where each element stands as well, it would take a `Vec<&RawValue>`, which costs several times
//! what the look at the bytes here does.

use std::ops::Range;

use memchr::memchr2;

/// Where each element of a list stands in its text, without blanks around it.
pub(crate) struct Elements<'a> {
    text: &'a [u8],
    /// Behind the list's opening bracket, or behind the last comma.
    at: usize,
    is_done: bool,
}

impl<'a> Elements<'a> {
    /// The elements of the list `text`, which begins with its bracket. Of a text that is no list there are none, or some positions in it.
    pub(crate) fn of(text: &'a str) -> Self {
        Self {
            text: text.as_bytes(),
            at: 1,
            is_done: !text.starts_with('['),
        }
    }

    /// The position behind the element that begins at `begin`: of a comma, of the list's closing bracket, or of the text's end.
    fn end(&self, begin: usize) -> usize {
        let (mut at, mut depth) = (begin, 0_usize);
        while let Some(byte) = self.text.get(at) {
            match byte {
                b'"' => at = closing_quote(self.text, at + 1),
                b'[' | b'{' => depth += 1,
                b',' | b']' if depth == 0 => return at,
                b']' | b'}' => depth = depth.saturating_sub(1),
                _ => {}
            }
            at += 1;
        }
        self.text.len()
    }
}

impl Iterator for Elements<'_> {
    type Item = Range<usize>;

    fn next(&mut self) -> Option<Range<usize>> {
        if self.is_done {
            return None;
        }
        let (begin, end) = (self.at, self.end(self.at));
        self.at = end + 1;
        self.is_done = self.text.get(end) != Some(&b',');
        let element = self.text[begin..end].trim_ascii_start();
        let begin = end - element.len();
        let element = begin..begin + element.trim_ascii_end().len();
        // What an empty list holds is nothing.
        (!element.is_empty()).then_some(element)
    }
}

/// The position of the quote that ends a text which begins at `at`.
fn closing_quote(text: &[u8], mut at: usize) -> usize {
    while let Some(found) = text.get(at..).and_then(|rest| memchr2(b'"', b'\\', rest)) {
        at += found;
        if text[at] == b'"' {
            return at;
        }
        at += 2;
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::value::RawValue;

    use super::*;

    fn elements(text: &str) -> Vec<&str> {
        Elements::of(text).map(|at| &text[at]).collect()
    }

    #[test]
    fn each_element_of_a_list_is_found_without_the_blanks_around_it() {
        for (list, expected) in [
            ("[]", &[][..]),
            (" [ ]", &[]),
            ("[1]", &["1"]),
            ("[ 1.50 ,\t\"a\" ]", &["1.50", "\"a\""]),
            (
                r#"["a,]\"","\\",{"k":[1,"}"]},[[],[2]]]"#,
                &[r#""a,]\"""#, r#""\\""#, r#"{"k":[1,"}"]}"#, "[[],[2]]"],
            ),
            (
                "[\"é\",\"日\u{301}\",null]\n",
                &["\"é\"", "\"日\u{301}\"", "null"],
            ),
        ] {
            assert_eq!(elements(list.trim_start()), expected, "{list}");
        }
    }

    proptest! {
        #[test]
        fn elements_are_those_that_serde_json_finds(
            values in proptest::collection::vec(proptest::collection::vec("\\PC{0,6}[\\\\\"\\[\\]{},: \n]{0,4}", 0..4), 0..5),
        ) {
            let list = serde_json::json!(values).to_string();
            let raw: Vec<&RawValue> = serde_json::from_str(&list).unwrap();
            let expected: Vec<&str> = raw.iter().map(|value| value.get()).collect();
            prop_assert_eq!(elements(&list), expected);
        }

        #[test]
        fn of_any_text_there_are_positions_within_it(text in "[\\[\\]{}\",\\\\ a日]{0,12}") {
            elements(&text);
        }
    }
}
