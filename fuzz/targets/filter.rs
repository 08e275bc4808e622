//! See [`dynamo_query::fuzzing::filter`].
#![cfg_attr(feature = "libfuzzer", no_main)]

#[path = "../engine.rs"]
#[expect(dead_code, reason = "shared with the target `guard`")]
mod engine;

fuzz::target!(|text: &str| dynamo_query::fuzzing::filter(text, engine::ask));
