//! `cargo xtask demo | test | bench | dist`.
fn main() {}
