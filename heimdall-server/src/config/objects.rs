//! Commands and clusters as the file defines them.
//!
//! In: the two lists. Out: checked definitions with their system tags; problems with line and hint.
//! It decides nothing about routes: that is `route.rs`.

use std::collections::{BTreeSet, HashMap};

use plugin_api::near;
use regex::Regex;
use semver::VersionReq;
use serde::Serialize;
use serde_json::{Map, Value};

use super::{
    fields::{Fields, Findings, Keys},
    yaml::{Data, Node, Problem},
};
use crate::plugins::PluginRequirement;

/// Whether an object takes part in routing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Status {
    /// It does.
    Active,
    /// It does not, for now.
    Inactive,
    /// It does not, and is kept for the record.
    Deleted,
}

impl Status {
    /// Every status, by name.
    pub const ALL: [Self; 3] = [Self::Active, Self::Deleted, Self::Inactive];

    /// The word in answers: `ACTIVE`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "ACTIVE",
            Self::Inactive => "INACTIVE",
            Self::Deleted => "DELETED",
        }
    }

    /// The status of a word in either case.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|status| status.as_str().eq_ignore_ascii_case(word))
    }
}

/// What commands and clusters have in common.
#[derive(Debug, Clone)]
pub struct Object {
    /// Unique among its kind; the name where the file gives none.
    pub id: String,
    /// What people call it.
    pub name: String,
    /// Its own version, free text.
    pub version: String,
    /// Who defined it; `heimdall` where the file gives none.
    pub user: String,
    /// For people.
    pub description: Option<String>,
    /// Its tags and its system tags.
    pub tags: BTreeSet<String>,
    /// What the plugin is told about it.
    pub context: Option<Map<String, Value>>,
    /// As the file says; absent is active.
    pub status: Status,
    /// Seconds since 1970, where the file says so.
    pub created_at: Option<i64>,
    /// Seconds since 1970, where the file says so.
    pub updated_at: Option<i64>,
    /// Where the definition begins in the file.
    pub line: usize,
}

/// A command: which plugin runs a job, and for whom.
#[derive(Debug, Clone)]
pub struct CommandConfig {
    /// Name, tags, context.
    pub object: Object,
    /// The plugin's name, as the library says it of itself.
    pub plugin: String,
    /// Which of its versions may run; absent: the newest.
    pub plugin_version: Option<VersionReq>,
    /// `isolation: process`: its jobs run in a worker process.
    pub isolated: bool,
    /// Whether a caller waits for the result.
    pub is_sync: bool,
    /// Tags that a cluster must carry.
    pub cluster_tags: BTreeSet<String>,
    /// Names of callers that may run it; absent: all.
    pub allowed_callers: Option<Regex>,
}

impl CommandConfig {
    /// What the command's jobs need of the plugins.
    #[must_use]
    pub fn need(&self) -> PluginRequirement<'_> {
        PluginRequirement {
            plugin: &self.plugin,
            requirement: self.plugin_version.as_ref(),
            isolated: self.isolated,
        }
    }
}

/// A cluster: where and as whom a job runs.
#[derive(Debug, Clone)]
pub struct ClusterConfig {
    /// Name, tags, context.
    pub object: Object,
    /// Whether health checks include it.
    pub health_check: bool,
}

const COMMAND: Keys = Keys {
    what: "a command",
    known: &[
        "id",
        "name",
        "version",
        "user",
        "description",
        "tags",
        "context",
        "status",
        "created_at",
        "updated_at",
        "plugin",
        "plugin_version",
        "isolation",
        "is_sync",
        "cluster_tags",
        "allowed_callers",
    ],
    meaningless: &[(
        "store_result_sync",
        "a result is always stored before it is answered",
    )],
};
const CLUSTER: Keys = Keys {
    what: "a cluster",
    known: &[
        "id",
        "name",
        "version",
        "user",
        "description",
        "tags",
        "context",
        "status",
        "created_at",
        "updated_at",
        "health_check",
    ],
    meaningless: &[
        ("attributes", "jobs carry no rendered attributes"),
        (
            "rbacs",
            "no command here consults access rules of a cluster",
        ),
    ],
};

