//! Which one source of credentials an identity has. It is chosen here, in boto3's order, and the SDK is given that source alone: its
//! own chain goes on to the next source, the machine's role for one, where a named profile is wrong.
//!
//! In: the settings. Out: a [`Source`], or `CREDENTIALS` with the profile or variable and the reason.

use std::{
    path::PathBuf,
    time::{Duration, SystemTime},
};

use aws_config::profile::Profile;
use aws_smithy_types::date_time::{DateTime, Format};
use plugin_api::Error;

use super::{
    profiles::value,
    settings::{Settings, is_region},
};
use crate::codes;

/// Adds to an error which role its credentials were needed for.
pub(crate) fn needed_for(mut error: Error, role: &str) -> Error {
    error.message = format!("{} (needed to assume {role})", error.message);
    error
}

/// Access keys as they stand in the environment or in a profile.
#[derive(Clone)]
pub(crate) struct Keys {
    pub(super) access_key: String,
    pub(super) secret: String,
    pub(super) token: Option<String>,
    pub(super) account_id: Option<String>,
}

/// One source of credentials; the profile that names it, where one does.
#[derive(Clone, Debug)]
pub(crate) enum Source {
    /// Keys in the environment.
    Environment(Keys),
    /// Keys in a profile.
    Profile { profile: String, keys: Keys },
    /// A role of the cluster or of a profile, assumed with the credentials of another source.
    Role {
        profile: Option<String>,
        role: AssumedRole,
        base: Box<Source>,
    },
    /// A token that STS takes for a role.
    WebIdentity(WebIdentity),
    /// A login of `aws sso login`.
    Sso { profile: String, sso: Sso },
    /// A helper that prints credentials.
    Process {
        profile: String,
        command: String,
        account_id: Option<String>,
    },
    /// The agent of a container or pod.
    Container {
        profile: Option<String>,
        variable: &'static str,
    },
    /// The metadata service of an instance. Nobody named it where it is the last one of the chain.
    Instance { profile: Option<String> },
}

/// A role, and what the session is to be.
#[derive(Clone, Debug)]
pub(crate) struct AssumedRole {
    pub(super) arn: String,
    pub(super) external_id: Option<String>,
    pub(super) session_name: Option<String>,
    pub(super) duration: Option<Duration>,
    pub(super) policy: Option<&'static str>,
}

impl AssumedRole {
    /// The role's ARN.
    pub(crate) fn arn(&self) -> &str {
        &self.arn
    }
}

/// A role and the file with the token for it.
#[derive(Clone, Debug)]
pub(crate) struct WebIdentity {
    /// The profile, or `None` where the environment names it.
    pub(super) profile: Option<String>,
    pub(super) role: AssumedRole,
    pub(super) token_file: PathBuf,
}

/// A login and the role that it is used for.
#[derive(Clone, Debug)]
pub(crate) struct Sso {
    pub(super) session: Option<String>,
    pub(super) start_url: String,
    pub(super) region: String,
    pub(super) account_id: String,
    pub(super) role_name: String,
}

/// Nothing of the keys is shown.
impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keys").finish_non_exhaustive()
    }
}

impl Source {
    /// Chooses the source for a cluster that does, or does not, name a profile.
    ///
    /// # Errors
    /// `CREDENTIALS`: what is named is missing, incomplete or leads nowhere.
    pub(super) fn choose(
        settings: &Settings<'_>,
        cluster_names_profile: bool,
    ) -> Result<Self, Error> {
        let named = settings.profiles.named_by.is_some();
        let from_environment = !cluster_names_profile;
        // A profile that is named is looked at whatever else there is, so that a wrong one never goes unnoticed.
        let mut from_profile = if named {
            Self::of_selected(settings)?
        } else {
            None
        };
        if from_environment && let Some(keys) = environment_keys(settings)? {
            return Ok(Self::Environment(keys));
        }
        if !named {
            from_profile = Self::of_selected(settings)?;
        }
        if let Some(role @ Self::Role { .. }) = from_profile {
            return Ok(role);
        }
        if from_environment && let Some(web_identity) = environment_web_identity(settings)? {
            return Ok(Self::WebIdentity(web_identity));
        }
        if let Some(source) = from_profile {
            return Ok(source);
        }
        if let Some(setting) = settings.profiles.named_by {
            let profile = &settings.profiles.selected;
            return Err(incomplete(profile, &format!("({setting}) holds no credentials"))
                .hint(format!("add keys, a role, SSO or a credential_process to the profile, or unset {setting}")));
        }
        Ok(match container(settings) {
            Some(variable) => Self::Container {
                profile: None,
                variable,
            },
            None => Self::Instance { profile: None },
        })
    }

