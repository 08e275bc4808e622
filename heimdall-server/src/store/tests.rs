mod histories;
mod lists;
mod private;

use std::collections::BTreeSet;

use bytes::Bytes;

use super::*;
use crate::job::{JobStatus, Route, raw};

struct TestDirectory {
    folder: tempfile::TempDir,
    jobs: PathBuf,
    results: PathBuf,
}

fn test_directory() -> TestDirectory {
    let folder = tempfile::tempdir().unwrap();
    TestDirectory {
        jobs: folder.path().join("jobs"),
        results: folder.path().join("results"),
        folder,
    }
}

fn open(directory: &TestDirectory) -> Store {
    Store::open(&directory.jobs, &directory.results, &[]).unwrap()
}

/// A job whose result is a file of this byte.
async fn with_large_result(store: &Store, byte: u8) -> (Arc<JobRecord>, Vec<u8>) {
    let large = job(store, "alice", JobStatus::Succeeded);
    let bytes = Bytes::from(vec![byte; 100_000]);
    store.write_result_file(large.seq, &bytes).unwrap();
    let put = Put {
        result: Some(bytes.clone()),
        result_in_file: true,
        ..Put::record(Arc::clone(&large))
    };
    store.put(put).await.unwrap();
    (large, bytes.to_vec())
}

fn job(store: &Store, user: &str, status: JobStatus) -> Arc<JobRecord> {
    let seq = store.next_seq();
    let id = format!("id-{seq}");
    Arc::new(JobRecord {
        seq,
        name: "list-items-job".into(),
        version: "0.0.1".into(),
        description: None,
        user: user.into(),
        tags: raw(&BTreeSet::from([format!("_id:{id}"), "team:a".into()])),
        id,
        context: Some(raw(&serde_json::json!({"query": "SELECT 1"}))),
        command_criteria: raw(&["type:dynamodb"]),
        cluster_criteria: raw(&["data:prod"]),
        is_sync: true,
        route: Route {
            command_id: "c".into(),
            command_name: "c".into(),
            cluster_id: "l".into(),
            cluster_name: "l".into(),
            plugin: "dynamo".into(),
        },
        status,
        error: None,
        error_document: None,
        plugin_version: Some("1.0.0".into()),
        cancelled_by: None,
        created_at: 1_000 + seq / 2,
        updated_at: 1_000 + seq,
        attempts: 0,
        traceparent: None,
        rows: None,
    })
}

fn with_result(job: Arc<JobRecord>, result: &'static [u8]) -> Put {
    Put {
        result: Some(Bytes::from_static(result)),
        stderr: "a line\n".into(),
        ..Put::record(job)
    }
}

fn text(result: Option<StoredResult>) -> Vec<u8> {
    match result.unwrap() {
        StoredResult::Inline(bytes) => bytes,
        StoredResult::File(mut file, length) => {
            let mut bytes = Vec::new();
            std::io::Read::read_to_end(&mut file, &mut bytes).unwrap();
            assert_eq!(bytes.len() as u64, length);
            bytes
        }
        StoredResult::Lines(_) => panic!("the result is not that large"),
    }
}

#[test]
fn unfinished_jobs_are_found_without_a_look_at_the_others() {
    let directory = test_directory();
    let plan = open(&directory).read(|connection| {
        let mut plan = connection.prepare(&format!("EXPLAIN QUERY PLAN {}", unfinished_sql()))?;
        let steps = plan.query_map([], |row| row.get::<_, String>("detail"))?;
        Ok(steps.collect::<Result<Vec<_>, _>>()?)
    });
    let plan = plan.unwrap();
    assert!(
        plan.iter().any(|step| step.contains("jobs_by_status")),
        "{plan:?}"
    );
    assert!(
        !plan.iter().any(|step| step.starts_with("SCAN")),
        "{plan:?}"
    );
}