pub(super) fn commands(root: &mut Fields<'_>) -> Vec<CommandConfig> {
    let mut commands = Vec::new();
    for node in list(root, "commands") {
        let mut fields = Fields::open(Some(node), &COMMAND, root.findings());
        if let Some(object) = object(&mut fields, "command") {
            commands.push(command(object, &mut fields));
        }
    }
    report_duplicates(
        "command",
        commands.iter().map(|command| &command.object),
        root.findings(),
    );
    commands
}

pub(super) fn clusters(root: &mut Fields<'_>) -> Vec<ClusterConfig> {
    let mut clusters = Vec::new();
    for node in list(root, "clusters") {
        let mut fields = Fields::open(Some(node), &CLUSTER, root.findings());
        if let Some(object) = object(&mut fields, "cluster") {
            let health_check = fields.flag("health_check").unwrap_or(false);
            clusters.push(ClusterConfig {
                object,
                health_check,
            });
        }
    }
    report_duplicates(
        "cluster",
        clusters.iter().map(|cluster| &cluster.object),
        root.findings(),
    );
    clusters
}

fn list<'a>(root: &mut Fields<'a>, key: &str) -> &'a [Node] {
    match root.node(key) {
        None => &[],
        Some(Node {
            data: Data::List(nodes),
            ..
        }) => nodes,
        Some(node) => {
            let problem = Problem::new(
                node.line,
                format!("'{key}' must be a list, not {}", node.kind()),
            );
            root.problem(problem.hint("begin each definition with '- name: …'"));
            &[]
        }
    }
}

fn report_duplicates<'a>(
    kind: &str,
    objects: impl Iterator<Item = &'a Object>,
    findings: &mut Findings,
) {
    let mut lines: HashMap<&str, usize> = HashMap::new();
    for object in objects {
        if let Some(first) = lines.insert(&object.id, object.line) {
            findings.problems.push(
                Problem::new(
                    object.line,
                    format!(
                        "the {kind} id '{}' is already taken on line {first}",
                        object.id
                    ),
                )
                .hint("ids must be unique; where none is given, the name is the id"),
            );
        }
    }
}

fn object(fields: &mut Fields<'_>, kind: &str) -> Option<Object> {
    let line = fields.line;
    let Some(name) = fields.text("name").filter(|name| !name.trim().is_empty()) else {
        fields.problem(Problem::new(line, format!("a {kind} has no name")).hint("add 'name: …'"));
        return None;
    };
    let id = fields.text("id").unwrap_or_else(|| name.clone());
    let version = fields.text("version").unwrap_or_default();
    let system = [
        format!("_id:{id}"),
        format!("_name:{name}"),
        format!("_version:{version}"),
    ];
    let mut tags = tags(fields, "tags", &system);
    tags.extend(system);
    Some(Object {
        version,
        user: fields.text("user").unwrap_or_else(|| "heimdall".to_owned()),
        description: fields.text("description").filter(|text| !text.is_empty()),
        tags,
        context: context(fields),
        status: status(fields),
        created_at: time(fields, "created_at"),
        updated_at: time(fields, "updated_at"),
        line,
        id,
        name,
    })
}

fn command(object: Object, fields: &mut Fields<'_>) -> CommandConfig {
    let plugin = fields.text("plugin").unwrap_or_default();
    if plugin.is_empty() {
        let problem = Problem::new(
            object.line,
            format!("the command '{}' names no plugin", object.id),
        );
        fields.problem(problem.hint("add 'plugin: …', the name that the library gives itself"));
    }
    CommandConfig {
        plugin,
        plugin_version: plugin_version(fields),
        isolated: isolated(fields),
        is_sync: fields.flag("is_sync").unwrap_or(false),
        cluster_tags: tags(fields, "cluster_tags", &[]),
        allowed_callers: allowed_callers(fields),
        object,
    }
}

fn status(fields: &mut Fields<'_>) -> Status {
    let Some(word) = fields.text("status") else {
        return Status::Active;
    };
    Status::from_word(&word).unwrap_or_else(|| {
        let line = fields.node("status").map_or(fields.line, |node| node.line);
        let meant = near(&word, ["active", "inactive", "deleted"]).unwrap_or("active");
        fields.problem(
            Problem::new(line, format!("unknown status '{word}'")).hint(format!(
                "one of active, inactive, deleted; did you mean '{meant}'?"
            )),
        );
        Status::Active
    })
}

