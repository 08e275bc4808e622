//! What is linked into the host and the plugin: licence texts, and a bill of materials in CycloneDX's JSON.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use anyhow::Context;
use serde_json::{Value, json};

use super::copy;
use crate::workspace::metadata;

/// A package that is linked in.
struct Package {
    name: String,
    version: String,
    licence: String,
    folder: PathBuf,
}

/// Writes the licence texts of every linked package below `licences/`, with a list, and `sbom.cdx.json`.
pub(super) fn write(dist: &Path) -> anyhow::Result<()> {
    let packages = linked_packages()?;
    copy_licences(&packages, &dist.join("licences"))?;
    let text = serde_json::to_string_pretty(&bill_of_materials(&packages))?;
    fs::write(dist.join("sbom.cdx.json"), text + "\n")?;
    Ok(())
}

/// The packages of others that the host or the plugin needs at run time, sorted by name and version.
fn linked_packages() -> anyhow::Result<Vec<Package>> {
    let metadata: Value =
        serde_json::from_slice(&metadata()?).context("cargo metadata gave no JSON")?;
    let linked = linked(&metadata);
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut packages: Vec<Package> = metadata["packages"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|package| linked.contains(&text(&package["id"])) && !package["source"].is_null())
        .map(|package| Package {
            name: text(&package["name"]),
            version: text(&package["version"]),
            licence: text(&package["license"]),
            folder: Path::new(&text(&package["manifest_path"]))
                .parent()
                .map(PathBuf::from)
                .unwrap_or_default(),
        })
        .collect();
    packages.sort_by(|a, b| (&a.name, &a.version).cmp(&(&b.name, &b.version)));
    Ok(packages)
}

/// CycloneDX 1.6: a component for each package, under the name that package registries know it by.
fn bill_of_materials(packages: &[Package]) -> Value {
    let components: Vec<Value> = packages
        .iter()
        .map(|Package { name, version, licence, .. }| {
            let reference = format!("pkg:cargo/{name}@{version}");
            let mut component = json!({
                "type": "library", "name": name, "version": version, "purl": reference, "bom-ref": reference,
            });
            if !licence.is_empty() {
                // Old packages separate alternatives by a slash, which SPDX does not know.
                component["licenses"] = json!([{"expression": licence.replace('/', " OR ")}]);
            }
            component
        })
        .collect();
    json!({
        "bomFormat": "CycloneDX", "specVersion": "1.6", "version": 1,
        "metadata": {"component": {
            "type": "application", "name": "heimdall-host", "version": env!("CARGO_PKG_VERSION"), "bom-ref": "heimdall-host",
            "licenses": [{"license": {"id": "Apache-2.0"}}],
        }},
        "components": components,
    })
}

fn copy_licences(packages: &[Package], to: &Path) -> anyhow::Result<()> {
    let mut list = String::new();
    for Package {
        name,
        version,
        licence,
        folder,
    } in packages
    {
        let mut texts = 0;
        for file in fs::read_dir(folder).into_iter().flatten().flatten() {
            let upper = file.file_name().to_string_lossy().to_uppercase();
            let is_licence = ["LICEN", "COPYING", "NOTICE", "COPYRIGHT"]
                .iter()
                .any(|start| upper.starts_with(start));
            if is_licence && file.path().is_file() {
                copy(
                    &file.path(),
                    &to.join(format!("{name}-{version}")).join(file.file_name()),
                )?;
                texts += 1;
            }
        }
        let licence = if licence.is_empty() {
            "see its files"
        } else {
            licence
        };
        let note = if texts == 0 {
            " (its package holds no text)"
        } else {
            ""
        };
        list.push_str(&format!("{name} {version}: {licence}{note}\n"));
    }
    fs::create_dir_all(to)?;
    fs::write(to.join("LIST.txt"), list)?;
    Ok(())
}

/// The ids of all packages that the host or the plugin needs at run time.
fn linked(metadata: &Value) -> BTreeSet<String> {
    let nodes = metadata["resolve"]["nodes"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    let name_of = |id: &str| {
        metadata["packages"]
            .as_array()
            .into_iter()
            .flatten()
            .find(|package| package["id"] == id)
            .and_then(|package| package["name"].as_str())
    };
    let mut open: Vec<String> = nodes
        .iter()
        .filter_map(|node| node["id"].as_str())
        .filter(|id| matches!(name_of(id), Some("host-harness" | "dynamo-plugin")))
        .map(str::to_owned)
        .collect();
    let mut linked = BTreeSet::new();
    while let Some(id) = open.pop() {
        if !linked.insert(id.clone()) {
            continue;
        }
        let dependencies = nodes
            .iter()
            .find(|node| node["id"] == id.as_str())
            .and_then(|node| node["deps"].as_array());
        for dependency in dependencies.into_iter().flatten() {
            let normal = dependency["dep_kinds"]
                .as_array()
                .into_iter()
                .flatten()
                .any(|kind| kind["kind"].is_null());
            if let Some(id) = dependency["pkg"].as_str().filter(|_| normal) {
                open.push(id.to_owned());
            }
        }
    }
    linked
}
