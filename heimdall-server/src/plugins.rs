//! What the host asks of its plugins, whoever keeps them: the registry of loaded libraries, or one linked into a test.
//!
//! In: a plugin's name and a version requirement. Out: a lease on one version, which runs jobs. Nothing here opens a library.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use plugin_api::{Error, ErrorCode};
use plugin_host::{CallOptions, Document, LogSink};
use semver::{Version, VersionReq};
use serde::Serialize;
use serde_json::Value;

use crate::error::{Code, HostError};
use plugin_host::registry::{self, Registry, RegistryError, RegistryOptions, UseError};

/// No version of a plugin may run now. The message says why, in one sentence.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{message}")]
pub struct Unavailable {
    /// Why.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

/// The plugins of a host.
pub trait Plugins: Send + Sync {
    /// One version of a plugin, pinned until the lease is dropped: the newest that the requirement allows.
    ///
    /// # Errors
    /// None is loaded, or none that is allowed.
    fn lease(
        &self,
        plugin: &str,
        requirement: Option<&VersionReq>,
    ) -> Result<Arc<dyn Lease>, Unavailable>;

    /// Whether a lease could be had now. Unlike a lease it keeps no version open.
    ///
    /// # Errors
    /// As [`Plugins::lease`].
    fn available(&self, plugin: &str, requirement: Option<&VersionReq>) -> Result<(), Unavailable>;

    /// The rows of `GET /api/v1/plugins`.
    fn list(&self) -> Value;

    /// Looks at the plugin directory again; gives the answer of the reload call. Blocks until it is decided.
    ///
    /// # Errors
    /// The directory cannot be read.
    fn reload(&self) -> Result<Value, HostError>;

    /// Pins a version, or with `None` the newest again; gives the rows of the list.
    ///
    /// # Errors
    /// There is no such plugin or version.
    fn use_version(&self, plugin: &str, version: Option<&Version>) -> Result<Value, HostError>;

    /// Puts the pins of an earlier run in force. One whose version is not there takes effect when it comes. Blocks.
    fn restore_pins(&self, pins: Vec<(String, Version)>);

    /// Closes every version, at shutdown. Blocks.
    fn close(&self, within: Duration);
}

/// One version of a plugin, in use.
pub trait Lease: Send + Sync {
    /// The version, as the library writes it.
    fn version(&self) -> String;

    /// Runs a job. Blocks until it ends: call it from a blocking thread.
    ///
    /// # Errors
    /// The plugin's error document.
    fn run_job(&self, job: &[u8], call: &CallOptions) -> Result<Document, Error>;

    /// Asks a job to stop; false where the plugin does not know it (yet). Does not block.
    fn cancel_job(&self, id: &str) -> bool;

    /// Checks a cluster. Blocks.
    ///
    /// # Errors
    /// The plugin's error document: the cluster is not healthy.
    fn check_health(&self, cluster: &[u8], call: &CallOptions) -> Result<Document, Error>;
}

/// The registry of the libraries in a directory.
///
/// # Errors
/// The directory cannot be read or trusted; a library in it that is not taken is no error.
pub fn open(
    directory: impl Into<PathBuf>,
    log: LogSink,
) -> Result<Arc<dyn Plugins>, RegistryError> {
    Ok(Registry::open(RegistryOptions::new(directory, log))?)
}

impl From<registry::Unavailable> for Unavailable {
    fn from(error: registry::Unavailable) -> Self {
        Self {
            hint: Some(error.hint()),
            message: error.to_string(),
        }
    }
}

// The registry is shared as it is: its leases outlive the call that took them.
impl Plugins for Registry {
    fn lease(
        &self,
        plugin: &str,
        requirement: Option<&VersionReq>,
    ) -> Result<Arc<dyn Lease>, Unavailable> {
        Ok(Arc::new(Self::lease(self, plugin, requirement)?))
    }

    fn available(&self, plugin: &str, requirement: Option<&VersionReq>) -> Result<(), Unavailable> {
        Ok(Self::available(self, plugin, requirement)?)
    }

    fn list(&self) -> Value {
        rows(&Self::list(self))
    }

    fn reload(&self) -> Result<Value, HostError> {
        match Self::reload(self) {
            Ok(report) => Ok(rows(&report)),
            Err(error) => {
                Err(HostError::new(Code::PluginRefused, error.to_string()).hint(error.hint()))
            }
        }
    }

    fn use_version(&self, plugin: &str, version: Option<&Version>) -> Result<Value, HostError> {
        let refused = |error: UseError| {
            let (code, hint) = match &error {
                UseError::UnknownPlugin { .. } => (
                    Code::NotFound,
                    "GET /api/v1/plugins lists what is loaded".to_owned(),
                ),
                UseError::UnknownVersion { known, .. } => {
                    (Code::NotFound, format!("loaded are {}", known.join(", ")))
                }
                UseError::CannotOpen { .. } => (
                    Code::PluginRefused,
                    "the version that ran before goes on".to_owned(),
                ),
                UseError::Closed => (
                    Code::Plugin(ErrorCode::SHUTTING_DOWN),
                    "try again when the host is back".to_owned(),
                ),
            };
            HostError::new(code, error.to_string()).hint(hint)
        };
        Self::use_version(self, plugin, version)
            .map(|list| rows(&list))
            .map_err(refused)
    }

    fn restore_pins(&self, pins: Vec<(String, Version)>) {
        Self::restore_pins(self, pins);
    }

    fn close(&self, within: Duration) {
        Self::close(self, within);
    }
}

impl Lease for registry::Lease {
    fn version(&self) -> String {
        Self::version(self).to_string()
    }

    fn run_job(&self, job: &[u8], call: &CallOptions) -> Result<Document, Error> {
        Self::run_job(self, job, call)
    }

    fn cancel_job(&self, id: &str) -> bool {
        Self::cancel_job(self, id)
    }

    fn check_health(&self, cluster: &[u8], call: &CallOptions) -> Result<Document, Error> {
        Self::check_health(self, cluster, call)
    }
}

fn rows(value: &impl Serialize) -> Value {
    serde_json::to_value(value).expect("the rows have text keys only")
}
