//! One binary for all integration tests; a file per subject.
#![forbid(unsafe_code)]

mod abi_header;
mod chameleon;
mod corpus;
mod hosts;
mod hosts_c;
mod hosts_examples;
mod kill;
mod library;
mod query;
mod replay;
mod run_command;
mod soak;
mod swap;
mod zoo;
