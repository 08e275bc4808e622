//! As whom: the SDK's default chain, or a role assumed from it, restricted by a session policy.

use std::{path::Path, time::Duration};

use aws_config::{
    BehaviorVersion, Region, profile, retry::RetryConfig, sts::AssumeRoleProvider,
    timeout::TimeoutConfig,
};
use aws_runtime::env_config::file::EnvConfigFiles;
use aws_sdk_dynamodb::{
    Client,
    config::{Builder, IdentityCache, StalledStreamProtectionConfig, retry::RetryPartition},
};
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use aws_types::{SdkConfig, os_shim_internal::Fs};
use plugin_api::{Error, ErrorCode};

use crate::codes;

use super::{Environment, Session};
use crate::job::{Cluster, Role, SessionPolicy};

/// What a role session may do, so that AWS itself refuses a write. The two KMS actions open tables that a customer's key
/// encrypts, and count only where DynamoDB asks for them.
pub(super) const READ_ONLY_POLICY: &str = concat!(
    r#"{"Version":"2012-10-17","Statement":["#,
    r#"{"Effect":"Allow","Action":["dynamodb:PartiQLSelect","dynamodb:Scan","dynamodb:DescribeTable"],"Resource":"*"},"#,
    r#"{"Effect":"Allow","Action":["kms:Decrypt","kms:DescribeKey"],"Resource":"*","#,
    r#""Condition":{"StringLike":{"kms:ViaService":"dynamodb.*.amazonaws.com"}}}]}"#
);

/// How long a caller may wait for credentials at most, retries included; the job's deadline is usually nearer.
const CREDENTIALS_TIMEOUT: Duration = Duration::from_secs(60);

/// Signs requests to an endpoint of the operator's own where no region is set anywhere; such endpoints do not look at it.
const REGION_OF_CUSTOM_ENDPOINTS: &str = "us-east-1";

pub(super) async fn session(
    cluster: &Cluster,
    environment: &Environment,
    http: SharedHttpClient,
) -> Result<Session, Error> {
    if let Some(profile) = &cluster.profile {
        refuse_unknown_profile(profile, environment).await?;
    }
    let mut shared = shared_config(cluster, environment, http).await;
    if shared.region().is_none() && has_custom_endpoint(cluster, environment) {
        shared = shared
            .into_builder()
            .region(Region::from_static(REGION_OF_CUSTOM_ENDPOINTS))
            .build();
    }
    let Some(region) = shared.region().map(ToString::to_string) else {
        return Err(Error::new(ErrorCode::INVALID_JOB, "no region is set: neither cluster.context.region nor AWS_REGION nor a profile names one")
            .hint("set the cluster's region, for example us-east-1"));
    };
    let mut config = Builder::from(&shared)
        .identity_cache(
            IdentityCache::lazy()
                .load_timeout(CREDENTIALS_TIMEOUT)
                .build(),
        )
        // The SDK shares its retry quota between all clients of a region; one that fails must not take the others' retries.
        .retry_partition(RetryPartition::custom("dynamodb").build())
        .stalled_stream_protection(
            StalledStreamProtectionConfig::enabled()
                .grace_period(cluster.read_timeout)
                .build(),
        );
    if let Some(url) = &cluster.endpoint_url {
        config = config.endpoint_url(url);
    }
    if let Some(role) = &cluster.role {
        config = config.credentials_provider(assumed(role, cluster, shared).await);
    }
    Ok(Session {
        client: Client::from_conf(config.build()),
        region,
        endpoint: cluster
            .endpoint_url
            .as_deref()
            .or_else(|| environment.get("AWS_ENDPOINT_URL_DYNAMODB"))
            .or_else(|| environment.get("AWS_ENDPOINT_URL"))
            .map(str::to_owned),
    })
}

/// Without this the SDK would go on to the next source, the machine's role for one: a misspelt profile must not be another identity.
async fn refuse_unknown_profile(name: &str, environment: &Environment) -> Result<(), Error> {
    let files = EnvConfigFiles::default();
    let profiles = profile::load(
        &Fs::real(),
        &environment.for_sdk(Some(name)),
        &files,
        Some(name.to_owned().into()),
    )
    .await;
    match profiles {
        Ok(profiles) if profiles.get_profile(name).is_none() => {
            Err(Error::new(codes::CREDENTIALS, format!("there is no AWS profile named '{}'", name.escape_debug()))
                .hint("check cluster.context.profile and the files that AWS_CONFIG_FILE and AWS_SHARED_CREDENTIALS_FILE name"))
        }
        // A file that cannot be read or parsed: the SDK says so when it is asked for credentials.
        _ => Ok(()),
    }
}

async fn shared_config(
    cluster: &Cluster,
    environment: &Environment,
    http: SharedHttpClient,
) -> SdkConfig {
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(cluster.connect_timeout)
        .read_timeout(cluster.read_timeout)
        .build();
    let mut loader = aws_config::defaults(BehaviorVersion::latest())
        .env(environment.for_sdk(cluster.profile.as_deref()))
        .http_client(http)
        .retry_config(RetryConfig::standard().with_max_attempts(cluster.max_attempts))
        .timeout_config(timeouts);
    if let Some(profile) = &cluster.profile {
        loader = loader.profile_name(profile);
    }
    if let Some(region) = region(cluster, environment) {
        loader = loader.region(Region::new(region));
    }
    loader.load().await
}

fn has_custom_endpoint(cluster: &Cluster, environment: &Environment) -> bool {
    cluster.endpoint_url.is_some()
        || environment.get("AWS_ENDPOINT_URL_DYNAMODB").is_some()
        || environment.get("AWS_ENDPOINT_URL").is_some()
}

/// The region, where it is not left to the SDK's chain of environment, profile and machine. The chain's last step asks the
/// machine's metadata service, which takes seconds where there is none: spared where nothing but an own endpoint is set.
fn region(cluster: &Cluster, environment: &Environment) -> Option<String> {
    let chain_may_know = [
        "AWS_REGION",
        "AWS_DEFAULT_REGION",
        "AWS_PROFILE",
        "AWS_CONFIG_FILE",
    ]
    .iter()
    .any(|name| environment.get(name).is_some())
        || cluster.profile.is_some()
        || environment
            .get("HOME")
            .is_some_and(|home| Path::new(home).join(".aws/config").exists());
    match &cluster.region {
        Some(region) => Some(region.clone()),
        None if has_custom_endpoint(cluster, environment) && !chain_may_know => {
            Some(REGION_OF_CUSTOM_ENDPOINTS.to_owned())
        }
        None => None,
    }
}

/// A role's credentials, asked of STS with the default chain's.
async fn assumed(role: &Role, cluster: &Cluster, shared: SdkConfig) -> AssumeRoleProvider {
    let sts = match &cluster.sts_endpoint_url {
        Some(url) => shared.into_builder().endpoint_url(url).build(),
        None => shared,
    };
    let mut provider = AssumeRoleProvider::builder(&role.arn)
        .session_name(&role.session_name)
        .configure(&sts);
    if let Some(external_id) = &role.external_id {
        provider = provider.external_id(external_id);
    }
    if let Some(duration) = role.session_duration {
        provider = provider.session_length(duration);
    }
    if role.session_policy == SessionPolicy::ReadOnly {
        provider = provider.policy(READ_ONLY_POLICY);
    }
    provider.build().await
}
