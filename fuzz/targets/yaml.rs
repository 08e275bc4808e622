#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| heimdall_server::config::fuzzing::yaml(text));
