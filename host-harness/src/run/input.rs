//! What is to be run: a statement or a job document, from the command line, a file or standard input.

use std::{
    io::{self, Read},
    path::Path,
};

use super::{args::SourceArgs, error::RunError, statement::is_statement};

/// What was given.
pub(super) enum Input {
    /// A statement.
    Statement(String),
    /// Anything else: a job as JSON, or what the plugin will refuse as one.
    Job(Vec<u8>),
}

/// Reads what is to be run.
pub(super) fn read(args: &SourceArgs) -> Result<Input, RunError> {
    if let Some(query) = &args.query {
        return Ok(Input::Statement(query.clone()));
    }
    if let Some(file) = &args.file {
        let text = String::from_utf8(read_file("statement", file)?).map_err(|_| {
            RunError::Usage(format!("the statement in {} is not UTF-8", file.display()))
        })?;
        return Ok(Input::Statement(text));
    }
    let Some(given) = args.source.as_deref() else {
        return Err(RunError::Usage(
            "nothing to run: give a statement, a file, or - for standard input; --help has examples"
                .to_owned(),
        ));
    };
    if is_statement(given) {
        return Ok(Input::Statement(given.to_owned()));
    }
    let job = read_file("job", Path::new(given))?;
    match std::str::from_utf8(&job) {
        Ok(text) if is_statement(text) => Ok(Input::Statement(text.to_owned())),
        _ => Ok(Input::Job(job)),
    }
}

/// The file without the byte order mark that some editors put at its beginning.
fn read_file(what: &str, path: &Path) -> Result<Vec<u8>, RunError> {
    let mut bytes = bytes_of(what, path)?;
    if bytes.starts_with("\u{feff}".as_bytes()) {
        bytes.drain(..'\u{feff}'.len_utf8());
    }
    Ok(bytes)
}

fn bytes_of(what: &str, path: &Path) -> Result<Vec<u8>, RunError> {
    if path == Path::new("-") {
        let mut bytes = Vec::new();
        return match io::stdin().read_to_end(&mut bytes) {
            Ok(_) => Ok(bytes),
            Err(error) => Err(RunError::Usage(format!(
                "cannot read the {what} from standard input: {error}"
            ))),
        };
    }
    std::fs::read(path).map_err(|error| {
        let hint = if error.kind() == io::ErrorKind::NotFound && what == "job" {
            "; a statement begins with SELECT or EXPLAIN"
        } else {
            ""
        };
        RunError::Usage(format!(
            "cannot read the {what} file {}: {error}{hint}",
            path.display()
        ))
    })
}
