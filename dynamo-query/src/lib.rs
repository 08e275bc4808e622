//! A read-only PartiQL query against DynamoDB, as a function: job document in, result document out.
//!
//! ```text
//! job JSON ─ job ─► statement ─► session ─► pages ─ interceptor ─► decode ─► table ─► result JSON
//!            checked  one SELECT,  SDK client  1 MB page,    bytes to   columns,
//!            types    columns, ?   (cached)    NextToken     cells      rows, types
//! ```
//!
//! [`run`] draws that line; `failure` turns what the SDK says into the contract's errors, `audit` writes the operator's line.
//! The crate owns no runtime and no thread: `dynamo-plugin` does.
#![forbid(unsafe_code)]

mod audit;
pub mod codes;
mod describe;
mod explain;
mod failure;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
pub mod interceptor;
pub mod job;
mod page_size;
mod pages;
mod rate;
mod rows;
pub mod run;
mod scan;
pub mod session;
pub mod statement;
