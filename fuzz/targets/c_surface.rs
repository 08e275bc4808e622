#![no_main]

#[path = "../c_surface.rs"]
mod c_surface;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| c_surface::sequence(bytes));
