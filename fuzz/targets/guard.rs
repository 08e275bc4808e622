//! See [`dynamo_query::fuzzing::guard`].
#![cfg_attr(feature = "libfuzzer", no_main)]

#[path = "../engine.rs"]
mod engine;

fuzz::target!(|text: &str| dynamo_query::fuzzing::guard(text, engine::writes_nothing));
