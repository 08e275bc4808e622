//! A version takes another's place while jobs run: who answers, what is told, what stays.

use std::{
    fs::{self, File},
    io::Write,
    thread,
    time::{Duration, Instant},
};

use plugin_api::ErrorCode;
use plugin_host::{
    CallOptions,
    registry::{PluginState, UseError},
};
use serde_json::json;

use crate::chameleon::{PATIENCE, Stage, chameleon, version};

const NEXT: &str = "next.so";

/// A job that runs until it is cancelled.
fn endless(id: &str) -> Vec<u8> {
    json!({"id": id, "context": {"sleep_ms": 600_000}})
        .to_string()
        .into_bytes()
}

#[test]
fn a_new_version_takes_over_and_removing_it_brings_the_old_one_back_from_memory() {
    let stage = Stage::new();
    assert_eq!(stage.ask(), version(100));
    stage.put(NEXT, &chameleon(101, "good"));
    let report = stage.registry.reload().unwrap();
    assert_eq!(
        (report.loaded.as_slice(), report.retired.len()),
        (&[NEXT.to_owned()][..], 0)
    );
    assert_eq!(stage.ask(), version(101));
    assert_eq!(stage.state(100), PluginState::Standby);

    stage.remove(NEXT);
    let report = stage.registry.reload().unwrap();
    assert_eq!(
        (report.retired.as_slice(), report.loaded.len()),
        (&[NEXT.to_owned()][..], 0)
    );
    assert_eq!(stage.ask(), version(100));
    stage.wait_for("the end of 101", |stage| {
        stage.state(101) == PluginState::Retired
    });
    assert!(
        stage.row(101).residue_bytes.unwrap() > 0,
        "what stays is told"
    );
    assert_eq!(stage.row(100).residue_bytes, None);

    // The very same bytes again: opened again, not loaded again.
    stage.put(NEXT, &chameleon(101, "good"));
    assert_eq!(stage.registry.reload().unwrap().loaded, [NEXT]);
    assert_eq!(stage.ask(), version(101));
    assert_eq!(stage.logged("loaded chameleon 777.0.101"), 1);
    assert_eq!(stage.row(101).residue_bytes, None, "it is in service again");

    stage.remove("first.so");
    stage.remove(NEXT);
    stage.registry.reload().unwrap();
    let Err(error) = stage.registry.lease("chameleon", None) else {
        panic!("no file is left, and a lease is given");
    };
    assert_eq!(error.to_string(), "no plugin named 'chameleon' is loaded");
}

#[test]
fn the_watch_brings_a_version_in_and_takes_it_out_within_five_seconds() {
    let stage = Stage::with(|options| {
        options.watch = true;
        options.settle = Duration::from_millis(200);
    });
    for (number, change) in [(101, true), (100, false)] {
        if change {
            stage.put(NEXT, &chameleon(number, "good"));
        } else {
            stage.remove(NEXT);
        }
        let started = Instant::now();
        stage.wait_for("the other version", |stage| stage.ask() == version(number));
        println!("the watch took {:?}", started.elapsed());
        assert!(started.elapsed() < Duration::from_secs(5));
    }
    // A reload that comes after the watch still tells what came and went.
    assert_eq!(stage.registry.reload().unwrap().retired, [NEXT]);
    assert_eq!(stage.registry.reload().unwrap().retired, [""; 0]);
}

#[test]
fn jobs_under_way_finish_where_they_started() {
    let stage = Stage::new();
    let lease = stage.registry.lease("chameleon", None).unwrap();
    thread::scope(|scope| {
        let job = scope.spawn(|| {
            let job = br#"{"id":"slow","context":{"sleep_ms":300}}"#;
            let answer = lease.run_job(job, &CallOptions::default()).unwrap();
            serde_json::from_slice::<serde_json::Value>(&answer).unwrap()
        });
        stage.wait_for("the job", |stage| stage.row(100).jobs_running == 1);
        stage.put("first.so", &chameleon(101, "good"));
        let report = stage.registry.reload().unwrap();
        assert_eq!(
            (report.loaded, report.retired),
            (vec!["first.so".into()], vec!["first.so".into()])
        );
        assert_eq!(
            stage.ask(),
            version(101),
            "new jobs go to the new version meanwhile"
        );
        assert_eq!(stage.state(100), PluginState::Draining);
        assert_eq!(job.join().unwrap()["version"], version(100));
    });
    drop(lease);
    stage.wait_for("the end of 100", |stage| {
        stage.state(100) == PluginState::Retired
    });
}

