//! The file's settings: everything but commands and clusters, which are in `objects.rs`.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    time::Duration,
};

use console::WebUi;
use plugin_host::{LogSink, RegistryOptions, verify::PublicKey};

use super::{
    fields::{Fields, Findings, Keys},
    objects::{self, ClusterConfig, CommandConfig},
    yaml::{Node, Problem},
};
use crate::plugins::Isolation;

/// A checked configuration.
#[derive(Debug, Clone)]
pub struct Config {
    /// The file it came from.
    pub path: PathBuf,
    /// `plugin_directory`: where plugin libraries lie; `None` leaves it to the command line.
    pub plugin_directory: Option<PathBuf>,
    /// `trusted_directories`: mount points whose owner and mode are not looked at, nor those of what is above them.
    pub trusted_directories: Vec<PathBuf>,
    /// `plugin_public_key`: whose signature the plugin directory's list of digests must carry; `None`: none is asked for.
    pub plugin_public_key: Option<PublicKey>,
    /// `jobs_directory`: where the job store lies.
    pub jobs_directory: PathBuf,
    /// `result_directory`: where large results lie.
    pub result_directory: PathBuf,
    /// `server`: address and timeouts.
    pub server: Server,
    /// `auth`: who may call.
    pub auth: Auth,
    /// `pool.size`: how many async jobs run at once.
    pub pool_size: usize,
    /// `janitor`: how long finished jobs are kept.
    pub retention: Retention,
    /// `health_check.timeout_seconds`.
    pub health_timeout: Duration,
    /// `limits`: what keeps one caller, or all of them, from using everything up.
    pub limits: Limits,
    /// `metrics.old_names`: whether `/metrics` has the names of the release before as well.
    pub old_metric_names: bool,
    /// `commands`, in the file's order.
    pub commands: Vec<CommandConfig>,
    /// `clusters`, in the file's order.
    pub clusters: Vec<ClusterConfig>,
    /// Accepted keys that mean nothing here: line and one sentence each.
    pub ignored: Vec<(usize, String)>,
}

impl Config {
    /// How the plugin directory is opened: the one that is `given` on the command line, else the file's, else `default`.
    #[must_use]
    pub fn registry_options(
        &self,
        given: Option<&Path>,
        default: &Path,
        log: LogSink,
    ) -> RegistryOptions {
        let directory = given.or(self.plugin_directory.as_deref());
        RegistryOptions {
            trusted_directories: self.trusted_directories.clone(),
            public_key: self.plugin_public_key.clone(),
            ..RegistryOptions::new(directory.unwrap_or(default), log)
        }
    }

    /// Which plugins run in worker processes.
    #[must_use]
    pub fn isolation(&self) -> Isolation {
        let names = |isolated: bool| -> BTreeSet<String> {
            let commands = self.commands.iter();
            commands
                .filter(|command| command.isolated == isolated)
                .map(|command| command.plugin.clone())
                .collect()
        };
        let isolated = names(true);
        Isolation {
            only_isolated: isolated.difference(&names(false)).cloned().collect(),
            isolated,
            worker_memory: self.limits.worker_memory,
        }
    }
}

/// `server`.
#[derive(Debug, Clone)]
pub struct Server {
    /// `addr` (or `address`): `HOST:PORT`; `:PORT` is every interface with a token and loopback without.
    pub address: String,
    /// How long a connection may take to send a request's head, or be idle before it.
    pub head_timeout: Duration,
    /// How long a request's body may take to arrive.
    pub read_timeout: Duration,
    /// How long a client may leave an answer unread; also the deadline of a sync job where the file gives one.
    pub write_timeout: Duration,
    /// The deadline of a sync job: `write_timeout` where the file names it.
    pub sync_deadline: Option<Duration>,
    /// `allowed_hosts`: names that a host without tokens goes by, beside loopback names and addresses.
    pub allowed_hosts: Vec<String>,
    /// `web_ui`: Heimdall's own web UI, which answers every path that is not the host's.
    pub web_ui: Option<WebUi>,
}

/// `auth`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Auth {
    /// `context.header`: the header that names the caller.
    pub header: String,
    /// `token_file`: a file with the bearer tokens that are let in, one a line.
    pub token_file: Option<PathBuf>,
    /// `isolate_users`: callers see and cancel their own jobs only.
    pub isolate_users: bool,
}

/// `janitor`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// `finished_job_retention_days`; `None` keeps them whatever their age.
    pub days: Option<u64>,
    /// `max_finished_jobs`: the newest that are kept.
    pub jobs: u64,
    /// `max_stored_bytes`: the most that results may take; `None` where nobody says.
    pub bytes: Option<u64>,
}

