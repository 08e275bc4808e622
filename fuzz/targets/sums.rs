//! See [`plugin_host::verify::fuzzing::sums`].
#![cfg_attr(feature = "libfuzzer", no_main)]

fuzz::target!(|text: &str| plugin_host::verify::fuzzing::sums(text));
