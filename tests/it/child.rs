//! The other half of `harness_tests::child`: what runs in the process that a test starts.

#[test]
fn does_as_told() {
    harness_tests::child::serve();
}
