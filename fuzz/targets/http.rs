//! See [`heimdall_server::serve::fuzzing::request`].
#![cfg_attr(feature = "libfuzzer", no_main)]

fuzz::target!(|bytes: &[u8]| heimdall_server::serve::fuzzing::request(bytes));