    fn of_selected(settings: &Settings<'_>) -> Result<Option<Self>, Error> {
        let name = settings.profiles.selected.as_str();
        match settings.profiles.get(name) {
            Some(profile) => Self::of_profile(settings, profile, &mut Vec::new()),
            None => Ok(None),
        }
    }

    /// What a profile says of credentials; `visited` are the profiles that led here.
    fn of_profile(
        settings: &Settings<'_>,
        profile: &Profile,
        visited: &mut Vec<String>,
    ) -> Result<Option<Self>, Error> {
        let name = profile.name();
        let web_identity = value(profile, "web_identity_token_file");
        // A profile that a role leads to gives its keys, where it has any, rather than its own role.
        let keys_come_first = !visited.is_empty() && value(profile, "aws_access_key_id").is_some();
        if value(profile, "role_arn").is_some() && web_identity.is_none() && !keys_come_first {
            return Self::role_of_profile(settings, profile, visited).map(Some);
        }
        if let Some(token_file) = web_identity {
            let role = profile_role(profile)?.ok_or_else(|| {
                incomplete(name, "has a web_identity_token_file, but no role_arn")
            })?;
            return Ok(Some(Self::WebIdentity(WebIdentity {
                profile: Some(name.to_owned()),
                role,
                token_file: token_file.into(),
            })));
        }
        if value(profile, "sso_account_id")
            .or(value(profile, "sso_role_name"))
            .is_some()
        {
            return sso(settings, profile).map(Some);
        }
        if let Some(keys) = profile_keys(profile)? {
            return Ok(Some(Self::Profile {
                profile: name.to_owned(),
                keys,
            }));
        }
        if let Some(command) = value(profile, "credential_process") {
            return Ok(Some(Self::Process {
                profile: name.to_owned(),
                command: command.to_owned(),
                account_id: value(profile, "aws_account_id").map(str::to_owned),
            }));
        }
        if value(profile, "login_session").is_some() {
            return Err(
                incomplete(name, "uses `aws login`, which this plugin cannot read")
                    .hint("use a profile with SSO, a role, keys or a credential_process"),
            );
        }
        Ok(None)
    }

    fn role_of_profile(
        settings: &Settings<'_>,
        profile: &Profile,
        visited: &mut Vec<String>,
    ) -> Result<Self, Error> {
        let name = profile.name();
        let Some(role) = profile_role(profile)? else {
            return Err(incomplete(name, "has no role_arn"));
        };
        if value(profile, "mfa_serial").is_some() {
            return Err(incomplete(
                name,
                "asks for an MFA code (mfa_serial), which nobody can type here",
            )
            .hint("use a profile without mfa_serial, or one that gets its credentials by SSO"));
        }
        let base = match (
            value(profile, "source_profile"),
            value(profile, "credential_source"),
        ) {
            (Some(_), Some(_)) => {
                return Err(
                    incomplete(name, "has both source_profile and credential_source")
                        .hint("keep one of them"),
                );
            }
            (None, None) => {
                return Err(incomplete(name, "has a role_arn, but neither source_profile nor credential_source")
                    .hint("say whose credentials assume the role: add source_profile or credential_source"));
            }
            (None, Some(kind)) => named_source(settings, name, kind)?,
            (Some(source), None) => {
                visited.push(name.to_owned());
                Self::base_of_profile(settings, name, source, visited)?
            }
        };
        Ok(Self::Role {
            profile: Some(name.to_owned()),
            role,
            base: Box::new(base),
        })
    }

    fn base_of_profile(
        settings: &Settings<'_>,
        name: &str,
        source: &str,
        visited: &mut Vec<String>,
    ) -> Result<Self, Error> {
        let shown = source.escape_debug();
        let Some(profile) = settings.profiles.get(source) else {
            return Err(incomplete(
                name,
                &format!("names the source_profile '{shown}', which does not exist"),
            )
            .hint(format!(
                "correct source_profile, or add that profile to {}",
                settings.profiles.files()
            )));
        };
        let has_keys = value(profile, "aws_access_key_id").is_some();
        if visited.iter().any(|seen| seen == source) && !has_keys {
            return Err(incomplete(
                name,
                &format!("leads in a circle: {} → {shown}", visited.join(" → ")),
            )
            .hint("let the last source_profile name a profile with credentials of its own"));
        }
        Self::of_profile(settings, profile, visited)?.ok_or_else(|| {
            incomplete(
                name,
                &format!("names the source_profile '{shown}', which holds no credentials"),
            )
        })
    }

    /// The profile that names it, if one does.
    pub(crate) fn profile(&self) -> Option<&str> {
        match self {
            Self::Environment(_) => None,
            Self::Profile { profile, .. }
            | Self::Sso { profile, .. }
            | Self::Process { profile, .. } => Some(profile),
            Self::Role { profile, .. }
            | Self::WebIdentity(WebIdentity { profile, .. })
            | Self::Container { profile, .. }
            | Self::Instance { profile } => profile.as_deref(),
        }
    }

