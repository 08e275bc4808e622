//! Dependencies that a crate names and never mentions.
//!
//! What `cargo machete` looks for, without its build of three minutes; both obey `[package.metadata.cargo-machete]`.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use super::graph::{Graph, Package};
use crate::workspace::root;

pub(super) fn dependencies(graph: &Graph) -> anyhow::Result<Vec<String>> {
    let mut found = Vec::new();
    for package in graph
        .packages
        .iter()
        .filter(|package| package.source.is_none())
    {
        let folder = package.manifest_path.parent().unwrap_or(root());
        let words = words(folder)?;
        for edge in graph.dependencies(package) {
            let target = graph.target(edge);
            if !words.contains(&edge.name) && !is_excused(package, target) {
                found.push(format!(
                    "{} names {target} and uses it nowhere",
                    package.name
                ));
            }
        }
    }
    Ok(found)
}

fn is_excused(package: &Package, dependency: &str) -> bool {
    package.metadata["cargo-machete"]["ignored"]
        .as_array()
        .is_some_and(|ignored| ignored.iter().any(|name| name == dependency))
}

/// Every word of the Rust code below a folder, packages inside it included.
fn words(folder: &Path) -> anyhow::Result<BTreeSet<String>> {
    let mut words = BTreeSet::new();
    for file in sources(folder)? {
        let text = fs::read_to_string(&file)?;
        let code = text
            .lines()
            .filter(|line| !line.trim_start().starts_with("//"));
        for line in code {
            let is_of_a_word = |c: char| c.is_alphanumeric() || c == '_';
            words.extend(
                line.split(|c| !is_of_a_word(c))
                    .filter(|word| !word.is_empty())
                    .map(str::to_owned),
            );
        }
    }
    Ok(words)
}

fn sources(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let path = entry.path();
        if entry.file_type()?.is_dir() {
            let built = ["target", ".git"]
                .iter()
                .any(|name| entry.file_name() == *name);
            if !built {
                found.extend(sources(&path)?);
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    Ok(found)
}
