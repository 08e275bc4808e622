//! One binary for all integration tests; a file per subject.
#![forbid(unsafe_code)]
#![expect(
    clippy::unwrap_used,
    reason = "every function here serves a test, and what cannot be unwrapped fails it"
)]

mod abi_header;
mod abi_surface;
mod attacks;
mod attacks_files;
mod attacks_wire;
mod backup;
mod browser;
mod budgets;
mod chameleon;
mod child;
mod client;
mod continued;
mod corpus;
mod costs;
mod disk;
mod explain;
mod faults;
mod formats;
mod future_code;
mod health;
mod heimdall_ui;
mod hosts;
mod hosts_c;
mod hosts_examples;
mod hosts_template;
mod identity;
mod isolation;
mod isolation_torture;
mod kill;
mod library;
mod metrics;
mod operator_log;
mod python_package;
mod query;
mod refusals;
mod replay;
mod rolling;
mod rows;
mod rules;
mod run_command;
mod run_rows;
mod rust_host;
mod schedules;
mod secrets;
mod segments;
mod segments_local;
mod serve;
mod soak;
mod soak_mixed;
mod start;
mod statements;
mod stopping;
mod swap;
mod terminal;
mod upgrades;
mod waiting;
mod wrong_requests;
mod zoo;
