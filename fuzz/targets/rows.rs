#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| results::fuzzing::rows(bytes));
