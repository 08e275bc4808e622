//! A host with a public key takes only what a list with that key's signature lists.

use std::{
    fs::{self, Permissions},
    io::Cursor,
    os::unix::fs::{PermissionsExt, symlink},
    path::Path,
    process::{Command, Output},
};

use harness_tests::{host, library, submission};
use minisign::KeyPair;
use plugin_host::registry::{PluginState, RegistryOptions};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::BAD;
use crate::chameleon::{Stage, chameleon, version};

const LIST: &str = "SHA256SUMS";
const SIGNATURE: &str = "SHA256SUMS.minisig";

/// The operator's key.
struct Key(KeyPair);

impl Key {
    fn new() -> Self {
        Self(KeyPair::generate_unencrypted_keypair().unwrap())
    }

    fn public(&self) -> String {
        self.0.pk.to_base64()
    }

    fn sign(&self, text: &str) -> String {
        minisign::sign(None, &self.0.sk, Cursor::new(text), Some("release"), None)
            .unwrap()
            .into_string()
    }
}

/// What `sha256sum` would print of these files of a folder.
fn list(folder: &Path, files: &[&str]) -> String {
    let output = Command::new("sha256sum")
        .args(files)
        .current_dir(folder)
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// A stage whose registry knows the key. Nothing is signed yet, so that it serves nothing.
fn stage(key: &Key) -> Stage {
    Stage::with(|options: &mut RegistryOptions| {
        options.public_key = Some(key.public().parse().unwrap());
    })
}

fn put_signed(stage: &Stage, key: &Key, text: &str) {
    stage.put(SIGNATURE, key.sign(text).as_bytes());
    stage.put(LIST, text.as_bytes());
}

/// Every library of the directory is refused for the list's sake, with these words.
fn all_refused(stage: &Stage, code: &str, words: &str) {
    let report = stage.registry.reload().unwrap();
    let refused: Vec<Value> = report
        .data
        .iter()
        .filter(|row| row.state == PluginState::Refused)
        .map(|row| json!(row.error))
        .collect();
    assert_eq!(refused.len(), report.refused.len());
    assert!(!refused.is_empty(), "{words}: {:#?}", report.data);
    for error in refused {
        assert_eq!(error["code"], code, "{error}");
        let message = error["message"].as_str().unwrap();
        assert!(message.contains(words), "{words}: {message}");
        assert!(error["hint"].as_str().is_some_and(|hint| !hint.is_empty()));
    }
}

#[test]
fn without_the_keys_signature_under_the_list_nothing_is_loaded() {
    let (key, other) = (Key::new(), Key::new());
    let stage = stage(&key);
    let folder = stage.path("");
    all_refused(&stage, "NOT_SIGNED", "there is no SHA256SUMS in");
    let text = list(&folder, &["first.so"]);
    stage.put(LIST, text.as_bytes());
    all_refused(&stage, "NOT_SIGNED", "there is no SHA256SUMS.minisig in");
    stage.put(SIGNATURE, other.sign(&text).as_bytes());
    all_refused(&stage, "NOT_SIGNED", "made with another key");
    let good = key.sign(&text);
    stage.put(SIGNATURE, &good.as_bytes()[..good.len() / 2]);
    all_refused(&stage, "NOT_SIGNED", "no minisign signature");
    stage.put(
        SIGNATURE,
        good.replace("comment: release", "comment: renamed")
            .as_bytes(),
    );
    all_refused(&stage, "NOT_SIGNED", "changed after signing");
    assert!(
        stage.registry.lease("chameleon", None).is_err(),
        "none of it was loaded"
    );
    stage.put(SIGNATURE, good.as_bytes());
    stage.registry.reload().unwrap();
    assert_eq!(stage.ask(), version(100), "once signed it is taken");
}

#[test]
fn what_is_changed_after_signing_takes_nothing_in_and_nothing_out() {
    let key = Key::new();
    let stage = stage(&key);
    let folder = stage.path("");
    put_signed(&stage, &key, &list(&folder, &["first.so"]));
    stage.registry.reload().unwrap();
    assert_eq!(stage.ask(), version(100));

    // Whoever can write to the directory but lacks the key.
    stage.put(BAD, &chameleon(900, "good"));
    all_refused(&stage, "NOT_LISTED", "does not list it");
    let both = list(&folder, &["first.so", BAD]);
    stage.put(LIST, both.as_bytes());
    all_refused(&stage, "NOT_SIGNED", "changed after signing");
    assert_eq!(stage.ask(), version(100), "what runs serves on");

    // And with the key: a swap like any other.
    put_signed(&stage, &key, &both);
    stage.registry.reload().unwrap();
    assert_eq!(stage.ask(), version(900));
    let old = version(100).parse().unwrap();
    stage.registry.use_version("chameleon", Some(&old)).unwrap();
    assert_eq!(stage.ask(), version(100), "and back again");

    stage.put("first.so", &chameleon(901, "good"));
    all_refused(&stage, "WRONG_DIGEST", "but SHA256SUMS lists");
    assert_eq!(stage.ask(), version(100));
}

#[test]
fn a_list_or_signature_behind_a_link_must_be_as_trusted_as_one_in_its_place() {
    let key = Key::new();
    let stage = stage(&key);
    let text = list(&stage.path(""), &["first.so"]);
    let elsewhere = TempDir::new().unwrap();
    let folder = elsewhere.path().canonicalize().unwrap();
    for (name, bytes) in [(LIST, text.clone()), (SIGNATURE, key.sign(&text))] {
        fs::write(folder.join(name), bytes).unwrap();
        symlink(folder.join(name), stage.path(name)).unwrap();
    }
    let chmod =
        |path: &Path, mode| fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    for name in [LIST, SIGNATURE] {
        chmod(&folder.join(name), 0o666);
        all_refused(&stage, "UNTRUSTED", "everybody may write to it");
        chmod(&folder.join(name), 0o644);
    }
    chmod(&folder, 0o777);
    all_refused(&stage, "UNTRUSTED", "above it is not trusted");
    chmod(&folder, 0o755);
    stage.registry.reload().unwrap();
    assert_eq!(stage.ask(), version(100));
    fs::remove_file(folder.join(SIGNATURE)).unwrap();
    all_refused(
        &stage,
        "UNREADABLE",
        "SHA256SUMS.minisig in the plugin directory",
    );
}

/// A directory as an operator has it: a configuration with the key, and the signed libraries.
struct Installed {
    folder: TempDir,
    key: Key,
}

impl Installed {
    fn new() -> Self {
        let installed = Self {
            folder: TempDir::new().unwrap(),
            key: Key::new(),
        };
        let plugins = installed.folder.path().join("plugins");
        fs::create_dir(&plugins).unwrap();
        fs::copy(library("echo_plugin"), plugins.join("libecho_plugin.so")).unwrap();
        installed.file(
            "host.yaml",
            &format!(
                "plugin_directory: ./plugins\nplugin_public_key: {}\ncommands:\n  - name: echo\n    status: active\n    plugin: echo\n    \
                 version: 1.0.0\n    tags: [\"type:echo\"]\n    cluster_tags: [\"type:echo\"]\nclusters:\n  - name: here\n    \
                 status: active\n    version: 1.0.0\n    tags: [\"type:echo\"]\n",
                installed.key.public()
            ),
        );
        installed.file(
            "job.json",
            &submission("type:echo", "type:echo", &json!({"x": 1})).to_string(),
        );
        installed.file(
            "plugins/SHA256SUMS",
            &list(&plugins, &["libecho_plugin.so"]),
        );
        installed
    }

    fn file(&self, name: &str, text: &str) {
        fs::write(self.folder.path().join(name), text).unwrap();
    }

    fn sign(&self) {
        let text = fs::read_to_string(self.folder.path().join("plugins/SHA256SUMS")).unwrap();
        self.file("plugins/SHA256SUMS.minisig", &self.key.sign(&text));
    }

    fn ask(&self, arguments: &[&str]) -> Output {
        Command::new(host())
            .args(arguments)
            .args(["--config", "host.yaml"])
            .current_dir(self.folder.path())
            .output()
            .unwrap()
    }
}

#[test]
fn run_check_and_plugins_obey_the_key_of_the_config() {
    let installed = Installed::new();
    let states = |output: Output| -> Vec<Value> {
        let rows: Value = serde_json::from_slice(&output.stdout).unwrap();
        let rows = rows.as_array().unwrap().iter();
        rows.map(|row| json!([row["state"], row["error"]["code"]]))
            .collect()
    };
    let text = |output: &Output| {
        format!(
            "{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        )
    };
    let unsigned = installed.ask(&["run", "job.json"]);
    assert_eq!(unsigned.status.code(), Some(1), "{unsigned:?}");
    assert!(
        text(&unsigned).contains("PLUGIN_UNAVAILABLE"),
        "{unsigned:?}"
    );
    let unsigned = installed.ask(&["check"]);
    assert_eq!(unsigned.status.code(), Some(1), "{unsigned:?}");
    assert!(
        text(&unsigned).contains("there is no SHA256SUMS.minisig"),
        "{unsigned:?}"
    );
    assert_eq!(
        states(installed.ask(&["plugins"])),
        [json!(["REFUSED", "NOT_SIGNED"])]
    );

    installed.sign();
    let signed = installed.ask(&["run", "job.json"]);
    assert_eq!(signed.status.code(), Some(0), "{signed:?}");
    assert_eq!(installed.ask(&["check"]).status.code(), Some(0));
    let rows = states(installed.ask(&["plugins"]));
    assert_eq!(rows.len(), 1);
    assert_ne!(rows[0][0], "REFUSED");
}
