//! Makes a fuzz target of a function.
//!
//! With the feature `libfuzzer` it is a program of libFuzzer. Without, any compiler builds it: as a test, which gives the function the
//! target's corpus and inputs near it, and as a program, which gives it the files that are its arguments, such as what libFuzzer wrote
//! where it found a fault.

use std::{env, fs, io, path::PathBuf};

mod near;

pub use self::near::near_the_corpus;

/// Whether a fuzzer goes on from an input.
pub trait Verdict {
    /// It does.
    fn keep(self) -> bool;
}

/// Every input is as good as another.
impl Verdict for () {
    fn keep(self) -> bool {
        true
    }
}

impl Verdict for bool {
    fn keep(self) -> bool {
        self
    }
}

/// `target!(|text: &str| function(text));` or of `bytes: &[u8]`: all that the file of a target holds, with
/// `#![cfg_attr(feature = "libfuzzer", no_main)]` above it.
#[macro_export]
macro_rules! target {
    (|$text:ident: &str| $run:expr) => {
        $crate::target!(|bytes: &[u8]| {
            let text = String::from_utf8_lossy(bytes);
            let $text: &str = &text;
            $run
        });
    };
    (|$bytes:ident: &[u8]| $run:expr) => {
        fn run($bytes: &[u8]) -> bool {
            $crate::Verdict::keep($run)
        }

        #[cfg(feature = "libfuzzer")]
        libfuzzer_sys::fuzz_target!(|bytes: &[u8]| -> libfuzzer_sys::Corpus {
            if run(bytes) {
                libfuzzer_sys::Corpus::Keep
            } else {
                libfuzzer_sys::Corpus::Reject
            }
        });

        #[cfg(not(feature = "libfuzzer"))]
        fn main() -> std::io::Result<()> {
            $crate::replay(run)
        }

        #[cfg(test)]
        #[test]
        fn inputs_near_the_corpus_keep_their_promise() {
            $crate::near_the_corpus(env!("CARGO_CRATE_NAME"), run);
        }
    };
}

/// Gives `run` every file that the program's arguments name, and every file of a folder that they name.
///
/// # Errors
/// A file cannot be read, or none is named.
pub fn replay(run: impl Fn(&[u8]) -> bool) -> io::Result<()> {
    let mut open: Vec<PathBuf> = env::args_os().skip(1).map(PathBuf::from).collect();
    if open.is_empty() {
        return Err(io::Error::other("name files or folders of inputs"));
    }
    while let Some(path) = open.pop() {
        if path.is_dir() {
            for entry in fs::read_dir(path)? {
                open.push(entry?.path());
            }
        } else {
            // Before it runs, so that a panic says which input it was.
            println!("{}", path.display());
            run(&fs::read(path)?);
        }
    }
    Ok(())
}
