//! What the fuzz target `sums` calls (`fuzz/`), and nothing else.

pub use super::sums::fuzz as sums;
