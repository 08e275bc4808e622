//! The commands and clusters in force: the file's definitions with the statuses that were set at run time.
//!
//! In: the configuration and the store's overrides. Out: an immutable snapshot that requests share, and the JSON of each object
//! with its secrets masked. A reload makes a new snapshot; requests under way keep theirs.

use std::{collections::HashMap, sync::Arc};

use serde::Serialize;
use serde_json::{Map, Value, value::RawValue};

use crate::{
    config::{ClusterConfig, CommandConfig, Config, Object, Status},
    job::raw,
};

/// Commands or clusters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Commands.
    Command,
    /// Clusters.
    Cluster,
}

impl Kind {
    /// The word in paths and in the store.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Command => "command",
            Self::Cluster => "cluster",
        }
    }
}

/// What the store knows of a command or cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// When this store first saw it, seconds since 1970.
    pub created_at: i64,
    /// When its status last changed, or it was first seen.
    pub updated_at: i64,
    /// The status in force: set at run time, or the file's.
    pub status: Status,
}

/// A command with the status in force.
#[derive(Debug)]
pub struct LiveCommand {
    /// Its definition.
    pub command: CommandConfig,
    /// Its status and times.
    pub known: Known,
    /// `{"name","context"}` of the job document, ready to be sent.
    pub document: Box<RawValue>,
}

/// A cluster with the status in force.
#[derive(Debug)]
pub struct LiveCluster {
    /// Its definition.
    pub cluster: ClusterConfig,
    /// Its status and times.
    pub known: Known,
    /// `{"name","context"}` of the job document, ready to be sent.
    pub document: Box<RawValue>,
}

impl LiveCommand {
    /// Whether it takes jobs.
    #[must_use]
    pub fn is_active(&self) -> bool {
        self.known.status == Status::Active
    }

    /// Whether a caller may run it.
    #[must_use]
    pub fn allows(&self, user: &str) -> bool {
        let callers = self.command.allowed_callers.as_ref();
        callers.is_none_or(|pattern| pattern.is_match(user))
    }
}

impl LiveCluster {
    /// Whether it takes jobs.
    #[must_use]
    pub fn is_active(&self) -> bool {
        self.known.status == Status::Active
    }
}

/// One snapshot of all definitions.
#[derive(Debug, Default)]
pub struct Catalog {
    commands: Vec<Arc<LiveCommand>>,
    clusters: Vec<Arc<LiveCluster>>,
}

impl Catalog {
    /// A snapshot of the file's definitions; `known` holds what the store knows by kind and id.
    #[must_use]
    pub fn new(config: &Config, known: &HashMap<(Kind, String), Known>, now: i64) -> Self {
        let known = |kind, object: &Object| {
            let stored = known.get(&(kind, object.id.clone()));
            let created_at = object.created_at.or(stored.map(|known| known.created_at));
            let updated_at = object.updated_at.or(stored.map(|known| known.updated_at));
            Known {
                created_at: created_at.unwrap_or(now),
                updated_at: updated_at.unwrap_or(now),
                status: stored.map_or(object.status, |known| known.status),
            }
        };
        let commands = config.commands.iter().map(|command| LiveCommand {
            known: known(Kind::Command, &command.object),
            document: document(&command.object),
            command: command.clone(),
        });
        let clusters = config.clusters.iter().map(|cluster| LiveCluster {
            known: known(Kind::Cluster, &cluster.object),
            document: document(&cluster.object),
            cluster: cluster.clone(),
        });
        Self {
            commands: commands.map(Arc::new).collect(),
            clusters: clusters.map(Arc::new).collect(),
        }
    }

    /// The same definitions, one of them with another status.
    #[must_use]
    pub fn with_status(&self, kind: Kind, id: &str, status: Status, now: i64) -> Self {
        let changed = |known: &Known| Known {
            updated_at: now,
            status,
            ..known.clone()
        };
        let mut catalog = Self {
            commands: self.commands.clone(),
            clusters: self.clusters.clone(),
        };
        match kind {
            Kind::Command => {
                for command in catalog
                    .commands
                    .iter_mut()
                    .filter(|command| command.command.object.id == id)
                {
                    *command = Arc::new(LiveCommand {
                        command: command.command.clone(),
                        known: changed(&command.known),
                        document: command.document.clone(),
                    });
                }
            }
            Kind::Cluster => {
                for cluster in catalog
                    .clusters
                    .iter_mut()
                    .filter(|cluster| cluster.cluster.object.id == id)
                {
                    *cluster = Arc::new(LiveCluster {
                        cluster: cluster.cluster.clone(),
                        known: changed(&cluster.known),
                        document: cluster.document.clone(),
                    });
                }
            }
        }
        catalog
    }

