//! `cargo xtask dist`: a folder to install from, each file with its digest; an archive and a Debian package of it.

mod archive;
mod check;
mod packages;
mod reproducible;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, bail, ensure};
use sha2::{Digest, Sha256};

use crate::workspace::{cargo, root, run, target};

/// What is packed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Profile {
    /// What users install.
    Release,
    /// The build of the tests, which is there already: to try the packaging.
    Dev,
}

/// Builds for release and lays out `dist/`; checks it; packs it below `target/dist/`.
pub(crate) fn dist(args: &[String]) -> anyhow::Result<()> {
    let (profile, key) = match args {
        [] => (Profile::Release, None),
        [flag] if flag == "--check-reproducible" => return reproducible::check(),
        [flag] if flag == "--dev" => (Profile::Dev, None),
        [flag, key] if flag == "--sign" => (Profile::Release, Some(Path::new(key))),
        _ => bail!("dist takes --sign KEY, --dev or --check-reproducible, not {args:?}"),
    };
    match profile {
        Profile::Release => run(&mut release_build(root()))?,
        Profile::Dev => {
            println!("a build for development: not to be given to anybody");
            run(&mut cargo(&["build", "--workspace", "--locked"]))?;
        }
    }
    let dist = root().join("dist");
    if dist.exists() {
        fs::remove_dir_all(&dist)?;
    }
    lay_out(&dist, profile, key)?;
    println!("{}", dist.display());
    for file in ["host-harness", "plugins/libdynamo_plugin.so"] {
        let (major, minor) = check::glibc(&dist.join(file))?;
        let bytes = fs::metadata(dist.join(file))?.len();
        println!("{bytes:>10} bytes, needs glibc {major}.{minor}  {file}");
    }
    check::check(&dist)?;
    let out = target().join("dist");
    fs::create_dir_all(&out)?;
    let packed = [
        Some(archive::archive(&dist, &out)?),
        archive::debian(&dist, &out)?,
    ];
    for file in packed.into_iter().flatten() {
        println!("{}", file.display());
    }
    Ok(())
}

/// A release build that holds no path of this machine, so that the same sources give the same bytes in another folder.
fn release_build(root: &Path) -> Command {
    let home = std::env::var_os("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(|| std::env::home_dir().map(|home| home.join(".cargo")))
        .unwrap_or_default();
    let mut build = cargo(&["build", "--release", "--locked"]);
    build.current_dir(root);
    let (root, home) = (root.display(), home.display());
    build
        .env(
            "RUSTFLAGS",
            format!("--remap-path-prefix={root}=/heimdall --remap-path-prefix={home}=/cargo"),
        )
        .env(
            "CFLAGS",
            format!("-ffile-prefix-map={root}=/heimdall -ffile-prefix-map={home}=/cargo"),
        );
    build
}

/// Host, `plugins/`, header, documents, examples, packaging, man pages, completions, licences, bill of materials, digests.
fn lay_out(dist: &Path, profile: Profile, key: Option<&Path>) -> anyhow::Result<()> {
    let built = target().join(match profile {
        Profile::Release => "release",
        Profile::Dev => "debug",
    });
    for (from, to) in [
        (built.join("host-harness"), "host-harness"),
        (
            built.join("libdynamo_plugin.so"),
            "plugins/libdynamo_plugin.so",
        ),
        (
            root().join("plugin-api/include/heimdall_plugin.h"),
            "include/heimdall_plugin.h",
        ),
        (
            root().join("plugin-api/heimdall-plugin.pc"),
            "heimdall-plugin.pc",
        ),
    ] {
        copy(&from, &dist.join(to))?;
    }
    if profile == Profile::Dev {
        // Debug information is most of such a build, and packing it takes minutes.
        run(Command::new("strip")
            .arg("--strip-debug")
            .arg(dist.join("host-harness"))
            .arg(dist.join("plugins/libdynamo_plugin.so")))?;
    }
    for text in ["README.md", "LICENSE", "CHANGELOG.md"] {
        copy(&root().join(text), &dist.join(text))?;
    }
    for folder in ["docs", "examples", "packaging"] {
        copy_tree(&root().join(folder), &dist.join(folder))?;
    }
    generated(dist)?;
    packages::write(dist)?;
    // The host refuses a library that this file, where it lies beside it, does not list.
    for folder in [&dist.join("plugins"), dist] {
        write_digests(folder)?;
        if let Some(key) = key {
            sign(folder, key)?;
        }
    }
    archive::set_modes(dist, &dist.join("host-harness"))
}

/// Signs the list of a folder, as `plugin_public_key` of a host asks for it. minisign asks for the key's password.
fn sign(folder: &Path, key: &Path) -> anyhow::Result<()> {
    let comment = format!("heimdall-host {}", archive::VERSION);
    run(Command::new("minisign")
        .arg("-S")
        .arg("-s")
        .arg(key)
        .args(["-t", &comment, "-m"])
        .arg(folder.join("SHA256SUMS")))
}

/// Completions and man pages, which the host makes from the definitions of its own command line.
fn generated(dist: &Path) -> anyhow::Result<()> {
    let host = dist.join("host-harness");
    for (shell, file) in [
        ("bash", "bash/host-harness"),
        ("zsh", "zsh/_host-harness"),
        ("fish", "fish/host-harness.fish"),
    ] {
        let output = Command::new(&host).args(["completions", shell]).output()?;
        ensure!(
            output.status.success(),
            "the host gives no completions for {shell}"
        );
        let to = dist.join("completions").join(file);
        fs::create_dir_all(to.parent().context("a file has a folder")?)?;
        fs::write(to, output.stdout)?;
    }
    let man = dist.join("man");
    fs::create_dir_all(&man)?;
    run(Command::new(&host).args(["man", "--directory"]).arg(&man))
}

fn copy(from: &Path, to: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(to.parent().context("a file has a folder")?)?;
    fs::copy(from, to)
        .with_context(|| format!("cannot copy {}", from.display()))
        .map(drop)
}

/// Copies a folder, what builds leave behind left out.
fn copy_tree(from: &Path, to: &Path) -> anyhow::Result<()> {
    for entry in fs::read_dir(from).with_context(|| format!("cannot read {}", from.display()))? {
        let entry = entry?;
        let to = to.join(entry.file_name());
        match entry.file_type()? {
            kind if kind.is_dir()
                && ["target", "__pycache__"]
                    .iter()
                    .any(|built| entry.file_name() == *built) => {}
            kind if kind.is_dir() => copy_tree(&entry.path(), &to)?,
            kind if kind.is_file() => copy(&entry.path(), &to)?,
            _ => {}
        }
    }
    Ok(())
}

/// Writes `SHA256SUMS` of every file below a folder, in the form that `sha256sum --check` reads.
fn write_digests(folder: &Path) -> anyhow::Result<()> {
    let mut files = Vec::new();
    collect(folder, &mut files)?;
    files.sort();
    let mut sums = String::new();
    for file in files {
        let name = file.strip_prefix(folder)?.display().to_string();
        if name == "SHA256SUMS" {
            continue;
        }
        sums.push_str(&format!("{}  {name}\n", digest(&file)?));
    }
    fs::write(folder.join("SHA256SUMS"), sums)?;
    Ok(())
}

/// A file's SHA-256 in hexadecimal digits.
fn digest(file: &Path) -> anyhow::Result<String> {
    let bytes = fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    let digest = Sha256::digest(bytes);
    Ok(digest.iter().map(|byte| format!("{byte:02x}")).collect())
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            collect(&entry.path(), files)?;
        } else {
            files.push(entry.path());
        }
    }
    Ok(())
}
