//! The AWS config and credentials files: read whole, checked, parsed by the SDK's own parser.
//!
//! In: the environment and the profile that the cluster names. Out: every profile, and which one is chosen. A file that cannot be
//! read or parsed is an error, as in boto3; one that is absent is the same as empty.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use aws_config::profile::{self, Profile, ProfileSet};
use aws_runtime::env_config::{
    file::{EnvConfigFileKind, EnvConfigFiles},
    property::PropertiesKey,
};
use aws_types::os_shim_internal::{Env, Fs};
use plugin_api::Error;

use super::Environment;
use crate::codes;

/// Far more than any real config file holds.
const MAX_FILE_BYTES: u64 = 4 << 20;

/// How many profiles a hint lists.
const MAX_LISTED: usize = 10;

/// All profiles and the chosen one.
#[derive(Debug)]
pub(super) struct Profiles {
    sections: Option<ProfileSet>,
    /// The profile that is used: the named one, else `default`.
    pub(super) selected: String,
    /// The setting that names it; `None`: nothing names one, and `default` need not exist.
    pub(super) named_by: Option<&'static str>,
    /// The files that were looked for, each with whether it is there.
    files: Vec<(PathBuf, bool)>,
}

impl Profiles {
    /// Reads the files now.
    ///
    /// # Errors
    /// `CREDENTIALS` for a file that cannot be read or parsed, and for a named profile that does not exist.
    pub(super) async fn read(
        cluster_profile: Option<&str>,
        environment: &Environment,
    ) -> Result<Self, Error> {
        let (selected, named_by) = selected(cluster_profile, environment);
        let mut files = Vec::new();
        let mut present = EnvConfigFiles::builder();
        for (kind, variable, default) in [
            (
                EnvConfigFileKind::Config,
                "AWS_CONFIG_FILE",
                "~/.aws/config",
            ),
            (
                EnvConfigFileKind::Credentials,
                "AWS_SHARED_CREDENTIALS_FILE",
                "~/.aws/credentials",
            ),
        ] {
            let named = environment.get(variable);
            let path = expand_home(named.unwrap_or(default), environment);
            let is_there = check_file(&path, named.map(|_| variable))?;
            if is_there {
                present = present.with_file(kind, &path);
            }
            files.push((path, is_there));
        }
        let sections = if files.iter().any(|(_, is_there)| *is_there) {
            Some(parse(present.build(), &selected).await?)
        } else {
            None
        };
        let profiles = Self {
            sections,
            selected,
            named_by,
            files,
        };
        match profiles.named_by {
            Some(setting) if profiles.get(&profiles.selected).is_none() => {
                Err(profiles.no_such_profile(setting))
            }
            _ => Ok(profiles),
        }
    }

    /// A profile by its name.
    pub(super) fn get(&self, name: &str) -> Option<&Profile> {
        self.sections.as_ref()?.get_profile(name)
    }

    /// A key of the chosen profile, where it is there and not empty.
    pub(super) fn key(&self, key: &str) -> Option<&str> {
        let profile = self.get(&self.selected)?;
        value(profile, key)
    }

    /// An `sso-session` section's key.
    pub(super) fn sso_session(&self, name: &str, key: &str) -> Option<&str> {
        let session = self.sections.as_ref()?.sso_session(name)?;
        session
            .get(key)
            .map(str::trim)
            .filter(|value| !value.is_empty())
    }

    /// A service's key in a `services` section; `None` where the section itself is absent.
    pub(super) fn service(&self, section: &str, service: &str, key: &str) -> Option<String> {
        let path = PropertiesKey::builder()
            .section_key("services")
            .section_name(section)
            .property_name(service)
            .sub_property_name(key)
            .build()
            .ok()?;
        let value = self.sections.as_ref()?.other_sections().get(&path)?;
        Some(value.trim().to_owned()).filter(|value| !value.is_empty())
    }

    /// The files that were looked for, for messages.
    pub(super) fn files(&self) -> String {
        let told: Vec<String> = self
            .files
            .iter()
            .map(|(path, is_there)| {
                let absent = if *is_there { "" } else { " (absent)" };
                format!("{}{absent}", path.display())
            })
            .collect();
        told.join(" and ")
    }

