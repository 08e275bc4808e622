//! The token file: who may call, under which name, and what each may do.
//!
//! In: lines of `TOKEN [NAME [ROLE]]`. Out: the list of tokens, or the line that cannot be used. No message repeats a token.

use std::{
    io::Read,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
};

use subtle::ConstantTimeEq;

use crate::config::Auth;

/// Names longer than this are nobody's, in the file and in the caller's header.
pub(super) const LONGEST_NAME: usize = 256;

/// What the holder of a token may do; each role may do what the ones before it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Role {
    /// Reading: GET and HEAD.
    Reader,
    /// Jobs.
    User,
    /// Everything, and speaking for other users.
    Admin,
}

impl Role {
    const ALL: [(&'static str, Self); 3] = [
        ("reader", Self::Reader),
        ("user", Self::User),
        ("admin", Self::Admin),
    ];

    /// The role's word in the file.
    pub(super) fn as_str(self) -> &'static str {
        Self::ALL
            .into_iter()
            .find(|(_, role)| *role == self)
            .map_or("", |(word, _)| word)
    }

    fn from_word(word: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|(known, _)| *known == word)
            .map(|(_, role)| role)
    }
}

/// A line of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Token {
    secret: String,
    /// The caller that the token stands for; `None` leaves it to the caller's header.
    pub(super) name: Option<String>,
    pub(super) role: Role,
}

/// The tokens of a file; empty where none are asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Tokens {
    list: Vec<Token>,
    /// Where they stand, if their last line has its end.
    ended: Option<PathBuf>,
}

/// Why a token file cannot be used. Operator: the file.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// It cannot be read.
    #[error("cannot read the token file {path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// It holds no token.
    #[error("the token file {path} holds no token: write one a line, as TOKEN [NAME [ROLE]]")]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// A line is not one of `TOKEN [NAME [ROLE]]`.
    #[error("{path}:{line}: {problem}")]
    Line {
        /// The file.
        path: PathBuf,
        /// The line's number, from 1.
        line: usize,
        /// What is wrong with it, without the token.
        problem: String,
    },
    /// It was written while it was read, so that what was read may be a part of it.
    #[error(
        "the token file {path} was being written while it was read: rename a whole one onto it"
    )]
    Changing {
        /// The file.
        path: PathBuf,
    },
    /// Its last line has no end, as the one before it had: a token cut short is another token, and a line without its role is an admin's.
    #[error(
        "the last line of the token file {path} has no line end, as it had before: it may be half written"
    )]
    Cut {
        /// The file.
        path: PathBuf,
    },
    /// A running host asks for tokens, and its configuration no longer names any.
    #[error(
        "auth.token_file is gone, and a running host does not stop asking for tokens: start it again for that"
    )]
    Gone,
}

impl Tokens {
    /// The tokens that a configuration names; none where it names no file.
    ///
    /// # Errors
    /// The file cannot be read, or a line cannot be understood.
    pub(super) fn load(auth: &Auth) -> Result<Self, TokenError> {
        let Some(path) = auth.token_file.as_deref() else {
            return Ok(Self::default());
        };
        let read = read_whole(path).map_err(|source| TokenError::Read {
            path: path.to_owned(),
            source,
        });
        let text = read?.ok_or_else(|| TokenError::Changing {
            path: path.to_owned(),
        })?;
        Self::parse(path, &text)
    }

    /// Whether these may take the place of the `old` ones in a running host.
    ///
    /// # Errors
    /// They would open it to everyone, or may be half of a file.
    pub(super) fn may_replace(&self, old: &Self) -> Result<(), TokenError> {
        if self.is_empty() && !old.is_empty() {
            return Err(TokenError::Gone);
        }
        match &old.ended {
            Some(path) if self.ended.is_none() && !self.is_empty() => {
                Err(TokenError::Cut { path: path.clone() })
            }
            _ => Ok(()),
        }
    }

    fn parse(path: &Path, text: &str) -> Result<Self, TokenError> {
        let mut tokens: Vec<Token> = Vec::new();
        for (index, line) in text.lines().enumerate() {
            if line.trim().is_empty() {
                continue;
            }
            let problem = |problem| TokenError::Line {
                path: path.to_owned(),
                line: index + 1,
                problem,
            };
            let token = token(line).map_err(problem)?;
            if tokens.iter().any(|other| other.secret == token.secret) {
                return Err(problem(
                    "the token of this line stands on an earlier line as well".to_owned(),
                ));
            }
            tokens.push(token);
        }
        if tokens.is_empty() {
            return Err(TokenError::Empty {
                path: path.to_owned(),
            });
        }
        Ok(Self {
            list: tokens,
            ended: text.ends_with('\n').then(|| path.to_owned()),
        })
    }

    pub(super) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// The token with these bytes. Each one is compared in full, so that the time tells nothing about any of them.
    pub(super) fn find(&self, given: &[u8]) -> Option<&Token> {
        self.list.iter().fold(None, |found, token| {
            let same: bool = token.secret.as_bytes().ct_eq(given).into();
            if same { Some(token) } else { found }
        })
    }
}

/// The text of a file; `None` where somebody wrote to it meanwhile.
fn read_whole(path: &Path) -> std::io::Result<Option<String>> {
    let mut file = std::fs::File::open(path)?;
    let state = |file: &std::fs::File| {
        let about = file.metadata()?;
        Ok::<_, std::io::Error>((about.len(), about.modified()?))
    };
    let before = state(&file)?;
    let mut text = String::new();
    file.read_to_string(&mut text)?;
    Ok((state(&file)? == before).then_some(text))
}

