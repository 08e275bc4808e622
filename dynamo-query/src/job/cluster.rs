//! The cluster's context: where, and as whom. Two clusters that differ in any field are two identities.

use std::time::Duration;

use plugin_api::Error;
use serde_json::value::RawValue;

use super::{
    document::{self, Fields, quoted},
    invalid,
    limits::UNITS,
};

/// What keeps a role session from writing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SessionPolicy {
    /// The session may only `PartiQLSelect`, `Scan` and `DescribeTable`, and decrypt via DynamoDB: AWS itself refuses a write.
    ReadOnly,
    /// The role's own policy alone.
    None,
}

/// A role to assume.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Role {
    /// The role's ARN.
    pub arn: String,
    /// What the role's trust policy may ask for.
    pub external_id: Option<String>,
    /// The session's name in AWS's audit log, filled in and clean.
    pub session_name: String,
    /// How long a session lives; `None`: STS's default of an hour.
    pub session_duration: Option<Duration>,
    /// What the session is restricted to.
    pub session_policy: SessionPolicy,
}

/// Capacity units a second, above 0 and finite: equal where the numbers are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct CapacityRate(u64);

impl CapacityRate {
    fn new(units: f64) -> Self {
        Self(units.to_bits())
    }

    /// The units that all jobs of the cluster may consume in a second.
    #[must_use]
    pub fn units_per_second(self) -> f64 {
        f64::from_bits(self.0)
    }
}

/// Where a job runs and as whom: the whole identity. Equal clusters share a client and credentials, others never do.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Cluster {
    /// The role to assume, if any.
    pub role: Option<Role>,
    /// The region, else the SDK's default chain.
    pub region: Option<String>,
    /// The profile, else the SDK's default chain.
    pub profile: Option<String>,
    /// DynamoDB's endpoint, else the region's.
    pub endpoint_url: Option<String>,
    /// STS's endpoint, else the region's.
    pub sts_endpoint_url: Option<String>,
    /// The proxy for both, else the environment's.
    pub proxy: Option<String>,
    /// A file of certificates to trust instead of the system's, else `AWS_CA_BUNDLE`.
    pub ca_bundle: Option<String>,
    /// Attempts per request, the first included, else `AWS_MAX_ATTEMPTS`.
    pub max_attempts: Option<u32>,
    /// How long a connection may take to come about.
    pub connect_timeout: Duration,
    /// How long an answer may take to begin, or to go on.
    pub read_timeout: Duration,
    /// What all jobs of this cluster may consume together; `None`: as much as DynamoDB gives.
    pub max_capacity_rate: Option<CapacityRate>,
}

const KNOWN: [&str; 15] = [
    "role_arn",
    "external_id",
    "session_name",
    "session_duration_seconds",
    "session_policy",
    "region",
    "profile",
    "endpoint_url",
    "sts_endpoint_url",
    "proxy",
    "ca_bundle",
    "max_attempts",
    "connect_timeout_seconds",
    "read_timeout_seconds",
    "max_capacity_units_per_second",
];

/// STS takes session names of 2 to 64 characters.
const MAX_SESSION_NAME: usize = 64;

impl Cluster {
    /// Reads a `cluster` object on its own, as `check_health` gets it.
    ///
    /// # Errors
    /// `INVALID_JOB`.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let cluster = document::parse(text, "the cluster")?;
        Self::read(
            Some(cluster).filter(|cluster| cluster.get() != "null"),
            None,
        )
    }

    pub(super) fn read(cluster: Option<&RawValue>, user: Option<&str>) -> Result<Self, Error> {
        let mut cluster = cluster.map_or(Ok(Fields::absent("cluster")), |cluster| {
            Fields::open(cluster, "cluster")
        })?;
        let name = cluster.string("name")?;
        let context = cluster.take("context");
        let mut context = context.map_or(Ok(Fields::absent("cluster.context")), |context| {
            Fields::open(context, "cluster.context")
        })?;
        context.refuse_unknown(&KNOWN)?;
        Ok(Self {
            role: read_role(&mut context, name.as_deref(), user)?,
            region: read_region(&mut context)?,
            profile: context.filled_string("profile")?,
            endpoint_url: read_url(&mut context, "endpoint_url")?,
            sts_endpoint_url: read_url(&mut context, "sts_endpoint_url")?,
            proxy: read_url(&mut context, "proxy")?,
            ca_bundle: context.filled_string("ca_bundle")?,
            max_attempts: read_max_attempts(&mut context)?,
            connect_timeout: context
                .seconds("connect_timeout_seconds")?
                .unwrap_or(Duration::from_millis(3100)),
            read_timeout: context
                .seconds("read_timeout_seconds")?
                .unwrap_or(Duration::from_secs(60)),
            max_capacity_rate: context
                .positive("max_capacity_units_per_second", UNITS)?
                .map(CapacityRate::new),
        })
    }
}

