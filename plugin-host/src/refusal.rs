//! Why a plugin library was rejected: a word, one sentence, what to do.
//!
//! The same value goes to the reload's answer, the log and `/api/v1/plugins`, and travels from the probe's child process. It holds
//! no layout dump: that is `detail`, for the debug log.

use serde::{Deserialize, Serialize};

/// The cause, as a word that programs may match on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum RefusalCode {
    /// The file cannot be opened or read. Operator: the file.
    Unreadable,
    /// The file still changes. It is looked at again by itself.
    StillBeingWritten,
    /// Somebody else may have written the file or `SHA256SUMS`. Operator: owner and mode.
    Untrusted,
    /// `SHA256SUMS` lies in the directory and does not name the file. Operator: add it.
    NotListed,
    /// The file is not the one that `SHA256SUMS` lists. Operator: copy it again, or renew the list.
    WrongDigest,
    /// The host has a public key, and `SHA256SUMS` does not carry its signature. Operator: sign the list, or correct the key.
    NotSigned,
    /// The file is no shared library. Operator: the file.
    NotALibrary,
    /// The file ends before its own headers say. Operator: copy it again.
    Truncated,
    /// The library is for another processor. Operator: the right build.
    WrongMachine,
    /// A symbol that every plugin exports is missing. Author: export with plugin-api.
    MissingSymbol,
    /// The library needs a newer C library than this machine has. Operator or author: the right build.
    GlibcTooOld,
    /// The dynamic loader refused it. Operator: the libraries that it needs.
    LoadFailed,
    /// What it says of itself is not understood. Author: build with plugin-api.
    BadHandshake,
    /// It speaks another major version of the interface. Author: rebuild.
    AbiMismatch,
    /// Its module's layout is another one. Author: rebuild.
    LayoutMismatch,
    /// It crashed in the probe. Author.
    Crashed,
    /// It did not come to an end in the probe. Author; or operator, where the machine was busy: ask for a reload.
    TimedOut,
    /// It ended the process in the probe. Author.
    EndedProcess,
    /// It refused to open. Author, or operator where the message says so.
    OpenFailed,
    /// Its answer to the self-test job is none. Author.
    WrongAnswer,
    /// It writes to standard output, where only results belong. Author: the host's log.
    WritesToStdout,
    /// It did not close in order. Author.
    CloseFailed,
    /// The probe's process could not be started. Operator: the machine. It is tried again by itself.
    ProbeUnavailable,
    /// Too few of the process's thread keys are left for one more library. Operator: restart the host.
    OutOfThreadKeys,
    /// Too few file handles are left for one more library. Operator: the limit on open files, or restart the host.
    OutOfFiles,
    /// The same version is still closing. It is looked at again by itself.
    StillClosing,
}

impl RefusalCode {
    /// Whether the cause lies in the bytes, so that the same bytes need not be tried again.
    pub(crate) fn lies_in_the_bytes(self) -> bool {
        use RefusalCode as Code;
        match self {
            Code::NotALibrary
            | Code::Truncated
            | Code::WrongMachine
            | Code::MissingSymbol
            | Code::BadHandshake
            | Code::AbiMismatch
            | Code::LayoutMismatch
            | Code::Crashed
            | Code::EndedProcess
            | Code::OpenFailed
            | Code::WrongAnswer
            | Code::WritesToStdout
            | Code::CloseFailed => true,
            Code::Unreadable
            | Code::StillBeingWritten
            | Code::Untrusted
            | Code::NotListed
            | Code::WrongDigest
            | Code::NotSigned
            // A good library is late where the machine is busy, as it is at its start.
            | Code::TimedOut
            // What the machine lacks can be installed.
            | Code::GlibcTooOld
            | Code::LoadFailed
            | Code::ProbeUnavailable
            | Code::OutOfThreadKeys
            | Code::OutOfFiles
            | Code::StillClosing => false,
        }
    }

    /// Whether the cause may pass without the file changing, so that the file is looked at again.
    pub(crate) fn may_pass(self) -> bool {
        matches!(
            self,
            Self::Unreadable
                | Self::StillBeingWritten
                | Self::ProbeUnavailable
                | Self::OutOfThreadKeys
                | Self::OutOfFiles
                | Self::StillClosing
        )
    }
}

/// A rejected library.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    /// The cause, as a word.
    pub code: RefusalCode,
    /// One sentence: what is wrong.
    pub message: String,
    /// What to do about it.
    pub hint: String,
    /// What only somebody who looks for the fault wants to read; taken out once it is logged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

impl Refusal {
    pub(crate) fn new(
        code: RefusalCode,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) -> Self {
        Self {
            code,
            message: message.into(),
            hint: hint.into(),
            detail: None,
        }
    }

    /// Of a plugin whose `plugin_open` failed; `hint` where its error has none.
    pub(crate) fn does_not_open(error: &plugin_api::Error, hint: &str) -> Self {
        Self::new(
            RefusalCode::OpenFailed,
            format!("the plugin does not open: {error}"),
            error.hint.as_deref().unwrap_or(hint),
        )
    }

    pub(crate) fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into()).filter(|detail: &String| !detail.is_empty());
        self
    }
}
