//! Rows as they come, stored until the last one is there.

use std::{
    fs::File,
    io::{self, Write},
    path::Path,
};

use serde::{Deserialize, Serialize};

use crate::{
    Digits, WriteError,
    lines::{self, Line},
};

/// A file of lines under way, and the notes that are taken of them meanwhile.
#[derive(Debug)]
pub struct Spool {
    file: File,
    reader: lines::Reader,
    notes: Notes,
}

/// What is noted while lines are stored, so that one pass over them is enough for every format. Keep it beside the file, as JSON.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notes {
    /// How many rows the lines hold.
    pub rows: u64,
    /// How many bytes the lines have.
    pub bytes: u64,
    /// For each column, in the lines' order, the most digits of its numbers.
    pub(crate) digits: Vec<Digits>,
}

impl Spool {
    /// Stores lines in `file`, from its present position on. Write and read access are needed.
    #[must_use]
    pub fn new(file: File) -> Self {
        Self {
            file,
            reader: lines::Reader::default(),
            notes: Notes::default(),
        }
    }

    /// Stores lines in a file that has no name in `directory`: it is gone once it is closed, however the process ends.
    ///
    /// # Errors
    /// No file can be made there.
    pub fn unlinked_in(directory: &Path) -> io::Result<Self> {
        tempfile::tempfile_in(directory).map(Self::new)
    }

    /// Stores lines as a plugin's `rows` callback gets them.
    ///
    /// # Errors
    /// A line is malformed, or the file cannot be written. The spool is of no further use then.
    pub fn push(&mut self, lines: &[u8]) -> Result<(), WriteError> {
        for line in lines::split(lines)? {
            match self.reader.read(line)? {
                Line::Columns(names) => {
                    let columns = self.notes.digits.len() + names.len();
                    self.notes.digits.resize(columns, Digits::default());
                }
                Line::Row(row) => {
                    self.notes.rows += 1;
                    for (digits, cell) in self.notes.digits.iter_mut().zip(row.cells()) {
                        digits.add(cell);
                    }
                }
            }
        }
        self.file.write_all(lines)?;
        self.notes.bytes += lines.len() as u64;
        Ok(())
    }

    /// What was noted so far.
    #[must_use]
    pub fn notes(&self) -> &Notes {
        &self.notes
    }

    /// The file with all the lines, and what was noted of them.
    #[must_use]
    pub fn finish(self) -> (File, Notes) {
        (self.file, self.notes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_are_taken_while_lines_are_stored() {
        let mut spool = Spool::unlinked_in(&std::env::temp_dir()).unwrap();
        spool
            .push(b"{\"columns\":[\"a\"]}\n[1.25]\n[100]\n")
            .unwrap();
        spool
            .push(b"{\"columns\":[\"b\"]}\n[null,\"x\"]\n")
            .unwrap();
        spool.push(b"").unwrap();
        let (_, notes) = spool.finish();
        assert_eq!((notes.rows, notes.bytes), (3, 60));
        let kept = serde_json::to_string(&notes).unwrap();
        assert_eq!(kept, r#"{"rows":3,"bytes":60,"digits":[[3,2],[0,0]]}"#);
        assert_eq!(serde_json::from_str::<Notes>(&kept).unwrap(), notes);
    }

    #[test]
    fn malformed_lines_are_refused() {
        for lines in [
            "[1]\n",
            "{\"columns\":[\"a\"]}\n[1,2]\n",
            "{\"columns\":[\"a\"]}\n[1]",
            "{\"columns\":[\"a\"]}\n\n",
            "{\"columns\":[\"a\"]}\n[1\n]\n",
            "{\"columns\":[1]}\n",
            "{\"column\":[]}\n",
            "{\"columns\":[\"a\"]}\n[\"\u{1}\"]\n",
        ] {
            let mut spool = Spool::unlinked_in(&std::env::temp_dir()).unwrap();
            let pushed = spool.push(lines.as_bytes());
            assert!(
                matches!(pushed, Err(WriteError::Malformed(_))),
                "{lines}: {pushed:?}"
            );
        }
    }
}
