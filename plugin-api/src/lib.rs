//! The interface between a job host and its plugins: see the crate's `docs/ABI.md` for what crosses and who owns it.

mod error;

pub use error::{Error, ErrorCode, Partial};
