#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| plugin_host::verify::fuzzing::sums(text));
