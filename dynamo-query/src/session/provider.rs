//! From a [`Source`] to the SDK's provider for it, and for it alone.
//!
//! In: the source, as it was chosen. Out: a provider whose credentials are checked before the SDK signs with them, and whose errors
//! name the source (`failure/credentials.rs`).

use std::{
    fs,
    future::Future,
    io::Read,
    path::Path,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
};

use aws_config::{BehaviorVersion, Region, sts::AssumeRoleProvider};
use aws_credential_types::{
    Credentials,
    provider::{ProvideCredentials, SharedCredentialsProvider, error::CredentialsError, future},
};
use aws_runtime::env_config::file::{EnvConfigFileKind, EnvConfigFiles};
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use aws_types::SdkConfig;
use plugin_api::Error;

use super::{
    instance::Instance,
    process,
    settings::Settings,
    source::{Keys, Source, Sso, WebIdentity},
};
use crate::{codes, failure};

/// The session's name where neither profile nor environment gives one.
const SESSION_NAME: &str = "heimdall-dynamo";

/// No token is larger.
const MAX_TOKEN_BYTES: u64 = 64 << 10;

/// What every source is made with.
pub(super) struct ProviderFactory<'a> {
    pub(super) settings: &'a Settings<'a>,
    /// Timeouts, retries, region and the way to STS and SSO; its endpoint is that of STS, where one is set.
    pub(super) sts: SdkConfig,
    /// The way to a container's and an instance's agent.
    pub(super) agent: SharedHttpClient,
    pub(super) fetching: Fetching,
}

/// The sources that credentials are being fetched from now, the innermost last; so a deadline that passes can say so.
#[derive(Debug, Clone, Default)]
pub(super) struct Fetching(Arc<Mutex<Vec<String>>>);

impl Fetching {
    /// What is being fetched from, if anything.
    pub(super) fn now(&self) -> Option<String> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .last()
            .cloned()
    }

    fn begin(&self, source: &Source) -> FetchingGuard {
        let what = source.describe();
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(what.clone());
        FetchingGuard(self.clone(), what)
    }
}

struct FetchingGuard(Fetching, String);

impl Drop for FetchingGuard {
    fn drop(&mut self) {
        let mut fetching = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(at) = fetching.iter().rposition(|what| *what == self.1) {
            fetching.remove(at);
        }
    }
}

/// What asks one source.
#[derive(Debug)]
enum Asks {
    Keys(Credentials),
    Process {
        profile: String,
        command: String,
        account_id: Option<String>,
    },
    WebIdentity {
        web_identity: WebIdentity,
        sts: aws_sdk_sts::Client,
    },
    Instance(Option<Instance>),
    Sdk(SharedCredentialsProvider),
}

/// A provider that knows its source.
#[derive(Debug)]
struct Named {
    source: Source,
    asks: Asks,
    region: String,
    fetching: Fetching,
}

type ProviderFuture<'a> =
    Pin<Box<dyn Future<Output = Result<SharedCredentialsProvider, Error>> + Send + 'a>>;

