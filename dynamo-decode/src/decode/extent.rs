//! Where a JSON value ends, found without judging it.
//!
//! In: the bytes of an object, an array or a string, in any pieces. Out: how many of them belong to it.
//! Brackets are only counted: what lies between them is for the decoders to judge. A valid value always ends where this says.

/// A value whose end is being looked for.
#[derive(Debug, Default)]
pub(crate) struct Extent {
    depth: usize,
    in_string: bool,
    escaped: bool,
}

impl Extent {
    /// Goes on with the value's next piece; gives the length up to and with its last byte once that is in the piece.
    pub(crate) fn advance(&mut self, piece: &[u8]) -> Option<usize> {
        let mut at = 0;
        while let Some(&byte) = piece.get(at) {
            at += 1;
            if self.escaped {
                self.escaped = false;
            } else if self.in_string {
                match byte {
                    b'"' => self.in_string = false,
                    b'\\' => self.escaped = true,
                    _ => {
                        at += memchr::memchr2(b'"', b'\\', &piece[at..]).unwrap_or(piece.len());
                        continue;
                    }
                }
            } else {
                match byte {
                    b'"' => self.in_string = true,
                    b'{' | b'[' => self.depth += 1,
                    b'}' | b']' => self.depth = self.depth.saturating_sub(1),
                    _ => continue,
                }
            }
            if self.depth == 0 && !self.in_string {
                return Some(at);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_are_found_however_the_bytes_are_split() {
        for (text, expected) in [
            (r#"{}"#, Some(2)),
            (r#"{"a":[1,{"b":"}]"}]},{"#, Some(20)),
            (r#""a\"b" "#, Some(6)),
            (r#""a\\" "#, Some(5)),
            (r#"{"a\\":"\\\""}]"#, Some(14)),
            (r#"{"a":"#, None),
            (r#"{"a":"\"#, None),
        ] {
            for size in 1..=text.len() {
                let mut extent = Extent::default();
                let mut before = 0;
                let end = text.as_bytes().chunks(size).find_map(|piece| {
                    let end = extent.advance(piece).map(|end| before + end);
                    before += piece.len();
                    end
                });
                assert_eq!(end, expected, "{text} in pieces of {size}");
            }
        }
    }
}
