//! One binary for all integration tests; a file per subject.
#![forbid(unsafe_code)]

mod abi_header;
mod corpus;
mod kill;
mod library;
mod query;
mod replay;
mod run_command;
