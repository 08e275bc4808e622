//! Which command and cluster run a job.
//!
//! In: the job's criteria and all definitions with the statuses in force. Out: one matching pair, or an error that says which
//! criterion failed and the nearest tag that exists. Where several pairs match, `choose` picks.

use std::{collections::BTreeSet, sync::Arc};

use plugin_api::near;

use crate::{
    catalog::{Catalog, LiveCluster, LiveCommand},
    error::{Code, HostError},
};

/// A command and a cluster that it may run on.
pub type ResolvedRoute = (Arc<LiveCommand>, Arc<LiveCluster>);

/// The pair that runs a job; `choose` is given the number of matches and names one.
///
/// # Errors
/// `INVALID_JOB` where criteria are absent, `NO_ROUTE` where nothing matches.
pub fn resolve(
    catalog: &Catalog,
    command_criteria: &BTreeSet<String>,
    cluster_criteria: &BTreeSet<String>,
    choose: impl FnOnce(usize) -> usize,
) -> Result<ResolvedRoute, HostError> {
    for (name, criteria) in [
        ("command_criteria", command_criteria),
        ("cluster_criteria", cluster_criteria),
    ] {
        if criteria.is_empty() {
            return Err(
                HostError::invalid_job(format!("'{name}' is missing or empty")).hint(format!(
                    "name the tags to run on, for example \"{name}\": [\"type:dynamodb\"]"
                )),
            );
        }
    }
    let pairs = matches(catalog, command_criteria, cluster_criteria);
    match pairs.len() {
        0 => Err(explain(catalog, command_criteria, cluster_criteria)),
        1 => Ok(pairs.into_iter().next().expect("there is one")),
        several => {
            let chosen = choose(several) % several;
            Ok(pairs
                .into_iter()
                .nth(chosen)
                .expect("the index is below the length"))
        }
    }
}

/// The clusters that a command may run on, whatever a job asks for.
#[must_use]
pub fn clusters_of(catalog: &Catalog, command: &LiveCommand) -> Vec<Arc<LiveCluster>> {
    catalog
        .clusters()
        .filter(|cluster| {
            cluster.is_active()
                && command
                    .command
                    .cluster_tags
                    .is_subset(&cluster.cluster.object.tags)
        })
        .cloned()
        .collect()
}

fn matches(
    catalog: &Catalog,
    commands: &BTreeSet<String>,
    clusters: &BTreeSet<String>,
) -> Vec<ResolvedRoute> {
    let mut pairs = Vec::new();
    for command in catalog.commands() {
        if !command.is_active() || !commands.is_subset(&command.command.object.tags) {
            continue;
        }
        for cluster in clusters_of(catalog, command) {
            if clusters.is_subset(&cluster.cluster.object.tags) {
                pairs.push((Arc::clone(command), cluster));
            }
        }
    }
    pairs
}

/// Says which step left nothing: a tag that nobody carries, a combination, an inactive object, or the command's own tags.
fn explain(
    catalog: &Catalog,
    commands: &BTreeSet<String>,
    clusters: &BTreeSet<String>,
) -> HostError {
    let command_tags = catalog
        .commands()
        .map(|command| (&command.command.object.tags, command.is_active()));
    if let Some(error) = explain_tags("command", commands, command_tags.collect()) {
        return error;
    }
    let cluster_tags = catalog
        .clusters()
        .map(|cluster| (&cluster.cluster.object.tags, cluster.is_active()));
    if let Some(error) = explain_tags("cluster", clusters, cluster_tags.collect()) {
        return error;
    }
    let chosen = catalog
        .commands()
        .find(|command| command.is_active() && commands.is_subset(&command.command.object.tags))
        .map(|command| {
            (
                &command.command.object.id,
                list(&command.command.cluster_tags),
            )
        });
    let (id, tags) = chosen.map_or_else(Default::default, |(id, tags)| (id.clone(), tags));
    HostError::new(
        Code::NoRoute,
        format!("no active cluster carries both cluster_criteria {} and the cluster_tags {tags} of the command '{id}'", list(clusters)),
    )
    .hint("ask for a cluster that the command may run on, or give the cluster the command's tags")
}

fn explain_tags(
    kind: &str,
    criteria: &BTreeSet<String>,
    objects: Vec<(&BTreeSet<String>, bool)>,
) -> Option<HostError> {
    let matching = |active_only: bool| {
        objects
            .iter()
            .any(|(tags, active)| (*active || !active_only) && criteria.is_subset(tags))
    };
    if matching(true) {
        return None;
    }
    let error = |message: String| HostError::new(Code::NoRoute, message);
    if matching(false) {
        return Some(
            error(format!(
                "every {kind} that carries {kind}_criteria {} is inactive",
                list(criteria)
            ))
            .hint(format!(
                "activate it: PUT /api/v1/{kind}/ID/status with {{\"status\":\"active\"}}"
            )),
        );
    }
    let all: BTreeSet<&str> = objects
        .iter()
        .flat_map(|(tags, _)| tags.iter().map(String::as_str))
        .collect();
    let Some(unknown) = criteria.iter().find(|tag| !all.contains(tag.as_str())) else {
        return Some(
            error(format!(
                "no {kind} carries all of {kind}_criteria {} at once",
                list(criteria)
            ))
            .hint("each of these tags exists, but on different ones; ask for fewer"),
        );
    };
    let known = || {
        all.iter()
            .filter(|tag| !tag.starts_with('_'))
            .copied()
            .collect::<Vec<_>>()
            .join(", ")
    };
    let hint = match near(unknown, all.iter().copied()) {
        Some(near) => format!("the nearest tag is '{near}': did you mean that?"),
        None if known().is_empty() => format!("no {kind} with tags is defined"),
        None => format!("tags of {kind}s: {}", known()),
    };
    Some(
        error(format!(
            "no {kind} carries the tag '{unknown}' of {kind}_criteria"
        ))
        .hint(hint),
    )
}

fn list(tags: &BTreeSet<String>) -> String {
    let tags: Vec<_> = tags.iter().map(|tag| format!("'{tag}'")).collect();
    tags.join(", ")
}

#[cfg(test)]
mod tests;
