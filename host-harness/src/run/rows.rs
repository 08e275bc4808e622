//! A job's rows on their way to the output: written while they come, or stored until the last one is there.

use std::{
    io::{self, BufWriter, Write},
    ops::ControlFlow,
    sync::{Mutex, PoisonError},
};

use results::{Answer, Format, Source, Spool, Stream, StreamOrder, WriteError, Written};

use super::{
    output::{Output, UnfinishedFile},
    statement,
};

/// A result with less than this comes as one document; a larger one as rows.
const DOCUMENT_BYTES: u64 = 8 << 20;

/// What a job's rows are written to.
pub(super) struct Rows {
    output: Output,
    state: Mutex<State>,
    /// In which order rows are written while they come; `None`: they are stored first.
    streamed: Option<StreamOrder>,
}

enum State {
    /// No row has come; a document may still come instead.
    Waiting,
    Stream(Box<Stream<BufWriter<Box<dyn Write + Send>>>>),
    Spool(Box<Spool>),
    Failed(WriteError),
}

/// How the rows ended.
pub(super) enum Ended {
    /// All are written; with the result's `stats`, as JSON.
    Written(Written, Option<String>),
    /// Whoever read them has enough, as in `run … | head`.
    ReaderGone,
}

impl Rows {
    /// Rows of the statement, where it is known: only then is it known in which order its columns stand.
    pub(super) fn new(output: Output, query: Option<&str>) -> Self {
        let order = query.and_then(statement::column_order);
        let is_possible = |&order: &StreamOrder| {
            Stream::new(output.format, order, &output.options, io::sink()).is_some()
        };
        Self {
            streamed: order.filter(is_possible),
            output,
            state: Mutex::new(State::Waiting),
        }
    }

    /// From how many bytes on the plugin hands over rows instead of a document.
    pub(super) fn after_bytes(&self) -> u64 {
        if self.streamed.is_some() {
            0
        } else {
            DOCUMENT_BYTES
        }
    }

    /// Whether rows appear on a terminal while the job runs.
    pub(super) fn shows_rows_at_once(&self) -> bool {
        self.streamed.is_some() && self.output.is_terminal
    }

    /// Takes the lines of a plugin's `rows` callback; `Break` once they cannot be written any more.
    pub(super) fn take(&self, lines: &[u8]) -> ControlFlow<()> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let State::Waiting = *state {
            *state = self.begin().unwrap_or_else(State::Failed);
        }
        let taken = match &mut *state {
            State::Stream(stream) => stream.push(lines).and_then(|()| stream.flush()),
            State::Spool(spool) => spool.push(lines),
            State::Waiting | State::Failed(_) => return ControlFlow::Break(()),
        };
        match taken {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => {
                *state = State::Failed(error);
                ControlFlow::Break(())
            }
        }
    }

    fn begin(&self) -> Result<State, WriteError> {
        if let Some(order) = self.streamed {
            let out = BufWriter::with_capacity(1 << 16, self.output.writer()?);
            if let Some(stream) = Stream::new(self.output.format, order, &self.output.options, out)
            {
                return Ok(State::Stream(Box::new(stream)));
            }
        }
        let spool = Spool::unlinked_in(&self.output.spool_folder())?;
        Ok(State::Spool(Box::new(spool)))
    }

    /// What an interrupt has to clean up while the rows are written.
    pub(super) fn unfinished_file(&self) -> UnfinishedFile {
        self.output.unfinished_file()
    }

    /// Why no further rows were taken, where that is so.
    ///
    /// # Errors
    /// The rows could not be written, as a sentence.
    pub(super) fn stopped(&self) -> Result<Option<Ended>, String> {
        match &*self.state.lock().unwrap_or_else(PoisonError::into_inner) {
            State::Failed(error) if is_reader_gone(error) => Ok(Some(Ended::ReaderGone)),
            State::Failed(error) => Err(self.output.failed(error)),
            _ => Ok(None),
        }
    }

    /// Writes what is not written yet; `answer` is what the job returned.
    ///
    /// # Errors
    /// The rows could not be written, as a sentence.
    pub(super) fn finish(self, answer: &[u8]) -> Result<Ended, String> {
        let Self { output, state, .. } = self;
        let state = state.into_inner().unwrap_or_else(PoisonError::into_inner);
        match write(&output, state, answer) {
            Ok((written, stats)) => output.commit().map(|()| Ended::Written(written, stats)),
            Err(error) if is_reader_gone(&error) => Ok(Ended::ReaderGone),
            Err(error) => Err(output.failed(&error)),
        }
    }
}

/// What was written, and the result's `stats`.
pub(crate) type Done = (Written, Option<String>);

fn write(output: &Output, state: State, answer: &[u8]) -> Result<Done, WriteError> {
    match state {
        State::Waiting => write_document(output, answer),
        State::Stream(stream) => {
            stream.finish()?;
            let stats = Answer::parse(answer)?.stats().map(str::to_owned);
            Ok((Written::default(), stats))
        }
        State::Spool(spool) => {
            let (file, notes) = spool.finish();
            let answer = Answer::parse(answer)?;
            let source = Source::lines(&file, &answer, &notes);
            let mut out = output.writer()?;
            let written = results::write(output.format, &source, &output.options, &mut *out)?;
            Ok((written, answer.stats().map(str::to_owned)))
        }
        State::Failed(error) => Err(error),
    }
}

/// Writes a document. One that is no table has only its own bytes.
pub(crate) fn write_document(output: &Output, document: &[u8]) -> Result<Done, WriteError> {
    let mut out = output.writer()?;
    match Source::document(document) {
        Ok(source) => {
            let written = results::write(output.format, &source, &output.options, &mut *out)?;
            Ok((written, source.stats().map(str::to_owned)))
        }
        Err(_) if output.format == Format::Json || !output.is_chosen => {
            out.write_all(document)?;
            if output.is_terminal {
                out.write_all(b"\n")?;
            }
            out.flush()?;
            Ok((Written::default(), None))
        }
        Err(error) => Err(error),
    }
}

/// Whether whoever read the rows has closed the pipe.
pub(crate) fn is_reader_gone(error: &WriteError) -> bool {
    matches!(error, WriteError::Io(error) if error.kind() == io::ErrorKind::BrokenPipe)
}
