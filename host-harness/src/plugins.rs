//! What the host asks of its plugins, whoever keeps them: the registry of loaded libraries, or one linked into a test.
//!
//! In: a plugin's name and a version requirement. Out: a lease on one version, which runs jobs. Nothing here opens a library.

use std::sync::Arc;
use std::time::Duration;

use plugin_api::Error;
use plugin_api::host::{CallOptions, Document};
use semver::{Version, VersionReq};
use serde_json::Value;

use crate::error::HostError;

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
