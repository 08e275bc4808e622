//! Why a command ended without doing what was asked.

use heimdall_server::error::HostError;
use plugin_api::Error;

/// What kept a job from being run at all.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RunError {
    /// Wrong usage, an unreadable file or config: exit status 2.
    #[error("{0}")]
    Usage(String),
    /// An error document's worth: exit status 1.
    #[error("{0}")]
    Failed(Error),
    /// A host's refusal, such as `NO_ROUTE`: exit status 1.
    #[error("{0}")]
    Refused(HostError),
    /// A job that was interrupted, with its outcome: exit status 130.
    #[error("{0}")]
    Interrupted(Error),
}
