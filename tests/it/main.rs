//! One binary for all integration tests; a file per subject.
#![forbid(unsafe_code)]

<<<<<<< HEAD
mod abi_header;
=======
mod corpus;
>>>>>>> engines
mod library;
mod query;
