//! Installs the reference engines into the target folder, once, before tests that run beside each other all want them.
//!
//! What cannot be had is said in a loud line and skipped by the tests; with `CI=true` it is an error.
#![forbid(unsafe_code)]

fn main() {
    for skip in engines::install_all() {
        engines::skip_or_fail(&skip);
    }
}
