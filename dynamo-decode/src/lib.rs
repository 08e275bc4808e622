//! The bytes of DynamoDB's pages in, the rows of a result document out.
//!
//! `decode` finds items and their values in the pieces of an answer as they arrive; `table` writes them as rows into the one buffer
//! that becomes the result. Nothing here knows of requests, jobs or the SDK. It is a crate of its own because every byte of a table goes
//! through it: release builds optimise it for speed, and `dynamo-query` for size.
#![forbid(unsafe_code)]

mod decode;
mod table;

pub use self::{
    decode::DecodeError,
    table::{Stats, Table},
};
