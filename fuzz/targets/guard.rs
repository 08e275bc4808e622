#![no_main]

#[path = "../engine.rs"]
mod engine;

libfuzzer_sys::fuzz_target!(|text: &str| dynamo_query::fuzzing::guard(
    text,
    engine::writes_nothing
));
