//! One binary for all integration tests; a file per subject.
#![forbid(unsafe_code)]

mod corpus;
mod library;
