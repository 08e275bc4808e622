//! A result, passed on from the host to the output.
//!
//! A small one comes as the document, and its format is made here, as `run` makes it. A large one is asked for in its format, which the
//! host makes; where that is one of the command line's own, the document's rows are stored first. Memory is bounded either way.

use std::{
    io::{self, Seek, Write},
    time::Instant,
};

use bytes::Bytes;
use http::{Response, StatusCode, header::CONTENT_LENGTH};
use hyper::body::Incoming;
use plugin_api::Error;
use results::{Format, Source, Spool, WriteError};

use super::{
    failure::Failure,
    host::{Host, escaped},
    interrupts::Interrupts,
    record::Record,
};
use crate::{
    exit::Exit,
    run::{
        error::RunError,
        footer::Footer,
        output::Output,
        report::Report,
        rows::{self, Done},
    },
};

/// A result of up to so many bytes is taken as a document.
pub(super) const DOCUMENT_BYTES: usize = 8 << 20;

/// Writes a job's result.
pub(super) async fn fetch(
    host: &Host,
    report: &Report,
    id: &str,
    output: Output,
    interrupts: &Interrupts,
) -> Result<Exit, RunError> {
    let path = format!("/api/v1/job/{}/result", escaped(id));
    let answer = host.get(&path).await?;
    if length(&answer).is_some_and(|length| length <= DOCUMENT_BYTES) {
        let document = host.whole(answer, DOCUMENT_BYTES).await?;
        return write_result(report, output, interrupts, document);
    }
    interrupts.end_at_once(output.unfinished_file());
    report.clear();
    let begun = Instant::now();
    let fetched = match of_the_host(&output) {
        Some(Format::Json) => copy(host, answer, &output).await,
        Some(format) => {
            drop(answer);
            let safe = if output.options.csv_safe {
                "&safe=1"
            } else {
                ""
            };
            let path = format!("{path}?format={}{safe}", format.name());
            copy(host, host.get(&path).await?, &output).await
        }
        None => {
            let written = spool(host, answer, &output).await;
            return finished(report, output, interrupts, written);
        }
    };
    match fetched {
        Ok(bytes) => {
            interrupts.written();
            output.commit().map_err(RunError::Usage)?;
            report.figures(&format!(
                "{:.1} MB in {:.1} s; --format json has the figures of the job",
                bytes as f64 / 1e6,
                begun.elapsed().as_secs_f64()
            ));
            Ok(Exit::Done)
        }
        Err(error) => error.ended(&output),
    }
}

/// Writes a result that has come whole.
pub(super) fn write_result(
    report: &Report,
    output: Output,
    interrupts: &Interrupts,
    document: Bytes,
) -> Result<Exit, RunError> {
    interrupts.end_at_once(output.unfinished_file());
    report.clear();
    let written = rows::write_document(&output, &document).map_err(FetchError::Output);
    finished(report, output, interrupts, written)
}

fn finished(
    report: &Report,
    output: Output,
    interrupts: &Interrupts,
    written: Result<Done, FetchError>,
) -> Result<Exit, RunError> {
    match written {
        Ok((written, stats)) => {
            interrupts.written();
            output.commit().map_err(RunError::Usage)?;
            report.finished(&Footer::new(stats.as_deref(), &written));
            Ok(Exit::Done)
        }
        Err(error) => error.ended(&output),
    }
}

/// Why a result was not written whole.
enum FetchError {
    Host(Box<Failure>),
    Output(WriteError),
}

impl From<Failure> for FetchError {
    fn from(failure: Failure) -> Self {
        Self::Host(Box::new(failure))
    }
}

impl From<io::Error> for FetchError {
    fn from(error: io::Error) -> Self {
        Self::Output(error.into())
    }
}

impl FetchError {
    fn ended(self, output: &Output) -> Result<Exit, RunError> {
        match self {
            Self::Host(failure) => Err((*failure).into()),
            // Whoever reads the rows has enough, as in `submit … | head`.
            Self::Output(error) if rows::is_reader_gone(&error) => Ok(Exit::Done),
            Self::Output(error) => Err(RunError::Usage(output.failed(&error))),
        }
    }
}

/// The format to ask the host for; `None` where it has none that is written here byte for byte.
fn of_the_host(output: &Output) -> Option<Format> {
    let options = &output.options;
    let is_plain = match output.format {
        Format::Json => !options.pretty,
        Format::Csv => options.header,
        _ => true,
    };
    Format::SERVED
        .into_iter()
        .find(|&format| format == output.format && is_plain)
}

fn length(answer: &Response<Incoming>) -> Option<usize> {
    let length = answer.headers().get(CONTENT_LENGTH)?;
    length.to_str().ok()?.parse().ok()
}

async fn copy(host: &Host, answer: Response<Incoming>, output: &Output) -> Result<u64, FetchError> {
    copy_to(host, answer, &mut *output.writer()?).await
}

async fn copy_to(
    host: &Host,
    answer: Response<Incoming>,
    out: &mut (dyn Write + Send),
) -> Result<u64, FetchError> {
    let mut body = answer.into_body();
    let mut bytes = 0;
    while let Some(piece) = host.piece(&mut body).await? {
        out.write_all(&piece)?;
        bytes += piece.len() as u64;
    }
    out.flush()?;
    Ok(bytes)
}

/// Stores the document, then its rows, and writes these.
async fn spool(
    host: &Host,
    answer: Response<Incoming>,
    output: &Output,
) -> Result<Done, FetchError> {
    let folder = output.spool_folder();
    let mut document = tempfile::tempfile_in(&folder)?;
    copy_to(host, answer, &mut document).await?;
    document.rewind()?;
    let (spool, answer) =
        Spool::of_document(document, &folder).map_err(|error| host.not_understood(&error))?;
    let (file, notes) = spool.finish();
    let source = Source::lines(&file, &answer, &notes);
    let mut out = output.writer()?;
    let written = results::write(output.format, &source, &output.options, &mut *out)
        .map_err(FetchError::Output)?;
    Ok((written, answer.stats().map(str::to_owned)))
}

/// Why a job that has ended has no result.
pub(super) async fn error_of(host: &Host, record: &Record) -> Result<Error, Failure> {
    let path = format!("/api/v1/job/{}/result", escaped(&record.fields.id));
    match host.get(&path).await {
        // Only the missing result tells the whole error.
        Err(Failure::Refused { status, error, .. }) if status == StatusCode::NOT_FOUND => {
            if record.is_cancelled() && error.code == "NOT_FOUND" {
                return Ok(record.cancelled());
            }
            Ok(error)
        }
        Err(failure) => Err(failure),
        Ok(_) => Err(host.not_understood(&format!(
            "the job ended {} and yet has a result",
            record.fields.status
        ))),
    }
}
