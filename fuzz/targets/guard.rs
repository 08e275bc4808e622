#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| dynamo_query::fuzzing::guard(text));
