//! See [`results::fuzzing::rows`].
#![cfg_attr(feature = "libfuzzer", no_main)]

fuzz::target!(|bytes: &[u8]| results::fuzzing::rows(bytes));