/// `limits`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// `max_body_bytes` of a request.
    pub body_bytes: usize,
    /// `max_connections` open at once.
    pub connections: usize,
    /// `max_connections_per_client` of them: a quarter where nobody says.
    pub connections_per_client: usize,
    /// `max_buffered_bytes`: bodies of requests and unread answers in memory at once.
    pub buffered_bytes: u64,
    /// `max_running_jobs`: sync jobs that run at once.
    pub running: usize,
    /// `max_running_jobs_per_user`: jobs of one caller that run at once, sync and async.
    pub running_per_user: usize,
    /// `max_queued_jobs`: async jobs that wait.
    pub queued: usize,
    /// `worker_memory_bytes`: the most memory for data of one worker process; absent: no bound.
    pub worker_memory: Option<u64>,
    /// `max_result_bytes`: the largest result that is kept.
    pub result_bytes: u64,
    /// `min_free_bytes`: with less room on the disk no job is accepted.
    pub min_free: u64,
    /// `shutdown_delay_seconds`: how long new jobs are still taken after SIGTERM, while `/readyz` says no.
    pub shutdown_delay: Duration,
    /// `shutdown_grace_seconds`: how long running jobs may go on after that.
    pub grace: Duration,
}

impl Config {
    /// The settings that differ from `other`'s and are read at start only: those that a running host cannot change.
    #[must_use]
    pub fn fixed_settings_unlike(&self, other: &Self) -> Vec<&'static str> {
        let differs = [
            (
                "plugin_directory",
                self.plugin_directory != other.plugin_directory,
            ),
            (
                "plugin_public_key",
                self.plugin_public_key != other.plugin_public_key,
            ),
            (
                "trusted_directories",
                self.trusted_directories != other.trusted_directories,
            ),
            (
                "jobs_directory",
                self.jobs_directory != other.jobs_directory,
            ),
            (
                "result_directory",
                self.result_directory != other.result_directory,
            ),
            (
                "server",
                // What a web UI is compared by is what it shows of itself: its URL.
                format!("{:?}", self.server) != format!("{:?}", other.server),
            ),
            ("auth.context.header", self.auth.header != other.auth.header),
            (
                "auth.isolate_users",
                self.auth.isolate_users != other.auth.isolate_users,
            ),
            ("pool.size", self.pool_size != other.pool_size),
            ("janitor", self.retention != other.retention),
            ("health_check", self.health_timeout != other.health_timeout),
            ("limits", self.limits != other.limits),
            ("metrics", self.old_metric_names != other.old_metric_names),
        ];
        let differing = differs.into_iter().filter(|(_, differs)| *differs);
        differing.map(|(name, _)| name).collect()
    }
}

const ROOT: Keys = Keys {
    what: "the configuration",
    known: &[
        "server",
        "commands",
        "clusters",
        "jobs_directory",
        "result_directory",
        "plugin_directory",
        "plugin_public_key",
        "trusted_directories",
        "pool",
        "auth",
        "janitor",
        "health_check",
        "limits",
        "metrics",
    ],
    meaningless: &[
        (
            "database",
            "jobs are kept in a store of the host's own, in jobs_directory",
        ),
        (
            "archive_directory",
            "stdout and stderr are kept in the job store",
        ),
        (
            "rbacs",
            "no command here consults access rules of a cluster",
        ),
    ],
};
const SERVER: Keys = Keys {
    what: "server",
    known: &[
        "addr",
        "address",
        "read_timeout",
        "write_timeout",
        "idle_timeout",
        "read_header_timeout",
        "allowed_hosts",
        "web_ui",
    ],
    meaningless: &[],
};
const AUTH: Keys = Keys {
    what: "auth",
    known: &["context", "token_file", "isolate_users"],
    meaningless: &[(
        "plugin",
        "the caller's name is read from the header in auth.context.header",
    )],
};
const AUTH_CONTEXT: Keys = Keys {
    what: "auth.context",
    known: &["header"],
    meaningless: &[],
};
const POOL: Keys = Keys {
    what: "pool",
    known: &["size"],
    meaningless: &[("sleep", "workers are woken, they do not poll")],
};
const JANITOR: Keys = Keys {
    what: "janitor",
    known: &[
        "finished_job_retention_days",
        "max_finished_jobs",
        "max_stored_bytes",
    ],
    meaningless: &[
        (
            "keepalive",
            "one host owns the store, so no job needs a sign of life",
        ),
        (
            "stale_job",
            "jobs of a host that died are settled when it starts again",
        ),
        ("clean_interval", "old jobs are removed once a minute"),
    ],
};
const HEALTH: Keys = Keys {
    what: "health_check",
    known: &["timeout_seconds"],
    meaningless: &[],
};
const METRICS: Keys = Keys {
    what: "metrics",
    known: &["old_names"],
    meaningless: &[],
};
const LIMITS: Keys = Keys {
    what: "limits",
    known: &[
        "max_body_bytes",
        "max_connections",
        "max_connections_per_client",
        "max_buffered_bytes",
        "max_running_jobs",
        "max_running_jobs_per_user",
        "max_queued_jobs",
        "max_result_bytes",
        "min_free_bytes",
        "worker_memory_bytes",
        "shutdown_delay_seconds",
        "shutdown_grace_seconds",
    ],
    meaningless: &[],
};

