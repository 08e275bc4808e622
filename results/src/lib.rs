//! Results as people want them: a job's columns and rows, written in the formats of the contract's section 4.
//!
//! Shared by `host-harness run` and the server.

#![forbid(unsafe_code)]
