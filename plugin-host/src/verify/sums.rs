//! The `SHA256SUMS` file of the plugin directory: where it lies, only what it lists is taken.

use std::{
    collections::HashMap,
    fs, io,
    io::Read,
    path::{Path, PathBuf},
};

use super::{Digest, Stamp, open, trusted};
use crate::refusal::{Refusal, RefusalCode};

const NAME: &str = "SHA256SUMS";

/// What the list says.
pub(crate) struct Sums {
    list: Result<Option<HashMap<String, Digest>>, Refusal>,
    /// What the file looks like; `None` where there is none.
    pub(super) stamp: Option<Stamp>,
}

impl Sums {
    pub(crate) fn read(dir: &Path, trusted_directories: &[PathBuf]) -> Self {
        let path = dir.join(NAME);
        // A broken link is a list that cannot be read, not the lack of one.
        if fs::symlink_metadata(&path).is_err_and(|error| error.kind() == io::ErrorKind::NotFound) {
            return Self {
                list: Ok(None),
                stamp: None,
            };
        }
        Self {
            list: read(&path, trusted_directories).map(Some),
            stamp: fs::metadata(&path).ok().map(|meta| Stamp::of(&meta)),
        }
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
                format!("add it with `sha256sum {name} >> {NAME}`"),
            )),
        }
    }
}

fn read(path: &Path, trusted_directories: &[PathBuf]) -> Result<HashMap<String, Digest>, Refusal> {
    let of_the_list = |refusal: Refusal| Refusal {
        message: format!("{NAME} in the plugin directory cannot be used: {refusal}"),
        ..refusal
    };
    let mut file = open(path).map_err(of_the_list)?;
    let meta = file
        .metadata()
        .map_err(|error| of_the_list(super::unreadable(&error)))?;
    trusted(&file, &meta, trusted_directories).map_err(of_the_list)?;
    let mut text = String::new();
    file.read_to_string(&mut text)
        .map_err(|error| of_the_list(super::unreadable(&error)))?;
    Ok(parse(&text))
}

/// Lines as `sha256sum` writes them: a digest, a space, a space or `*`, a name. Other lines list nothing.
fn parse(text: &str) -> HashMap<String, Digest> {
    text.lines()
        .filter_map(|line| {
            let (digest, name) = line.split_once([' ', '\t'])?;
            let name = name.trim_start().trim_start_matches('*');
            let name = name.strip_prefix("./").unwrap_or(name).trim_end();
            Some((name.to_owned(), digest.parse().ok()?))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

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
