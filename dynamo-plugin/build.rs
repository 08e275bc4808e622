//! Lets the linker keep one copy of functions whose machine code is the same: generic code of the AWS SDK is written many times over.
//! Where the compiler brings its own linker (LLD, on x86-64 Linux), that can; other linkers are left alone.

use std::env;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let is = |name: &str, value: &str| env::var(name).is_ok_and(|set| set == value);
    if is("TARGET", "x86_64-unknown-linux-gnu") && is("PROFILE", "release") {
        println!("cargo:rustc-cdylib-link-arg=-Wl,--icf=all");
    }
}