    /// The source in words, for messages: its kind, and the profile or variable that names it.
    pub(crate) fn describe(&self) -> String {
        let kind = match self {
            Self::Environment(_) => "the keys in the environment (AWS_ACCESS_KEY_ID)",
            Self::Profile { .. } => "the keys",
            Self::Role { role, .. } => &format!("the role {}", role.arn),
            Self::WebIdentity(WebIdentity {
                profile: Some(_), ..
            }) => "the web identity",
            Self::WebIdentity(_) => "the web identity (AWS_WEB_IDENTITY_TOKEN_FILE)",
            Self::Sso { .. } => "the SSO login",
            Self::Process { .. } => "the credential_process",
            Self::Container { variable, .. } => {
                &format!("the container's credentials agent ({variable})")
            }
            Self::Instance { .. } => "the instance's metadata service",
        };
        match self.profile() {
            Some(profile) => format!("{kind} of the AWS profile '{}'", profile.escape_debug()),
            None => kind.to_owned(),
        }
    }

    /// What is asked over the network for credentials, for messages.
    pub(crate) fn service(&self) -> &'static str {
        match self {
            Self::Role { .. } | Self::WebIdentity(_) => "STS",
            Self::Sso { .. } => "AWS SSO",
            Self::Container { .. } => "the container's credentials agent",
            Self::Instance { .. } => "the instance's metadata service",
            _ => "the source of the AWS credentials",
        }
    }
}

fn incomplete(profile: &str, what: &str) -> Error {
    Error::new(
        codes::CREDENTIALS,
        format!("the AWS profile '{}' {what}", profile.escape_debug()),
    )
    .hint("correct the profile in the AWS config or credentials file")
}

fn environment_keys(settings: &Settings<'_>) -> Result<Option<Keys>, Error> {
    let get = |name| settings.environment.get(name);
    let pair = (get("AWS_ACCESS_KEY_ID"), get("AWS_SECRET_ACCESS_KEY"));
    let lacking = match pair {
        (None, None) => return Ok(None),
        (Some(access_key), Some(secret)) => {
            refuse_expired(get("AWS_CREDENTIAL_EXPIRATION"))?;
            return Ok(Some(Keys {
                access_key: access_key.to_owned(),
                secret: secret.to_owned(),
                token: get("AWS_SECURITY_TOKEN")
                    .or(get("AWS_SESSION_TOKEN"))
                    .map(str::to_owned),
                account_id: get("AWS_ACCOUNT_ID").map(str::to_owned),
            }));
        }
        (Some(_), None) => ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"),
        (None, Some(_)) => ("AWS_SECRET_ACCESS_KEY", "AWS_ACCESS_KEY_ID"),
    };
    Err(Error::new(
        codes::CREDENTIALS,
        format!("{} is set, but {} is not", lacking.0, lacking.1),
    )
    .hint("set both, or none of them to use another source of credentials"))
}

/// Refuses keys that are past their end: helpers that export keys to the environment may also export when they expire.
fn refuse_expired(expiration: Option<&str>) -> Result<(), Error> {
    let Some(text) = expiration else {
        return Ok(());
    };
    let time = DateTime::from_str(text, Format::DateTimeWithOffset);
    let time = time.ok().and_then(|time| SystemTime::try_from(time).ok());
    let what = match time {
        Some(time) if time > SystemTime::now() => return Ok(()),
        Some(_) => "has passed: the keys in the environment have expired",
        None => "is no time",
    };
    Err(Error::new(
        codes::CREDENTIALS,
        format!("AWS_CREDENTIAL_EXPIRATION {what}"),
    )
    .hint("export the keys again, and start the host with them"))
}

fn profile_keys(profile: &Profile) -> Result<Option<Keys>, Error> {
    let get = |key| value(profile, key);
    match (get("aws_access_key_id"), get("aws_secret_access_key")) {
        (None, None) => Ok(None),
        (Some(access_key), Some(secret)) => Ok(Some(Keys {
            access_key: access_key.to_owned(),
            secret: secret.to_owned(),
            token: get("aws_security_token")
                .or(get("aws_session_token"))
                .map(str::to_owned),
            account_id: get("aws_account_id").map(str::to_owned),
        })),
        (Some(_), None) => Err(incomplete(
            profile.name(),
            "has an aws_access_key_id, but no aws_secret_access_key",
        )
        .hint("add the missing key to the profile")),
        (None, Some(_)) => Err(incomplete(
            profile.name(),
            "has an aws_secret_access_key, but no aws_access_key_id",
        )
        .hint("add the missing key to the profile")),
    }
}

