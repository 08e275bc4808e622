//! placeholder
#![forbid(unsafe_code)]
pub mod job;
pub mod session;
pub mod statement;