#[tokio::test]
async fn what_results_take_is_counted_once_whatever_is_put_and_removed_beside_the_count() {
    let directory = test_directory();
    let first = {
        let store = open(&directory);
        let (first, _) = with_large_result(&store, b'x').await;
        with_large_result(&store, b'y').await;
        assert_eq!(store.result_bytes(), 200_000);
        first
    };
    let store = open(&directory);
    with_large_result(&store, b'z').await;
    store.delete(vec![(first.seq, true)]).await.unwrap();
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
    while store.result_bytes() != 200_000 {
        assert!(
            std::time::Instant::now() < deadline,
            "{}",
            store.result_bytes()
        );
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn what_was_put_is_there_after_the_store_is_opened_again() {
    let directory = test_directory();
    let store = open(&directory);
    let small = job(&store, "alice", JobStatus::Succeeded);
    store
        .put(with_result(Arc::clone(&small), b"{\"data\":[]}"))
        .await
        .unwrap();
    let (large, bytes) = with_large_result(&store, b'x').await;
    assert!(Store::wants_file(&bytes));
    drop(store);

    let store = open(&directory);
    let record = store.job(&small.id).unwrap().unwrap();
    assert_eq!(
        (record.seq, record.status, record.context.unwrap().get()),
        (1, JobStatus::Succeeded, r#"{"query":"SELECT 1"}"#)
    );
    assert_eq!(text(store.result(small.seq).unwrap()), b"{\"data\":[]}");
    assert_eq!(text(store.result(large.seq).unwrap()), bytes);
    assert_eq!(store.stderr(small.seq).unwrap(), "a line\n");
    assert_eq!(store.next_seq(), 3);
}

#[tokio::test]
async fn a_result_without_a_record_is_swept_and_never_served() {
    let directory = test_directory();
    let store = open(&directory);
    let running = job(&store, "alice", JobStatus::Running);
    store.put(Put::record(Arc::clone(&running))).await.unwrap();
    store
        .write_result_file(running.seq, b"written, but the host died before the record")
        .unwrap();
    let written = std::fs::read_dir(&directory.results)
        .unwrap()
        .next()
        .unwrap();
    let half = written.unwrap().path().with_extension("tmp");
    std::fs::write(half, "half").unwrap();
    std::fs::write(directory.results.join("notes.txt"), "not ours").unwrap();
    assert!(store.result(running.seq).unwrap().is_none());
    drop(store);
    let store = open(&directory);
    assert!(store.result(running.seq).unwrap().is_none());
    let left: Vec<_> = std::fs::read_dir(&directory.results)
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(left, ["notes.txt"]);
    assert_eq!(store.unfinished().unwrap().len(), 1);
}

#[test]
fn a_store_has_one_host_at_a_time() {
    let directory = test_directory();
    let store = open(&directory);
    assert!(matches!(
        Store::open(&directory.jobs, &directory.results, &[]),
        Err(StoreError::Locked { .. })
    ));
    drop(store);
    open(&directory);
}

#[tokio::test]
async fn a_lazy_record_is_there_soon_and_never_overwrites_the_end() {
    let directory = test_directory();
    let store = open(&directory);
    let running = job(&store, "alice", JobStatus::Running);
    store.put_lazily(Arc::clone(&running));
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(5);
    while store.job(&running.id).unwrap().is_none() {
        assert!(
            std::time::Instant::now() < deadline,
            "the lazy record never came"
        );
        tokio::time::sleep(std::time::Duration::from_millis(2)).await;
    }
    let mut ended = (*running).clone();
    ended.status = JobStatus::Succeeded;
    store.put_lazily(running);
    store
        .put(with_result(Arc::new(ended.clone()), b"{}"))
        .await
        .unwrap();
    drop(store);
    let store = open(&directory);
    assert_eq!(
        store.job(&ended.id).unwrap().unwrap().status,
        JobStatus::Succeeded
    );
    assert_eq!(text(store.result(ended.seq).unwrap()), b"{}");
}

fn ids(page: &JobsPage) -> Vec<i64> {
    page.jobs.iter().map(|job| job.seq).collect()
}

#[tokio::test]
async fn lists_page_through_everything_once_in_every_order() {
    let directory = test_directory();
    let store = open(&directory);
    for n in 0..23 {
        let status = if n % 5 == 0 {
            JobStatus::Failed
        } else {
            JobStatus::Succeeded
        };
        store
            .put(Put::record(job(
                &store,
                if n % 2 == 0 { "alice" } else { "bob" },
                status,
            )))
            .await
            .unwrap();
    }
    for order in [OrderBy::Id, OrderBy::CreatedAt, OrderBy::UpdatedAt] {
        for direction in [Direction::Ascending, Direction::Descending] {
            let mut query = JobQuery {
                order,
                direction,
                limit: 4,
                ..JobQuery::default()
            };
            let mut seen = Vec::new();
            loop {
                let page = store.jobs(&query).unwrap();
                seen.extend(ids(&page));
                let Some(next) = page.next else { break };
                query.cursor = Cursor::decode(&next.encode(), order, direction);
                assert_eq!(query.cursor, Some(next));
            }
            let mut sorted = seen.clone();
            sorted.sort_unstable();
            assert_eq!(
                sorted,
                (1..=23).collect::<Vec<_>>(),
                "{order:?} {direction:?}"
            );
        }
    }
    let all = JobQuery {
        limit: 101,
        direction: Direction::Ascending,
        ..JobQuery::default()
    };
    let failed = JobQuery {
        statuses: vec![JobStatus::Failed],
        ..all.clone()
    };
    assert_eq!(ids(&store.jobs(&failed).unwrap()), [1, 6, 11, 16, 21]);
    let bobs = JobQuery {
        patterns: vec![("user", Pattern::new("b%").unwrap())],
        created_after: Some(1_010),
        ..all.clone()
    };
    assert_eq!(ids(&store.jobs(&bobs).unwrap()), [20, 22]);
    let tagged = JobQuery {
        tags: vec!["team:a".into(), "_id:id-3".into()],
        ..all
    };
    assert_eq!(ids(&store.jobs(&tagged).unwrap()), [3]);
}

#[test]
fn a_cursor_belongs_to_its_order_and_direction() {
    let cursor = |order, direction, value: serde_json::Value| {
        let query = JobQuery {
            order,
            direction,
            ..JobQuery::default()
        };
        Cursor::at(&query, value, 1).encode()
    };
    let (up, down) = (Direction::Ascending, Direction::Descending);
    let of_id = cursor(OrderBy::Id, down, "x".into());
    let of_updated = cursor(OrderBy::UpdatedAt, down, 7.into());
    let wrong = cursor(OrderBy::CreatedAt, down, "x".into());
    for (text, order, direction, fits) in [
        (of_id.as_str(), OrderBy::Id, down, true),
        (of_id.as_str(), OrderBy::Id, up, false),
        (of_id.as_str(), OrderBy::CreatedAt, down, false),
        (of_updated.as_str(), OrderBy::UpdatedAt, down, true),
        (of_updated.as_str(), OrderBy::CreatedAt, down, false),
        (wrong.as_str(), OrderBy::CreatedAt, down, false),
        ("zzz", OrderBy::CreatedAt, down, false),
        ("", OrderBy::Id, down, false),
        ("e30", OrderBy::Id, down, false),
    ] {
        let found = Cursor::decode(text, order, direction);
        assert_eq!(found.is_some(), fits, "{text} {order:?} {direction:?}");
    }
}

#[tokio::test]
async fn old_and_surplus_jobs_go_with_their_files_and_running_ones_stay() {
    let directory = test_directory();
    let store = open(&directory);
    for _ in 0..5 {
        store
            .put(with_result(
                job(&store, "alice", JobStatus::Succeeded),
                b"{}",
            ))
            .await
            .unwrap();
    }
    let large = job(&store, "alice", JobStatus::Succeeded);
    store.write_result_file(large.seq, b"{}").unwrap();
    store
        .put(Put {
            result_in_file: true,
            ..with_result(Arc::clone(&large), b"{}")
        })
        .await
        .unwrap();
    store
        .put(Put::record(job(&store, "alice", JobStatus::Running)))
        .await
        .unwrap();
    // Updated at 1,001 … 1,006: two are older, then three are beyond the newest one.
    assert_eq!(store.outdated(1_003).unwrap(), [(1, false), (2, false)]);
    assert_eq!(store.outdated(0).unwrap(), []);
    let surplus = store.oldest(store.finished().unwrap()).unwrap();
    assert_eq!(surplus.last(), Some(&(6, true)));
    store.delete(surplus).await.unwrap();
    assert_eq!(store.counts().unwrap(), [(JobStatus::Running.number(), 1)]);
    assert_eq!(std::fs::read_dir(&directory.results).unwrap().count(), 0);
}

#[tokio::test]
async fn a_status_set_at_run_time_holds_until_the_files_own_changes() {
    let directory = test_directory();
    let config = |status: &str| {
        let text = format!("commands: [{{name: c, plugin: p, status: {status}}}]");
        Config::parse("c.yaml".as_ref(), &text, &|_| None).unwrap()
    };
    let key = (Kind::Command, "c".to_owned());
    let store = open(&directory);
    store.sync_objects(&config("active"), 1).await.unwrap();
    store
        .set_object_status(Kind::Command, "c", Status::Inactive, 2)
        .await
        .unwrap();
    drop(store);
    let store = open(&directory);
    let known = store.sync_objects(&config("active"), 3).await.unwrap();
    assert_eq!(
        known[&key],
        Known {
            created_at: 1,
            updated_at: 2,
            status: Status::Inactive
        }
    );
    let known = store.sync_objects(&config("deleted"), 4).await.unwrap();
    assert_eq!(
        known[&key],
        Known {
            created_at: 1,
            updated_at: 4,
            status: Status::Deleted
        }
    );
}

#[test]
fn what_a_disk_may_do_later_is_told_from_what_stays_damaged() {
    use rusqlite::{Error, ffi};
    let sqlite = |code| StoreError::from(Error::SqliteFailure(ffi::Error::new(code), None));
    for code in [
        ffi::SQLITE_FULL,
        ffi::SQLITE_IOERR,
        ffi::SQLITE_IOERR_FSYNC,
        ffi::SQLITE_IOERR_WRITE,
        ffi::SQLITE_BUSY,
        ffi::SQLITE_LOCKED,
        ffi::SQLITE_READONLY,
        ffi::SQLITE_CANTOPEN,
        ffi::SQLITE_PERM,
        ffi::SQLITE_NOMEM,
        ffi::SQLITE_PROTOCOL,
    ] {
        assert!(sqlite(code).may_pass(), "{}", sqlite(code));
    }
    for code in [
        ffi::SQLITE_CORRUPT,
        ffi::SQLITE_NOTADB,
        ffi::SQLITE_MISMATCH,
        ffi::SQLITE_CONSTRAINT,
        ffi::SQLITE_TOOBIG,
        ffi::SQLITE_ERROR,
    ] {
        assert!(!sqlite(code).may_pass(), "{}", sqlite(code));
    }
    let unreadable = Error::IntegralValueOutOfRange(16, 99);
    assert!(!StoreError::from(unreadable).may_pass());
    let half = std::io::Error::from(std::io::ErrorKind::StorageFull);
    assert!(StoreError::from(half).may_pass());
}

#[tokio::test]
async fn a_list_shows_what_can_be_read_of_a_damaged_record_among_the_others() {
    let directory = test_directory();
    let store = open(&directory);
    for _ in 0..3 {
        let job = job(&store, "alice", JobStatus::Succeeded);
        store.put(Put::record(job)).await.unwrap();
    }
    let tables = Connection::open(directory.jobs.join("jobs.sqlite")).unwrap();
    tables
        .execute("UPDATE jobs SET tags = x'00ff' WHERE seq = 2", [])
        .unwrap();
    let query = JobQuery {
        limit: 10,
        ..JobQuery::default()
    };
    let page = store.jobs(&query).unwrap();
    assert_eq!(page.jobs.len(), 3);
    assert_eq!(page.jobs[1].tags.get(), "[]");
    assert_eq!(page.jobs[1].id, "id-2");
    let error = store.job("id-2").unwrap_err();
    assert!(!error.may_pass(), "{error}");
    store.delete(vec![(2, false)]).await.unwrap();
    assert_eq!(store.jobs(&query).unwrap().jobs.len(), 2);
}
