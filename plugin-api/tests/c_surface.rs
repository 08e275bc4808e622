//! The C surface of a library as sequences of calls near those of the corpus.
#![expect(unsafe_code, reason = "a caller in C")]

#[path = "../../fuzz/c_surface.rs"]
mod c_surface;
#[path = "../../fuzz/mutate.rs"]
mod mutate;

#[test]
fn sequences_of_calls_near_the_corpus_keep_their_promise() {
    mutate::rounds("c_surface", c_surface::sequence);
}