    /// All commands, in the file's order.
    pub fn commands(&self) -> impl Iterator<Item = &Arc<LiveCommand>> {
        self.commands.iter()
    }

    /// All clusters, in the file's order.
    pub fn clusters(&self) -> impl Iterator<Item = &Arc<LiveCluster>> {
        self.clusters.iter()
    }

    /// A command by id.
    #[must_use]
    pub fn command(&self, id: &str) -> Option<&Arc<LiveCommand>> {
        self.commands
            .iter()
            .find(|command| command.command.object.id == id)
    }

    /// A cluster by id.
    #[must_use]
    pub fn cluster(&self, id: &str) -> Option<&Arc<LiveCluster>> {
        self.clusters
            .iter()
            .find(|cluster| cluster.cluster.object.id == id)
    }
}

/// The part of the job document that speaks of this object.
fn document(object: &Object) -> Box<RawValue> {
    #[derive(Serialize)]
    struct ObjectDocument<'a> {
        name: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        context: Option<&'a Map<String, Value>>,
    }
    raw(&ObjectDocument {
        name: &object.name,
        context: object.context.as_ref(),
    })
}

#[derive(Serialize)]
struct ObjectRecord<'a> {
    id: &'a str,
    name: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    version: &'a str,
    user: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    tags: Vec<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    context: Option<Map<String, Value>>,
    created_at: i64,
    updated_at: i64,
    status: Status,
}

fn body<'a>(object: &'a Object, known: &Known) -> ObjectRecord<'a> {
    ObjectRecord {
        id: &object.id,
        name: &object.name,
        version: &object.version,
        user: &object.user,
        description: object.description.as_deref(),
        tags: object.tags.iter().map(String::as_str).collect(),
        context: object.context.as_ref().map(masked),
        created_at: known.created_at,
        updated_at: known.updated_at,
        status: known.status,
    }
}

impl Serialize for LiveCommand {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct CommandRecord<'a> {
            #[serde(flatten)]
            object: ObjectRecord<'a>,
            plugin: &'a str,
            #[serde(skip_serializing_if = "Option::is_none")]
            plugin_version: Option<String>,
            #[serde(skip_serializing_if = "std::ops::Not::not")]
            is_sync: bool,
            #[serde(skip_serializing_if = "Vec::is_empty")]
            cluster_tags: Vec<&'a str>,
        }
        CommandRecord {
            object: body(&self.command.object, &self.known),
            plugin: &self.command.plugin,
            plugin_version: self
                .command
                .plugin_version
                .as_ref()
                .map(ToString::to_string),
            is_sync: self.command.is_sync,
            cluster_tags: self
                .command
                .cluster_tags
                .iter()
                .map(String::as_str)
                .collect(),
        }
        .serialize(serializer)
    }
}

impl Serialize for LiveCluster {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        body(&self.cluster.object, &self.known).serialize(serializer)
    }
}

/// A context without what only the plugin may see: the external id, and a user and password inside a URL.
fn masked(context: &Map<String, Value>) -> Map<String, Value> {
    let kept = context
        .iter()
        .filter(|(key, _)| key.as_str() != "external_id");
    kept.map(|(key, value)| (key.clone(), masked_value(value)))
        .collect()
}

fn masked_value(value: &Value) -> Value {
    match value {
        Value::Object(map) => Value::Object(masked(map)),
        Value::Array(values) => values.iter().map(masked_value).collect(),
        Value::String(text) => Value::String(without_userinfo(text)),
        _ => value.clone(),
    }
}

fn without_userinfo(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else {
        return text.to_owned();
    };
    let authority_end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    match rest[..authority_end].rfind('@') {
        Some(at) => format!("{scheme}://***{}", &rest[at..]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_in_a_context_reach_the_plugin_and_no_answer() {
        let text = "clusters: [{name: c, context: {external_id: hush, proxy: 'http://u:hush@proxy:1/x', deep: {external_id: hush}, a: 1}}]";
        let config = Config::parse("c.yaml".as_ref(), text, &|_| None).unwrap();
        let catalog = Catalog::new(&config, &HashMap::new(), 5);
        let cluster = catalog.cluster("c").unwrap();
        assert_eq!(cluster.document.get().matches("hush").count(), 3);
        let answer = serde_json::to_value(&**cluster).unwrap();
        assert_eq!(
            answer["context"],
            serde_json::json!({"proxy": "http://***@proxy:1/x", "deep": {}, "a": 1})
        );
        assert_eq!(
            (answer["created_at"].as_i64(), answer["status"].as_str()),
            (Some(5), Some("ACTIVE"))
        );
    }
}
