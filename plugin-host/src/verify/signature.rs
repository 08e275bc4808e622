//! The operator's signature under the list of digests, in minisign's format.

use std::{fmt, str::FromStr};

use minisign_verify::Signature;

/// A public key that `minisign -G` made: the second line of its `.pub` file.
#[derive(Clone, PartialEq, Eq)]
pub struct PublicKey {
    text: String,
    key: minisign_verify::PublicKey,
}

impl FromStr for PublicKey {
    type Err = NotAKey;

    fn from_str(text: &str) -> Result<Self, NotAKey> {
        let text = text.trim();
        let key = minisign_verify::PublicKey::from_base64(text).map_err(|_| NotAKey)?;
        Ok(Self {
            text: text.to_owned(),
            key,
        })
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({self})")
    }
}

/// A text that is no public key. Operator: the second line of the key's `.pub` file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it is no minisign public key")]
pub struct NotAKey;

/// Whether the owner of `key` signed exactly these bytes; otherwise what is wrong with the signature.
pub(super) fn verify(key: &PublicKey, signed: &[u8], signature: &str) -> Result<(), String> {
    use minisign_verify::Error;
    let decoded =
        Signature::decode(signature).map_err(|_| "it is no minisign signature".to_owned())?;
    // Not the old form without a hash before the signature: minisign makes it only when it is told to.
    key.key
        .verify(signed, &decoded, false)
        .map_err(|error| match error {
            Error::UnexpectedKeyId => "it was made with another key".to_owned(),
            Error::UnexpectedAlgorithm => "it is of minisign's legacy form".to_owned(),
            _ => "the list or the signature was changed after signing".to_owned(),
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    // What minisign 0.11 wrote: `minisign -G -W`, `minisign -S -m SHA256SUMS -t 'release 1.0.0'`, and the same with `-l`.
    const KEY: &str = "RWREnb7wqc2YX6zYUfUwkOm9h2bH+VzBT5d0JvukZ2E3U6lPxZo87SXm";
    const OTHER_KEY: &str = "RWRJy4BUWtzlszcVqkvRZQgaGe3H2QJZVuqTc6caZQK40AWG4QbJnuZf";
    const LIST: &str =
        "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881  libdynamo_plugin.so\n";
    const SIGNATURE: &str = "\
untrusted comment: signature from minisign secret key
RUREnb7wqc2YXxFuUovGas+LIZu2v3R6DCcmxZzUQPKwYKbSKWc25x11uwLPgES8tqZtbjY2se2E5MSnQwZqk/8plDFCZkifZgs=
trusted comment: release 1.0.0
kiiqfRoI62I6BSdinUYSpGWLr63My1TnRzPQPcy7p4j/jcA8LcXy2nPPwOWCfyEDVjdga8rz9kB+pzxNNKoDCw==
";
    const LEGACY: &str = "\
untrusted comment: signature from minisign secret key
RWREnb7wqc2YX/HTWzXUrMu/ZBptsoKDrW/hAnzSjoAzVS9K+SXhHO/r3ygbCvEvsVbjEN15LEwephj+OXiKooky+8zNx+fkpw4=
trusted comment: legacy
DC3+oniWfgAzLmL2xWbwdaI2GUjs662LyWI9qc8XZH7pa7iQVtHRR3/Q/F8tF1iUI+35WsWFZo7FfvaL9t2WCQ==
";

    fn key(text: &str) -> PublicKey {
        text.parse().unwrap()
    }

    #[test]
    fn what_the_owner_of_the_key_signed_is_accepted() {
        assert_eq!(verify(&key(KEY), LIST.as_bytes(), SIGNATURE), Ok(()));
        let crlf = SIGNATURE.replace('\n', "\r\n");
        assert_eq!(verify(&key(KEY), LIST.as_bytes(), &crlf), Ok(()));
    }

    #[test]
    fn everything_else_is_refused_with_its_reason() {
        let listed_one_more = format!("{LIST}{LIST}");
        let other_comment = SIGNATURE.replace("release 1.0.0", "release 9.0.0");
        let cut = &SIGNATURE[..SIGNATURE.len() / 2];
        let changed = "was changed after signing";
        for (key_text, list, signature, reason) in [
            (OTHER_KEY, LIST, SIGNATURE, "made with another key"),
            (KEY, listed_one_more.as_str(), SIGNATURE, changed),
            (KEY, "", SIGNATURE, changed),
            (KEY, LIST, &other_comment, changed),
            (KEY, LIST, &LEGACY.replace("RWRE", "RURE"), changed),
            (KEY, LIST, LEGACY, "legacy form"),
            (KEY, LIST, cut, "no minisign signature"),
            (KEY, LIST, "", "no minisign signature"),
        ] {
            let said = verify(&key(key_text), list.as_bytes(), signature).unwrap_err();
            assert!(said.contains(reason), "{reason}: {said}");
        }
    }

    #[test]
    fn every_changed_byte_of_the_list_is_noticed() {
        for at in 0..LIST.len() {
            let mut list = LIST.as_bytes().to_vec();
            list[at] ^= 1;
            assert!(verify(&key(KEY), &list, SIGNATURE).is_err(), "byte {at}");
        }
    }

    #[test]
    fn a_key_is_the_second_line_of_its_file_and_nothing_else() {
        assert_eq!(key(&format!(" {KEY}\n")).to_string(), KEY);
        for wrong in [
            "",
            "minisign.pub",
            &KEY[..40],
            &format!("untrusted comment: x\n{KEY}"),
        ] {
            assert_eq!(wrong.parse::<PublicKey>(), Err(NotAKey), "{wrong:?}");
        }
    }
}
