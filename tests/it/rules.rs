//! Rules of the house that no compiler checks: ARCHITECTURE.md, "Invariants".

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::hosts::root;

/// The crates that are part of the product.
const PRODUCT: [&str; 9] = [
    "plugin-api",
    "plugin-host",
    "dynamo-decode",
    "dynamo-query",
    "dynamo-plugin",
    "results",
    "console",
    "heimdall-server",
    "host-harness",
];

fn rust_files(dir: &Path, into: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(dir) else {
        return;
    };
    for entry in entries {
        let path = entry.unwrap().path();
        if path.is_dir() && path.file_name().is_some_and(|name| name != "target") {
            rust_files(&path, into);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            into.push(path);
        }
    }
}

/// The lines of code, without comments and tests, that hold one of `words`: `FILE: LINE`.
fn lines_with(crates: &[&str], words: &[&str]) -> Vec<String> {
    let mut files = Vec::new();
    for name in crates {
        rust_files(&root().join(name).join("src"), &mut files);
    }
    let mut found = Vec::new();
    for file in files {
        let name = file.strip_prefix(root()).unwrap().display().to_string();
        if name.ends_with("tests.rs") || name.contains("/tests/") || name.ends_with("/model.rs") {
            continue;
        }
        for line in fs::read_to_string(&file).unwrap().lines() {
            if line == "mod tests {" {
                break;
            }
            let code = line.split("//").next().unwrap_or_default();
            if words.iter().any(|word| code.contains(word)) {
                found.push(format!("{name}: {}", line.trim()));
            }
        }
    }
    found
}

#[test]
fn unsafe_code_lies_in_the_two_fenced_folders() {
    let words = [
        "unsafe {",
        "unsafe fn",
        "unsafe impl",
        "unsafe extern",
        "unsafe(",
    ];
    let mut outside = lines_with(&PRODUCT, &words);
    outside.retain(|line| {
        let fenced = [
            "plugin-api/src/ffi/",
            "plugin-host/src/ffi/",
            "plugin-api/src/export.rs",
        ];
        !fenced.iter().any(|folder| line.starts_with(folder))
    });
    assert!(outside.is_empty(), "{outside:#?}");
}

#[test]
fn libraries_are_opened_in_one_place_and_never_closed() {
    let mut opening = lines_with(&PRODUCT, &["libloading", "dlopen", "lib_header_from_path"]);
    opening.retain(|line| !line.starts_with("plugin-host/src/ffi/library.rs"));
    assert!(opening.is_empty(), "{opening:#?}");
    let closing = lines_with(&PRODUCT, &["dlclose"]);
    assert!(closing.is_empty(), "{closing:#?}");
}

/// SECURITY.md, "What is linked": no caller's text becomes SQL. `page.rs`, the one file that puts statements together, has a test of its
/// own for that (`nothing_that_a_client_wrote_is_in_a_statements_text`).
#[test]
fn sql_is_written_in_the_folder_of_the_store_only() {
    let words = [
        "rusqlite",
        ".prepare(",
        ".prepare_cached(",
        ".execute_batch(",
        ".pragma_update(",
        ".query_row(",
    ];
    let mut outside = lines_with(&PRODUCT, &words);
    outside.retain(|line| {
        let store = ["heimdall-server/src/store/", "heimdall-server/src/store.rs"];
        // The fixture of the unit tests damages tables.
        let is_fixture = line.starts_with("heimdall-server/src/testing.rs");
        !is_fixture && !store.iter().any(|path| line.starts_with(path))
    });
    assert!(outside.is_empty(), "{outside:#?}");
}

#[test]
fn what_the_fuzz_targets_call_is_switched_on_by_no_crate_of_the_product() {
    for name in PRODUCT {
        let manifest = fs::read_to_string(root().join(name).join("Cargo.toml")).unwrap();
        let mut mentions = manifest.lines().filter(|line| {
            let code = line.split('#').next().unwrap_or_default();
            code.contains("fuzzing")
        });
        assert!(mentions.all(|line| line == "fuzzing = []"), "{name}");
    }
}

#[test]
fn the_environment_is_read_in_one_place() {
    let plugin = [
        "plugin-api",
        "dynamo-decode",
        "dynamo-query",
        "dynamo-plugin",
    ];
    let mut reading = lines_with(&plugin, &["env::var", "env::set_var", "env::remove_var"]);
    reading.retain(|line| !line.starts_with("dynamo-query/src/session/environment.rs"));
    assert!(reading.is_empty(), "{reading:#?}");
}

#[test]
fn a_lock_whose_holder_panicked_is_used_as_it_is() {
    let mut files = Vec::new();
    for name in PRODUCT {
        rust_files(&root().join(name).join("src"), &mut files);
    }
    let mut refusing = Vec::new();
    for file in files {
        let name = file.display().to_string();
        if ["tests.rs", "testing.rs", "/model.rs"]
            .iter()
            .any(|end| name.ends_with(end))
            || name.contains("/tests/")
        {
            continue;
        }
        let text = fs::read_to_string(&file).unwrap();
        let code = text.split("mod tests {").next().unwrap_or_default();
        // A call may go on in the next line.
        let code: String = code.split_whitespace().collect();
        for lock in [".lock()", ".read()", ".write()"] {
            for end in [".expect(", ".unwrap()"] {
                if code.contains(&format!("{lock}{end}")) {
                    refusing.push(format!("{name}: {lock}{end}"));
                }
            }
        }
    }
    assert!(refusing.is_empty(), "{refusing:#?}");
}

/// What an import names first, and which of the three groups that belongs to.
fn group(import: &str) -> (&str, u8) {
    let root = import.split([':', ';', ' ']).next().unwrap_or_default();
    let group = match root {
        "std" | "core" | "alloc" => 0,
        "self" | "super" | "crate" => 2,
        _ => 1,
    };
    (root, group)
}

#[test]
fn imports_are_in_three_groups_with_one_use_a_crate() {
    let mut files = Vec::new();
    rust_files(root(), &mut files);
    let mut wrong = Vec::new();
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        let (mut roots, mut last) = (Vec::new(), 0);
        let mut before = "";
        for line in text.lines() {
            // An import that is compiled only somewhere stands for itself.
            let has_attribute = before.starts_with("#[");
            before = line;
            let Some(import) = line.strip_prefix("use ").filter(|_| !has_attribute) else {
                continue;
            };
            let (root, group) = group(import);
            if group < last || roots.contains(&root) {
                wrong.push(format!("{}: {line}", file.display()));
            }
            roots.push(root);
            last = group;
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn each_invariant_names_a_test_or_a_file_that_exists() {
    let mut sources = String::new();
    let mut files = Vec::new();
    rust_files(root(), &mut files);
    for file in files {
        sources += &fs::read_to_string(file).unwrap_or_default();
    }
    let architecture = fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let section = architecture.split("## Invariants").nth(1).unwrap();
    let section = section.split("\n## ").next().unwrap();
    for invariant in section.split("\n- ").skip(1) {
        let quoted: Vec<&str> = invariant.split('`').skip(1).step_by(2).collect();
        let named = quoted.iter().filter(|word| {
            let is_test = word.matches('_').count() > 2;
            if is_test {
                let definition = format!("fn {word}(");
                assert!(sources.contains(&definition), "there is no test {word}");
            }
            let is_file = word.ends_with(".rs");
            assert!(
                !is_file || root().join(word).is_file(),
                "there is no {word}"
            );
            let is_lint = matches!(**word, "await_holding_lock" | "unwrap_used");
            is_test || is_file || is_lint
        });
        assert!(named.count() > 0, "no test is named: {invariant}");
    }
}
