//! Tells the program for which target it was built: that is the one whose packages `dist` lists.
fn main() {
    println!(
        "cargo:rustc-env=XTASK_TARGET={}",
        std::env::var("TARGET").expect("cargo sets it")
    );
}
