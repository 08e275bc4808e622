//! The `SHA256SUMS` file of the plugin directory: where it lies, only what it lists is taken; where the operator has a key, only what
//! a list with that key's signature lists.

use std::{
    collections::HashMap,
    fs, io,
    io::Read,
    path::{Path, PathBuf},
};

use super::{
    Digest, FileStamp, open,
    signature::{self, PublicKey},
    trusted, unreadable,
};
use crate::refusal::{Refusal, RefusalCode};

const NAME: &str = "SHA256SUMS";
const SIGNATURE: &str = "SHA256SUMS.minisig";

/// The longest list or signature that is read: some hundred thousand lines.
const MAX_BYTES: u64 = 1 << 24;

/// What the list says.
pub(crate) struct Sums {
    list: Result<Option<HashMap<String, Digest>>, Refusal>,
    pub(super) fingerprint: ListFingerprint,
}

/// What the list and its signature look like; `None` where there is none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct ListFingerprint {
    list: Option<FileStamp>,
    signature: Option<FileStamp>,
}

impl Sums {
    /// Reads the list of a directory. With a key it must be there, signed by that key.
    pub(crate) fn read(
        dir: &Path,
        trusted_directories: &[PathBuf],
        key: Option<&PublicKey>,
    ) -> Self {
        let (list, signature) = (dir.join(NAME), dir.join(SIGNATURE));
        let stamp = |path| fs::metadata(path).ok().map(|meta| FileStamp::of(&meta));
        // Before the bytes, so that a change while they are read is seen at the next look.
        let fingerprint = ListFingerprint {
            list: stamp(&list),
            signature: key.and_then(|_| stamp(&signature)),
        };
        let list = match key {
            Some(key) => signed(&list, &signature, trusted_directories, key).map(Some),
            None if is_missing(&list) => Ok(None),
            None => read(&list, trusted_directories).map(|text| Some(parse(&text))),
        };
        Self { list, fingerprint }
    }

    /// Whether a file of that name may have that digest.
    pub(crate) fn check(&self, name: &str, digest: &Digest) -> Result<(), Refusal> {
        let Some(list) = self.list.as_ref().map_err(Clone::clone)? else {
            return Ok(());
        };
        match list.get(name) {
            Some(listed) if listed == digest => Ok(()),
            Some(listed) => Err(Refusal::new(
                RefusalCode::WrongDigest,
                format!("its sha256 is {digest}, but {NAME} lists {listed}"),
                format!("copy the file again, or renew {NAME} if the new file is meant"),
            )),
            None => Err(Refusal::new(
                RefusalCode::NotListed,
                format!("{NAME} in the plugin directory does not list it"),
                format!(
                    "add it with `sha256sum {name} >> {NAME}`; a host with a plugin_public_key wants the list signed again"
                ),
            )),
        }
    }
}

/// A broken link is a list that cannot be read, not the lack of one.
fn is_missing(path: &Path) -> bool {
    fs::symlink_metadata(path).is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
}

/// The list, if the key's owner signed it. What is parsed are the very bytes whose signature was checked.
fn signed(
    list: &Path,
    signature: &Path,
    trusted_directories: &[PathBuf],
    key: &PublicKey,
) -> Result<HashMap<String, Digest>, Refusal> {
    let not_signed = |reason: String| {
        Refusal::new(
            RefusalCode::NotSigned,
            format!("plugin_public_key asks for a signed list of digests, but {reason}"),
            format!(
                "sign the list with `minisign -S -m {NAME}` and the key that the host knows, or correct plugin_public_key"
            ),
        )
    };
    for (path, name) in [(list, NAME), (signature, SIGNATURE)] {
        if is_missing(path) {
            return Err(not_signed(format!(
                "there is no {name} in the plugin directory"
            )));
        }
    }
    let text = read(list, trusted_directories)?;
    let signature = read(signature, trusted_directories)?;
    signature::verify(key, text.as_bytes(), &signature)
        .map_err(|reason| not_signed(format!("{SIGNATURE} does not prove it: {reason}")))?;
    Ok(parse(&text))
}

