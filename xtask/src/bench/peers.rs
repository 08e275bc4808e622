//! Who is measured: the crate's own clients, and those of other languages where their toolchain is at hand.

use std::{ffi::OsString, path::Path, process::Command};

use anyhow::ensure;

use super::{library, release};
use crate::workspace::{root, run, target};

pub(crate) const BYTES: &str = "bytes only, no SDK (hyper)";
pub(crate) const UNDECODED: &str = "SDK, body not decoded";
pub(crate) const PLUGIN: &str = "the plugin's library, C entry points";
pub(crate) const PLUGIN_TYPED: &str = "the plugin's library, Rust entry points";
pub(crate) const THROUGH_HOST: &str = "the host: one sync job, stored and answered";
pub(crate) const TYPED_BUFFER: &str = "SDK's typed items to one buffer";
pub(crate) const TYPED_VALUE: &str = "SDK's typed items, serde_json::Value, text";
pub(crate) const GO: &str = "Go, aws-sdk-go-v2 typed items, json.Marshal";
pub(crate) const BOTO3: &str = "boto3, json.dumps (one run)";

/// One client: the server's URL goes between the two parts of its command.
pub(crate) struct Client {
    pub(crate) name: &'static str,
    pub(super) before_url: Vec<OsString>,
    pub(super) after_url: Vec<OsString>,
}

/// All clients that can run here; who cannot is named on standard error.
pub(super) fn clients() -> Vec<Client> {
    let peers = target().join("peers/benches");
    let ours = release("benches");
    let mut clients: Vec<Client> = [
        (BYTES, &peers, "bytes-only"),
        (UNDECODED, &peers, "sdk-undecoded"),
        (PLUGIN, &ours, "plugin-c"),
        (PLUGIN_TYPED, &ours, "plugin-typed"),
        (TYPED_BUFFER, &peers, "typed-buffer"),
        (TYPED_VALUE, &peers, "typed-value"),
    ]
    .into_iter()
    .map(|(name, program, argument)| Client {
        name,
        before_url: vec![program.into(), argument.into()],
        after_url: vec![library().into()],
    })
    .collect();
    clients.push(Client {
        name: THROUGH_HOST,
        before_url: vec![release("host-pages").into()],
        after_url: Vec::new(),
    });
    for (name, prepared) in [(GO, go()), (BOTO3, boto3())] {
        match prepared {
            Ok(before_url) => clients.push(Client {
                name,
                before_url,
                after_url: Vec::new(),
            }),
            Err(error) => eprintln!("!!!!! LEFT OUT: {name}: {error:#} !!!!!"),
        }
    }
    clients
}

pub(super) fn go() -> anyhow::Result<Vec<OsString>> {
    let program = target().join("bench-go");
    run(Command::new("go")
        .args(["build", "-o"])
        .arg(&program)
        .arg(".")
        .current_dir(root().join("bench/go")))?;
    Ok(vec![program.into()])
}

pub(super) fn boto3() -> anyhow::Result<Vec<OsString>> {
    let folder = target().join("bench-py");
    let python = folder.join("bin/python");
    if !imports_boto3(&python) {
        run(Command::new("python3").args(["-m", "venv"]).arg(&folder))?;
        run(Command::new(&python)
            .args(["-m", "pip", "install", "--quiet", "--requirement"])
            .arg(root().join("bench/py/requirements.txt")))?;
        ensure!(imports_boto3(&python), "boto3 cannot be imported");
    }
    Ok(vec![python.into(), root().join("bench/py/bench.py").into()])
}

fn imports_boto3(python: &Path) -> bool {
    let status = Command::new(python)
        .args(["-c", "import boto3"])
        .stderr(std::process::Stdio::null())
        .status();
    status.is_ok_and(|status| status.success())
}
