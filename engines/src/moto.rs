//! moto's server: an STS of other people's making, a second opinion beside [`crate::sts`].
//!
//! It is fetched into a Python environment of its own in the target folder and ends with this process. Its DynamoDB
//! pages nothing and is not for use here.

use std::{path::PathBuf, sync::OnceLock};

use hyper::Method;

use crate::{Skip, child_guard::ChildGuard, client, install, server_process};

const ENGINE: &str = "moto";

/// A running moto server; it stops when this is dropped.
#[derive(Debug)]
pub struct Moto {
    url: String,
    _guard: ChildGuard,
}

/// Installs it, if it is not there yet.
///
/// # Errors
/// What is missing on this machine.
pub fn install() -> Result<PathBuf, Skip> {
    install::installed(ENGINE, "moto-5.2", |folder| {
        install::python_environment(ENGINE, folder, &["moto[server]==5.2.*"])
    })
}

/// A Python with boto3, which moto brings.
///
/// # Errors
/// What is missing on this machine.
pub fn python() -> Result<PathBuf, Skip> {
    Ok(install()?.join("bin/python"))
}

/// The one that all tests of this process share, started at the first call.
///
/// # Errors
/// Why it cannot be had.
pub fn shared() -> Result<&'static Moto, Skip> {
    static SHARED: OnceLock<Result<Moto, Skip>> = OnceLock::new();
    SHARED
        .get_or_init(Moto::start)
        .as_ref()
        .map_err(Skip::clone)
}

impl Moto {
    /// Installs it where needed, starts it, and waits until it answers.
    ///
    /// # Errors
    /// Why it cannot be had.
    pub fn start() -> Result<Moto, Skip> {
        let python = python()?;
        let (url, guard) = server_process::start(
            ENGINE,
            python.as_os_str(),
            |port| {
                let port = port.to_string();
                ["-m", "moto.server", "-H", "127.0.0.1", "-p", &port]
                    .map(Into::into)
                    .to_vec()
            },
            answers,
        )?;
        Ok(Moto { url, _guard: guard })
    }

    /// `http://127.0.0.1:PORT`, the STS endpoint to give to a client.
    pub fn url(&self) -> &str {
        &self.url
    }
}

fn answers(url: &str) -> bool {
    let status = client::send(Method::GET, &format!("{url}/moto-api/data.json"), &[], "");
    status.is_ok_and(|reply| reply.status == 200)
}
