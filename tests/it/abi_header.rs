//! The C header: what is checked in is what the Rust sources say.

use std::{env, fs, path::Path};

/// `BLESS=1` writes the header anew instead.
#[test]
fn the_checked_in_header_is_the_generated_one() {
    let plugin_api = Path::new(env!("CARGO_MANIFEST_DIR")).join("../plugin-api");
    let mut generated = Vec::new();
    cbindgen::Builder::new()
        .with_config(cbindgen::Config::from_file(plugin_api.join("cbindgen.toml")).unwrap())
        .with_src(plugin_api.join("src/ffi/types.rs"))
        .with_src(plugin_api.join("src/ffi/prototypes.rs"))
        .generate()
        .unwrap()
        .write(&mut generated);
    let header = plugin_api.join("include/heimdall_plugin.h");
    let generated = String::from_utf8(generated).unwrap();
    if env::var_os("BLESS").is_some() {
        fs::write(&header, &generated).unwrap();
    }
    assert_eq!(
        fs::read_to_string(&header).unwrap_or_default(),
        generated,
        "include/heimdall_plugin.h is not what the sources say; BLESS=1 renews it"
    );
}