fn profile_role(profile: &Profile) -> Result<Option<AssumedRole>, Error> {
    let Some(arn) = value(profile, "role_arn") else {
        return Ok(None);
    };
    let seconds = match value(profile, "duration_seconds") {
        None => None,
        Some(seconds) => match seconds.parse() {
            Ok(seconds @ 900..=43_200) => Some(seconds),
            _ => {
                return Err(incomplete(
                    profile.name(),
                    "has a duration_seconds that is no whole number from 900 to 43200",
                ));
            }
        },
    };
    Ok(Some(AssumedRole {
        arn: arn.to_owned(),
        external_id: value(profile, "external_id").map(str::to_owned),
        session_name: value(profile, "role_session_name").map(str::to_owned),
        duration: seconds.map(Duration::from_secs),
        policy: None,
    }))
}

fn environment_web_identity(settings: &Settings<'_>) -> Result<Option<WebIdentity>, Error> {
    let get = |name| settings.environment.get(name);
    let Some(token_file) = get("AWS_WEB_IDENTITY_TOKEN_FILE") else {
        return Ok(None);
    };
    let Some(arn) = get("AWS_ROLE_ARN").or_else(|| settings.profiles.key("role_arn")) else {
        return Err(Error::new(
            codes::CREDENTIALS,
            "AWS_WEB_IDENTITY_TOKEN_FILE is set, but AWS_ROLE_ARN is not",
        )
        .hint("set AWS_ROLE_ARN to the role that the token is for"));
    };
    let session_name =
        get("AWS_ROLE_SESSION_NAME").or_else(|| settings.profiles.key("role_session_name"));
    Ok(Some(WebIdentity {
        profile: None,
        role: AssumedRole {
            arn: arn.to_owned(),
            external_id: None,
            session_name: session_name.map(str::to_owned),
            duration: None,
            policy: None,
        },
        token_file: token_file.into(),
    }))
}

/// A source that a role's profile names by its kind.
fn named_source(settings: &Settings<'_>, name: &str, kind: &str) -> Result<Source, Error> {
    let lacking = |what: &str| {
        incomplete(
            name,
            &format!("names the credential_source {kind}, but {what}"),
        )
    };
    match kind.to_ascii_lowercase().as_str() {
        "environment" => match environment_keys(settings)? {
            Some(keys) => Ok(Source::Environment(keys)),
            None => Err(lacking("AWS_ACCESS_KEY_ID is not set")),
        },
        "ecscontainer" => match container(settings) {
            Some(variable) => Ok(Source::Container {
                profile: Some(name.to_owned()),
                variable,
            }),
            None => Err(lacking(
                "neither AWS_CONTAINER_CREDENTIALS_RELATIVE_URI nor AWS_CONTAINER_CREDENTIALS_FULL_URI is set",
            )),
        },
        "ec2instancemetadata" => Ok(Source::Instance {
            profile: Some(name.to_owned()),
        }),
        _ => Err(incomplete(
            name,
            &format!(
                "names the credential_source '{}', which there is not",
                kind.escape_debug()
            ),
        )
        .hint("write Environment, EcsContainer or Ec2InstanceMetadata")),
    }
}

/// The variable that names a container's agent, if one does.
fn container(settings: &Settings<'_>) -> Option<&'static str> {
    [
        "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
        "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    ]
    .into_iter()
    .find(|variable| settings.environment.get(variable).is_some())
}

fn sso(settings: &Settings<'_>, profile: &Profile) -> Result<Source, Error> {
    let name = profile.name();
    let session = value(profile, "sso_session");
    if let Some(session) = session
        && settings
            .profiles
            .sso_session(session, "sso_region")
            .is_none()
        && settings
            .profiles
            .sso_session(session, "sso_start_url")
            .is_none()
    {
        let shown = session.escape_debug();
        return Err(incomplete(
            name,
            &format!("names the sso_session '{shown}', which does not exist"),
        )
        .hint(format!(
            "add the section [sso-session {shown}] with sso_region and sso_start_url"
        )));
    }
    let get = |key: &str| {
        let of_session = session.and_then(|session| settings.profiles.sso_session(session, key));
        of_session
            .or_else(|| value(profile, key))
            .map(str::to_owned)
            .ok_or_else(|| {
                incomplete(name, &format!("uses SSO, but {key} is missing"))
                    .hint("run `aws configure sso`, or add the key")
            })
    };
    let sso = Sso {
        session: session.map(str::to_owned),
        start_url: get("sso_start_url")?,
        region: get("sso_region")?,
        account_id: get("sso_account_id")?,
        role_name: get("sso_role_name")?,
    };
    if !is_region(&sso.region) {
        return Err(incomplete(
            name,
            &format!(
                "has the sso_region '{}', which is no region",
                sso.region.escape_debug()
            ),
        ));
    }
    Ok(Source::Sso {
        profile: name.to_owned(),
        sso,
    })
}