fn time(fields: &mut Fields<'_>, key: &str) -> Option<i64> {
    fields
        .integer(key, 0)
        .and_then(|seconds| i64::try_from(seconds).ok())
}

fn context(fields: &mut Fields<'_>) -> Option<Map<String, Value>> {
    let node = fields.node("context")?;
    if let Value::Object(map) = node.to_json() {
        return Some(map);
    }
    let problem = Problem::new(
        node.line,
        format!("'context' must be a mapping, not {}", node.kind()),
    );
    fields.problem(problem);
    None
}

fn tags(fields: &mut Fields<'_>, key: &str, own: &[String]) -> BTreeSet<String> {
    let mut tags = BTreeSet::new();
    for (line, tag) in fields.texts(key) {
        if tag.trim() != tag
            || tag.is_empty()
            || tag.contains(',')
            || tag.chars().any(char::is_control)
        {
            fields.problem(
                Problem::new(line, format!("'{tag}' cannot be a tag")).hint(
                    "a tag is not empty and has no comma, control character or space around it",
                ),
            );
        } else if key == "tags" && is_reserved(&tag) && !own.contains(&tag) {
            fields.problem(
                Problem::new(line, format!("the tag '{tag}' claims to be another object"))
                    .hint("tags that begin with _id:, _name: or _version: are set by the host"),
            );
        } else {
            tags.insert(tag);
        }
    }
    tags
}

fn is_reserved(tag: &str) -> bool {
    ["_id:", "_name:", "_version:"]
        .iter()
        .any(|prefix| tag.starts_with(prefix))
}

fn plugin_version(fields: &mut Fields<'_>) -> Option<VersionReq> {
    let text = fields.text("plugin_version")?;
    match VersionReq::parse(&text) {
        Ok(requirement) => Some(requirement),
        Err(error) => {
            let line = fields
                .node("plugin_version")
                .map_or(fields.line, |node| node.line);
            fields.problem(
                Problem::new(line, format!("'{text}' is no version requirement: {error}"))
                    .hint("for example '=1.2.3', '^1.2' or '>=1.0, <3'"),
            );
            None
        }
    }
}

/// Whether the command asks for a worker process.
fn isolated(fields: &mut Fields<'_>) -> bool {
    let Some(word) = fields.text("isolation") else {
        return false;
    };
    if !["in_process", "process"].contains(&word.as_str()) {
        let line = fields
            .node("isolation")
            .map_or(fields.line, |node| node.line);
        fields.problem(
            Problem::new(line, format!("unknown isolation '{word}'"))
                .hint("'in_process' (the default), or 'process' for a worker process"),
        );
    }
    word == "process"
}

/// One expression that matches whole names only: an operator who writes `ops` does not mean `devops`.
fn allowed_callers(fields: &mut Fields<'_>) -> Option<Regex> {
    let mut parts = Vec::new();
    for (line, pattern) in fields.texts("allowed_callers") {
        if pattern.trim().is_empty() {
            fields.problem(
                Problem::new(line, "an empty pattern in 'allowed_callers'").hint("remove the line"),
            );
        } else if let Err(error) = Regex::new(&pattern) {
            let reason = error.to_string();
            let reason = reason
                .lines()
                .last()
                .unwrap_or_default()
                .trim_start_matches("error: ")
                .to_owned();
            fields.problem(
                Problem::new(
                    line,
                    format!("'{pattern}' is no regular expression: {reason}"),
                )
                .hint("write '.*' for any text; '*' alone is not a wildcard"),
            );
        } else {
            parts.push(format!("(?:{pattern})"));
        }
    }
    if parts.is_empty() {
        return None;
    }
    let whole = format!("^(?:{})$", parts.join("|"));
    match Regex::new(&whole) {
        Ok(regex) => Some(regex),
        Err(error) => {
            let problem = Problem::new(
                fields.line,
                format!("the patterns in 'allowed_callers' are too large together: {error}"),
            );
            fields.problem(problem.hint("use fewer or shorter patterns"));
            None
        }
    }
}
