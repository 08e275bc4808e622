//! The result of a job, written in any of the formats that people ask for.
//!
//! A result comes in one of two shapes: as the ordinary document (`{"columns","data","stats"}`), or as rows that were handed over
//! while the job ran (the lines that [`Spool`] stores) and the [`Answer`] that followed them. Both are a [`Source`], and [`write()`]
//! makes every [`Format`] of either, in bounded memory: rows are read one at a time, and numbers keep their digits.
//!
//! ```
//! use results::{Format, Options, Source};
//!
//! let document = br#"{"columns":[{"name":"id","type":"long"}],"data":[[7],[null]],"stats":{}}"#;
//! let mut out = Vec::new();
//! results::write(Format::Csv, &Source::document(document)?, &Options::default(), &mut out)?;
//! assert_eq!(out, b"id\n7\n\n");
//! # Ok::<(), results::WriteError>(())
//! ```
//!
//! Rows as they come are stored first, because types are known only when the last row is there:
//!
//! ```
//! use results::{Answer, Format, Options, Source, Spool};
//!
//! let mut spool = Spool::unlinked_in(&std::env::temp_dir())?;
//! spool.push(b"{\"columns\":[\"price\"]}\n[1.50]\n")?; // what the `rows` callback is given
//! spool.push(b"{\"columns\":[\"id\"]}\n[2,\"b\"]\n")?;
//! let (file, notes) = spool.finish(); // a host may keep both: `notes` is a JSON value
//! let answer = Answer::parse(
//!     br#"{"columns":[{"name":"price","type":"float"},{"name":"id","type":"string"}],"order":[1,0],"stats":{}}"#,
//! )?;
//! let mut out = Vec::new();
//! results::write(Format::Ndjson, &Source::lines(&file, &answer, &notes), &Options::default(), &mut out)?;
//! assert_eq!(out, b"{\"price\":1.50}\n{\"id\":\"b\",\"price\":2}\n");
//! # Ok::<(), results::WriteError>(())
//! ```

#![forbid(unsafe_code)]

mod accept;
mod answer;
mod arrow;
mod cell;
mod column;
mod digits;
mod document;
mod elements;
mod error;
mod format;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod ipc;
mod json;
mod lines;
mod markdown;
mod ndjson;
mod options;
mod parquet;
mod separated;
mod source;
mod spool;
mod stream;
mod table;
mod vertical;
mod visible;
mod write;

pub use self::{
    accept::negotiate,
    answer::Answer,
    column::{Column, Kind},
    digits::Digits,
    error::WriteError,
    format::Format,
    options::{Options, Written},
    source::Source,
    spool::{Notes, Spool},
    stream::{Stream, StreamOrder},
    visible::{visible, visible_json, visible_lines},
    write::write,
};