#[test]
fn a_retired_versions_jobs_are_cancelled_when_its_grace_is_over() {
    let stage = Stage::with(|options| options.drain = Duration::from_millis(100));
    let lease = stage.registry.lease("chameleon", None).unwrap();
    thread::scope(|scope| {
        let job = scope.spawn(|| {
            lease
                .run_job(&endless("a"), &CallOptions::default())
                .unwrap_err()
        });
        stage.wait_for("the job", |stage| stage.row(100).jobs_running == 1);
        stage.put("first.so", &chameleon(101, "good"));
        stage.registry.reload().unwrap();
        assert_eq!(job.join().unwrap().code, ErrorCode::CANCELLED);
    });
    stage.wait_for("the end of 100", |stage| {
        stage.state(100) == PluginState::Retired
    });
    let late = lease.run_job(b"{}", &CallOptions::default()).unwrap_err();
    assert_eq!(late.code, ErrorCode::SHUTTING_DOWN);
}

#[test]
fn a_version_comes_back_while_it_still_drains() {
    let stage = Stage::new();
    stage.put(NEXT, &chameleon(101, "good"));
    stage.registry.reload().unwrap();
    let lease = stage.registry.lease("chameleon", None).unwrap();
    thread::scope(|scope| {
        let job = scope.spawn(|| {
            lease
                .run_job(&endless("b"), &CallOptions::default())
                .unwrap_err()
        });
        stage.wait_for("the job", |stage| stage.row(101).jobs_running == 1);
        stage.remove(NEXT);
        stage.registry.reload().unwrap();
        assert_eq!(stage.state(101), PluginState::Draining);
        stage.put(NEXT, &chameleon(101, "good"));
        stage.registry.reload().unwrap();
        assert_eq!(
            (stage.state(101), stage.ask()),
            (PluginState::Active, version(101))
        );
        assert!(lease.cancel_job("b"), "its job never stopped");
        assert_eq!(job.join().unwrap().code, ErrorCode::CANCELLED);
    });
}

#[test]
fn a_version_that_stands_by_is_closed_when_idle_and_opened_for_a_job_that_asks_for_it() {
    let stage = Stage::with(|options| options.drain = Duration::ZERO);
    stage.put(NEXT, &chameleon(101, "good"));
    stage.registry.reload().unwrap();
    stage.wait_for("100 to be closed", |stage| {
        stage.logged("777.0.100 is closed") == 1
    });
    assert_eq!(stage.state(100), PluginState::Standby);
    let old = format!("={}", version(100)).parse().unwrap();
    for _ in 0..3 {
        let lease = stage.registry.lease("chameleon", Some(&old)).unwrap();
        lease.run_job(b"{}", &CallOptions::default()).unwrap();
        assert_eq!(lease.version().to_string(), version(100));
    }
    let none = ">=778".parse().unwrap();
    let Err(error) = stage.registry.lease("chameleon", Some(&none)) else {
        panic!("no version matches");
    };
    assert!(
        error.hint().contains("777.0.101, 777.0.100"),
        "{}",
        error.hint()
    );
}

#[test]
fn an_operator_rolls_back_also_to_a_version_whose_file_was_overwritten() {
    let stage = Stage::new();
    stage.put("first.so", &chameleon(101, "good"));
    stage.registry.reload().unwrap();
    stage.wait_for("the end of 100", |stage| {
        stage.state(100) == PluginState::Retired
    });

    let old = version(100).parse().unwrap();
    stage.registry.use_version("chameleon", Some(&old)).unwrap();
    assert_eq!(
        (stage.ask(), stage.state(101)),
        (version(100), PluginState::Standby)
    );
    assert_eq!(
        stage.logged("loaded chameleon 777.0.100"),
        1,
        "it was opened again, not loaded again"
    );
    stage.put(NEXT, &chameleon(102, "good"));
    stage.registry.reload().unwrap();
    assert_eq!(
        stage.ask(),
        version(100),
        "the pin holds when a newer one comes"
    );
    stage.registry.use_version("chameleon", None).unwrap();
    assert_eq!(stage.ask(), version(102));

    let unknown = stage
        .registry
        .use_version("chameleon", Some(&"9.9.9".parse().unwrap()));
    let Err(UseError::UnknownVersion { known, .. }) = unknown else {
        panic!("{unknown:?}");
    };
    assert_eq!(known, [version(100), version(101), version(102)]);
    let unknown = stage.registry.use_version("camel", None).unwrap_err();
    assert_eq!(unknown.to_string(), "no plugin named 'camel' is loaded");
    assert_eq!(stage.ask(), version(102));
}

