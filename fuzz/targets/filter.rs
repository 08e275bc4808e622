#![no_main]

#[path = "../engine.rs"]
#[expect(dead_code, reason = "shared with the target `guard`")]
mod engine;

use libfuzzer_sys::Corpus;

libfuzzer_sys::fuzz_target!(|text: &str| -> Corpus {
    if dynamo_query::fuzzing::filter(text, engine::ask) {
        Corpus::Keep
    } else {
        Corpus::Reject
    }
});