pub(super) fn read(path: &Path, root: &Node) -> Result<Config, Vec<Problem>> {
    let mut findings = Findings::default();
    let mut fields = Fields::open(Some(root), &ROOT, &mut findings);
    let path_of = |fields: &mut Fields<'_>, key| fields.text(key).map(PathBuf::from);
    let plugin_directory = path_of(&mut fields, "plugin_directory");
    let jobs_directory = path_of(&mut fields, "jobs_directory").unwrap_or_else(|| "jobs".into());
    let result_directory =
        path_of(&mut fields, "result_directory").unwrap_or_else(|| jobs_directory.join("results"));
    let trusted_directories = trusted_directories(&mut fields);
    let config = Config {
        path: path.to_owned(),
        plugin_directory,
        trusted_directories,
        plugin_public_key: plugin_public_key(&mut fields),
        jobs_directory,
        result_directory,
        server: server(&mut fields),
        auth: auth(&mut fields),
        pool_size: pool_size(&mut fields),
        retention: retention(&mut fields),
        health_timeout: health_timeout(&mut fields),
        limits: limits(&mut fields),
        old_metric_names: old_metric_names(&mut fields),
        commands: objects::commands(&mut fields),
        clusters: objects::clusters(&mut fields),
        ignored: Vec::new(),
    };
    if findings.problems.is_empty() {
        Ok(Config {
            ignored: findings.ignored,
            ..config
        })
    } else {
        Err(findings.problems)
    }
}

/// Opens the mapping under a key of another one.
fn inner<'a>(outer: &'a mut Fields<'_>, key: &str, keys: &Keys) -> Fields<'a> {
    let node = outer.node(key);
    Fields::open(node, keys, outer.findings())
}

fn trusted_directories(root: &mut Fields<'_>) -> Vec<PathBuf> {
    let mut directories = Vec::new();
    for (line, text) in root.texts("trusted_directories") {
        if text.starts_with('/') {
            directories.push(text.into());
        } else {
            root.problem(
                Problem::new(line, format!("'{text}' is not an absolute path"))
                    .hint("name a mount point, for example /mnt/plugins"),
            );
        }
    }
    directories
}

fn plugin_public_key(root: &mut Fields<'_>) -> Option<PublicKey> {
    let text = root.text("plugin_public_key")?;
    let key = text.parse();
    if let Err(error) = &key {
        let line = root.node("plugin_public_key").map_or(1, |node| node.line);
        root.problem(
            Problem::new(line, format!("plugin_public_key: '{text}': {error}"))
                .hint("the second line of the .pub file that `minisign -G` made"),
        );
    }
    key.ok()
}

/// A number of seconds; 0, as in Heimdall, is the same as absent.
fn seconds(fields: &mut Fields<'_>, key: &str) -> Option<Duration> {
    fields
        .integer(key, 0)
        .filter(|seconds| *seconds > 0)
        .map(Duration::from_secs)
}

/// An integer that counts things in memory.
fn count(fields: &mut Fields<'_>, key: &str, default: usize) -> usize {
    fields.integer(key, 1).map_or(default, |number| {
        usize::try_from(number).unwrap_or(usize::MAX)
    })
}

fn server(root: &mut Fields<'_>) -> Server {
    let mut fields = inner(root, "server", &SERVER);
    let address = fields.text("addr");
    let other = fields.text("address");
    if let (Some(_), Some(node)) = (&address, fields.node("address")) {
        let line = node.line;
        fields.problem(
            Problem::new(line, "both 'addr' and 'address' are given").hint("keep one of them"),
        );
    }
    let write_timeout = seconds(&mut fields, "write_timeout");
    let allowed_hosts = allowed_hosts(&mut fields);
    // hyper knows one clock for the head of a request and the wait before it.
    let head_timeout =
        seconds(&mut fields, "read_header_timeout").max(seconds(&mut fields, "idle_timeout"));
    Server {
        address: address
            .or(other)
            .unwrap_or_else(|| "127.0.0.1:9090".to_owned()),
        head_timeout: head_timeout.unwrap_or(Duration::from_secs(75)),
        read_timeout: seconds(&mut fields, "read_timeout").unwrap_or(Duration::from_secs(30)),
        write_timeout: write_timeout.unwrap_or(Duration::from_secs(60)),
        sync_deadline: write_timeout,
        allowed_hosts,
        web_ui: web_ui(&mut fields),
    }
}

