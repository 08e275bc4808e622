//! What host and worker tell each other: a header in JSON and bytes as they are, in one frame.
//!
//! In and out: a stream socket. A frame is the header's length (4 bytes), the payload's length (8 bytes), both little-endian,
//! then header and payload. Documents and rows are payloads, so that they are neither escaped nor copied on their way.

use std::io::{self, Read, Write};

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::refusal::Refusal;

/// The first argument of a worker process; the library's file follows, and how many bytes of memory it may have, if that is limited.
pub(crate) const ARGUMENT: &str = "plugin-host-worker";

/// No header is longer: a larger length means that the stream is damaged.
const MAX_HEADER: u32 = 1 << 20;

/// What the host asks of a worker. `call` names a call until its `Done`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Order {
    /// Open the plugin; the payload is its configuration.
    Open,
    /// Run a job; the payload is its document.
    Run {
        call: u64,
        /// 0: none.
        timeout_ms: u64,
        progress: bool,
        /// Rows as they come, beyond so many bytes.
        rows_after_bytes: Option<u64>,
    },
    /// Ask whether a cluster can be worked with; the payload is the cluster.
    Health { call: u64, timeout_ms: u64 },
    /// Stop every job under an id; the payload is the id.
    Cancel { call: u64 },
    /// The answer to `Rows`: whether the job goes on.
    Verdict { call: u64, go_on: bool },
    /// Close the plugin and end.
    Close { within_ms: u64 },
}

/// What a worker tells.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Report {
    /// The library is loaded.
    Loaded,
    /// The library cannot be loaded; nothing follows.
    Refused(Refusal),
    /// The plugin is open; where that failed the payload is the error document.
    Opened { failed: bool },
    /// A job's totals after a page.
    Progress {
        call: u64,
        rows: u64,
        pages: u64,
        wire_bytes: u64,
    },
    /// A job's next rows are the payload. The job waits for the verdict.
    Rows { call: u64 },
    /// The end of a call; the payload is its document.
    Done { call: u64, failed: bool },
    /// A log line of the plugin is the payload.
    Log { level: u8, target: String },
    /// The plugin is closed; where that failed the payload is the error document. The worker ends now.
    Closed { failed: bool },
}

/// Writes one frame.
pub(super) fn write(
    to: &mut impl Write,
    header: &impl Serialize,
    payload: &[u8],
) -> io::Result<()> {
    let header = serde_json::to_vec(header)?;
    let header_len = u32::try_from(header.len()).map_err(io::Error::other)?;
    let mut start = Vec::with_capacity(12 + header.len());
    start.extend_from_slice(&header_len.to_le_bytes());
    start.extend_from_slice(&(payload.len() as u64).to_le_bytes());
    start.extend_from_slice(&header);
    to.write_all(&start)?;
    to.write_all(payload)
}

/// Reads one frame; `None` where the stream ends between two.
pub(super) fn read<H: DeserializeOwned>(from: &mut impl Read) -> io::Result<Option<(H, Vec<u8>)>> {
    let mut lengths = [0; 12];
    let n = loop {
        match from.read(&mut lengths) {
            // A signal that somebody else's handler took.
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            read => break read?,
        }
    };
    if n == 0 {
        return Ok(None);
    }
    from.read_exact(&mut lengths[n..])?;
    let [a, b, c, d, payload_len @ ..] = lengths;
    let header_len = u32::from_le_bytes([a, b, c, d]);
    if header_len > MAX_HEADER {
        return Err(io::Error::other("a frame's header is too long"));
    }
    let mut header = vec![0; header_len as usize];
    from.read_exact(&mut header)?;
    let header = serde_json::from_slice(&header)?;
    let payload_len = usize::try_from(u64::from_le_bytes(payload_len)).map_err(io::Error::other)?;
    let mut payload = Vec::new();
    payload
        .try_reserve_exact(payload_len)
        .map_err(io::Error::other)?;
    if from.take(payload_len as u64).read_to_end(&mut payload)? < payload_len {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(Some((header, payload)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_read_back_as_they_were_written() {
        let reports = [
            (Report::Loaded, &b""[..]),
            (
                Report::Done {
                    call: u64::MAX,
                    failed: true,
                },
                b"{\"error\":\"\n\0\"}",
            ),
            (
                Report::Log {
                    level: 3,
                    target: "t\"".to_owned(),
                },
                "ü".as_bytes(),
            ),
        ];
        let mut stream = Vec::new();
        for (report, payload) in &reports {
            write(&mut stream, report, payload).unwrap();
        }
        let mut stream = &*stream;
        for (report, payload) in reports {
            assert_eq!(read(&mut stream).unwrap(), Some((report, payload.to_vec())));
        }
        assert_eq!(read::<Report>(&mut stream).unwrap(), None);
    }

    #[test]
    fn a_stream_that_breaks_off_inside_a_frame_is_an_error() {
        let mut stream = Vec::new();
        write(&mut stream, &Report::Rows { call: 1 }, b"[1]\n").unwrap();
        for end in 1..stream.len() {
            assert!(read::<Report>(&mut &stream[..end]).is_err(), "{end}");
        }
    }
}
