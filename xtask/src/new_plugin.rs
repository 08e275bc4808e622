//! `cargo xtask new-plugin NAME`: the author's template, filled in, for those who have no cargo-generate.

use std::{
    env, fs,
    path::{Component, Path, PathBuf},
};

use anyhow::{Context, bail, ensure};

use crate::workspace::root;

/// Makes a folder `name` in the current one: a plugin that builds, loads and answers.
pub(crate) fn new_plugin(name: &str) -> anyhow::Result<()> {
    ensure!(
        name.starts_with(|first: char| first.is_ascii_lowercase())
            && name
                .chars()
                .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_".contains(c)),
        "'{name}' is no name for a crate: use a-z, 0-9, - and _"
    );
    ensure!(
        !is_ours(name, &fs::read_to_string(root().join("Cargo.lock"))?),
        "'{name}' is a name of this project's own: two crates or plugins of one name cannot be told apart"
    );
    let folder = PathBuf::from(name);
    if folder.exists() {
        bail!("{} is there already", folder.display());
    }
    let here = env::current_dir()?.canonicalize()?;
    let plugin_api = relative(&here.join(name), &root().join("plugin-api").canonicalize()?);
    let plugin_api = plugin_api
        .to_str()
        .context("this checkout's path is not UTF-8")?
        .to_owned();
    fill_in(&root().join("templates/plugin"), &folder, &|text| {
        text.replace("{{project-name}}", name)
            .replace("{{plugin_api}}", &plugin_api)
    })?;
    println!(
        "{name}/ is a plugin. Next:\n  cd {name} && cargo test && cargo build --release\n\
         It finds plugin-api at {plugin_api}: elsewhere, this checkout has to lie in the same place beside it."
    );
    Ok(())
}

/// Whether the workspace has a package of that name, or ships a plugin that calls itself so. A package of the workspace is one without
/// a source in `Cargo.lock`.
fn is_ours(name: &str, lock: &str) -> bool {
    let spelled = |name: &str| name.replace('_', "-");
    let named = |package: &str| {
        let mut lines = package.lines();
        let line = lines.find_map(|line| line.strip_prefix("name = "));
        line.is_some_and(|quoted| spelled(quoted.trim_matches('"')) == spelled(name))
    };
    let mut packages = lock.split("[[package]]");
    name == "dynamo" || packages.any(|package| named(package) && !package.contains("\nsource = "))
}

/// The way from a folder to another one; both absolute, without links and dots.
fn relative(from: &Path, to: &Path) -> PathBuf {
    let (from, to): (Vec<Component>, Vec<Component>) =
        (from.components().collect(), to.components().collect());
    let common = from.iter().zip(&to).take_while(|(a, b)| a == b).count();
    let up = from[common..].iter().map(|_| Component::ParentDir);
    up.chain(to[common..].iter().copied()).collect()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_is_relative_to_the_new_folder() {
        let way = |from: &str, to: &str| relative(Path::new(from), Path::new(to));
        assert_eq!(
            way("/home/a/words", "/home/a/checkout/plugin-api"),
            Path::new("../checkout/plugin-api")
        );
        assert_eq!(
            way("/home/a/checkout/words", "/home/a/checkout/plugin-api"),
            Path::new("../plugin-api")
        );
    }

    #[test]
    fn names_of_the_workspace_and_of_its_plugin_are_refused_and_those_of_dependencies_are_not() {
        let lock = fs::read_to_string(root().join("Cargo.lock")).expect("the workspace has a lock");
        for name in ["dynamo", "dynamo-plugin", "plugin_api", "echo-plugin"] {
            assert!(is_ours(name, &lock), "{name}");
        }
        for name in ["words", "serde", "plugin-apis"] {
            assert!(!is_ours(name, &lock), "{name}");
        }
    }
}