fn web_ui(server: &mut Fields<'_>) -> Option<WebUi> {
    let address = server.text("web_ui")?;
    match WebUi::new(&address, env!("CARGO_PKG_VERSION")) {
        Ok(web_ui) => Some(web_ui),
        Err(error) => {
            let line = server.node("web_ui").map_or(1, |node| node.line);
            server.problem(
                Problem::new(line, format!("server.web_ui: {error}"))
                    .hint("for example http://localhost:3000"),
            );
            None
        }
    }
}

/// Names of hosts, without port: what a browser sends in `Host` has the port of the address that it was given.
fn allowed_hosts(server: &mut Fields<'_>) -> Vec<String> {
    let mut names = Vec::new();
    for (line, name) in server.texts("allowed_hosts") {
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
        if name.is_empty() || !name.chars().all(fits) {
            server.problem(
                Problem::new(line, format!("'{name}' cannot be the name of a host"))
                    .hint("a name without scheme and port, for example jobs.example.org"),
            );
        } else {
            names.push(name);
        }
    }
    names
}

fn auth(root: &mut Fields<'_>) -> Auth {
    let mut fields = inner(root, "auth", &AUTH);
    let token_file = fields.text("token_file").map(PathBuf::from);
    let isolate_users = fields.flag("isolate_users").unwrap_or(false);
    let mut context = inner(&mut fields, "context", &AUTH_CONTEXT);
    let header = context.text("header");
    if let Some(name) = &header
        && axum::http::HeaderName::try_from(name.as_str()).is_err()
    {
        let line = context.node("header").map_or(1, |node| node.line);
        context.problem(
            Problem::new(line, format!("'{name}' cannot be the name of a header"))
                .hint("letters, digits and hyphens, for example X-Heimdall-User"),
        );
    }
    Auth {
        header: header.unwrap_or_else(|| "X-Heimdall-User".to_owned()),
        token_file,
        isolate_users,
    }
}

fn pool_size(root: &mut Fields<'_>) -> usize {
    let mut fields = inner(root, "pool", &POOL);
    // Heimdall's own default, also for 0.
    match fields.integer("size", 0) {
        None | Some(0) => 10,
        // Jobs that wait cost no thread, so that thousands may run at once.
        Some(size) => usize::try_from(size.min(100_000)).expect("100,000 fits"),
    }
}

fn retention(root: &mut Fields<'_>) -> Retention {
    let mut fields = inner(root, "janitor", &JANITOR);
    Retention {
        days: fields
            .integer("finished_job_retention_days", 0)
            .filter(|days| *days > 0),
        jobs: fields.integer("max_finished_jobs", 1).unwrap_or(1_000_000),
        bytes: fields.integer("max_stored_bytes", 1),
    }
}

fn health_timeout(root: &mut Fields<'_>) -> Duration {
    let mut fields = inner(root, "health_check", &HEALTH);
    seconds(&mut fields, "timeout_seconds").unwrap_or(Duration::from_secs(30))
}

fn old_metric_names(root: &mut Fields<'_>) -> bool {
    let mut fields = inner(root, "metrics", &METRICS);
    fields.flag("old_names").unwrap_or(false)
}

fn limits(root: &mut Fields<'_>) -> Limits {
    let mut fields = inner(root, "limits", &LIMITS);
    let delay = fields.integer("shutdown_delay_seconds", 0).unwrap_or(0);
    let grace = fields.integer("shutdown_grace_seconds", 0).unwrap_or(20);
    let connections = count(&mut fields, "max_connections", 4_096);
    Limits {
        body_bytes: count(&mut fields, "max_body_bytes", 1 << 20),
        connections,
        connections_per_client: count(
            &mut fields,
            "max_connections_per_client",
            (connections / 4).max(1),
        ),
        buffered_bytes: fields
            .integer("max_buffered_bytes", 4 << 20)
            .unwrap_or(256 << 20),
        running: count(&mut fields, "max_running_jobs", 256),
        running_per_user: count(&mut fields, "max_running_jobs_per_user", 128),
        queued: count(&mut fields, "max_queued_jobs", 10_000),
        worker_memory: fields.integer("worker_memory_bytes", 16 << 20),
        result_bytes: fields.integer("max_result_bytes", 1).unwrap_or(16 << 30),
        min_free: fields.integer("min_free_bytes", 0).unwrap_or(4 << 20),
        shutdown_delay: Duration::from_secs(delay),
        grace: Duration::from_secs(grace),
    }
}
