//! An instance's metadata service: the role's credentials, and the region.
//!
//! The SDK's client asks (version 2, with a token); its answers are read here, because the SDK's own provider reads the environment
//! when it is used, and panics on a role's name that no URL can hold.

use std::time::{Duration, SystemTime};

use aws_config::{
    imds::{Client, client::error::ImdsError},
    provider_config::ProviderConfig,
};
use aws_credential_types::Credentials;
use aws_smithy_async::{rt::sleep::TokioSleep, time::SystemTimeSource};
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use plugin_api::{Error, ErrorCode};

use super::{
    settings::Settings,
    written::{self, Written},
};
use crate::job::is_url;

const ROLES: &str = "/latest/meta-data/iam/security-credentials/";
const REGION: &str = "/latest/meta-data/placement/region";

/// Credentials that the service has not renewed in time are used on for this long, as the SDK does: it is the service's fault.
const STALE_FOR: Duration = Duration::from_secs(600);

/// An instance's metadata service.
#[derive(Debug, Clone)]
pub(super) struct Instance {
    client: Client,
    /// Whether a setting names the service, which is otherwise only tried.
    pub(super) is_named: bool,
}

/// Why the service gave no credentials.
#[derive(Debug)]
pub(crate) enum Failed {
    /// Nothing is there that could be asked.
    Absent(Box<ImdsError>),
    /// The instance has no role.
    NoRole,
    /// It answered with a failure.
    Status(u16),
    /// It answered with something that is not credentials.
    Malformed(&'static str),
}

impl Instance {
    /// The service that the settings name, or the well-known one; `None` where it is switched off.
    pub(super) fn of(
        settings: &Settings<'_>,
        http: SharedHttpClient,
    ) -> Result<Option<Self>, Error> {
        if settings.flag("AWS_EC2_METADATA_DISABLED", "")? {
            return Ok(None);
        }
        let named = settings.setting(
            "AWS_EC2_METADATA_SERVICE_ENDPOINT",
            "ec2_metadata_service_endpoint",
        );
        let mode = settings.setting(
            "AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE",
            "ec2_metadata_service_endpoint_mode",
        );
        let endpoint = match (&named, mode) {
            (Some(setting), _) if !is_url(&setting.value, false) => {
                return Err(setting
                    .unusable("is not an endpoint's URL")
                    .hint("write it as http://HOST:PORT"));
            }
            (Some(setting), _) => setting.value.clone(),
            (None, None) => "http://169.254.169.254".to_owned(),
            (None, Some(mode)) => match mode.value.to_ascii_lowercase().as_str() {
                "ipv4" => "http://169.254.169.254".to_owned(),
                "ipv6" => "http://[fd00:ec2::254]".to_owned(),
                _ => return Err(mode.refused("which is neither IPv4 nor IPv6")),
            },
        };
        let seconds =
            settings.number("AWS_METADATA_SERVICE_TIMEOUT", "metadata_service_timeout")?;
        let attempts = settings.number(
            "AWS_METADATA_SERVICE_NUM_ATTEMPTS",
            "metadata_service_num_attempts",
        )?;
        let config = ProviderConfig::empty()
            .with_http_client(http)
            .with_sleep_impl(TokioSleep::new())
            .with_time_source(SystemTimeSource::new());
        let mut builder = Client::builder().configure(&config);
        if let Some(seconds) = seconds {
            let time = Duration::from_secs(seconds.into());
            builder = builder
                .connect_timeout(time)
                .read_timeout(time)
                .operation_attempt_timeout(time);
        }
        if let Some(attempts) = attempts {
            builder = builder.max_attempts(attempts);
        }
        let client = builder.endpoint(endpoint).map_err(|_| {
            Error::new(
                ErrorCode::INVALID_JOB,
                "the endpoint of the instance's metadata service is no URL",
            )
        })?;
        Ok(Some(Self {
            client: client.build(),
            is_named: named.is_some(),
        }))
    }

    /// The role's credentials.
    pub(super) async fn credentials(&self) -> Result<Credentials, Failed> {
        let role = match self.get(ROLES).await {
            Err(Failed::Status(404)) => return Err(Failed::NoRole),
            role => role?,
        };
        let role = role.trim();
        if role.is_empty() {
            return Err(Failed::NoRole);
        }
        if role.len() > 256
            || !role
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"_+=,.@-".contains(&byte))
        {
            return Err(Failed::Malformed("a role's name that cannot be one"));
        }
        let document = self.get(&format!("{ROLES}{role}")).await?;
        let written: Written = serde_json::from_str(&document)
            .map_err(|_| Failed::Malformed("something that is not the JSON of credentials"))?;
        if written.code.as_ref().is_some_and(|code| code != "Success") {
            return Err(Failed::Malformed("a refusal instead of credentials"));
        }
        let mut credentials =
            written::credentials(written, "IMDSv2", None).map_err(Failed::Malformed)?;
        let now = SystemTime::now();
        if let Some(expiry) = credentials.expiry_mut()
            && *expiry <= now
        {
            *expiry = now + STALE_FOR;
        }
        Ok(credentials)
    }

    /// The instance's region, where there is an instance.
    pub(super) async fn region(&self) -> Option<String> {
        let region = self.get(REGION).await.ok()?;
        Some(region.trim().to_owned()).filter(|region| super::settings::is_region(region))
    }

    async fn get(&self, path: &str) -> Result<String, Failed> {
        match self.client.get(path).await {
            Ok(text) => Ok(text.into()),
            Err(ImdsError::ErrorResponse(answer)) => {
                Err(Failed::Status(answer.response().status().as_u16()))
            }
            Err(error) => Err(Failed::Absent(Box::new(error))),
        }
    }
}
