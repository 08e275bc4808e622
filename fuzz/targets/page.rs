//! See [`dynamo_query::fuzzing::page`].
#![cfg_attr(feature = "libfuzzer", no_main)]

fuzz::target!(|bytes: &[u8]| dynamo_query::fuzzing::page(bytes));
