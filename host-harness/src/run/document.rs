//! The job document that the plugin gets: a submission that is routed by a config, or pointed at a cluster by options.

use std::{collections::BTreeMap, path::Path};

use heimdall_server::{
    catalog::Catalog,
    config::Config,
    error::{Code, HostError},
    job::{self, now},
    route,
};
use plugin_host::JobDocument;
use serde_json::value::to_raw_value;

use super::{
    args::{RunArgs, TargetArgs},
    error::RunError,
    members::Members,
    submission::{self, Submission},
};
use crate::user;

/// A job ready to run.
pub(crate) struct RoutedJob {
    /// What the plugin gets.
    pub(crate) document: Vec<u8>,
    /// The job's id, to cancel it by.
    pub(crate) id: String,
    /// The plugin that runs it.
    pub(crate) plugin: String,
    /// Which versions of it may.
    pub(crate) plugin_version: Option<semver::VersionReq>,
    /// The config that routed it, which also says where libraries lie and whose they must be.
    pub(crate) config: Option<Box<Config>>,
    /// The statement, where the document has one.
    pub(crate) query: Option<String>,
}

impl RoutedJob {
    fn new(document: Vec<u8>, id: String, plugin: String) -> Self {
        Self {
            query: query_of(&document),
            document,
            id,
            plugin,
            plugin_version: None,
            config: None,
        }
    }
}

fn query_of(document: &[u8]) -> Option<String> {
    let job: Members = serde_json::from_slice(document).ok()?;
    let context = job.object("context").ok()?;
    serde_json::from_str(context.get("query")?.get()).ok()
}

/// Makes the document of the job that the arguments give.
pub(super) fn build(args: &RunArgs) -> Result<RoutedJob, RunError> {
    let job = &args.job;
    let submission = Submission::of(&args.source, &job.fields, &job.criteria)?;
    let given_tags = job
        .criteria
        .fields()
        .iter()
        .any(|(_, _, tags)| !tags.is_empty());
    match &job.target.config {
        Some(_) if !submission.names_criteria => Err(RunError::Usage(
            "a statement names no criteria, so --config cannot route it; say with --command-tag and --cluster-tag which command and cluster run \
             it (a job file says it as command_criteria and cluster_criteria), or leave --config out and say where with --region, \
             --endpoint-url, --profile or --role-arn"
                .to_owned(),
        )),
        Some(config) => by_config(&submission.body, config, &job.target),
        None if given_tags => Err(RunError::Usage(
            "--command-tag and --cluster-tag choose among the commands and clusters of a config; name it with --config".to_owned(),
        )),
        None => by_options(submission.body, &job.target),
    }
}

/// Without a config: the job's own `command` and `cluster` hold, options override its cluster's context.
fn by_options(submitted: Vec<u8>, args: &TargetArgs) -> Result<RoutedJob, RunError> {
    let unrouted = |document, id| RoutedJob::new(document, id, args.plugin.clone());
    let Ok(mut job) = serde_json::from_slice::<Members>(&submitted) else {
        // Not an object: the plugin says so, in the words that it has for everybody.
        return Ok(unrouted(submitted, String::new()));
    };
    let id = match job
        .get("id")
        .and_then(|id| serde_json::from_str::<String>(id.get()).ok())
    {
        Some(id) => id,
        None if job.get("id").is_none_or(|id| id.get() == "null") => {
            let id = job::new_id().to_string();
            job.0.retain(|(name, _)| name != "id");
            // First, where it is found at once.
            let value = to_raw_value(&id).expect("a text serializes");
            job.0.insert(0, ("id".to_owned(), value));
            id
        }
        None => String::new(),
    };
    if job.get("user").is_none_or(|user| user.get() == "null")
        && let Some(user) = caller(args)
    {
        job.set("user", to_raw_value(&user).expect("a text serializes"));
    }
    override_cluster(&mut job, args)?;
    Ok(unrouted(job.to_json(), id))
}

fn override_cluster(job: &mut Members, args: &TargetArgs) -> Result<(), RunError> {
    let overrides: BTreeMap<&str, &String> = [
        ("role_arn", &args.role_arn),
        ("region", &args.region),
        ("endpoint_url", &args.endpoint_url),
        ("profile", &args.profile),
    ]
    .into_iter()
    .filter_map(|(field, value)| value.as_ref().map(|value| (field, value)))
    .collect();
    if overrides.is_empty() {
        return Ok(());
    }
    let mut cluster = job.object("cluster")?;
    let mut context = cluster.object("context")?;
    for (field, value) in overrides {
        context.set(field, to_raw_value(value).expect("a text serializes"));
    }
    cluster.set_object("context", &context);
    job.set_object("cluster", &cluster);
    Ok(())
}

/// With a config: the job's criteria choose command and cluster, as for a job that is submitted over HTTP.
fn by_config(submitted: &[u8], config: &Path, args: &TargetArgs) -> Result<RoutedJob, RunError> {
    let config = Config::load(config).map_err(|error| RunError::Usage(error.to_string()))?;
    route_job(submitted, &config, caller(args).as_deref())
}

/// Routes a submitted job by a config's commands and clusters.
pub(crate) fn route_job(
    submitted: &[u8],
    config: &Config,
    user: Option<&str>,
) -> Result<RoutedJob, RunError> {
    submission::check_is_routed(submitted, "config")?;
    let submission = job::Submission::parse(submitted).map_err(RunError::Refused)?;
    let catalog = Catalog::new(config, &Default::default(), now());
    let (commands, clusters) = (
        submission.command_criteria.clone(),
        submission.cluster_criteria.clone(),
    );
    let (command, cluster) = route::resolve(
        &catalog,
        &commands.unwrap_or_default(),
        &clusters.unwrap_or_default(),
        |n| usize::try_from(uuid::Uuid::new_v4().as_u128() % n as u128).unwrap_or(0),
    )
    .map_err(RunError::Refused)?;
    let caller = user.unwrap_or_default();
    if !command.allows(caller) {
        return Err(RunError::Refused(
            HostError::new(
                Code::Forbidden,
                format!(
                    "the caller '{caller}' may not run the command '{}'",
                    command.command.object.name
                ),
            )
            .hint("the command's allowed_callers names who may; --user says who you are"),
        ));
    }
    let id = job::new_id().to_string();
    let document = JobDocument {
        id: Some(&id),
        name: submission.name.as_deref(),
        version: submission.version.as_deref(),
        user,
        traceparent: None,
        context: submission.context.as_deref(),
        command: Some(&*command.document),
        cluster: Some(&*cluster.document),
    }
    .to_json();
    Ok(RoutedJob {
        plugin_version: command.command.plugin_version.clone(),
        config: Some(Box::new(config.clone())),
        ..RoutedJob::new(document, id, command.command.plugin.clone())
    })
}

fn caller(args: &TargetArgs) -> Option<String> {
    args.user
        .clone()
        .filter(|user| !user.is_empty())
        .or_else(user::name)
}
