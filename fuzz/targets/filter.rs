#![no_main]

#[path = "../engine.rs"]
#[expect(dead_code, reason = "shared with the target `guard`")]
mod engine;

libfuzzer_sys::fuzz_target!(|text: &str| dynamo_query::fuzzing::filter(text, engine::ask));
