//! The packages of the lock file, as `cargo metadata` tells them.

use std::collections::{BTreeSet, HashMap};

use anyhow::Context;
use serde::Deserialize;

use crate::workspace::metadata;

#[derive(Deserialize)]
pub(super) struct Graph {
    pub(super) packages: Vec<Package>,
    resolve: Resolve,
}

#[derive(Deserialize)]
pub(super) struct Package {
    id: String,
    pub(super) name: String,
    pub(super) version: semver::Version,
    pub(super) license: Option<String>,
    /// `None` for the workspace's own.
    pub(super) source: Option<String>,
    pub(super) manifest_path: std::path::PathBuf,
    #[serde(default)]
    pub(super) metadata: serde_json::Value,
}

#[derive(Deserialize)]
struct Resolve {
    nodes: Vec<Node>,
}

#[derive(Deserialize)]
struct Node {
    id: String,
    deps: Vec<Edge>,
}

#[derive(Deserialize)]
pub(super) struct Edge {
    /// What the code calls it.
    pub(super) name: String,
    pkg: String,
}

impl Graph {
    pub(super) fn read() -> anyhow::Result<Self> {
        serde_json::from_slice(&metadata()?).context("cargo metadata gave no JSON")
    }

    /// The packages that are not the workspace's own.
    pub(super) fn foreign(&self) -> impl Iterator<Item = &Package> {
        self.packages
            .iter()
            .filter(|package| package.source.is_some())
    }

    /// What a package depends on.
    pub(super) fn dependencies(&self, package: &Package) -> &[Edge] {
        let node = self.resolve.nodes.iter().find(|node| node.id == package.id);
        node.map_or(&[], |node| &node.deps)
    }

    /// The name of the package that an edge leads to.
    pub(super) fn target<'a>(&'a self, edge: &'a Edge) -> &'a str {
        let package = self.packages.iter().find(|package| package.id == edge.pkg);
        package.map_or(&edge.name, |package| &package.name)
    }

    /// The names and versions of all that stands below a package of that name.
    pub(super) fn below(&self, name: &str) -> BTreeSet<(&str, &semver::Version)> {
        let nodes: HashMap<&str, &Node> = self
            .resolve
            .nodes
            .iter()
            .map(|node| (node.id.as_str(), node))
            .collect();
        let packages: HashMap<&str, &Package> = self
            .packages
            .iter()
            .map(|package| (package.id.as_str(), package))
            .collect();
        let named = self.packages.iter().filter(|package| package.name == name);
        let mut open: Vec<&str> = named.map(|package| package.id.as_str()).collect();
        let mut below = BTreeSet::new();
        while let Some(id) = open.pop() {
            let package = packages[id];
            if below.insert((package.name.as_str(), &package.version)) {
                open.extend(nodes[id].deps.iter().map(|edge| edge.pkg.as_str()));
            }
        }
        below
    }
}
