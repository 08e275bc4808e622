//! Files that others could have written, or that are not the listed ones.

use std::{
    fs::{self, Permissions},
    os::unix::fs::{PermissionsExt, chown, symlink},
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use super::{BAD, refused};
use crate::chameleon::{Stage, chameleon, version};

#[test]
fn a_file_that_others_may_write_is_refused() {
    let stage = Stage::new();
    stage.put(BAD, &chameleon(900, "good"));
    let chmod = |mode| fs::set_permissions(stage.path(BAD), Permissions::from_mode(mode)).unwrap();
    chmod(0o646);
    refused(&stage, "UNTRUSTED", "everybody may write to it");
    // Only root can give files away.
    if chown(stage.path(BAD), None, Some(1)).is_ok() {
        chmod(0o664);
        refused(
            &stage,
            "UNTRUSTED",
            "its group 1 may write to it and has other members",
        );
        chmod(0o644);
        chown(stage.path(BAD), Some(1), None).unwrap();
        refused(&stage, "UNTRUSTED", "owned by user 1");
        chown(stage.path(BAD), Some(0), Some(0)).unwrap();
    } else {
        println!("SKIPPED: files of other owners (only root can make them)");
    }
    chmod(0o644);
    stage.registry.reload().unwrap();
    assert_eq!(stage.ask(), version(900), "once trusted it is taken");
}

#[test]
fn a_directory_that_others_may_write_is_not_looked_at() {
    let stage = Stage::new();
    let dir = stage.path("");
    stage.put("next.so", &chameleon(101, "good"));
    fs::set_permissions(&dir, Permissions::from_mode(0o777)).unwrap();
    let error = stage.registry.reload().unwrap_err();
    assert!(
        error.to_string().contains("everybody may write to it"),
        "{error}"
    );
    assert_eq!(stage.ask(), version(100), "what runs serves on");
    fs::set_permissions(&dir, Permissions::from_mode(0o755)).unwrap();
    stage.registry.reload().unwrap();
    assert_eq!(stage.ask(), version(101));
}

#[test]
fn where_a_list_of_digests_lies_only_what_it_lists_is_taken() {
    let stage = Stage::new();
    let sums = |lines: &[(&str, &str)]| {
        let text: String = lines
            .iter()
            .map(|(sum, name)| format!("{sum}  {name}\n"))
            .collect();
        stage.put("SHA256SUMS", text.as_bytes());
    };
    let sum = stage.row(100).sha256.unwrap();
    sums(&[(&sum, "first.so")]);
    stage.put(BAD, &chameleon(900, "good"));
    refused(&stage, "NOT_LISTED", "does not list it");
    sums(&[(&sum, "first.so"), (&sum, BAD)]);
    refused(&stage, "WRONG_DIGEST", "but SHA256SUMS lists");
    fs::set_permissions(stage.path("SHA256SUMS"), Permissions::from_mode(0o666)).unwrap();
    let report = stage.registry.reload().unwrap();
    assert_eq!(
        report.refused,
        [BAD, "first.so"],
        "a list that anybody may write lists nothing"
    );
    assert_eq!(stage.ask(), version(100), "what runs serves on");
    let listed = report.data.iter().find(|row| row.file == BAD).unwrap();
    sums(&[(&sum, "first.so"), (listed.sha256.as_ref().unwrap(), BAD)]);
    stage.registry.reload().unwrap();
    assert_eq!(stage.ask(), version(900), "once listed it is taken");
}

#[test]
fn what_is_put_in_a_librarys_place_between_check_and_use_is_never_loaded() {
    let stage = Stage::new();
    stage.put(".good", &chameleon(101, "good"));
    stage.put(".evil", &chameleon(666, "good"));
    let sum = stage.row(100).sha256.unwrap();
    symlink(".good", stage.path("linked.so")).unwrap();
    stage.registry.reload().unwrap();
    let good = stage.row(101).sha256.unwrap();
    stage.remove("linked.so");
    stage.registry.reload().unwrap();
    stage.put(
        "SHA256SUMS",
        format!("{sum}  first.so\n{good}  linked.so\n").as_bytes(),
    );

    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                for target in [".evil", ".good"] {
                    symlink(target, stage.path(".link")).unwrap();
                    fs::rename(stage.path(".link"), stage.path("linked.so")).unwrap();
                }
            }
        });
        for _ in 0..100 {
            stage.registry.reload().unwrap();
            assert!([100, 101].map(version).contains(&stage.ask()));
        }
        over.store(true, Ordering::Relaxed);
    });
    assert_eq!(stage.logged("loaded chameleon 777.0.666"), 0);
    assert!(
        stage.registry.reload().unwrap().refused.is_empty(),
        "the last link leads to the good one"
    );
    assert_eq!(stage.ask(), version(101));
}
