//! What the workspace depends on, held against `deny.toml`: licences, forbidden packages, packages in two versions, where they come
//! from; and that every dependency that a crate names is used.
//!
//! The same file is read by cargo-deny, which takes minutes to install and knows advisories too; this takes a second and needs no
//! network.

mod graph;
mod rules;
mod unused;

use anyhow::ensure;

use self::{graph::Graph, rules::Rules};

/// Checks all of it.
pub(crate) fn check() -> anyhow::Result<()> {
    let graph = Graph::read()?;
    let rules = Rules::read()?;
    let mut found = rules.broken_by(&graph);
    found.extend(unused::dependencies(&graph)?);
    for problem in &found {
        eprintln!("supply: {problem}");
    }
    ensure!(
        found.is_empty(),
        "{} problem(s) with dependencies; deny.toml says what is allowed and why",
        found.len()
    );
    println!(
        "supply: {} packages of others, licences, sources, versions and use checked",
        graph.foreign().count()
    );
    Ok(())
}