fn read_role(
    context: &mut Fields<'_>,
    cluster: Option<&str>,
    user: Option<&str>,
) -> Result<Option<Role>, Error> {
    let external_id = context.filled_string("external_id")?;
    let template = context.filled_string("session_name")?;
    let session_duration = match context.integer("session_duration_seconds", 900)? {
        Some(seconds) if seconds > 43_200 => {
            return Err(invalid(
                "cluster.context.session_duration_seconds",
                format!(
                    "cluster.context.session_duration_seconds is {seconds}, more than the 43200 that STS takes"
                ),
            ));
        }
        seconds => seconds.map(Duration::from_secs),
    };
    let session_policy = match context.word("session_policy", &["read_only", "none"])? {
        None | Some(0) => SessionPolicy::ReadOnly,
        Some(_) => SessionPolicy::None,
    };
    let Some(arn) = context.string("role_arn")? else {
        return Ok(None);
    };
    if !is_role_arn(&arn) {
        return Err(invalid(
            "cluster.context.role_arn",
            format!(
                "cluster.context.role_arn is {}, which is no IAM role",
                quoted(&arn)
            ),
        )
        .hint("write it as arn:aws:iam::123456789012:role/NAME"));
    }
    Ok(Some(Role {
        arn,
        external_id,
        session_name: session_name(template.as_deref(), cluster, user),
        session_duration,
        session_policy,
    }))
}

fn is_role_arn(arn: &str) -> bool {
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    matches!(parts.as_slice(), ["arn", partition, "iam", _, account, resource]
        if partition.starts_with("aws") && !account.is_empty() && resource.strip_prefix("role/").is_some_and(|name| !name.is_empty()))
        && !arn.chars().any(|c| c.is_whitespace() || c.is_control())
}

/// The name of the role session: the template with `{user}` filled in, else `heimdall-` and the cluster's name.
fn session_name(template: Option<&str>, cluster: Option<&str>, user: Option<&str>) -> String {
    let default = format!("heimdall-{}", cluster.unwrap_or("dynamo"));
    let template = template.unwrap_or(&default);
    let filled = template.replace(
        "{user}",
        user.filter(|user| !user.is_empty()).unwrap_or("unknown"),
    );
    let clean: String = filled
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || "_+=,.@-".contains(c) {
                c
            } else {
                '-'
            }
        })
        .collect();
    // Two users whose names differ only in what was cleaned or cut must not share a session.
    let name = if template.contains("{user}") && (clean != filled || clean.len() > MAX_SESSION_NAME)
    {
        let digest = format!("-{:08x}", crc32fast::hash(filled.as_bytes()));
        format!(
            "{}{digest}",
            &clean[..clean.len().min(MAX_SESSION_NAME - digest.len())]
        )
    } else {
        clean[..clean.len().min(MAX_SESSION_NAME)].to_owned()
    };
    if name.len() < 2 {
        format!("heimdall-{name}")
    } else {
        name
    }
}

fn read_region(context: &mut Fields<'_>) -> Result<Option<String>, Error> {
    let region = context.filled_string("region")?;
    match &region {
        Some(name)
            if name.len() > 63
                || !name
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') =>
        {
            Err(invalid(
                "cluster.context.region",
                format!(
                    "cluster.context.region is {}, which is no region",
                    quoted(name)
                ),
            )
            .hint("write it as us-east-1"))
        }
        _ => Ok(region),
    }
}

fn read_url(context: &mut Fields<'_>, field: &str) -> Result<Option<String>, Error> {
    let Some(url) = context.filled_string(field)? else {
        return Ok(None);
    };
    if is_url(&url, field == "proxy") {
        return Ok(Some(url));
    }
    // A proxy's URL may hold a password, so the value is not shown.
    let path = format!("cluster.context.{field}");
    let message = format!("{path} is not a URL");
    Err(invalid(path, message).hint("write it as http://HOST:PORT or https://HOST:PORT"))
}

/// Whether a text is an HTTP URL with a host that can be one and a port that there is; a proxy's may name user and password.
pub(crate) fn is_url(url: &str, with_user: bool) -> bool {
    let Some((scheme, rest)) = url.split_once("://") else {
        return false;
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host_and_port = match authority.rsplit_once('@') {
        Some((_, host)) if with_user => host,
        Some(_) => return false,
        None => authority,
    };
    let (host_fits, port) = if let Some((address, port)) = host_and_port
        .strip_prefix('[')
        .and_then(|rest| rest.split_once(']'))
    {
        (address.parse::<std::net::Ipv6Addr>().is_ok(), port)
    } else {
        let (host, port) =
            host_and_port.split_at(host_and_port.find(':').unwrap_or(host_and_port.len()));
        let plain = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
        (!host.is_empty() && host.chars().all(plain), port)
    };
    let port_fits = port.is_empty()
        || port
            .strip_prefix(':')
            .is_some_and(|port| port.parse::<u16>().is_ok_and(|port| port > 0));
    ["http", "https"]
        .iter()
        .any(|known| scheme.eq_ignore_ascii_case(known))
        && host_fits
        && port_fits
        && !url.contains(|c: char| c.is_whitespace() || c.is_control())
}

fn read_max_attempts(context: &mut Fields<'_>) -> Result<Option<u32>, Error> {
    let Some(attempts) = context.integer("max_attempts", 1)? else {
        return Ok(None);
    };
    let fits = u32::try_from(attempts)
        .ok()
        .filter(|attempts| *attempts <= 100);
    match fits {
        Some(attempts) => Ok(Some(attempts)),
        None => Err(invalid(
            "cluster.context.max_attempts",
            format!("cluster.context.max_attempts is {attempts}, more than 100"),
        )),
    }
}
