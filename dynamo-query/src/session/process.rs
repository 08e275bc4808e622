//! A profile's `credential_process`: a helper that prints credentials.
//!
//! In: the command. Out: credentials, or `CREDENTIALS` with the helper's exit status. What the helper writes is read to 64 KiB and
//! never shown.

use std::process::{ExitStatus, Stdio};

use aws_credential_types::Credentials;
use plugin_api::Error;
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    process::Command,
};

use super::written::{self, Written};
use crate::codes;

/// The most that a helper may write.
const MAX_OUTPUT_BYTES: u64 = 64 << 10;

/// Runs the helper, as the SDK does, by the shell.
pub(super) async fn credentials(
    profile: &str,
    command: &str,
    account_id: Option<&str>,
) -> Result<Credentials, Error> {
    let failed = |what: &str| {
        Error::new(
            codes::CREDENTIALS,
            format!(
                "the credential_process of the AWS profile '{}' {what}",
                profile.escape_debug()
            ),
        )
    };
    let mut child = Command::new("sh")
        .args(["-c", command])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| failed(&format!("could not be started: {error}")))?;
    let output = read(child.stdout.take())
        .await
        .map_err(|error| failed(&format!("could not be read: {error}")))?;
    if output.len() as u64 > MAX_OUTPUT_BYTES {
        return Err(failed("wrote more than 64 KiB").hint(PRINTS));
    }
    let status = child
        .wait()
        .await
        .map_err(|error| failed(&format!("was lost: {error}")))?;
    if !status.success() {
        return Err(failed(&format!("ended with {}", told(status))).hint(
            "run the command of credential_process in a shell as the host's user, and correct what it reports",
        ));
    }
    let written: Written = serde_json::from_slice(&output)
        .map_err(|_| failed("did not write the JSON of credentials").hint(PRINTS))?;
    if written.version != Some(serde_json::Value::from(1)) {
        return Err(failed("wrote no \"Version\": 1").hint(PRINTS));
    }
    let credentials = written::credentials(written, "CredentialProcess", account_id)
        .map_err(|what| failed(&format!("wrote {what}")).hint(PRINTS))?;
    match credentials.expiry() {
        Some(expiry) if expiry <= std::time::SystemTime::now() => {
            Err(failed("wrote credentials that have expired")
                .hint("log in again where the helper gets them from"))
        }
        _ => Ok(credentials),
    }
}

const PRINTS: &str = "let the helper print {\"Version\": 1, \"AccessKeyId\": …, \"SecretAccessKey\": …} and nothing else";

async fn read(output: Option<impl AsyncRead + Unpin>) -> std::io::Result<Vec<u8>> {
    let mut read = Vec::new();
    if let Some(output) = output {
        output
            .take(MAX_OUTPUT_BYTES + 1)
            .read_to_end(&mut read)
            .await?;
    }
    Ok(read)
}

fn told(status: ExitStatus) -> String {
    use std::os::unix::process::ExitStatusExt;
    match (status.code(), status.signal()) {
        (Some(127), _) => "exit status 127 (no such command)".to_owned(),
        (Some(126), _) => "exit status 126 (not executable)".to_owned(),
        (Some(code), _) => format!("exit status {code}"),
        (None, Some(signal)) => format!("signal {signal}"),
        (None, None) => "no exit status".to_owned(),
    }
}