fn token(line: &str) -> Result<Token, String> {
    let mut words = line.split_whitespace();
    let secret = words.next().unwrap_or_default();
    if !secret.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err("the token has characters other than printable ASCII".to_owned());
    }
    let name = words.next();
    if let Some(name) = name
        && (name.len() > LONGEST_NAME || name.chars().any(char::is_control))
    {
        return Err(format!(
            "the name is longer than {LONGEST_NAME} bytes or has control characters"
        ));
    }
    let role = match words.next() {
        None => Role::Admin,
        Some(word) => Role::from_word(word)
            .ok_or_else(|| format!("unknown role '{word}': write reader, user or admin"))?,
    };
    if words.next().is_some() {
        return Err("a fourth word: a line is TOKEN [NAME [ROLE]]".to_owned());
    }
    Ok(Token {
        secret: secret.to_owned(),
        name: name.map(str::to_owned),
        role,
    })
}

/// One sentence for the operator where others can read the file.
pub(super) fn readable_by_others(path: &Path) -> Option<String> {
    let file = std::fs::metadata(path).ok()?;
    let mode = file.permissions().mode();
    let own_group = rustix::process::getegid().as_raw();
    let telling = telling_bits(file.uid(), file.gid(), own_group);
    (mode & telling != 0).then(|| {
        format!(
            "the token file {} can be read by other users of this machine (mode {:04o}): chmod 600 it, and renew the tokens if that matters",
            path.display(),
            mode & 0o7777
        )
    })
}

/// The bits of a token file's mode that let others read it. What root gave to the host's own group (a service's file, a mounted secret
/// of Kubernetes) is meant for the host; which users are in that group was root's choice.
fn telling_bits(owner: u32, group: u32, own_group: u32) -> u32 {
    if owner == 0 && group == own_group && own_group != 0 {
        0o004
    } else {
        0o044
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_root_gave_to_the_hosts_group_is_not_told() {
        for (owner, group, own_group, told) in [
            (0, 65532, 65532, 0o004),
            (0, 100, 65532, 0o044),
            (65532, 65532, 65532, 0o044),
            (0, 0, 0, 0o044),
        ] {
            assert_eq!(telling_bits(owner, group, own_group), told);
        }
    }

    fn parse(text: &str) -> Result<Tokens, String> {
        Tokens::parse("tokens".as_ref(), text).map_err(|error| error.to_string())
    }

    #[test]
    fn a_line_is_a_token_a_name_and_a_role() {
        let tokens =
            parse("t1\n\n  t2 alice\r\nt3\tbob  reader \nt4 cy user\nt5 di admin\n").unwrap();
        for (secret, name, role) in [
            ("t1", None, Role::Admin),
            ("t2", Some("alice"), Role::Admin),
            ("t3", Some("bob"), Role::Reader),
            ("t4", Some("cy"), Role::User),
            ("t5", Some("di"), Role::Admin),
        ] {
            let token = tokens.find(secret.as_bytes()).unwrap();
            assert_eq!(
                (token.name.as_deref(), token.role),
                (name, role),
                "{secret}"
            );
        }
        assert_eq!(tokens.find(b"t"), None);
        assert_eq!(tokens.find(b"t11"), None);
        assert_eq!(tokens.find(b""), None);
    }

    #[test]
    fn a_line_that_cannot_be_meant_is_named_without_its_token() {
        for (text, message) in [
            ("t1\nhush bob root", "tokens:2: unknown role 'root'"),
            ("hush bob Admin", "tokens:1: unknown role 'Admin'"),
            ("\nhush bob user more", "tokens:2: a fourth word"),
            ("hûsh", "tokens:1: the token has characters"),
            ("hush\nhush bob", "tokens:2: the token of this line"),
            ("\n \n", "the token file tokens holds no token"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains(message), "{text:?}: {error}");
            assert!(!error.contains("hush"), "{error}");
        }
    }

    #[test]
    fn a_file_that_lost_its_last_line_end_does_not_replace_one_that_had_it() {
        let whole = parse("t1 alice reader\nt2 bob user\n").unwrap();
        for cut in ["t1 al", "t1 alice reader\nt", "t1 alice reader\nt2 bob"] {
            let error = parse(cut).unwrap().may_replace(&whole).unwrap_err();
            assert!(matches!(error, TokenError::Cut { .. }), "{error}");
        }
        parse("t3\n").unwrap().may_replace(&whole).unwrap();
        // Whoever writes files without it goes on doing so.
        let unended = parse("t1 alice reader").unwrap();
        parse("t4").unwrap().may_replace(&unended).unwrap();
        whole.may_replace(&unended).unwrap();
        let gone = Tokens::default().may_replace(&whole).unwrap_err();
        assert!(matches!(gone, TokenError::Gone), "{gone}");
    }

    #[test]
    fn a_file_that_others_can_read_is_told() {
        let file = tempfile::NamedTempFile::new().unwrap();
        for (mode, told) in [(0o600, false), (0o640, true), (0o604, true), (0o400, false)] {
            std::fs::set_permissions(file.path(), std::fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(readable_by_others(file.path()).is_some(), told, "{mode:o}");
        }
    }
}
