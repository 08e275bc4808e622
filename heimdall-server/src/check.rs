//! `check`: what a configuration would do, before it does it.
//!
//! In: a configuration and the plugins. Out: on stdout, which command runs where with which plugin version; what is amiss; with
//! `--health`, each cluster's state. It opens no job store and takes no lock, so it may run beside a serving host.

use std::{
    collections::HashMap,
    io::{self, Write},
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

use plugin_api::ErrorCode;
use plugin_host::{CallOptions, JobDocument, Lease};

use crate::{
    catalog::{Catalog, LiveCluster, LiveCommand},
    config::{Config, ConfigError},
    health::Checker,
    job::raw,
    log::{Levels, Log, LogFormat},
    plugins::{self, OpenError, Plugins},
    route,
};

/// What `check` is started with.
#[derive(Debug, Clone, clap::Args)]
pub struct CheckOptions {
    /// The configuration, in Heimdall's format
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
    /// Where plugin libraries lie; wins over the configuration
    #[arg(long, value_name = "DIR")]
    pub plugin_dir: Option<PathBuf>,
    /// Check the clusters as well; the exit status is 1 where one is unhealthy
    #[arg(long)]
    pub health: bool,
    /// How log lines are written to standard error
    #[arg(long, value_enum, default_value_t)]
    pub log_format: LogFormat,
    /// Which log lines are written: error, warn, info, debug, trace or off, also per target, as in `info,dynamo=debug`
    #[arg(long, value_name = "LEVELS", default_value = "info")]
    pub log_level: Levels,
}

/// How long a plugin may take to refuse a job.
const WITHIN: Duration = Duration::from_secs(10);

/// Why nothing could be checked. Operator: the configuration, or what it names.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// The configuration cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The plugins cannot be opened.
    #[error(transparent)]
    Plugins(#[from] OpenError),
    /// Standard output or the system refuses.
    #[error("cannot write what was found: {0}")]
    Io(#[from] io::Error),
}

/// Checks a configuration, with the plugins as for [`crate::serve::run`].
///
/// # Errors
/// Nothing could be checked; the exit status is then 2.
pub fn run(options: &CheckOptions, default_plugin_dir: &Path) -> Result<ExitCode, CheckError> {
    let config = Config::load(&options.config)?;
    let log = Arc::new(Log::stderr(options.log_format, options.log_level.clone()));
    let registry = config.registry_options(
        options.plugin_dir.as_deref(),
        default_plugin_dir,
        log.sink(),
    );
    let plugins = plugins::open(registry, &config.isolation())?;
    let mut out = UntilClosed(io::stdout().lock());
    let fine = check(&config, &plugins, options.health, &mut out);
    plugins.close(Duration::from_secs(5));
    Ok(if fine? {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(1)
    })
}

/// Whoever reads may have read enough, as in `… | head`: what is found still decides on the exit status.
struct UntilClosed<W>(W);

impl<W: Write> Write for UntilClosed<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.0.write(bytes) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(bytes.len()),
            written => written,
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self.0.flush() {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            flushed => flushed,
        }
    }
}