    fn no_such_profile(&self, setting: &str) -> Error {
        let mut names: Vec<&str> = self
            .sections
            .iter()
            .flat_map(|sections| sections.profiles())
            .collect();
        names.sort_unstable();
        let more = names.len() > MAX_LISTED;
        names.truncate(MAX_LISTED);
        let known = match (names.is_empty(), more) {
            (true, _) => "no profile".to_owned(),
            (_, true) => format!("{}, …", names.join(", ")),
            (_, false) => names.join(", "),
        };
        Error::new(
            codes::CREDENTIALS,
            format!(
                "there is no AWS profile named '{}' ({setting})",
                self.selected.escape_debug()
            ),
        )
        .hint(format!(
            "correct {setting}, or add the profile; {} hold {known}",
            self.files()
        ))
    }
}

/// A profile's key, where it is there and not empty.
pub(super) fn value<'a>(profile: &'a Profile, key: &str) -> Option<&'a str> {
    profile
        .get(key)
        .map(str::trim)
        .filter(|value| !value.is_empty())
}

fn selected(
    cluster_profile: Option<&str>,
    environment: &Environment,
) -> (String, Option<&'static str>) {
    let variables = ["AWS_PROFILE", "AWS_DEFAULT_PROFILE"];
    let by_variable = || {
        variables
            .into_iter()
            .find_map(|variable| Some((environment.get(variable)?, variable)))
    };
    match cluster_profile
        .map(|name| (name, "cluster.context.profile"))
        .or_else(by_variable)
    {
        Some((name, setting)) => (name.to_owned(), Some(setting)),
        None => ("default".to_owned(), None),
    }
}

fn expand_home(path: &str, environment: &Environment) -> PathBuf {
    match (path.strip_prefix('~'), environment.get("HOME")) {
        (Some(rest), Some(home)) if rest.is_empty() || rest.starts_with('/') => {
            Path::new(home).join(rest.trim_start_matches('/'))
        }
        _ => PathBuf::from(path),
    }
}

/// Whether the file is there; the SDK would take one that it cannot read, or that is not UTF-8, for an empty one, and go on with the
/// next source.
fn check_file(path: &Path, variable: Option<&str>) -> Result<bool, Error> {
    let unusable = |what: String| {
        let by = variable
            .map(|variable| format!(" ({variable})"))
            .unwrap_or_default();
        Error::new(
            codes::CREDENTIALS,
            format!("the AWS file {}{by} {what}", path.display()),
        )
    };
    let cannot_be_read = |error: &io::Error| {
        unusable(format!("cannot be read: {error}"))
            .hint("let this process read the file, or correct the variable that names it")
    };
    let kind = match fs::metadata(path) {
        Ok(kind) => kind,
        Err(error)
            if [io::ErrorKind::NotFound, io::ErrorKind::NotADirectory].contains(&error.kind()) =>
        {
            return Ok(false);
        }
        Err(error) => return Err(cannot_be_read(&error)),
    };
    // As boto3: `/dev/null` and the like stand for no file.
    if !kind.is_file() {
        return Ok(false);
    }
    if kind.len() > MAX_FILE_BYTES {
        return Err(unusable("is larger than 4 MiB".to_owned()));
    }
    let text = fs::read(path).map_err(|error| cannot_be_read(&error))?;
    match std::str::from_utf8(&text) {
        Ok(text) if !text.contains('\0') => Ok(true),
        _ => Err(unusable("is not UTF-8 text".to_owned())
            .hint("save the file again as UTF-8 without a byte order mark")),
    }
}

async fn parse(files: EnvConfigFiles, selected: &str) -> Result<ProfileSet, Error> {
    let nothing = Env::from_slice(&[]);
    let disk = Fs::real();
    let parsed = profile::load(&disk, &nothing, &files, Some(selected.to_owned().into()));
    parsed.await.map_err(|error| {
        // The parser names the file and the line, and quotes nothing of it.
        let cause = std::error::Error::source(&error).map_or_else(|| error.to_string(), ToString::to_string);
        let words: Vec<&str> = cause.split_whitespace().collect();
        Error::new(codes::CREDENTIALS, format!("the AWS configuration does not parse: {}", words.join(" ")))
            .hint("correct the line: a section is [profile NAME], or [NAME] in the credentials file, and a key is NAME = VALUE")
    })
}
