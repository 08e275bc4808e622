//! The surface as built: structs, signatures and symbols against the snapshot in docs/ABI.md, and what libraries need of glibc.

use std::{collections::BTreeSet, env, fs, path::Path, process::Command};

use harness_tests::{built, library};
use plugin_api::abi::{EXPORTED, NEWEST_GLIBC};

use crate::hosts::{Bench, have, root, skipped, succeeds};

const SNAPSHOT: &str = "```abi\n";

/// 64-bit FNV-1a: the hash is a reminder, not a seal.
fn hash(text: &str) -> String {
    let hash = text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("{hash:016x}")
}

/// The header's code: no comments, one blank between words.
fn code(header: &str) -> String {
    let header = header.split_once("*/").expect("it begins with a comment").1;
    let lines = header
        .lines()
        .map(|line| line.split("//").next().unwrap_or_default());
    lines
        .filter(|line| !line.starts_with('#') || line.contains("HEIMDALL_PLUGIN_MAGIC"))
        .flat_map(str::split_whitespace)
        .collect::<Vec<_>>()
        .join(" ")
        .replace("; ", ";\n")
        .replace(" typedef", "\ntypedef")
}

/// A change here is a change of the contract: docs/ABI.md says which are allowed. `BLESS=1` renews snapshot and hash.
#[test]
fn the_surface_is_the_one_that_the_abi_document_shows() {
    if !have("gcc") {
        return;
    }
    let bench = Bench::new();
    let layout = succeeds(&mut Command::new(bench.compile("layout", &[])));
    let header = fs::read_to_string(root().join("plugin-api/include/heimdall_plugin.h")).unwrap();
    let mut exported = EXPORTED;
    exported.sort_unstable();
    let snapshot = format!("{layout}{}\n{}\n", code(&header), exported.join("\n"));
    let path = root().join("docs/ABI.md");
    let page = fs::read_to_string(&path).unwrap();
    let (before, rest) = page
        .split_once(SNAPSHOT)
        .expect("docs/ABI.md shows the snapshot");
    let (shown, after) = rest.split_once("```").expect("a block has an end");
    let hashed = format!("Surface hash: `{}`", hash(&snapshot));
    if env::var_os("BLESS").is_some() {
        let old = before
            .lines()
            .find(|line| line.starts_with("Surface hash: "))
            .unwrap();
        let before = before.replace(old, &hashed);
        fs::write(&path, format!("{before}{SNAPSHOT}{snapshot}```{after}")).unwrap();
        return;
    }
    assert_eq!(
        shown, snapshot,
        "the ABI changed: see docs/ABI.md, \"What may change\"; then BLESS=1"
    );
    assert!(page.contains(&hashed), "docs/ABI.md wants: {hashed}");
}

/// The layout that Rust has is the one that C sees, on the machine that the test runs on.
#[test]
fn rust_and_c_lay_the_structs_out_alike() {
    use std::mem::offset_of;

    use plugin_api::abi::{HpBuffer, HpCall, HpHost, HpInfo};
    if !have("gcc") {
        return;
    }
    let said = succeeds(&mut Command::new(Bench::new().compile("layout", &[])));
    for (name, size) in [
        ("hp_info", size_of::<HpInfo>()),
        ("hp_buffer", size_of::<HpBuffer>()),
        ("hp_host", size_of::<HpHost>()),
        ("hp_call", size_of::<HpCall>()),
    ] {
        assert!(
            said.contains(&format!("{name} size {size} align 8\n")),
            "{name} {size}: {said}"
        );
    }
    for (name, offset) in [
        ("hp_info.abi_minor", offset_of!(HpInfo, abi_minor)),
        ("hp_info.name", offset_of!(HpInfo, name)),
        ("hp_info.features", offset_of!(HpInfo, features)),
        ("hp_info.errors", offset_of!(HpInfo, errors)),
        ("hp_buffer.len", offset_of!(HpBuffer, len)),
        ("hp_buffer.capacity", offset_of!(HpBuffer, capacity)),
        ("hp_host.user", offset_of!(HpHost, user)),
        ("hp_host.log", offset_of!(HpHost, log)),
        ("hp_call.user", offset_of!(HpCall, user)),
        ("hp_call.timeout_ms", offset_of!(HpCall, timeout_ms)),
        ("hp_call.progress", offset_of!(HpCall, progress)),
        ("hp_call.rows", offset_of!(HpCall, rows)),
        (
            "hp_call.rows_after_bytes",
            offset_of!(HpCall, rows_after_bytes),
        ),
    ] {
        assert!(
            said.contains(&format!("{name} offset {offset} ")),
            "{name} {offset}: {said}"
        );
    }
}