/// Writes what the configuration would do; false where something in it would not work, or a cluster is unhealthy.
fn check(
    config: &Config,
    plugins: &Arc<Plugins>,
    health: bool,
    out: &mut impl Write,
) -> Result<bool, CheckError> {
    let file = config.path.display();
    for (line, note) in &config.ignored {
        writeln!(out, "{file}:{line}: note: {note}")?;
    }
    let catalog = Catalog::new(config, &HashMap::new(), 0);
    let (missing, unusable) = write_commands(config, &catalog, plugins, out)?;
    write_clusters(&catalog, out)?;
    if missing > 0 {
        writeln!(
            out,
            "{missing} active command(s) lack a plugin or a cluster: their jobs fail"
        )?;
    }
    if unusable > 0 {
        writeln!(
            out,
            "{unusable} pair(s) of command and cluster would fail every job"
        )?;
    }
    let works = missing == 0 && unusable == 0;
    if !health {
        return Ok(works);
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()?;
    let checker = Checker::new(Arc::clone(plugins), config.health_timeout);
    let health = runtime.block_on(checker.check(&catalog, catalog.clusters()));
    for check in &health.checks {
        write!(
            out,
            "health: cluster {} by plugin {}: {} in {} ms",
            check.cluster_id, check.plugin, check.status, check.latency_ms
        )?;
        match &check.error {
            Some(error) => writeln!(out, ": {error}")?,
            None => writeln!(out)?,
        }
    }
    if health.checks.is_empty() {
        writeln!(
            out,
            "health: no active cluster has health_check: true and a command that runs on it"
        )?;
    }
    Ok(works && health.healthy)
}

/// Writes each command; gives how many active ones lack a plugin or a cluster, and how many pairs would fail every job.
fn write_commands(
    config: &Config,
    catalog: &Catalog,
    plugins: &Arc<Plugins>,
    out: &mut impl Write,
) -> io::Result<(usize, usize)> {
    let (mut missing, mut unusable) = (0, 0);
    for live in catalog.commands() {
        let command = &live.command;
        let object = &command.object;
        let at = format!("{}:{}", config.path.display(), object.line);
        let mode = if command.is_sync { "sync" } else { "async" };
        write!(
            out,
            "command {} ({mode}, {}): ",
            object.id,
            live.known.status.as_str()
        )?;
        let lease = plugins.lease(command.need());
        match &lease {
            Ok(lease) => write!(out, "plugin {} {}", command.plugin, lease.version())?,
            Err(unavailable) => write!(out, "{at}: no plugin: {unavailable}")?,
        }
        let clusters = route::clusters_of(catalog, live);
        let ids: Vec<_> = clusters
            .iter()
            .map(|cluster| cluster.cluster.object.id.as_str())
            .collect();
        match ids.as_slice() {
            [] => writeln!(out, "; runs on no active cluster")?,
            some => writeln!(out, "; runs on {}", some.join(", "))?,
        }
        writeln!(out, "  chosen by any of: {}", tags(&object.tags))?;
        if let Some(callers) = &command.allowed_callers {
            writeln!(out, "  only for callers that match {callers}")?;
        }
        if !live.is_active() {
            continue;
        }
        missing += usize::from(lease.is_err() || ids.is_empty());
        for cluster in &clusters {
            let Some(error) = lease
                .as_ref()
                .ok()
                .and_then(|lease| mistake(lease, live, cluster))
            else {
                continue;
            };
            unusable += 1;
            let line = if error
                .field
                .as_deref()
                .is_some_and(|field| field.starts_with("cluster."))
            {
                cluster.cluster.object.line
            } else {
                object.line
            };
            write!(
                out,
                "  {}:{line}: every job of it on {} would fail: {}",
                config.path.display(),
                cluster.cluster.object.id,
                error.message
            )?;
            match &error.hint {
                Some(hint) => writeln!(out, " ({hint})")?,
                None => writeln!(out)?,
            }
        }
    }
    Ok((missing, unusable))
}

/// What the plugin finds wrong with the contexts of a command and a cluster: it is given a job without a query, which it refuses
/// before it asks anybody, and the contexts are checked first.
fn mistake(
    lease: &Arc<Lease>,
    command: &LiveCommand,
    cluster: &LiveCluster,
) -> Option<plugin_api::Error> {
    let document = JobDocument {
        id: Some("check"),
        user: Some("check"),
        context: Some(&*raw(&serde_json::json!({}))),
        command: Some(&*command.document),
        cluster: Some(&*cluster.document),
        ..JobDocument::default()
    }
    .to_json();
    let call = CallOptions {
        timeout: Some(WITHIN),
        ..CallOptions::default()
    };
    let error = lease.run_job(&document, &call).err()?;
    let field = error.field.as_deref()?;
    let is_of_the_config = field.starts_with("command.") || field.starts_with("cluster.");
    (error.code == ErrorCode::INVALID_JOB && is_of_the_config).then_some(error)
}

fn write_clusters(catalog: &Catalog, out: &mut impl Write) -> io::Result<()> {
    for live in catalog.clusters() {
        let object = &live.cluster.object;
        let used = catalog.commands().any(|command| {
            command.is_active() && command.command.cluster_tags.is_subset(&object.tags)
        });
        let note = if used {
            ""
        } else {
            "; no active command runs on it"
        };
        writeln!(
            out,
            "cluster {} ({}){note}",
            object.id,
            live.known.status.as_str()
        )?;
        writeln!(out, "  chosen by any of: {}", tags(&object.tags))?;
    }
    Ok(())
}

fn tags(tags: &std::collections::BTreeSet<String>) -> String {
    tags.iter()
        .map(String::as_str)
        .collect::<Vec<_>>()
        .join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{self, CONFIG};

    fn checked(text: &str, health: bool) -> (bool, String) {
        let config = Config::parse("host.yaml".as_ref(), text, &|_| None).unwrap();
        let directory = tempfile::tempdir().unwrap();
        let plugins = testing::plugins(directory.path());
        let mut out = Vec::new();
        let healthy = check(&config, &plugins, health, &mut out).unwrap();
        (healthy, String::from_utf8(out).unwrap())
    }

    #[test]
    fn routes_and_missing_plugins_are_told() {
        let (works, out) = checked(CONFIG, true);
        assert!(!works, "a command without plugin fails every job");
        for part in [
            "command sync (sync, ACTIVE): plugin fake ",
            "; runs on main\n",
            "command gone (sync, ACTIVE): host.yaml:8: no plugin: no plugin named 'gone' is loaded",
            "1 active command(s) lack a plugin or a cluster",
            "cluster quiet (ACTIVE); no active command runs on it",
            "health: cluster main by plugin fake: ok in ",
        ] {
            assert!(out.contains(part), "{part} is not in\n{out}");
        }
    }

    #[test]
    fn what_would_fail_every_job_fails_the_check() {
        for (text, works, told) in [
            (
                "commands: [{name: c, plugin: fake}]\nclusters: [{name: d}]",
                true,
                "runs on d",
            ),
            (
                "commands: [{name: c, plugin: fake, cluster_tags: ['no:such']}]\nclusters: [{name: d}]",
                false,
                "runs on no active cluster",
            ),
            (
                "commands: [{name: c, plugin: fake, status: inactive, cluster_tags: ['no:such']}]\nclusters: [{name: d}]",
                true,
                "INACTIVE",
            ),
            (
                "commands: [{name: c, plugin: fake, context: {limt: 5}}]\nclusters: [{name: d}]",
                false,
                "host.yaml:1: every job of it on d would fail: unknown field 'limt' (did you mean 'limit'?)",
            ),
            (
                "commands: [{name: c, plugin: fake}]\nclusters:\n- {name: d, context: {regoin: x}}",
                false,
                "host.yaml:3: every job of it on d would fail: unknown field 'regoin'",
            ),
        ] {
            let (found, out) = checked(text, false);
            assert_eq!((found, out.contains(told)), (works, true), "{told}\n{out}");
        }
    }

    #[test]
    fn an_unhealthy_cluster_fails_the_check() {
        let text = "commands: [{name: c, plugin: fake}]\nclusters: [{name: unhealthy, health_check: true}]\ndatabase: {}";
        assert!(checked(text, false).0);
        let (healthy, out) = checked(text, true);
        assert!(
            !healthy && out.contains("error in ") && out.contains("host.yaml:3: note: 'database'"),
            "{out}"
        );
    }
}