impl<'a> ProviderFactory<'a> {
    /// The provider of a source. Boxed, because a role's source is another source.
    pub(super) fn provider(&'a self, source: Source) -> ProviderFuture<'a> {
        Box::pin(async move {
            let asks = match &source {
                Source::Environment(keys) | Source::Profile { keys, .. } => {
                    Asks::Keys(of_keys(keys))
                }
                Source::Process {
                    profile,
                    command,
                    account_id,
                } => Asks::Process {
                    profile: profile.clone(),
                    command: command.clone(),
                    account_id: account_id.clone(),
                },
                Source::WebIdentity(web_identity) => Asks::WebIdentity {
                    web_identity: web_identity.clone(),
                    sts: aws_sdk_sts::Client::new(&self.sts),
                },
                Source::Instance { .. } => {
                    Asks::Instance(Instance::of(self.settings, self.agent.clone())?)
                }
                Source::Container { .. } => Asks::Sdk(self.container().await?),
                Source::Sso { sso, .. } => Asks::Sdk(self.sso(sso).await?),
                Source::Role { base, .. } => {
                    let base = self.provider((**base).clone()).await?;
                    Asks::Sdk(self.role(&source, base).await)
                }
            };
            Ok(SharedCredentialsProvider::new(Named {
                source,
                asks,
                region: self
                    .sts
                    .region()
                    .map(ToString::to_string)
                    .unwrap_or_default(),
                fetching: self.fetching.clone(),
            }))
        })
    }

    async fn role(
        &self,
        source: &Source,
        base: SharedCredentialsProvider,
    ) -> SharedCredentialsProvider {
        let Source::Role { role, .. } = source else {
            return base;
        };
        let mut provider = AssumeRoleProvider::builder(&role.arn)
            .session_name(role.session_name.as_deref().unwrap_or(SESSION_NAME))
            .configure(&self.sts);
        if let Some(external_id) = &role.external_id {
            provider = provider.external_id(external_id);
        }
        if let Some(duration) = role.duration {
            provider = provider.session_length(duration);
        }
        if let Some(policy) = role.policy {
            provider = provider.policy(policy);
        }
        SharedCredentialsProvider::new(provider.build_from_provider(base).await)
    }

    /// The SDK's chain with nothing in it but the container's agent.
    async fn container(&self) -> Result<SharedCredentialsProvider, Error> {
        let variables = [
            "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
            "AWS_CONTAINER_CREDENTIALS_FULL_URI",
            "AWS_CONTAINER_AUTHORIZATION_TOKEN",
            "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
        ];
        for variable in &variables[..2] {
            if let Some(setting) = self.settings.variable(variable) {
                let is_relative = variable.contains("RELATIVE");
                let text = setting.value.as_str();
                let fits = text.chars().all(|c| c.is_ascii_graphic())
                    && if is_relative {
                        text.starts_with('/')
                    } else {
                        crate::job::is_url(text, false)
                    };
                if !fits {
                    return Err(
                        Error::new(codes::CREDENTIALS, format!("{variable} is not a URL")).hint(
                            if is_relative {
                                "write it as a path that begins with /"
                            } else {
                                "write it as http://HOST:PORT/PATH"
                            },
                        ),
                    );
                }
            }
        }
        let environment = self.settings.environment.only(&variables);
        self.chain(environment, String::new(), self.agent.clone())
            .await
    }

    /// The SDK's chain with nothing in it but a profile that says where the SSO login is.
    async fn sso(&self, sso: &Sso) -> Result<SharedCredentialsProvider, Error> {
        let Sso {
            session,
            start_url,
            region,
            account_id,
            role_name,
        } = sso;
        let of_role = format!("sso_account_id = {account_id}\nsso_role_name = {role_name}\n");
        let of_login = format!("sso_start_url = {start_url}\nsso_region = {region}\n");
        let config = match session {
            Some(session) => format!(
                "[default]\n{of_role}sso_session = {session}\n[sso-session {session}]\n{of_login}"
            ),
            None => format!("[default]\n{of_role}{of_login}"),
        };
        let home = self.settings.environment.get("HOME");
        let endpoints = [
            ("AWS_ENDPOINT_URL_SSO", self.settings.endpoint("SSO")?),
            (
                "AWS_ENDPOINT_URL_SSO_OIDC",
                self.settings.endpoint("SSO_OIDC")?,
            ),
        ];
        let home = home.map(|home| ("HOME", home.to_owned()));
        let endpoints = endpoints
            .into_iter()
            .filter_map(|(name, url)| Some((name, url?)));
        let variables: Vec<(&str, String)> = home.into_iter().chain(endpoints).collect();
        let variables: Vec<(&str, &str)> = variables
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        let environment = aws_types::os_shim_internal::Env::from_slice(&variables);
        let Some(http) = self.sts.http_client() else {
            return Err(Error::new(
                plugin_api::ErrorCode::INTERNAL,
                "the identity has no HTTP client",
            ));
        };
        self.chain(environment, config, http).await
    }

    async fn chain(
        &self,
        environment: aws_types::os_shim_internal::Env,
        config: String,
        http: SharedHttpClient,
    ) -> Result<SharedCredentialsProvider, Error> {
        let files = EnvConfigFiles::builder().with_contents(EnvConfigFileKind::Config, config);
        let mut loader = aws_config::defaults(BehaviorVersion::latest())
            .env(environment)
            .profile_files(files.build())
            .http_client(http);
        if let Some(region) = self.sts.region() {
            loader = loader.region(Region::new(region.to_string()));
        }
        if let Some(retries) = self.sts.retry_config() {
            loader = loader.retry_config(retries.clone());
        }
        if let Some(timeouts) = self.sts.timeout_config() {
            loader = loader.timeout_config(timeouts.clone());
        }
        loader.load().await.credentials_provider().ok_or_else(|| {
            Error::new(
                plugin_api::ErrorCode::INTERNAL,
                "the SDK made no provider of credentials",
            )
        })
    }
}

fn of_keys(keys: &Keys) -> Credentials {
    let mut builder = Credentials::builder()
        .access_key_id(&keys.access_key)
        .secret_access_key(&keys.secret)
        .provider_name("keys");
    builder.set_session_token(keys.token.clone());
    builder.set_account_id(keys.account_id.clone().map(Into::into));
    builder.build()
}

impl ProvideCredentials for Named {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(async {
            let _fetching = self.fetching.begin(&self.source);
            let given = self.ask().await.and_then(|given| self.checked(given));
            given.map_err(CredentialsError::provider_error)
        })
    }
}

