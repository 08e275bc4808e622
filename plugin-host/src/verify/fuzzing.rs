//! What the fuzz target `sums` calls (`fuzz/`). Compiled for it and for tests.

pub use super::sums::fuzz as sums;

#[cfg(test)]
#[path = "../../../fuzz/mutate.rs"]
mod mutate;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_near_the_corpus_keep_their_promise() {
        mutate::rounds("sums", |bytes| sums(&String::from_utf8_lossy(bytes)));
    }
}
