//! The parts of `deny.toml` that need no network.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
};

use anyhow::Context;
use semver::VersionReq;
use serde::Deserialize;

use super::graph::{Graph, Package};
use crate::workspace::root;

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Rules {
    licenses: Licenses,
    bans: Bans,
    sources: Sources,
}

#[derive(Deserialize)]
struct Licenses {
    allow: Vec<String>,
    exceptions: Vec<Exception>,
}

#[derive(Deserialize)]
struct Exception {
    #[serde(rename = "crate")]
    name: String,
    allow: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Bans {
    deny: Vec<Named>,
    skip: Vec<Named>,
    skip_tree: Vec<Named>,
}

/// A package, `name` or `name@version`, and why it stands in a list.
#[derive(Deserialize)]
struct Named {
    #[serde(rename = "crate")]
    spec: String,
    reason: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Sources {
    allow_registry: Vec<String>,
}

impl Named {
    fn means(&self, package: &Package) -> bool {
        match self.spec.split_once('@') {
            None => self.spec == package.name,
            Some((name, version)) => {
                name == package.name
                    && VersionReq::parse(&format!("={version}"))
                        .is_ok_and(|asked| asked.matches(&package.version))
            }
        }
    }
}

impl Rules {
    pub(super) fn read() -> anyhow::Result<Self> {
        let text = fs::read_to_string(root().join("deny.toml")).context("cannot read deny.toml")?;
        toml::from_str(&text).context("deny.toml is not as expected")
    }

    /// One sentence for each rule that the packages break, and for each exception that nothing needs any more.
    pub(super) fn broken_by(&self, graph: &Graph) -> Vec<String> {
        let mut found = self.without_reason();
        for package in graph.foreign() {
            found.extend(self.license(package));
            found.extend(self.origin(package));
            let banned = self.bans.deny.iter().find(|named| named.means(package));
            found.extend(
                banned.map(|named| format!("{} is forbidden: {}", package.name, named.reason)),
            );
        }
        found.extend(self.duplicates(graph));
        found
    }

    fn without_reason(&self) -> Vec<String> {
        let Bans {
            deny,
            skip,
            skip_tree,
        } = &self.bans;
        let named = deny.iter().chain(skip).chain(skip_tree);
        named
            .filter(|named| named.reason.trim().is_empty())
            .map(|named| format!("deny.toml gives no reason for {}", named.spec))
            .collect()
    }

    fn license(&self, package: &Package) -> Option<String> {
        let Package { name, version, .. } = package;
        let Some(text) = &package.license else {
            return Some(format!("{name} {version} names no licence"));
        };
        let expression = match spdx::Expression::parse_mode(text, spdx::ParseMode::LAX) {
            Ok(expression) => expression,
            Err(error) => return Some(format!("{name} {version}: licence '{text}': {error}")),
        };
        let of_its_own = self
            .licenses
            .exceptions
            .iter()
            .filter(|exception| exception.name == *name)
            .flat_map(|exception| &exception.allow);
        let allowed: BTreeSet<&String> = self.licenses.allow.iter().chain(of_its_own).collect();
        let is_allowed = expression.evaluate(|license| allowed.contains(&license.to_string()));
        (!is_allowed).then(|| format!("{name} {version}: licence '{text}' is not allowed"))
    }

    fn origin(&self, package: &Package) -> Option<String> {
        let source = package.source.as_deref().unwrap_or_default();
        let allowed = self
            .sources
            .allow_registry
            .iter()
            .any(|registry| source.strip_prefix("registry+") == Some(registry));
        (!allowed).then(|| format!("{} {} comes from {source}", package.name, package.version))
    }

