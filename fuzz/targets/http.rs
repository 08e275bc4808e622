#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| heimdall_server::serve::fuzzing::request(bytes));
