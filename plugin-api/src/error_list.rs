//! A plugin's list of error codes as JSON, made at compile time: `plugin_info` hands out nothing that is not static.

use std::borrow::Cow;

use crate::ErrorInfo;

/// The list as JSON, and its length. As many bytes are kept as fit; the rest of the array is 0.
///
/// # Panics
/// At compile time, where a text of the list is not a constant.
#[must_use]
pub const fn to_json<const N: usize>(errors: &[ErrorInfo]) -> ([u8; N], usize) {
    let mut json = Json {
        bytes: [0; N],
        length: 0,
    };
    json.put(b"[");
    let mut at = 0;
    while at < errors.len() {
        let error = &errors[at];
        json.put(if at == 0 {
            b"{\"code\":"
        } else {
            b",{\"code\":"
        });
        json.text(error.code.word());
        json.put(b",\"meaning\":");
        json.text(&error.meaning);
        json.put(b",\"remedy\":");
        json.text(&error.remedy);
        json.put(if error.retryable {
            b",\"retryable\":true}"
        } else {
            b",\"retryable\":false}"
        });
        at += 1;
    }
    json.put(b"]");
    (json.bytes, json.length)
}

struct Json<const N: usize> {
    bytes: [u8; N],
    length: usize,
}

impl<const N: usize> Json<N> {
    const fn put(&mut self, bytes: &[u8]) {
        let mut at = 0;
        while at < bytes.len() {
            if self.length < N {
                self.bytes[self.length] = bytes[at];
            }
            self.length += 1;
            at += 1;
        }
    }

    #[expect(
        clippy::ptr_arg,
        reason = "a plain str does not tell that it is known when the plugin is compiled"
    )]
    const fn text(&mut self, text: &Cow<'static, str>) {
        const HEX: &[u8; 16] = b"0123456789abcdef";
        let Cow::Borrowed(text) = text else {
            panic!("the texts of a plugin's error list are constants");
        };
        let text = text.as_bytes();
        self.put(b"\"");
        let mut at = 0;
        while at < text.len() {
            match text[at] {
                byte @ (b'"' | b'\\') => self.put(&[b'\\', byte]),
                byte @ 0..=0x1f => {
                    self.put(b"\\u00");
                    self.put(&[HEX[(byte >> 4) as usize], HEX[(byte & 15) as usize]]);
                }
                byte => self.put(&[byte]),
            }
            at += 1;
        }
        self.put(b"\"");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorCode;

    #[test]
    fn the_list_made_at_compile_time_is_what_serde_writes() {
        const ODD: &[ErrorInfo] = &[
            ErrorInfo::new(
                ErrorCode::retryable("A_B"),
                "\"quoted\" \\ back",
                "tab\t, NUL\0, ä€😀",
            ),
            ErrorInfo::new(ErrorCode::INTERNAL, "", ""),
        ];
        for errors in [&[], ErrorInfo::STANDARD, ODD] {
            let (bytes, length) = to_json::<4096>(errors);
            assert_eq!(to_json::<0>(errors).1, length);
            let read: Vec<ErrorInfo> = serde_json::from_slice(&bytes[..length]).unwrap();
            assert_eq!(read, errors);
        }
    }
}