/// The root module speaks of these, and `abi_stable` compares them field by field with those of every other version.
#[test]
fn the_structs_of_the_root_module_are_those_of_abi_1_0() {
    use std::mem::offset_of;

    use plugin_api::abi::{HpCall, HpInfo, types_1_0};
    assert_eq!(size_of::<types_1_0::HpInfo>(), 40);
    assert_eq!(size_of::<types_1_0::HpCall>(), 32);
    assert_eq!(
        offset_of!(types_1_0::HpInfo, features),
        offset_of!(HpInfo, features)
    );
    assert_eq!(offset_of!(HpInfo, errors), size_of::<types_1_0::HpInfo>());
    assert_eq!(
        offset_of!(types_1_0::HpCall, progress),
        offset_of!(HpCall, progress)
    );
    assert_eq!(offset_of!(HpCall, rows), size_of::<types_1_0::HpCall>());
}

#[test]
fn the_header_is_clean_c11_and_cpp() {
    let bench = Bench::new();
    let text = "#include <heimdall_plugin.h>\nint main(void) { return plugin_info == 0; }\n";
    for (compiler, standard, name) in [
        ("gcc", "-std=c11", "use.c"),
        ("g++", "-std=c++11", "use.cpp"),
    ] {
        if !have(compiler) {
            continue;
        }
        let mut check = Command::new(compiler);
        check.args([
            standard,
            "-Wall",
            "-Wextra",
            "-pedantic",
            "-Werror",
            "-Wno-address",
        ]);
        succeeds(
            check
                .args(["-fsyntax-only", "-Iplugin-api/include"])
                .arg(bench.text(name, text)),
        );
    }
}

/// The libraries as built here, and the release library where it has been built from these sources (`cargo xtask dist` checks what it
/// hands out by itself).
fn libraries() -> Vec<std::path::PathBuf> {
    let release = built()
        .with_file_name("release")
        .join("libdynamo_plugin.so");
    let mut libraries = vec![library("echo_plugin"), library("dynamo_plugin")];
    match stale(&release) {
        None => libraries.push(release),
        Some(reason) => println!("not checked: {} {reason}", release.display()),
    }
    libraries
}

/// Why a release library is not that of the sources that cargo's own list beside it names.
fn stale(library: &Path) -> Option<String> {
    let changed = |path: &Path| path.metadata().and_then(|file| file.modified()).ok();
    let Some(built) = changed(library) else {
        return Some("is not built".to_owned());
    };
    let sources = std::fs::read_to_string(library.with_extension("d")).unwrap_or_default();
    sources
        .split_whitespace()
        .skip(1)
        .find(|source| changed(Path::new(source)).is_none_or(|at| at > built))
        .map(|source| format!("is older than {source}: cargo build --release"))
}

fn nm(library: &Path, which: &str) -> String {
    succeeds(Command::new("nm").args(["-D", which]).arg(library))
}

#[test]
fn libraries_export_the_contract_and_nothing_else() {
    if !have("nm") {
        return;
    }
    for library in libraries() {
        let symbols = nm(&library, "--defined-only");
        let names: BTreeSet<&str> = symbols
            .lines()
            .filter_map(|line| line.split_whitespace().nth(2))
            .collect();
        assert_eq!(names, BTreeSet::from(EXPORTED), "{}", library.display());
    }
}

#[test]
fn libraries_load_where_glibc_is_as_old_as_promised() {
    if !have("nm") {
        return;
    }
    for library in libraries() {
        let needs = nm(&library, "--undefined-only");
        let oldest = needs
            .lines()
            .filter_map(|line| line.split_once("@GLIBC_")?.1.split_once('.'))
            .filter_map(|(major, minor)| {
                let minor = minor.split('.').next()?;
                Some((major.parse::<u32>().ok()?, minor.parse::<u32>().ok()?))
            })
            .max();
        let Some(oldest) = oldest else {
            skipped("this C library has no versioned symbols");
            return;
        };
        println!(
            "{} needs glibc {}.{}",
            library.display(),
            oldest.0,
            oldest.1
        );
        assert!(
            oldest <= NEWEST_GLIBC,
            "{} needs glibc {oldest:?}",
            library.display()
        );
    }
}