    /// Packages in two versions that nobody justified, and justifications of what is not there twice.
    fn duplicates(&self, graph: &Graph) -> Vec<String> {
        let trees = self.bans.skip_tree.iter();
        let below: BTreeSet<_> = trees.flat_map(|named| graph.below(&named.spec)).collect();
        let mut by_name: BTreeMap<&str, Vec<&Package>> = BTreeMap::new();
        for package in graph.foreign() {
            by_name.entry(&package.name).or_default().push(package);
        }
        by_name.retain(|_, packages| packages.len() > 1);
        let mut found = Vec::new();
        for (name, packages) in &by_name {
            let counted: Vec<String> = packages
                .iter()
                .filter(|package| !below.contains(&(package.name.as_str(), &package.version)))
                .filter(|package| !self.bans.skip.iter().any(|skip| skip.means(package)))
                .map(|package| package.version.to_string())
                .collect();
            if counted.len() > 1 {
                found.push(format!(
                    "{name} is there in versions {}",
                    counted.join(" and ")
                ));
            }
        }
        let twice: Vec<&Package> = by_name.into_values().flatten().collect();
        for skip in &self.bans.skip {
            if !twice.iter().any(|package| skip.means(package)) {
                found.push(format!(
                    "{} is not there twice any more: take it out of deny.toml",
                    skip.spec
                ));
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: &str = r#"
        [licenses]
        allow = ["MIT", "Apache-2.0"]
        exceptions = [{ crate = "odd", allow = ["MPL-2.0"] }]
        [bans]
        deny = [{ crate = "openssl-sys", reason = "TLS is rustls" }]
        skip = [{ crate = "twice@1.0.0", reason = "a test" }]
        skip-tree = [{ crate = "tool", reason = "a test" }]
        [sources]
        allow-registry = ["https://registry"]
    "#;

    /// A graph of `name version licence`; `tool` depends on all of the last version.
    fn broken(rules: &str, packages: &[(&str, &str, &str)]) -> Vec<String> {
        let id = |name: &str, version: &str| format!("{name}@{version}");
        let listed: Vec<_> = packages
            .iter()
            .map(|(name, version, license)| {
                serde_json::json!({"id": id(name, version), "name": name, "version": version, "license": license,
                    "source": "registry+https://registry", "manifest_path": "/x/Cargo.toml"})
            })
            .collect();
        let nodes: Vec<_> = packages
            .iter()
            .map(|(name, version, _)| {
                let deps: Vec<_> = packages
                    .iter()
                    .filter(|package| *name == "tool" && package.1 == "9.0.0" && package.0 != "tool")
                    .map(|(name, version, _)| serde_json::json!({"name": name, "pkg": id(name, version)}))
                    .collect();
                serde_json::json!({"id": id(name, version), "deps": deps})
            })
            .collect();
        let graph = serde_json::json!({"packages": listed, "resolve": {"nodes": nodes}});
        let graph: Graph = serde_json::from_value(graph).unwrap();
        toml::from_str::<Rules>(rules).unwrap().broken_by(&graph)
    }

    #[test]
    fn what_keeps_the_rules_is_not_mentioned() {
        let found = broken(
            RULES,
            &[
                ("a", "1.0.0", "MIT OR GPL-3.0"),
                ("b", "1.0.0", "MIT/Apache-2.0"),
                ("odd", "1.0.0", "MPL-2.0"),
                ("twice", "1.0.0", "MIT"),
                ("twice", "2.0.0", "MIT"),
                ("tool", "9.0.0", "MIT"),
                ("helper", "1.0.0", "MIT"),
                ("helper", "9.0.0", "MIT"),
            ],
        );
        assert_eq!(found, [""; 0]);
    }

    #[test]
    fn what_breaks_a_rule_is_named_with_the_rule() {
        let found = broken(
            &RULES.replace("https://registry", "https://other"),
            &[
                ("a", "1.0.0", "MIT AND GPL-3.0"),
                ("a", "2.0.0", "MPL-2.0"),
                ("openssl-sys", "1.0.0", "MIT"),
            ],
        );
        let told = found.join("\n");
        for part in [
            "a 1.0.0: licence 'MIT AND GPL-3.0' is not allowed",
            "a 2.0.0: licence 'MPL-2.0' is not allowed",
            "a 1.0.0 comes from registry+https://registry",
            "openssl-sys is forbidden: TLS is rustls",
            "a is there in versions 1.0.0 and 2.0.0",
            "twice@1.0.0 is not there twice any more",
        ] {
            assert!(told.contains(part), "{part}:\n{told}");
        }
    }
}
