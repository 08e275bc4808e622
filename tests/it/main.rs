//! One binary for all integration tests; a file per subject.
#![forbid(unsafe_code)]

mod abi_header;
mod chameleon;
mod corpus;
mod kill;
mod library;
mod query;
mod replay;
<<<<<<< HEAD
mod run_command;
mod soak;
mod swap;
mod zoo;
=======
mod wrong_requests;
>>>>>>> f97cdcd (Send wrong requests made from the host's description, and load it)
