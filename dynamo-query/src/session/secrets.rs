//! Cuts what a request was signed with out of an answer that repeats it.
//!
//! In: the secret texts of a request, and the bytes of an error's body or header. Out: the same text without them: as they are, in
//! another case, percent-encoded, escaped as in JSON or XML, in base64 or hex, with blanks between, and cut off at either end.

use std::collections::HashSet;

use base64::{Engine, prelude::BASE64_STANDARD_NO_PAD};

/// Shorter texts are no secrets, and masking them would cut ordinary words.
const SHORTEST: usize = 6;

/// That many characters in a row of a longer secret are cut.
const WINDOW: usize = 16;

/// A signature is the hexadecimal form of 32 bytes.
const SIGNATURE: usize = 64;

/// What stands for what was cut.
const CUT: &str = "***";

/// The secrets of one request.
#[derive(Default)]
pub(super) struct Secrets {
    /// Runs of letters and digits in lower case, whose order is that of some form of a secret.
    windows: HashSet<Vec<u8>>,
    /// The lengths of all windows.
    lengths: Vec<usize>,
}

/// A letter or digit of a text, and the bytes that stand for it.
struct Plain {
    byte: u8,
    start: usize,
    end: usize,
}

impl Secrets {
    pub(super) fn of<'a>(secrets: impl IntoIterator<Item = &'a str>) -> Self {
        let mut known = Self::default();
        for secret in secrets {
            known.add(secret.as_bytes());
            known.add(hex(secret).as_bytes());
            // Base64 of a text that the secret stands in depends on where it begins.
            for skipped in 0..3.min(secret.len()) {
                let tail = &secret.as_bytes()[skipped..];
                let whole = tail.len() / 3 * 3;
                known.add(BASE64_STANDARD_NO_PAD.encode(&tail[..whole]).as_bytes());
            }
        }
        known.lengths.sort_unstable();
        known.lengths.dedup();
        known
    }

    fn add(&mut self, form: &[u8]) {
        let form: Vec<u8> = form
            .iter()
            .filter(|byte| byte.is_ascii_alphanumeric())
            .map(u8::to_ascii_lowercase)
            .collect();
        if form.len() < SHORTEST {
            return;
        }
        let length = form.len().min(WINDOW);
        self.lengths.push(length);
        self.windows
            .extend(form.windows(length).map(<[u8]>::to_vec));
    }

    /// The text without any secret.
    pub(super) fn cut(&self, text: &str) -> String {
        let plain = plain(text);
        let mut ranges = Vec::new();
        for &length in &self.lengths {
            let lower: Vec<u8> = plain
                .iter()
                .map(|plain| plain.byte.to_ascii_lowercase())
                .collect();
            let starts = lower.windows(length).enumerate();
            let found = starts.filter(|(_, window)| self.windows.contains(*window));
            ranges.extend(found.map(|(at, _)| (plain[at].start, plain[at + length - 1].end)));
        }
        ranges.extend(look_alikes(&plain));
        ranges.sort_unstable();
        let mut kept = String::with_capacity(text.len());
        let mut at = 0;
        for (start, end) in ranges {
            if start > at || (start == at && at == 0) {
                kept.push_str(&text[at..start]);
                kept.push_str(CUT);
            }
            at = at.max(end);
        }
        kept.push_str(&text[at..]);
        kept
    }
}

fn hex(text: &str) -> String {
    text.bytes().map(|byte| format!("{byte:02x}")).collect()
}

/// Runs that are an access key's id or a signature by their form, whoever's they are.
fn look_alikes(plain: &[Plain]) -> Vec<(usize, usize)> {
    let runs = plain.chunk_by(|one, next| one.end == next.start);
    runs.filter(|run| {
        let is_signature =
            run.len() >= SIGNATURE && run.iter().all(|plain| plain.byte.is_ascii_hexdigit());
        let starts: Vec<u8> = run.iter().take(4).map(|plain| plain.byte).collect();
        let is_key = run.len() >= 16
            && [b"AKIA", b"ASIA"]
                .iter()
                .any(|known| starts == known.as_slice())
            && run
                .iter()
                .all(|plain| plain.byte.is_ascii_uppercase() || plain.byte.is_ascii_digit());
        is_signature || is_key
    })
    .filter_map(|run| Some((run.first()?.start, run.last()?.end)))
    .collect()
}

/// The letters and digits of a text; what is escaped counts as what it stands for.
fn plain(text: &str) -> Vec<Plain> {
    let bytes = text.as_bytes();
    let mut plain = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let (byte, length) = unescaped(&bytes[at..]);
        if let Some(byte) = byte.filter(u8::is_ascii_alphanumeric) {
            plain.push(Plain {
                byte,
                start: at,
                end: at + length,
            });
        }
        at += length;
    }
    plain
}