impl Named {
    async fn ask(&self) -> Result<Credentials, Error> {
        match &self.asks {
            Asks::Keys(credentials) => Ok(credentials.clone()),
            Asks::Process {
                profile,
                command,
                account_id,
            } => process::credentials(profile, command, account_id.as_deref()).await,
            Asks::WebIdentity { web_identity, sts } => self.web_identity(web_identity, sts).await,
            Asks::Instance(None) => Err(failure::no_credentials(
                "the instance's metadata is switched off (AWS_EC2_METADATA_DISABLED)",
            )),
            Asks::Instance(Some(instance)) => instance
                .credentials()
                .await
                .map_err(|failed| failure::of_instance(&self.source, instance.is_named, &failed)),
            Asks::Sdk(provider) => provider
                .provide_credentials()
                .await
                .map_err(|error| failure::of_source(&self.source, &error, &self.region)),
        }
    }

    async fn web_identity(
        &self,
        web_identity: &WebIdentity,
        sts: &aws_sdk_sts::Client,
    ) -> Result<Credentials, Error> {
        let WebIdentity {
            role, token_file, ..
        } = web_identity;
        let token = token(token_file).map_err(|what| {
            Error::new(
                codes::CREDENTIALS,
                format!(
                    "{}: the token's file {} {what}",
                    self.source.describe(),
                    token_file.display()
                ),
            )
            .hint("correct the path of the token's file, or let this process read it")
        })?;
        let answer = sts
            .assume_role_with_web_identity()
            .role_arn(&role.arn)
            .role_session_name(role.session_name.as_deref().unwrap_or(SESSION_NAME))
            .set_duration_seconds(
                role.duration
                    .and_then(|duration| i32::try_from(duration.as_secs()).ok()),
            )
            .web_identity_token(token)
            .send()
            .await
            .map_err(|error| failure::of_source(&self.source, &error, &self.region))?;
        let Some(given) = answer.credentials else {
            return Err(Error::new(
                codes::BAD_RESPONSE,
                "STS answered without credentials",
            ));
        };
        let account_id = answer
            .assumed_role_user
            .as_ref()
            .and_then(|user| user.arn.split(':').nth(4).map(str::to_owned));
        let mut builder = Credentials::builder()
            .access_key_id(given.access_key_id)
            .secret_access_key(given.secret_access_key)
            .session_token(given.session_token)
            .provider_name("WebIdentityToken");
        builder.set_expiry(given.expiration.try_into().ok());
        builder.set_account_id(account_id.map(Into::into));
        Ok(builder.build())
    }

    /// What the SDK would panic on, or send as something else, when it signs: anything but visible ASCII.
    fn checked(&self, credentials: Credentials) -> Result<Credentials, Error> {
        let fits = |text: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_graphic());
        let parts = [
            ("access key id", Some(credentials.access_key_id())),
            ("secret access key", Some(credentials.secret_access_key())),
            (
                "session token",
                credentials
                    .session_token()
                    .filter(|token| !token.is_empty()),
            ),
        ];
        let wrong = parts
            .into_iter()
            .find(|(_, part)| part.is_some_and(|part| !fits(part)));
        // It becomes a part of the endpoint's host name.
        let account_id = credentials.account_id().map(|id| id.as_str());
        if account_id.is_some_and(|id| !id.bytes().all(|byte| byte.is_ascii_digit())) {
            return Err(Error::new(
                codes::CREDENTIALS,
                format!(
                    "the account id from {} is no number",
                    self.source.describe()
                ),
            )
            .hint(
                "correct AWS_ACCOUNT_ID, aws_account_id or what the helper writes as AccountId",
            ));
        }
        match wrong {
            None => Ok(credentials),
            Some((part, _)) => Err(Error::new(
                codes::CREDENTIALS,
                format!("the {part} from {} holds a blank, a control character or one that is not ASCII", self.source.describe()),
            )
            .hint("set it again without the line end or blank that was copied with it")),
        }
    }
}

/// The token in a file; it is replaced there from time to time, so it is read each time.
fn token(path: &Path) -> Result<String, String> {
    let file = fs::File::open(path).map_err(|error| format!("cannot be read: {error}"))?;
    if !file.metadata().is_ok_and(|kind| kind.is_file()) {
        return Err("is no file".to_owned());
    }
    let mut token = String::new();
    file.take(MAX_TOKEN_BYTES)
        .read_to_string(&mut token)
        .map_err(|error| format!("cannot be read: {error}"))?;
    let token = token.trim();
    if token.is_empty() {
        return Err("is empty".to_owned());
    }
    Ok(token.to_owned())
}
