//! The names that a library exports: `export.rs` makes them, hosts look for them before they load a file, and a release is checked for
//! them and for nothing else.

/// What every library of ABI 1.0 or later exports. A host may refuse a file that lacks one.
pub const REQUIRED: [&str; 8] = [
    "plugin_info",
    "plugin_open",
    "run_job",
    "cancel_job",
    "check_health",
    "plugin_close",
    "free_buffer",
    "_1as_0lib_1header_0root_bmodule_bloader",
];

/// What a library of this version exports: [`REQUIRED`] and what ABI 1.1 added.
pub const EXPORTED: [&str; 9] = {
    let mut names = ["start_job"; 9];
    let mut at = 0;
    while at < REQUIRED.len() {
        names[at] = REQUIRED[at];
        at += 1;
    }
    names
};

/// The newest glibc, as `(major, minor)`, that what we ship may ask for: Debian 12 and the images based on it have it.
pub const NEWEST_GLIBC: (u32, u32) = (2, 36);
