//! See [`heimdall_server::config::fuzzing::yaml`].
#![cfg_attr(feature = "libfuzzer", no_main)]

fuzz::target!(|text: &str| heimdall_server::config::fuzzing::yaml(text));
