//! One binary for all integration tests; a file per subject.
#![forbid(unsafe_code)]

mod abi_header;
mod chameleon;
mod corpus;
mod library;
mod query;
mod soak;
mod swap;
mod zoo;