#[test]
fn new_bytes_under_a_loaded_name_and_version_replace_it() {
    let stage = Stage::new();
    let mut padded = chameleon(100, "good");
    padded.push(0);
    stage.put(NEXT, &padded);
    let report = stage.registry.reload().unwrap();
    assert_eq!(
        (report.loaded, report.retired),
        (vec![NEXT.into()], vec!["first.so".into()])
    );
    let active = |stage: &Stage| {
        let rows = stage.registry.list();
        let active = rows.iter().find(|row| row.state == PluginState::Active);
        active.map(|row| row.file.clone()).unwrap_or_default()
    };
    assert_eq!(active(&stage), NEXT);
    stage.remove(NEXT);
    stage.registry.reload().unwrap();
    assert_eq!(active(&stage), "first.so");
}

#[test]
fn a_file_that_is_still_being_copied_is_waited_for() {
    let stage = Stage::with(|options| {
        options.watch = true;
        options.settle = Duration::from_millis(300);
    });
    let bytes = chameleon(101, "good");
    let mut copy = File::create(stage.path(NEXT)).unwrap();
    for piece in bytes.chunks(bytes.len() / 20) {
        copy.write_all(piece).unwrap();
        thread::sleep(Duration::from_millis(50));
        assert_eq!(
            stage.ask(),
            version(100),
            "nothing is taken from half a file"
        );
    }
    drop(copy);
    stage.wait_for("the whole file", |stage| stage.ask() == version(101));
}

#[test]
fn a_directory_that_was_itself_replaced_is_seen_by_the_poll() {
    let stage = Stage::with(|options| {
        options.plugin_dir.push("plugins");
        fs::create_dir(&options.plugin_dir).unwrap();
        fs::write(options.plugin_dir.join("a.so"), chameleon(100, "good")).unwrap();
        options.watch = true;
        options.poll = Duration::from_millis(100);
    });
    let (now, next) = (stage.path("plugins"), stage.path("next"));
    fs::create_dir(&next).unwrap();
    fs::write(next.join("a.so"), chameleon(101, "good")).unwrap();
    fs::rename(&now, stage.path("before")).unwrap();
    stage.wait_for("a word about it", |stage| {
        stage.logged("cannot read plugin directory") == 1
    });
    assert_eq!(stage.ask(), version(100), "what runs serves on");
    fs::rename(&next, &now).unwrap();
    stage.wait_for("the other directory's version", |stage| {
        stage.ask() == version(101)
    });
}

#[test]
fn a_renamed_file_keeps_its_version_and_a_hidden_one_is_ignored() {
    let stage = Stage::new();
    stage.put(".hidden.so", &chameleon(101, "good"));
    fs::rename(stage.path("first.so"), stage.path("second.so")).unwrap();
    let report = stage.registry.reload().unwrap();
    assert_eq!(
        (
            report.loaded.len(),
            report.retired.len(),
            report.refused.len()
        ),
        (0, 0, 0)
    );
    assert_eq!(
        (stage.row(100).file.as_str(), stage.ask()),
        ("second.so", version(100))
    );
    assert_eq!(stage.registry.list().len(), 1);
}

#[test]
fn closing_cancels_what_is_left_and_leaves_nothing_behind() {
    let copies = tempfile::TempDir::new().unwrap();
    let stage = Stage::with(|options| options.copies_in = copies.path().to_owned());
    assert_eq!(fs::read_dir(copies.path()).unwrap().count(), 1);
    let lease = stage.registry.lease("chameleon", None).unwrap();
    thread::scope(|scope| {
        let job = scope.spawn(|| {
            lease
                .run_job(&endless("c"), &CallOptions::default())
                .unwrap_err()
        });
        stage.wait_for("the job", |stage| stage.row(100).jobs_running == 1);
        let started = Instant::now();
        stage.registry.close(Duration::from_millis(50));
        assert!(started.elapsed() < PATIENCE);
        assert_eq!(job.join().unwrap().code, ErrorCode::CANCELLED);
    });
    assert!(stage.registry.lease("chameleon", None).is_err());
    assert!(stage.registry.reload().is_err());
    assert_eq!(
        fs::read_dir(copies.path()).unwrap().count(),
        0,
        "the copies are gone"
    );
}

#[test]
fn copies_that_a_killed_host_left_are_removed_by_the_next() {
    let copies = tempfile::TempDir::new().unwrap();
    let stale = copies.path().join("host-harness-plugins-dead");
    fs::create_dir(&stale).unwrap();
    fs::write(stale.join("lock"), "").unwrap();
    let _living = Stage::with(|options| options.copies_in = copies.path().to_owned());
    assert!(!stale.exists());
    let _next = Stage::with(|options| options.copies_in = copies.path().to_owned());
    assert_eq!(
        fs::read_dir(copies.path()).unwrap().count(),
        2,
        "a living host's copies stay"
    );
}
