//! One binary for all integration tests; a file per subject.
#![forbid(unsafe_code)]

mod abi_header;
mod child;
mod corpus;
mod faults;
mod health;
mod identity;
mod library;
mod query;
