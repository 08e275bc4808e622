//! As whom: one source of credentials, or a role assumed with it, restricted by a session policy.

use std::time::Duration;

use aws_config::{BehaviorVersion, Region, timeout::TimeoutConfig};
use aws_sdk_dynamodb::{
    Client,
    config::{Builder, IdentityCache, StalledStreamProtectionConfig, retry::RetryPartition},
};
use aws_smithy_async::{rt::sleep::TokioSleep, time::SystemTimeSource};
use aws_types::{SdkConfig, app_name::AppName};
use plugin_api::{Error, ErrorCode};

use super::{
    Session,
    instance::Instance,
    network::Clients,
    provider::{Fetching, ProviderFactory},
    settings::Settings,
    source::{AssumedRole, Source, needed_for},
};
use crate::job::{Cluster, SessionPolicy};

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
    settings: &Settings<'_>,
    http: &Clients,
) -> Result<Session, Error> {
    let source = source(cluster, settings)?;
    let endpoint = endpoint(cluster.endpoint_url.as_ref(), settings, "DYNAMODB")?;
    let region = region(cluster, settings, http, endpoint.is_some()).await?;
    let shared = shared_config(cluster, settings, &region)?;
    let sts = with_endpoint(
        shared.clone(),
        endpoint_of_sts(cluster, settings)?,
        settings,
    )?
    .into_builder()
    .http_client(http.credentials.clone())
    .build();
    let fetching = Fetching::default();
    let make = ProviderFactory {
        settings,
        sts,
        agent: http.agent.clone(),
        fetching: fetching.clone(),
    };
    let own_endpoint = endpoint.clone();
    let shared = with_endpoint(shared, endpoint, settings)?
        .into_builder()
        .http_client(http.dynamodb.clone())
        .build();
    let mut config = Builder::from(&shared)
        .credentials_provider(make.provider(source).await?)
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
    config.set_account_id_endpoint_mode(settings.account_id_endpoint_mode()?);
    Ok(Session {
        client: Client::from_conf(config.build()),
        region,
        endpoint: own_endpoint,
        fetching,
    })
}

/// The cluster's role, assumed with what the profile or the chain gives; else that alone.
fn source(cluster: &Cluster, settings: &Settings<'_>) -> Result<Source, Error> {
    let base = Source::choose(settings, cluster.profile.is_some());
    let Some(role) = &cluster.role else {
        return base;
    };
    let read_only = role.session_policy == SessionPolicy::ReadOnly;
    Ok(Source::Role {
        profile: None,
        role: AssumedRole {
            arn: role.arn.clone(),
            external_id: role.external_id.clone(),
            session_name: Some(role.session_name.clone()),
            duration: role.session_duration,
            policy: read_only.then_some(READ_ONLY_POLICY),
        },
        base: Box::new(base.map_err(|error| needed_for(error, &role.arn))?),
    })
}

/// The cluster's field, else the environment's or the profile's.
fn endpoint(
    field: Option<&String>,
    settings: &Settings<'_>,
    service: &str,
) -> Result<Option<String>, Error> {
    match field {
        Some(url) => Ok(Some(url.clone())),
        None => settings.endpoint(service),
    }
}

fn endpoint_of_sts(cluster: &Cluster, settings: &Settings<'_>) -> Result<Option<String>, Error> {
    endpoint(cluster.sts_endpoint_url.as_ref(), settings, "STS")
}

/// The cluster's region, else the environment's, the profile's or the instance's. The instance is not asked where an own endpoint is
/// set: that takes seconds where there is none.
async fn region(
    cluster: &Cluster,
    settings: &Settings<'_>,
    http: &Clients,
    has_own_endpoint: bool,
) -> Result<String, Error> {
    if let Some(region) = &cluster.region {
        return Ok(region.clone());
    }
    if let Some(region) = settings.region()? {
        return Ok(region);
    }
    if has_own_endpoint {
        return Ok(REGION_OF_CUSTOM_ENDPOINTS.to_owned());
    }
    let instance = Instance::of(settings, http.agent.clone())?;
    let region = match instance {
        Some(instance) => instance.region().await,
        None => None,
    };
    region.ok_or_else(|| {
        Error::new(ErrorCode::INVALID_JOB, "no region is set: neither cluster.context.region nor AWS_REGION nor a profile names one")
            .hint("set the cluster's region, for example us-east-1")
    })
}

/// What all clients of an identity have in common. Nothing of it is looked up by the SDK.
fn shared_config(
    cluster: &Cluster,
    settings: &Settings<'_>,
    region: &str,
) -> Result<SdkConfig, Error> {
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(cluster.connect_timeout)
        .read_timeout(cluster.read_timeout)
        .build();
    let mut config = SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(region.to_owned()))
        .sleep_impl(TokioSleep::new())
        .time_source(SystemTimeSource::new())
        .retry_config(settings.retries(cluster)?)
        .timeout_config(timeouts);
    if let Some(setting) = settings.setting("AWS_SDK_UA_APP_ID", "sdk_ua_app_id") {
        let name = AppName::new(setting.value.clone());
        config.set_app_name(Some(
            name.map_err(|_| setting.refused("which is no application's name"))?,
        ));
    }
    Ok(config.build())
}

/// The endpoint, where there is one of the operator's own; as in boto3, FIPS and dual-stack are then without effect.
fn with_endpoint(
    config: SdkConfig,
    endpoint: Option<String>,
    settings: &Settings<'_>,
) -> Result<SdkConfig, Error> {
    let fips = settings.flag("AWS_USE_FIPS_ENDPOINT", "use_fips_endpoint")?;
    let dual_stack = settings.flag("AWS_USE_DUALSTACK_ENDPOINT", "use_dualstack_endpoint")?;
    let config = config.into_builder();
    Ok(match endpoint {
        Some(url) => config.endpoint_url(url),
        None => config.use_fips(fips).use_dual_stack(dual_stack),
    }
    .build())
}