/// The text of a list or a signature, if nobody else could have written it.
fn read(path: &Path, trusted_directories: &[PathBuf]) -> Result<String, Refusal> {
    let name = path.file_name().unwrap_or_default().display();
    let of_the_list = |refusal: Refusal| Refusal {
        message: format!("{name} in the plugin directory cannot be used: {refusal}"),
        ..refusal
    };
    let mut file = open(path).map_err(of_the_list)?;
    let meta = file
        .metadata()
        .map_err(|error| of_the_list(unreadable(&error)))?;
    trusted(&file, &meta, trusted_directories).map_err(of_the_list)?;
    if meta.len() > MAX_BYTES {
        let error = io::Error::other(format!("it has more than {MAX_BYTES} bytes"));
        return Err(of_the_list(unreadable(&error)));
    }
    let mut text = String::new();
    (&mut file)
        .take(MAX_BYTES)
        .read_to_string(&mut text)
        .map_err(|error| of_the_list(unreadable(&error)))?;
    Ok(text)
}

/// Lines as `sha256sum` writes them: a digest, a space, a space or `*`, a name. Other lines list nothing.
fn parse(text: &str) -> HashMap<String, Digest> {
    text.lines()
        .filter_map(|line| {
            let (digest, name) = line.split_once([' ', '\t'])?;
            // The mark of a binary file is one character; a further one is the name's own.
            let name = name.strip_prefix('*').unwrap_or(name.trim_start());
            let name = name.trim_start_matches("./").trim_end();
            Some((name.to_owned(), digest.parse().ok()?))
        })
        .collect()
}

/// For the fuzz target: a list lists what its lines say, and no signature but the key owner's is taken for one.
#[cfg(feature = "fuzzing")]
pub fn fuzz(text: &str) {
    const KEY: &str = "RWREnb7wqc2YX6zYUfUwkOm9h2bH+VzBT5d0JvukZ2E3U6lPxZo87SXm";
    let list = parse(text);
    let written: String = list
        .iter()
        .map(|(name, digest)| format!("{digest} *{name}\n"))
        .collect();
    for (name, digest) in parse(&written) {
        assert_eq!(list.get(&name), Some(&digest), "{text:?}");
    }
    for line in text.lines() {
        assert!(parse(line).len() <= 1, "{line:?}");
    }
    let key: PublicKey = KEY.parse().expect("it is a key");
    let (list, signature) = text.split_once('\0').unwrap_or(("", text));
    assert!(signature::verify(&key, list.as_bytes(), signature).is_err());
    let _ = text.parse::<PublicKey>();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_or_a_dot_of_the_name_itself_stays() {
        let a = "a".repeat(64);
        for (line, name) in [
            (format!("{a} **star.so"), "*star.so"),
            (format!("{a}  *star.so"), "*star.so"),
            (format!("{a} *./*/b.so"), "*/b.so"),
            (format!("{a}  ././b.so"), "b.so"),
            (format!("{a}\t b.so"), "b.so"),
        ] {
            let list = parse(&line);
            assert_eq!(list.keys().collect::<Vec<_>>(), [name], "{line}");
        }
    }

    #[test]
    fn lines_of_sha256sum_are_read_and_others_list_nothing() {
        let a = "a".repeat(64);
        let text = format!(
            "{a}  plain.so\n{a} *binary.so\n{a}  ./here.so\r\n# comment\nshort  other.so\n{a}\n{}  upper.so\n",
            "A".repeat(64)
        );
        let list = parse(&text);
        let mut names: Vec<_> = list.keys().map(String::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, ["binary.so", "here.so", "plain.so", "upper.so"]);
        assert_eq!(list["upper.so"].to_string(), a);
    }
}
