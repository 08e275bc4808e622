//! The DynamoDB query engine behind the plugin: one job document in, one result document out.
#![forbid(unsafe_code)]

pub mod statement;
