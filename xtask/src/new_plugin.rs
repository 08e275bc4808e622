//! `cargo xtask new-plugin NAME`: the author's template, filled in, for those who have no cargo-generate.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, bail, ensure};

use crate::tasks::root;

/// Makes a folder `name` in the current one: a plugin that builds, loads and answers.
pub(crate) fn new_plugin(name: &str) -> anyhow::Result<()> {
    ensure!(
        name.starts_with(|first: char| first.is_ascii_lowercase())
            && name
                .chars()
                .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_".contains(c)),
        "'{name}' is no name for a crate: use a-z, 0-9, - and _"
    );
    let folder = PathBuf::from(name);
    if folder.exists() {
        bail!("{} is there already", folder.display());
    }
    let plugin_api = root()
        .join("plugin-api")
        .to_str()
        .context("this checkout's path is not UTF-8")?
        .to_owned();
    fill_in(&root().join("templates/plugin"), &folder, &|text| {
        text.replace("{{project-name}}", name)
            .replace("{{plugin_api}}", &plugin_api)
    })?;
    println!("{name}/ is a plugin. Next:\n  cd {name} && cargo test && cargo build --release");
    Ok(())
}

fn fill_in(from: &Path, to: &Path, fill: &dyn Fn(&str) -> String) -> anyhow::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from).with_context(|| format!("cannot read {}", from.display()))? {
        let entry = entry?;
        let (path, to) = (entry.path(), to.join(entry.file_name()));
        if path.is_dir() {
            fill_in(&path, &to, fill)?;
        } else if entry.file_name() != "cargo-generate.toml" {
            fs::write(to, fill(&fs::read_to_string(path)?))?;
        }
    }
    Ok(())
}
