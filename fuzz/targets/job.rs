//! See [`dynamo_query::fuzzing::job`].
#![cfg_attr(feature = "libfuzzer", no_main)]

fuzz::target!(|text: &str| dynamo_query::fuzzing::job(text));