/// The character that a text begins with and how many bytes stand for it; `None` for one that is skipped.
fn unescaped(text: &[u8]) -> (Option<u8>, usize) {
    let coded = |start: usize, n_digits: usize| {
        let digits = std::str::from_utf8(text.get(start..start + n_digits)?).ok()?;
        let code = u32::from_str_radix(digits, 16).ok()?;
        Some((u8::try_from(code).ok(), start + n_digits))
    };
    let escape = match text {
        [b'%', ..] => {
            // `%2541` is `%41` escaped once more.
            let again = text[1..]
                .chunks(2)
                .take_while(|pair| *pair == b"25")
                .count();
            coded(1 + 2 * again, 2)
        }
        [b'\\', b'u', ..] => coded(2, 4),
        [b'\\', b'x', ..] => coded(2, 2),
        [b'\\', b'n' | b'r' | b't' | b'b' | b'f', ..] => Some((None, 2)),
        [b'&', b'#', b'x' | b'X', ..] => entity(text, 3, 16),
        [b'&', b'#', ..] => entity(text, 2, 10),
        _ => None,
    };
    escape.unwrap_or((Some(text[0]), 1))
}

fn entity(text: &[u8], start: usize, radix: u32) -> Option<(Option<u8>, usize)> {
    let end = start
        + text[start..]
            .iter()
            .take(8)
            .position(|byte| *byte == b';')?;
    let digits = std::str::from_utf8(&text[start..end]).ok()?;
    let code = u32::from_str_radix(digits, radix).ok()?;
    Some((u8::try_from(code).ok(), end + 1))
}

#[cfg(test)]
mod tests {
    use base64::prelude::BASE64_STANDARD;

    use super::*;

    const TOKEN: &str = "IQoJb3JpZ2luX2VjEJr//////////wEaCXVzLWVhc3QtMSJHMEUCIQDz+Q==";

    fn percent(text: &str) -> String {
        text.bytes().map(|byte| format!("%{byte:02X}")).collect()
    }

    #[test]
    fn a_secret_is_cut_in_every_form() {
        let secrets = Secrets::of([TOKEN, "AKIDEXAMPLE"]);
        let json: String = TOKEN
            .chars()
            .map(|c| format!("\\u{:04x}", u32::from(c)))
            .collect();
        let xml: String = TOKEN
            .chars()
            .map(|c| format!("&#x{:x};", u32::from(c)))
            .collect();
        let spaced: Vec<String> = TOKEN.chars().map(String::from).collect();
        let forms = [
            TOKEN.to_owned(),
            TOKEN.to_lowercase(),
            TOKEN.replace('/', "\\/"),
            TOKEN.replace('/', "%2F").replace('=', "%3d"),
            percent(TOKEN),
            percent(TOKEN).replace('%', "%25"),
            json,
            xml,
            spaced.join(" "),
            spaced.join("\\n"),
            hex(TOKEN),
            BASE64_STANDARD.encode(TOKEN),
            BASE64_STANDARD.encode(format!("a{TOKEN}")),
            BASE64_STANDARD.encode(format!("ab{TOKEN}")),
            TOKEN[..30].to_owned(),
            TOKEN[20..].to_owned(),
        ];
        for form in forms {
            let cut = secrets.cut(&format!("the token {form} is not valid"));
            assert!(
                cut.starts_with("the token ") && cut.ends_with(" is not valid"),
                "{cut}"
            );
            let left = cut.replace("the token", "").replace("is not valid", "");
            assert!(left.contains(CUT) && left.len() < 24, "{form}: {cut}");
        }
        assert_eq!(secrets.cut("AKIDEXAMPLE"), CUT);
        assert_eq!(secrets.cut("key akidexample?"), format!("key {CUT}?"));
    }

    #[test]
    fn other_peoples_keys_and_signatures_are_cut_and_other_words_stay() {
        let secrets = Secrets::of(["test", TOKEN]);
        let signature = "0123456789abcdef".repeat(4);
        let words = format!(
            "AKIAIOSFODNN7EXAMPLE signed {signature} for test-table in arn:aws:dynamodb:us-east-1:123456789012:table/t"
        );
        let cut = secrets.cut(&words);
        assert_eq!(
            cut,
            format!(
                "{CUT} signed {CUT} for test-table in arn:aws:dynamodb:us-east-1:123456789012:table/t"
            )
        );
        let untouched = "größe 100 %, \\u00e9 & &amp; %zz 日本";
        assert_eq!(secrets.cut(untouched), untouched);
    }
}
