//! Runs one PartiQL SELECT against DynamoDB: job document in, result document out.

#![forbid(unsafe_code)]

pub mod decode;
pub mod table;
pub mod tap;
