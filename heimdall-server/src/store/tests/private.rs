//! The store's files belong to the host's user alone, and to one store.

use std::{
    fs::{self, Permissions},
    os::unix::fs::{PermissionsExt, symlink},
};

use super::*;

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

#[tokio::test]
async fn directories_and_files_are_the_users_alone_also_where_they_were_wider() {
    let directory = test_directory();
    for path in [&directory.jobs, &directory.results] {
        fs::create_dir(path).unwrap();
        fs::set_permissions(path, Permissions::from_mode(0o777)).unwrap();
    }
    for name in ["lock", "jobs.sqlite"] {
        fs::write(directory.jobs.join(name), "").unwrap();
        fs::set_permissions(directory.jobs.join(name), Permissions::from_mode(0o666)).unwrap();
    }
    let store = open(&directory);
    let notes = store.notes();
    assert_eq!(notes.len(), 2, "{notes:?}");
    assert!(notes[0].contains("mode 0777"), "{notes:?}");
    with_large_result(&store, b'x').await;
    for path in [&directory.jobs, &directory.results] {
        assert_eq!(mode(path), 0o700);
        for entry in fs::read_dir(path).unwrap() {
            let path = entry.unwrap().path();
            assert_eq!(mode(&path), 0o600, "{}", path.display());
        }
    }
    drop(store);
    assert!(open(&directory).notes().is_empty());
}

#[tokio::test]
async fn links_that_somebody_planted_are_not_followed() {
    let directory = test_directory();
    drop(open(&directory));
    let target = directory.folder.path().join("target");
    for name in ["lock", "jobs.sqlite", "jobs.sqlite-wal", "jobs.sqlite-shm"] {
        let path = directory.jobs.join(name);
        let aside = directory.folder.path().join("aside");
        let was_there = fs::rename(&path, &aside).is_ok();
        fs::write(&target, "precious").unwrap();
        for reason in ["symbolic link", "second name"] {
            if reason == "symbolic link" {
                symlink(&target, &path).unwrap();
            } else {
                fs::hard_link(&target, &path).unwrap();
            }
            let error = Store::open(&directory.jobs, &directory.results, &[])
                .err()
                .unwrap();
            assert!(
                matches!(&error, StoreError::Untrusted { .. })
                    && error.to_string().contains(reason),
                "{name}: {error}"
            );
            assert_eq!(fs::read(&target).unwrap(), b"precious");
            fs::remove_file(&path).unwrap();
        }
        if was_there {
            fs::rename(&aside, &path).unwrap();
        }
    }
    // In the place of a result that is being written, a link is replaced.
    let store = open(&directory);
    let (first, _) = with_large_result(&store, b'x').await;
    let written = fs::read_dir(&directory.results)
        .unwrap()
        .next()
        .unwrap()
        .unwrap();
    let name = written.file_name().into_string().unwrap();
    let next = name.replace(&format!("-{}.", first.seq), &format!("-{}.", first.seq + 1));
    for planted in [next.replace(".json", ".tmp"), next] {
        symlink(&target, directory.results.join(planted)).unwrap();
    }
    let (second, bytes) = with_large_result(&store, b'y').await;
    assert_eq!(text(store.result(second.seq).unwrap()), bytes);
    assert_eq!(fs::read(&target).unwrap(), b"precious");
}

#[test]
fn a_named_pipe_in_a_files_place_does_not_hold_up_the_start() {
    for name in ["lock", "jobs.sqlite"] {
        let directory = test_directory();
        fs::create_dir(&directory.jobs).unwrap();
        let made = std::process::Command::new("mkfifo")
            .arg(directory.jobs.join(name))
            .status();
        assert!(made.unwrap().success());
        let error = Store::open(&directory.jobs, &directory.results, &[])
            .err()
            .unwrap();
        assert!(error.to_string().contains("no regular file"), "{error}");
    }
}

#[tokio::test]
async fn two_stores_with_one_result_directory_serve_and_remove_their_own_files_only() {
    let (one, two) = (test_directory(), test_directory());
    let two = TestDirectory {
        results: one.results.clone(),
        ..two
    };
    let first = open(&one);
    let (job_of_one, bytes_of_one) = with_large_result(&first, b'1').await;
    let second = open(&two);
    let (job_of_two, bytes_of_two) = with_large_result(&second, b'2').await;
    assert_eq!(job_of_one.seq, job_of_two.seq, "they have the same numbers");
    drop((first, second));
    let (first, second) = (open(&one), open(&two));
    assert_eq!(text(first.result(1).unwrap()), bytes_of_one);
    assert_eq!(text(second.result(1).unwrap()), bytes_of_two);
    second.delete(vec![(1, true)]).await.unwrap();
    assert_eq!(text(first.result(1).unwrap()), bytes_of_one);
}

#[tokio::test]
async fn the_store_of_an_older_host_is_taken_with_its_results_and_tags() {
    let directory = test_directory();
    fs::create_dir(&directory.jobs).unwrap();
    fs::create_dir(&directory.results).unwrap();
    let connection = rusqlite::Connection::open(directory.jobs.join("jobs.sqlite")).unwrap();
    connection
        .execute_batch(include_str!("format_1.sql"))
        .unwrap();
    drop(connection);
    fs::write(directory.results.join("2.result.json"), "{\"large\":1}").unwrap();
    fs::write(directory.results.join("9.result.json"), "another's").unwrap();

    let store = open(&directory);
    let record = store.job("id-1").unwrap().unwrap();
    assert_eq!(
        (record.user.as_str(), record.context.unwrap().get()),
        ("alice", r#"{"query":"SELECT 1"}"#)
    );
    assert_eq!(text(store.result(1).unwrap()), b"{\"small\":1}");
    assert_eq!(text(store.result(2).unwrap()), b"{\"large\":1}");
    let query = JobQuery {
        tags: vec!["team:a".into()],
        limit: 10,
        ..JobQuery::default()
    };
    assert_eq!(ids(&store.jobs(&query).unwrap()), [1]);
    assert!(directory.results.join("9.result.json").exists());
    assert_eq!(store.next_seq(), 3);
    drop(store);
    // The first stores of this format did not know how many rows a result has.
    let connection = rusqlite::Connection::open(directory.jobs.join("jobs.sqlite")).unwrap();
    connection
        .execute_batch("ALTER TABLE jobs DROP COLUMN result_rows")
        .unwrap();
    drop(connection);
    assert_eq!(open(&directory).job("id-1").unwrap().unwrap().rows, None);
}

#[test]
fn a_store_below_a_directory_that_others_may_write_is_refused_unless_that_one_is_trusted() {
    let directory = test_directory();
    let shared = directory.folder.path().join("shared");
    fs::create_dir(&shared).unwrap();
    fs::set_permissions(&shared, Permissions::from_mode(0o777)).unwrap();
    let jobs = shared.join("own/jobs");
    let error = Store::open(&jobs, &directory.results, &[]).err().unwrap();
    assert!(
        matches!(&error, StoreError::Untrusted { .. })
            && error.to_string().contains("shared above it is not trusted"),
        "{error}"
    );
    Store::open(&jobs, &directory.results, &[shared]).unwrap();
}
