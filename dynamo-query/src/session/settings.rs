//! Settings from outside, looked at before the SDK does: its own parsers panic on some values, and pass over others silently.
//!
//! In: the environment and the chosen profile. Out: typed values, or an error that names the setting. One that is set and empty is
//! the same as absent. Where boto3 and the Rust SDK differ, what boto3 does holds.

use aws_config::retry::{RetryConfig, RetryMode};
use aws_types::endpoint_config::AccountIdEndpointMode;
use plugin_api::{Error, ErrorCode};

use super::{Environment, profiles::Profiles};
use crate::job::{Cluster, is_url};

/// What this plugin tries where nobody says.
const DEFAULT_MAX_ATTEMPTS: u32 = 3;

/// The environment and the chosen profile.
#[derive(Debug)]
pub(super) struct Settings<'a> {
    pub(super) environment: &'a Environment,
    pub(super) profiles: Profiles,
}

/// One setting that is set, with the name that a message calls it.
#[derive(Debug)]
pub(super) struct Setting {
    pub(super) name: String,
    pub(super) value: String,
}

impl Setting {
    /// `INVALID_JOB` that shows the value.
    pub(super) fn refused(&self, what: &str) -> Error {
        let shown: String = self.value.chars().take(64).collect();
        self.unusable(&format!("is '{}', {what}", shown.escape_debug()))
    }

    /// `INVALID_JOB` that does not show the value, which may hold a secret.
    pub(super) fn unusable(&self, what: &str) -> Error {
        Error::new(ErrorCode::INVALID_JOB, format!("{} {what}", self.name))
    }
}

impl<'a> Settings<'a> {
    pub(super) async fn read(
        cluster: &Cluster,
        environment: &'a Environment,
    ) -> Result<Self, Error> {
        let profiles = Profiles::read(cluster.profile.as_deref(), environment).await?;
        let settings = Self {
            environment,
            profiles,
        };
        // The SDK puts it into a header of every request.
        if let Some(setting) = settings.variable("AWS_EXECUTION_ENV")
            && !setting
                .value
                .chars()
                .all(|c| c == ' ' || c.is_ascii_graphic())
        {
            return Err(setting.unusable("holds a character that no HTTP header may hold"));
        }
        Ok(settings)
    }

    /// A variable that is set and not empty.
    pub(super) fn variable(&self, name: &str) -> Option<Setting> {
        Some(Setting {
            name: name.to_owned(),
            value: self.environment.get(name)?.to_owned(),
        })
    }

    /// A key of the chosen profile that is set and not empty.
    pub(super) fn key(&self, key: &str) -> Option<Setting> {
        Some(Setting {
            name: format!("{key} in the AWS profile '{}'", self.profiles.selected),
            value: self.profiles.key(key)?.to_owned(),
        })
    }

    /// A variable, else the profile's key.
    pub(super) fn setting(&self, variable: &str, key: &str) -> Option<Setting> {
        self.variable(variable).or_else(|| self.key(key))
    }

    /// The region that the environment or the profile names.
    pub(super) fn region(&self) -> Result<Option<String>, Error> {
        let setting = self
            .variable("AWS_REGION")
            .or_else(|| self.setting("AWS_DEFAULT_REGION", "region"));
        match setting {
            Some(setting) if !is_region(&setting.value) => Err(setting
                .refused("which is no region")
                .hint("write it as us-east-1, without quotes and blanks")),
            setting => Ok(setting.map(|setting| setting.value)),
        }
    }

    /// The endpoint that the environment or the profile names for a service: `DYNAMODB`, `STS`, `SSO`, …
    pub(super) fn endpoint(&self, service: &str) -> Result<Option<String>, Error> {
        if self.flag(
            "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS",
            "ignore_configured_endpoint_urls",
        )? {
            return Ok(None);
        }
        let setting = self
            .variable(&format!("AWS_ENDPOINT_URL_{service}"))
            .or_else(|| self.variable("AWS_ENDPOINT_URL"))
            .or_else(|| self.endpoint_of_services(service))
            .or_else(|| self.key("endpoint_url"));
        match setting {
            Some(setting) if !is_url(&setting.value, false) => Err(setting
                .unusable("is not an endpoint's URL")
                .hint("write it as http://HOST:PORT or https://HOST:PORT")),
            setting => Ok(setting.map(|setting| setting.value)),
        }
    }

    fn endpoint_of_services(&self, service: &str) -> Option<Setting> {
        let section = self.profiles.key("services")?;
        let service = service.to_ascii_lowercase();
        Some(Setting {
            value: self.profiles.service(section, &service, "endpoint_url")?,
            name: format!("endpoint_url of {service} in the section [services {section}]"),
        })
    }

    /// `true` or `false`; absent is `false`.
    pub(super) fn flag(&self, variable: &str, key: &str) -> Result<bool, Error> {
        let Some(setting) = self.setting(variable, key) else {
            return Ok(false);
        };
        match setting.value.to_ascii_lowercase().as_str() {
            "true" => Ok(true),
            "false" => Ok(false),
            _ => Err(setting.refused("which is neither true nor false")),
        }
    }

    /// A whole number of at least 1.
    pub(super) fn number(&self, variable: &str, key: &str) -> Result<Option<u32>, Error> {
        let Some(setting) = self.setting(variable, key) else {
            return Ok(None);
        };
        match setting.value.parse() {
            Ok(number) if number > 0 => Ok(Some(number)),
            _ => Err(setting.refused("which is no whole number of at least 1")),
        }
    }

    pub(super) fn account_id_endpoint_mode(&self) -> Result<Option<AccountIdEndpointMode>, Error> {
        let setting = self.setting("AWS_ACCOUNT_ID_ENDPOINT_MODE", "account_id_endpoint_mode");
        let Some(setting) = setting else {
            return Ok(None);
        };
        match setting.value.to_ascii_lowercase().as_str() {
            "preferred" => Ok(Some(AccountIdEndpointMode::Preferred)),
            "required" => Ok(Some(AccountIdEndpointMode::Required)),
            "disabled" => Ok(Some(AccountIdEndpointMode::Disabled)),
            _ => Err(setting.refused("which is none of preferred, required and disabled")),
        }
    }

    /// How often a request is tried, and how: the cluster's field, else the environment's and the profile's.
    pub(super) fn retries(&self, cluster: &Cluster) -> Result<RetryConfig, Error> {
        let attempts = self.number("AWS_MAX_ATTEMPTS", "max_attempts")?;
        let mode = match self.setting("AWS_RETRY_MODE", "retry_mode") {
            None => RetryMode::Standard,
            Some(setting) => match setting.value.to_ascii_lowercase().as_str() {
                // The Rust SDK has no legacy mode; its standard one retries what that one does.
                "standard" | "legacy" => RetryMode::Standard,
                "adaptive" => RetryMode::Adaptive,
                _ => return Err(setting.refused("which is none of standard, adaptive and legacy")),
            },
        };
        Ok(RetryConfig::standard()
            .with_retry_mode(mode)
            .with_max_attempts(
                cluster
                    .max_attempts
                    .or(attempts)
                    .unwrap_or(DEFAULT_MAX_ATTEMPTS),
            ))
    }
}

/// As boto3: a part of a host name that is not digits alone.
pub(super) fn is_region(name: &str) -> bool {
    (1..=63).contains(&name.len())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        && !name.bytes().all(|byte| byte.is_ascii_digit())
        && !name.starts_with('-')
        && !name.ends_with('-')
}
